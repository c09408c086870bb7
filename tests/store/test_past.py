"""The memory that the pipeline asks: each answer holds all that was handed to the journal before the question."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from suture.ports import Past
from suture.store.past import Memory
from tests.store.running import running


def test_what_is_asked_holds_what_was_handed_over_before_and_nothing_after(engine_db: Engine) -> None:
    told: list[Any] = []
    with running(engine_db) as run:
        memory = Memory(run.journal)
        memory.recall(1, told.append, told.append)
        run.settle()
        run.receive("first")
        memory.recall(1, told.append, told.append)
        memory.sent("c", "d", told.append, told.append)
        memory.put_sent("c", "d", 7, 41, 0, lambda: told.append("put sent"), told.append)
        memory.sent("c", "d", told.append, told.append)
        memory.put_number("c", "CAB|OR", 5, 0, lambda: told.append("put 5"), told.append)
        memory.numbers("c", told.append, told.append)
        memory.put_number("c", "CAB|OR", None, 0, lambda: told.append("put any"), told.append)
        memory.numbers("c", told.append, told.append)
        memory.put_sent("c", "d", 8, 42, 0, lambda: told.append("put sent"), told.append)
        run.settle()
        memory.sent("c", "d", told.append, told.append)
        run.settle()
    sent = [None, "put sent", (7, 41)]
    numbers = ["put 5", {"CAB|OR": 5}, "put any", {"CAB|OR": None}]
    assert told == [Past(1, "processed", [], []), Past(1, "received", [], []), *sent, *numbers, "put sent", (8, 42)]


def test_numbers_are_of_their_own_channel_and_destination(engine_db: Engine) -> None:
    told: list[Any] = []
    with running(engine_db) as run:
        memory = Memory(run.journal)
        for channel, number in (("lab", 1), ("lab/x", 2), ("lab%", 3), ("LAB", 4)):
            memory.put_number(channel, "S", number, 0, lambda: None, told.append)
            memory.put_sent(channel, "d", number, 10 + number, 0, lambda: None, told.append)
        memory.numbers("lab%", told.append, told.append)
        memory.numbers("LAB", told.append, told.append)
        memory.sent("lab", "d", told.append, told.append)
        memory.sent("lab", "e", told.append, told.append)
        run.settle()
    assert told == [{"S": 3}, {"S": 4}, (1, 11), None]
