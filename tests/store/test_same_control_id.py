"""A sender that gives one control id to many messages: repetitions are still found, and what is looked at has a limit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from suture.model.fault import GIVEN_UP
from suture.model.message import Message
from suture.ports import Received
from suture.store import dialect, write_messages
from suture.store.codec import Codec
from suture.store.sequences import Sequences
from tests.filling import NOW_US, Store


class Desk:
    """Stores messages of one control id, and counts the bodies that are read for it."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine, self.numbers, self.looked_at = engine, Sequences(), list[int]()
        with dialect.writing(engine) as connection:
            self.numbers.load(connection)
        raw = write_messages._raw
        monkeypatch.setattr(write_messages, "_raw", lambda c, number: self.looked_at.append(number) or raw(c, number))
        monkeypatch.setattr(write_messages, "SAME_ID_MANY", 20)
        monkeypatch.setattr(write_messages, "SAME_ID_NEWEST", 5)

    def store(self, *texts: str, sender: str = "CAB|GENERAL") -> list[tuple[str, int]]:
        came: list[tuple[str, int]] = []

        def done(state: str, message: Message) -> None:
            came.append((state, message.duplicate_of))

        operations = []
        for text in texts:
            message = Message("or-supply", text.encode(), NOW_US, "1", "DFT^P03", sender, "peer")
            operations.append(Received(message, 1_000_000, done, _failed))
        results: dict[int, Any] = {}
        with dialect.writing(self.engine) as connection:
            asked = write_messages.ask(connection, operations)
            write_messages.write(connection, operations, self.numbers, results, Codec(lambda: 0), asked)
        for operation in operations:
            results[id(operation)]()
        return came


def _failed(error: Exception) -> None:
    raise error


@pytest.fixture
def desk(engine_db: Engine, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(engine_db, monkeypatch)


def test_however_often_an_id_was_given_few_bodies_are_read_for_the_next(desk: Desk) -> None:
    for n in range(50):
        assert desk.store(f"{n:04}") == [("received", 0)]
    desk.looked_at.clear()
    assert desk.store("0050") == [("received", 0)]
    assert len(desk.looked_at) == 5


def test_a_repetition_among_the_newest_is_found_beside_those_of_other_senders(desk: Desk) -> None:
    for n in range(30):
        desk.store(f"{n:04}")
    for n in range(30):
        desk.store(f"{n:04}", sender="LAB|GENERAL")
    assert desk.store("0029", "0027", "0031") == [("duplicate", 30), ("duplicate", 28), ("received", 0)]


def test_a_message_of_another_size_is_no_repetition_and_is_not_read(desk: Desk) -> None:
    desk.store("short")
    assert desk.store("longer") == [("received", 0)]
    assert desk.looked_at == []


@pytest.mark.parametrize("code", GIVEN_UP)
def test_a_fragment_that_was_given_up_is_gathered_anew_and_repeats_nothing(desk: Desk, code: str) -> None:
    parked(desk, code)
    assert desk.store("a fragment") == [("received", 0)]


def test_what_is_parked_for_something_else_is_repeated_whatever_its_reason_begins_with(desk: Desk) -> None:
    number = parked(desk, "UNEXPECTED", "CONTINUATION_SHEETS is no table")
    assert desk.store("a fragment") == [("duplicate", number)]


def test_the_codes_of_fragments_are_those_that_are_written_down() -> None:
    errors = Path(__file__).parents[2] / "docs" / "errors.md"
    assert set(GIVEN_UP) == set(re.findall(r"CONTINUATION_\w+", errors.read_text(encoding="utf-8")))


def parked(desk: Desk, code: str, reason: str = "") -> int:
    """A message that waits for a person, as the store keeps it."""
    store = Store(desk.engine)
    number = store.message("parked", b"a fragment", control_id="1", received_at_us=NOW_US, reason=reason or f"{code}: why")
    store.exception(number, code=code, reason="why")
    with dialect.writing(desk.engine) as connection:
        desk.numbers.load(connection)
    return number
