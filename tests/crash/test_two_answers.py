"""A partner that stores first and refuses afterwards, with a patient's name in its words: all is kept, and the name is nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.crash.hospital import MARKER, Hospital, kept_adt, wait_until
from tests.faults.peer import Fault, FaultyPeer, Seen

COUNT = 6
REFUSED = "3"
"""The account that the partner refuses."""
SAYS = f"the stay of {MARKER} has ended"


class TwoAnswers(FaultyPeer):
    """Says CA to each message, and then what its application makes of it; or AR to all of them."""

    def __init__(self, busy: bool = False) -> None:
        super().__init__("mllp", keep=kept_adt)
        self.busy = busy

    async def _do(self, fault: Fault, seen: Seen, writer: Any) -> None:
        code = "AR" if self.busy else "AE" if kept_adt(seen)[2] == REFUSED else "AA"
        told = self._wire.answer(seen, code)
        if code != "AA":
            told = told.replace(b"\x1c\r", f"ERR|||207^Application error^HL70357|E||||{SAYS}\r\x1c\r".encode())
        writer.write(told if self.busy else self._wire.answer(seen, "CA") + told)
        await writer.drain()


def begun(hospital: Hospital, settings: str) -> None:
    """The engine with these settings of its destination, and its messages on their way."""
    conf = hospital.directory / "conf" / "base.yaml"
    conf.write_text(conf.read_text().replace("      host: 127.0.0.1\n", f"      host: 127.0.0.1\n{settings}"))
    hospital.start()
    load = hospital.send_adt(COUNT)
    wait_until(lambda: len(load.acked) == COUNT)


def nowhere_else(hospital: Hospital) -> None:
    """The patient's name is on no page and in no log line."""
    for page in ("metrics", "readyz", "healthz"):
        assert MARKER not in hospital.page(page)[1]
    assert MARKER not in hospital.said()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    ("settings", "state", "begins"),
    [
        ("      ack: application\n", "dead", "the peer answered AE: "),
        ("", "refused", "accepted at first, then refused: the peer answered AE: "),
    ],
)
def test_a_refusal_after_a_ca_waits_for_a_person(
    kind: str, settings: str, state: str, begins: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("durable_database") if kind == "postgresql" else ""
    with Hospital(tmp_path, url, TwoAnswers()) as hospital:
        begun(hospital, settings)
        wait_until(lambda: hospital.query(f"SELECT count(*) FROM delivery WHERE state = '{state}'")[0][0] == 1)
        wait_until(lambda: hospital.query("SELECT count(*) FROM delivery WHERE state = 'accepted'") == [(COUNT - 1,)])
        ((lane, number, message),) = hospital.query(f"SELECT lane, id, message_id FROM delivery WHERE state = '{state}'")
        assert lane == REFUSED
        (opened,) = json.loads(hospital.suture("exception", "list", "--json").stdout)
        reason = f"{begins}Application internal error (207); it says: {SAYS}"
        assert (opened["delivery_id"], opened["code"], opened["reason"]) == (number, "AE", reason)
        for words in (("delivery", "show", str(number)), ("message", "trace", str(message)), ("exception", "list")):
            assert SAYS in hospital.suture(*words).stdout
        assert ("REFUSED_LATER" in hospital.said()) == (state == "refused")
        nowhere_else(hospital)
        hospital.terminate()


@pytest.mark.slow
def test_what_a_partner_says_is_in_the_status_and_on_no_page_also_after_a_restart(tmp_path: Path) -> None:
    with Hospital(tmp_path, lab=TwoAnswers(busy=True), LAB_CONNECTIONS="1") as hospital:
        begun(hospital, "")
        said = f"the peer answered AR: Application internal error (207); it says: {SAYS}"
        wait_until(lambda: said in hospital.suture("status").stdout, 30, "the status has the partner's words")
        wait_until(lambda: "the peer answered AR" in hospital.page("readyz")[1], 90, "the page has our reason")
        nowhere_else(hospital)
        hospital.kill()
        hospital.start()
        assert said in hospital.suture("status").stdout
        nowhere_else(hospital)
        hospital.terminate()
