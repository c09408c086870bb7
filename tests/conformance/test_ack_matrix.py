"""Every combination of MSH-15 and MSH-16 with every outcome: which answers go out, in which order, and where.

The rows drive a real channel with a real journal. `CA` is the answer on the connection the message came by; `CA AA` is
that and a second message on the same connection; `-` is silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from suture.conversation.hl7v2.rules import AnswerRules
from suture.model.errors import MessageError
from suture.ports import Received
from suture.store import schema
from suture.store.engine import open_engine
from tests.pipeline.house import Heard, House, Parked

OUTCOMES = ("accepted", "parked", "type", "version", "processing id", "not stored")
ROWS = {
    # MSH-15, MSH-16: accepted  parked   type   version processing id  not stored
    ("", ""): ("AA", "AE", "AR", "AR", "AR", "AR"),
    ("AL", "AL"): ("CA AA", "CA AE", "CR", "CR", "CR", "CE"),
    ("AL", "NE"): ("CA", "CA", "CR", "CR", "CR", "CE"),
    ("AL", "ER"): ("CA", "CA AE", "CR", "CR", "CR", "CE"),
    ("AL", "SU"): ("CA AA", "CA", "CR", "CR", "CR", "CE"),
    ("NE", "AL"): ("AA", "AE", "AR", "AR", "AR", "AR"),
    ("NE", "NE"): ("-", "-", "-", "-", "-", "-"),
    ("NE", "ER"): ("-", "AE", "AR", "AR", "AR", "AR"),
    ("NE", "SU"): ("AA", "-", "-", "-", "-", "-"),
    ("ER", "AL"): ("AA", "AE", "CR", "CR", "CR", "CE"),
    ("ER", "NE"): ("-", "-", "CR", "CR", "CR", "CE"),
    ("ER", "ER"): ("-", "AE", "CR", "CR", "CR", "CE"),
    ("ER", "SU"): ("AA", "-", "CR", "CR", "CR", "CE"),
    ("SU", "AL"): ("CA AA", "CA AE", "AR", "AR", "AR", "AR"),
    ("SU", "NE"): ("CA", "CA", "-", "-", "-", "-"),
    ("SU", "ER"): ("CA", "CA AE", "AR", "AR", "AR", "AR"),
    ("SU", "SU"): ("CA AA", "CA", "-", "-", "-", "-"),
}
REASONS = {"parked": "103", "type": "200", "event": "201", "version": "203", "processing id": "202", "not stored": "207"}
RULES = {
    "type": {"types": frozenset({"ADT^A01"})},
    "version": {"versions": frozenset({"2.3", "2.4"})},
    "processing id": {"processing_ids": frozenset({"T"})},
}
PARKED = MessageError("map", "UNKNOWN_CODE", "FT1(2)-7.1", "no row")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    """A store on SQLite."""
    engine = open_engine(f"sqlite:///{tmp_path / 'suture.db'}", site=None)
    schema.upgrade(engine)
    yield engine
    engine.dispose()


def message(commit: str = "", application: str = "", control_id: str = "M-1") -> bytes:
    """A charge with these in MSH-15 and MSH-16."""
    head = rf"MSH|^~\&|POU|OR|ENGINE|HOSP|20260401101530||DFT^P03^DFT_P03|{control_id}|P|2.5.1|||{commit}|{application}||8859/1"
    return f"{head}\rEVN|P03\rFT1|1|T1||20260401||CG|X\r".encode()


def told(database: Engine, outcome: str, when: str, raw: bytes) -> Heard:
    """What the sender hears when its message comes to this."""
    rules = AnswerRules(when=when, **RULES.get(outcome, {}))
    house = House(database, rules, inbound=Parked(PARKED) if outcome == "parked" else None)
    if outcome == "not stored":
        write = house.journal.write
        house.journal.write = lambda o: o.failed(ValueError("no")) if isinstance(o, Received) else write(o)
    heard = house.receive(raw)
    house.deliver()
    house.stop()
    return heard


@pytest.mark.parametrize("when", ["after_process", "after_delivery"])
@pytest.mark.parametrize(
    ("asked", "outcome", "codes"),
    [(asked, outcome, codes) for asked, row in ROWS.items() for outcome, codes in zip(OUTCOMES, row, strict=True)],
)
def test_what_the_sender_hears(database: Engine, when: str, asked: tuple[str, str], outcome: str, codes: str) -> None:
    heard = told(database, outcome, when, message(*asked))
    assert " ".join(heard.codes) == codes
    assert [how for how, _ in heard.told] == ["answer", "said"][: len(heard.told)]
    for one in heard.messages:
        code = one.get("MSA-1")
        assert one.get("MSA-2") == "M-1"
        assert (one.get("MSH-3"), one.get("MSH-5"), one.get("MSH-11"), one.get("MSH-12")) == ("ENGINE", "POU", "P", "2.5.1")
        assert one.get("MSH-18") == "8859/1"
        application = asked != ("", "") and code.startswith("A")
        assert (one.get("MSH-15"), one.get("MSH-16")) == (("NE", "NE") if application else ("", ""))
        assert one.get("ERR-3.1") == ("" if code in ("AA", "CA") else REASONS[outcome])
        if code == "AE":
            assert one.get("ERR-2") == "FT1^2^7^1^1"
    assert len({one.get("MSH-10") for one in heard.messages}) == len(heard.messages)


@pytest.mark.parametrize(("asked", "row"), ROWS.items())
def test_at_receipt_a_message_that_will_be_parked_is_still_accepted(database: Engine, asked: tuple[str, str], row: tuple[str, ...]) -> None:
    assert " ".join(told(database, "parked", "after_store", message(*asked)).codes) == row[0]


@pytest.mark.parametrize("outcome", ["type", "version", "processing id"])
def test_a_refused_message_is_kept_and_goes_nowhere(database: Engine, outcome: str) -> None:
    house = House(database, AnswerRules(**RULES[outcome]))
    house.receive(message())
    assert house.unprocessed() == 0
    assert not house.peers["d"].asked
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT state, control_id FROM message").all() == [("filtered", "M-1")]
    house.stop()


def test_an_event_that_is_not_taken_of_a_type_that_is_has_its_own_code(database: Engine) -> None:
    house = House(database, AnswerRules(types=frozenset({"DFT^P11"})))
    (answer,) = house.receive(message()).messages
    assert (answer.get("MSA-1"), answer.get("ERR-3.1"), answer.get("ERR-2")) == ("AR", "201", "MSH^1^9^1^2")
    house.stop()


@pytest.mark.parametrize("asked", ROWS)
def test_what_is_not_hl7_is_kept_and_answered_with_an_error(database: Engine, asked: tuple[str, str]) -> None:
    house = House(database, AnswerRules(when="after_process"))
    heard = house.receive(b"EVN|P03\r" + message(*asked)[4:])
    assert heard.codes == ["AE"]
    assert heard.messages[0].get("ERR-3.1") == "100"
    house.stop()
