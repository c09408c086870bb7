"""Acknowledgements that arrive as messages: kept and counted, never answered as messages, never processed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from suture.conversation.hl7v2.rules import AnswerRules
from suture.ports import Received
from suture.wire import mllp
from tests.doubles import Listening
from tests.pipeline.house import Heard, House

RULES = [AnswerRules(), AnswerRules(when="after_process"), AnswerRules(when="after_delivery"), AnswerRules(types=frozenset({"DFT^P03"}))]


def acknowledging(kind: str = "ACK^P03^ACK", modes: str = "|", msa: str = "MSA|AA|Q1", control_id: str = "R77", more: str = "") -> bytes:
    head = rf"MSH|^~\&|LAB|WEST|SUTURE|GENERAL|20260401101530||{kind}|{control_id}|P|2.5.1|||{modes}"
    return f"{head}\r{msa}\r{more}".encode()


@pytest.fixture
def house(engine_db: Engine, request: pytest.FixtureRequest) -> Iterator[House]:
    one = House(engine_db, getattr(request, "param", AnswerRules()))
    one.channel.conversation._observer = one.observer = Listening()
    yield one
    one.stop()


def rows(house: House, sql: str) -> list[Any]:
    with house.database.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]


@pytest.mark.parametrize("house", RULES, indirect=True, ids=["store", "process", "delivery", "refusing"])
def test_it_is_kept_filtered_and_counted_and_not_answered(house: House) -> None:
    heard = house.receive(acknowledging())
    house.deliver()
    assert heard.told == [("answer", None)] and heard.stored == [True]
    ((state, kind, reason),) = rows(house, "SELECT state, type, reason FROM message")
    assert (state, kind) == ("filtered", "ACK^P03")
    assert "acknowledgement" in reason and "never processed" in reason
    assert rows(house, "SELECT count(*) FROM delivery") == [(0,)]
    assert house.observer.notes == [("c", "ACKNOWLEDGEMENT")]


@pytest.mark.parametrize("kind", ["ACK", "ack", " ACK ^P03", "MCF", "MFK^M01", "DFT^P03"])
def test_whatever_it_is_called(house: House, kind: str) -> None:
    assert house.receive(acknowledging(kind)).told == [("answer", None)]
    assert rows(house, "SELECT state FROM message") == [("filtered",)]


@pytest.mark.parametrize("kind", ["ORR^O02", "RSP^K11", "ORG^O20"])
def test_a_response_with_data_is_a_message_like_any_other(house: House, kind: str) -> None:
    assert house.receive(acknowledging(kind, more="PID|1||4711^^^WEST^MR\r")).codes == ["AA"]
    house.deliver()
    assert rows(house, "SELECT state FROM message") == [("processed",)]


@pytest.mark.parametrize("house", RULES, indirect=True, ids=["store", "process", "delivery", "refusing"])
@pytest.mark.parametrize(
    ("modes", "expected"), [("AL|AL", ["CA"]), ("AL|NE", ["CA"]), ("SU|NE", ["CA"]), ("NE|AL", ["-"]), ("ER|AL", ["-"]), ("|AL", ["-"])]
)
def test_in_enhanced_mode_no_more_than_its_acceptance_is_told(house: House, modes: str, expected: list[str]) -> None:
    heard = house.receive(acknowledging(modes=modes))
    house.deliver()
    assert heard.codes == expected


def test_no_answer_of_its_own_goes_over_another_connection(engine_db: Engine) -> None:
    house = House(engine_db, AnswerRules(when="after_process", apart="acks"), {"d": [], "acks": []})
    house.receive(acknowledging(modes="AL|AL"))
    house.deliver("acks")
    assert rows(house, "SELECT count(*) FROM delivery") == [(0,)]
    house.stop()


def test_one_that_comes_again_is_a_duplicate_and_not_answered_either(house: House) -> None:
    house.receive(acknowledging())
    assert house.receive(acknowledging()).told == [("answer", None)]
    assert rows(house, "SELECT state FROM message ORDER BY id") == [("filtered",), ("duplicate",)]
    assert house.observer.notes == [("c", "ACKNOWLEDGEMENT")] * 2


@pytest.mark.parametrize(("modes", "expected"), [("|", ["-"]), ("AL|NE", ["CE"]), ("NE|AL", ["-"])])
def test_one_that_could_not_be_stored_is_answered_where_it_asks(house: House, modes: str, expected: list[str]) -> None:
    write = house.journal.write
    house.journal.write = lambda o: o.failed(ValueError("no")) if isinstance(o, Received) else write(o)  # type: ignore[method-assign]
    heard = house.receive(acknowledging(modes=modes))
    assert heard.codes == expected and heard.stored == [False]


@pytest.mark.parametrize(("kind", "expected"), [("ACK", ["-"]), ("DFT^P03", ["AR"])])
def test_one_over_the_limit_is_not_answered_either(house: House, kind: str, expected: list[str]) -> None:
    heard = Heard()
    head = acknowledging(kind)
    house.channel.conversation.too_large(mllp.TooLarge(head, 5_000_000, ended=True), 1_000_000, "peer", heard.answer)
    house.settle()
    assert heard.codes == expected
    assert rows(house, "SELECT state FROM message") == [("parked",)]


BHS = b"BHS|^~\\&|LAB|WEST|SUTURE|GENERAL|20260401||||B1"


@pytest.mark.parametrize("mode", ["all", "errors"])
def test_a_batch_of_acknowledgements_is_not_answered(engine_db: Engine, mode: str) -> None:
    house = House(engine_db, AnswerRules(batch=mode))
    raw = BHS + b"|Q9\r" + acknowledging(control_id="R1") + acknowledging(control_id="R2") + b"BTS|2\r"
    assert house.receive(raw).told == [("answer", None)]
    assert rows(house, "SELECT state FROM message") == [("filtered",)] * 2
    assert house.receive(BHS + b"|Q9\rBTS|0\r").told == [("answer", None)], "a batch that says that all is well"
    house.stop()


def test_what_a_batch_of_acknowledgements_asks_for_is_told(house: House) -> None:
    heard = house.receive(BHS + b"\r" + acknowledging(modes="AL|NE") + b"BTS|1\r")
    assert b"MSA|CA|R77" in heard.told[0][1]


def test_a_batch_with_messages_among_its_acknowledgements_is_answered_for_those(house: House) -> None:
    charge = acknowledging("DFT^P03", control_id="M5", msa="EVN|P03")
    heard = house.receive(BHS + b"\r" + acknowledging() + charge + b"BTS|2\r")
    assert b"MSA|AA|M5" in heard.told[0][1] and b"R77" not in heard.told[0][1]


def test_a_batch_of_too_many_acknowledgements_is_not_answered(engine_db: Engine) -> None:
    house = House(engine_db, AnswerRules(batch_messages=1))
    raw = BHS + b"\r" + acknowledging(control_id="R1") + acknowledging(control_id="R2") + b"BTS|2\r"
    assert house.receive(raw).told == [("answer", None)]
    house.stop()


def test_reprocessing_one_leaves_it_as_it_is(house: House) -> None:
    from suture.store import again

    house.receive(acknowledging())
    with house.database.connect() as connection:
        (one,) = again.stored(connection, [1], insist=True)
    house.channel.process(one.message, one.taken, one.revision + 1)
    house.settle()
    assert rows(house, "SELECT state, revision FROM message") == [("filtered", 1)]
    assert rows(house, "SELECT count(*) FROM delivery") == [(0,)]


def test_one_among_messages_that_come_together_is_not_answered(house: House) -> None:
    charge = acknowledging("ADT^A08", control_id="M5", msa="EVN|A08")
    assert house.receive(acknowledging() + charge).codes[-1:] == ["AA"]
    heard = house.receive(acknowledging("ADT^A08", control_id="M6", msa="EVN|A08") + acknowledging(control_id="R78"))
    assert [one.get("MSA-2") for one in heard.messages] == ["M6"]
    assert rows(house, "SELECT state FROM message ORDER BY id")[0] == ("filtered",)


def test_too_many_that_come_together_are_not_answered(engine_db: Engine) -> None:
    house = House(engine_db, AnswerRules(batch_messages=1))
    assert house.receive(acknowledging(control_id="R1") + acknowledging(control_id="R2")).told == [("answer", None)]
    house.stop()
