"""Sequence numbers over a real channel and store: taken in order, refused out of it, and kept across restarts."""

from __future__ import annotations

from sqlalchemy import Engine

from suture.conversation.hl7v2.rules import AnswerRules
from suture.ports import Received
from tests.pipeline.house import Heard, House


def house(database: Engine, when: str = "after_store") -> House:
    h = House(database, AnswerRules(when=when))
    h.dealing(sequence=True)
    begun: list[None] = []
    h.channel.conversation.begin(lambda: begun.append(None), lambda error: None)
    h.settle()
    assert begun
    return h


def message(number: int | str, sender: str = "CAB", modes: str = "|", body: str = "EVN|P03\r") -> bytes:
    return rf"MSH|^~\&|{sender}|OR|ENGINE|HOSP|20260401||DFT^P03|M{number}|P|2.5.1|{number}||{modes}".encode() + b"\r" + body.encode()


def heard(h: House, raw: bytes) -> tuple[list[str], str]:
    found: Heard = h.receive(raw)
    h.settle()
    return found.codes, found.messages[0].get("MSA-4")


def test_messages_in_sequence_are_taken_and_others_are_not(database):
    h = house(database)
    assert heard(h, message(0, body="")) == (["AA"], "-1")
    assert heard(h, message(7)) == (["AA"], "7")
    assert heard(h, message(8)) == (["AA"], "8")
    assert heard(h, message(8)) == (["AA"], "9")
    assert heard(h, message(10)) == (["AR"], "9")
    assert heard(h, message(5, modes="AL|NE")) == (["CE"], "9")
    assert heard(h, message("x")) == (["AR"], "9")
    assert heard(h, message(1, sender="OTHER")) == (["AA"], "1")
    assert heard(h, message(0, body="")) == (["AA"], "9")
    with database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT control_id, state FROM message ORDER BY id").all()
    assert [tuple(row) for row in rows] == [("M7", "processed"), ("M8", "processed"), ("M8", "duplicate"), ("M1", "processed")]
    h.stop()


def test_numbers_survive_a_restart(database):
    h = house(database, "after_process")
    heard(h, message(3))
    h.stop()
    h = house(database, "after_process")
    assert heard(h, message(5)) == (["AR"], "4")
    assert heard(h, message(4)) == (["AA"], "4")
    assert heard(h, message(-1, body="")) == (["AA"], "-1")
    h.stop()
    h = house(database)
    assert heard(h, message(99)) == (["AA"], "99")
    h.stop()


def test_a_crash_between_the_message_and_its_number_neither_loses_nor_doubles_it(database):
    h = house(database)
    heard(h, message(1))
    h.channel.conversation.sequences._remember = lambda counted, then: None  # killed here
    assert h.receive(message(2)).told == []
    h.stop()
    h = house(database)
    assert heard(h, message(2)) == (["AA"], "2")
    assert heard(h, message(3)) == (["AA"], "3")
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM message WHERE state = 'duplicate'").scalar() == 1
    h.stop()


def test_a_message_that_cannot_be_stored_is_still_expected(database):
    h = house(database)
    heard(h, message(1))
    write = h.journal.write
    h.journal.write = lambda o: o.failed(ValueError("no")) if isinstance(o, Received) else write(o)
    assert heard(h, message(2))[0] == ["AR"]
    h.journal.write = write
    assert heard(h, message(2)) == (["AA"], "2")
    h.stop()


def test_messages_without_a_number_are_taken_as_ever(database):
    h = house(database)
    assert heard(h, message("")) == (["AA"], "")
    h.stop()
