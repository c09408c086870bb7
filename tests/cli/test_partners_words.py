"""What partners say when they do not take a delivery: four commands show it, and no log, metric or page does.

A real engine, two MLLP peers that refuse in their own words, one that asks to be tried later, and one that speaks HTTP.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from suture.wire import mllp
from tests.cli.conftest import Suture
from tests.crash.hospital import free_ports, wait_until
from tests.engine_process import TIMEOUT_S, Sender, running
from tests.faults.peer import Elsewhere, FaultyPeer, Raw, Status

SECRET = "QQ4711"
"""In each of the partners' texts, as a patient's number may be."""
MESSAGE = b"MSH|^~\\&|POC|WEST|HUB|GENERAL|20260401||ADT^A08|W1|P|2.5.1\rPID|1||4711^^^WEST^MR\r"
HEAD = "MSH|^~\\&|PEER|P|HUB|GENERAL|20260401||ACK|1|P|2.5.1"


def refusal(code: str, text: str = "", error: str = "") -> Raw:
    return Raw(mllp.frame(f"{HEAD}\rMSA|{code}|W1|{text}\r{error}".encode()))


ERR_8 = f"account {SECRET} is closed"
MSA_3 = f"no such patient {SECRET}"
BODY = {"error": "unprocessable", "detail": f"quantity of {SECRET} is not a number"}
LATER = f"busy with {SECRET}"
WORDS = {"err": ERR_8, "msa": MSA_3, "web": BODY["detail"], "later": LATER}
CODES = {"err": "AE", "msa": "AE", "web": "422", "later": "AR"}


def peers() -> dict[str, FaultyPeer]:
    found = {
        "err": FaultyPeer("mllp", usual=refusal("AE", error=f"ERR||PID^1^18|204^Unknown key identifier^HL70357|E||||{ERR_8}\r")),
        "msa": FaultyPeer("mllp", usual=refusal("AE", MSA_3)),
        "web": FaultyPeer("http", usual=Status(422, {"Content-Type": "application/json"}, json.dumps(BODY).encode())),
        "later": FaultyPeer("mllp", usual=refusal("AR", LATER)),
    }
    return found


@dataclass
class House:
    """A site whose engine runs, and the command on it."""

    site: Path
    run: Suture
    ports: dict[str, int]
    log: Path

    def suture(self, *arguments: object) -> str:
        return self.run(*arguments, "--site", self.site).out

    def json(self, *arguments: object) -> Any:
        return json.loads(self.suture(*arguments, "--json"))

    def page(self, name: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['pages']}/{name}", timeout=TIMEOUT_S) as answer:
            return answer.read().decode()


def write_site(site: Path, url: str, ports: dict[str, int]) -> None:
    """A channel that passes its messages on to all of them."""
    (site / "conf").mkdir(parents=True)
    mllp_out = "{{mllp_out: {{host: 127.0.0.1, port: {}}}, retry: {{first_s: 1, max_s: 1}}}}"
    lines = [f"  {name}: {mllp_out.format(ports[name])}" for name in ("err", "msa", "later")]
    lines.append(f'  web: {{http_out: {{url: "http://127.0.0.1:{ports["web"]}/"}}}}')
    (site / "conf" / "base.yaml").write_text(
        "\n".join(
            ["site: {name: West, zone: UTC}", f'store: {{url: "{url}"}}', f"http: {{port: {ports['pages']}}}", "endpoints:", *lines, ""]
        )
    )
    channel = site / "channels" / "adt" / "channel.yaml"
    channel.parent.mkdir(parents=True)
    routes = [f"  {name}: {{to: {name}, message: {{}}}}" for name in WORDS]
    channel.write_text("\n".join(["channel: adt", f"source: {{mllp_in: {{port: {ports['in']}}}}}", "destinations:", *routes, ""]))


@pytest.fixture
def house(engine_url: str, tmp_path: Path, suture: Suture) -> Iterator[House]:
    partners = peers()
    with Elsewhere(*partners.values()):
        inward, pages = free_ports(2)
        ports = {name: peer.port for name, peer in partners.items()} | {"in": inward, "pages": pages}
        one = House(tmp_path / "site", suture, ports, tmp_path / "engine.log")
        write_site(one.site, engine_url, ports)
        with running(one.site, one.log):
            sender = Sender(inward)
            sender.say(MESSAGE)
            assert b"MSA|AA|W1" in sender.hear()
            sender.close()
            wait_until(lambda: len(one.json("exception", "list")) == 3, TIMEOUT_S, "three are refused")
            wait_until(lambda: one.json("delivery", "list", "--state", "retrying"), TIMEOUT_S, "one is tried again")
            yield one


def test_the_commands_show_them_and_nothing_else_does(house: House) -> None:
    refused = {"err", "msa", "web"}
    exceptions = {row["field"]: row for row in house.json("exception", "list")}
    assert {name: row["code"] for name, row in exceptions.items()} == {name: CODES[name] for name in refused}
    assert all(WORDS[name] in exceptions[name]["words"] for name in refused)
    table = house.suture("exception", "list")
    assert all(WORDS[name] in table for name in refused)

    deliveries = {row["destination"]: row for row in house.json("delivery", "list")}
    for name in WORDS:
        number = deliveries[name]["id"]
        shown = house.json("delivery", "show", number)
        assert WORDS[name] in shown["words"] and WORDS[name] in shown["attempt_list"][0]["words"]
        assert WORDS[name] in house.suture("delivery", "show", number)
        assert len(shown["words"]) <= 200

    trace = house.suture("message", "trace", 1)
    journey = house.json("message", "trace", 1)
    assert all(words in trace for words in WORDS.values())
    said = {row["delivery_id"]: row["words"] for row in journey["attempts"]}
    assert all(WORDS[name] in said[deliveries[name]["id"]] for name in WORDS)

    wait_until(lambda: LATER in house.suture("status"), TIMEOUT_S, "the engine says what fails")
    status = house.suture("status")
    assert all(words in status for words in WORDS.values())
    (channel,) = house.json("status")["channels"]
    found = {each["destination"]: each for each in channel["destinations"]}
    assert LATER in found["later"]["words"]
    assert all(WORDS[name] in found[name]["refusal"]["words"] for name in refused)

    assert SECRET not in house.log.read_text()
    assert SECRET not in house.page("metrics") and SECRET not in house.page("readyz")
    assert house.json("audit", "list") == [], "no content of a message was looked at"
