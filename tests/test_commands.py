"""The operator's requests in the engine: every one is answered, whatever becomes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select
from twisted.internet.task import Clock

from suture.commands import Commands
from suture.model.message import Message
from suture.model.verbs import VERBS
from suture.ports import Work
from suture.store import again, dialect, orders, tables
from suture.store.backlog import READ_BYTES
from suture.store.sequences import Sequences
from tests.filling import NOW_US, Store

REASON = "test"


class Direct:
    """Journal and reader that do everything at once."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.sequences, self.written = engine, Sequences(), list[str]()

    def write(self, work: Work) -> None:
        self.written.append(work.name)
        try:
            with dialect.writing(self.engine) as connection:
                result = work.run(connection)
        except Exception as e:
            work.failed(e)
        else:
            work.done(result)

    def read(self, query: Callable[[Any], Any], done: Callable[[Any], None]) -> None:
        with dialect.reading(self.engine) as connection:
            result = query(connection)
        done(result)


class Core:
    """The core of a channel that notes what it is given."""

    def __init__(self) -> None:
        self.processed: list[int] = []

    def process(self, message: Message, skip: Any, revision: int, then: Callable[[], None]) -> None:
        self.processed.append(message.id)
        then()


class Room:
    def __init__(self) -> None:
        self.actual, self.core, self.lanes = "running", Core(), dict[str, Any]()


class Rooms:
    """An engine with a channel, whose reload has a bug."""

    def __init__(self) -> None:
        self.channels = {"or-supply": Room()}

    async def reload_channel(self, name: str) -> None:
        raise RuntimeError("MRN-SECRET")


class Told:
    """Commands on a store with an engine that is asked by hand."""

    def __init__(self, engine: Engine) -> None:
        self.store, self.rooms, self.clock = Store(engine), Rooms(), Clock()
        direct: Any = Direct(engine)
        rooms: Any = self.rooms
        self.direct = direct
        self.commands = Commands(rooms, direct, direct, self.clock)

    def order(self, verb: str, **arguments: Any) -> int:
        with dialect.writing(self.store.engine) as connection:
            return orders.order(connection, verb, arguments, "cli:nurse", NOW_US)

    def answers(self) -> list[tuple[int | None, str | None]]:
        t = tables.command.c
        with dialect.reading(self.store.engine) as connection:
            return [(row.ok, row.result) for row in connection.execute(select(t.ok, t.result).order_by(t.id))]


@pytest.fixture
def told(engine_db: Engine) -> Told:
    return Told(engine_db)


def test_a_request_that_meets_a_bug_is_answered_and_the_next_is_carried_out(told: Told) -> None:
    one = told.store.message("parked")
    told.order("channel_reload", channel="or-supply")
    told.order("reprocess", message_ids=[one], reason=REASON)
    told.commands.start()
    (broken, text), (fine, _) = told.answers()
    assert (broken, fine) == (0, 1)
    assert "RuntimeError" in str(text) and "SECRET" not in str(text)
    assert told.rooms.channels["or-supply"].core.processed == [one]


@pytest.mark.parametrize(("verb", "ids"), [("resend", "delivery_ids"), ("delivery_release", "delivery_ids"), ("reprocess", "message_ids")])
def test_a_request_that_the_database_refuses_for_its_own_sake_is_answered(told: Told, verb: str, ids: str) -> None:
    told.order(verb, reason=REASON, **{ids: [2**70]})
    told.commands.start()
    ((ok, text),) = told.answers()
    assert ok == 0
    assert text and "arguments" not in text


@pytest.mark.parametrize(
    ("verb", "arguments", "why"),
    [
        ("resend", {"delivery_ids": [1], "reason": REASON, "insist": "no"}, "Expected `bool`, got `str`"),
        ("resend", {"delivery_ids": "1", "reason": REASON}, "Expected `array`, got `str`"),
        ("resend", {"delivery_ids": [1], "reason": REASON, "insits": True}, "unknown field `insits`"),
        ("delivery_release", {"reason": REASON}, "missing required field `delivery_ids`"),
        ("reprocess", {"delivery_ids": [1], "reason": REASON}, "delivery_ids"),
        ("channel_reload", {}, "missing required field `channel`"),
        ("channel_resync", {"channel": "or-supply"}, "missing required field `destination`"),
    ],
)
def test_wrong_arguments_are_refused_in_words_before_anything_happens(told: Told, verb: str, arguments: dict[str, Any], why: str) -> None:
    told.store.delivery(told.store.message(), state="posted")
    told.order(verb, **arguments)
    told.commands.start()
    ((ok, text),) = told.answers()
    assert ok == 0 and f"the arguments of {verb} are wrong: " in str(text) and why in str(text)
    assert told.direct.written == ["answer"]


def test_an_unknown_verb_is_named(told: Told) -> None:
    told.order("delivery_burn", delivery_ids=[1])
    told.commands.start()
    assert told.answers() == [(0, "\"this engine does not know the verb 'delivery_burn'\"")]


def test_arguments_that_nobody_can_read_hold_up_none_that_come_after_them(told: Told) -> None:
    with dialect.writing(told.store.engine) as connection:
        deep = {"verb": "channel_reload", "arguments": "[" * 100_000, "actor": "cli:nurse", "requested_at_us": NOW_US}
        connection.execute(insert(tables.command).values(deep))
    told.order("delivery_burn", delivery_ids=[1])
    told.commands.start()
    (deep_one, after) = told.answers()
    assert deep_one[0] == 0 and "the arguments of channel_reload are wrong" in str(deep_one[1])
    assert after == (0, "\"this engine does not know the verb 'delivery_burn'\"")


def test_every_verb_is_obeyed(told: Told) -> None:
    assert set(told.commands._obey) == set(VERBS.values())


def test_reprocessing_leaves_alone_what_the_preview_leaves_alone(told: Told) -> None:
    waits, first = told.store.message("received"), told.store.message("processed")
    copy = told.store.message("duplicate", duplicate_of=first)
    told.order("reprocess", message_ids=[waits, first, copy], insist=True, reason=REASON)
    told.commands.start()
    assert told.rooms.channels["or-supply"].core.processed == [first]
    ((ok, text),) = told.answers()
    assert ok == 1
    assert "it waits to be processed" in str(text) and f"it has the bytes of message {first}" in str(text)


def test_a_request_for_many_is_carried_out_in_parts_that_let_others_write(told: Told) -> None:
    many = [told.store.message("parked") for _ in range(2 * again.PART + 1)]
    told.order("reprocess", message_ids=[*many, 10**9], reason=REASON)
    told.commands.start()
    assert told.rooms.channels["or-supply"].core.processed == many
    reads = [work for work in told.direct.written if work == "read"]
    assert len(reads) == 3
    ((ok, text),) = told.answers()
    assert ok == 1 and text is not None and "there is no such message" in text


@pytest.mark.parametrize("insist", [False, True])
def test_of_one_payload_one_is_sent_again_also_in_another_part(told: Told, insist: bool) -> None:
    message = told.store.message("processed")
    same = [told.store.delivery(message, state="dead", idempotency_key="k") for _ in range(again.PART + 10)]
    with dialect.writing(told.store.engine) as connection:
        told.direct.sequences.load(connection)
    told.order("resend", delivery_ids=same, insist=insist, reason=REASON)
    told.commands.start()
    ((ok, text),) = told.answers()
    assert ok == 1, text
    assert len(json.loads(text or "")["sent"]) == 1


@pytest.mark.parametrize(
    ("ids", "sizes", "expected"),
    [
        ([], {}, []),
        ([3, 1, 3, 2], {}, [[3, 1, 2]]),
        ([1, 2, 3], {1: READ_BYTES, 2: 1, 3: READ_BYTES - 1}, [[1], [2, 3]]),
        ([1, 2], {1: 3 * READ_BYTES}, [[1], [2]]),
        (range(again.PART + 1), {}, [list(range(again.PART)), [again.PART]]),
    ],
)
def test_a_part_fits_into_memory_and_into_a_transaction(ids: Any, sizes: dict[int, int], expected: list[list[int]]) -> None:
    assert list(again.parts(ids, sizes)) == expected
