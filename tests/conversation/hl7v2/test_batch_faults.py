"""What is wrong with the envelope of a batch: an exception and a count, and nothing of the batch is lost or held for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, select

from suture.conversation.hl7v2 import envelopes
from suture.conversation.hl7v2.rules import AnswerRules
from suture.ports import Received
from suture.store import again, look, tables, views
from suture.store.past import recall
from suture.wire.hl7v2.exchange import batch
from tests import contents
from tests.doubles import Listening
from tests.pipeline.house import House

BHS = b"BHS|^~\\&|POC|WEST|SUTURE|GENERAL|20260401||||B7\r"
FHS = BHS.replace(b"BHS", b"FHS").replace(b"B7", b"F3")


def one(number: int) -> bytes:
    return rf"MSH|^~\&|POC|WEST|SUTURE|GENERAL|20260401||ADT^A08|M{number}|P|2.5.1".encode() + b"\rEVN|A08\r"


@pytest.fixture
def house(engine_db: Engine, request: pytest.FixtureRequest) -> Iterator[House]:
    house = House(engine_db, getattr(request, "param", AnswerRules()))
    house.channel.conversation._observer = house.observer = Listening()
    yield house
    house.stop()


def opened(house: House) -> list[tuple[Any, ...]]:
    e = tables.exception.c
    with house.database.connect() as connection:
        rows = connection.execute(select(e.message_id, e.stage, e.code, e.path, e.reason).where(e.resolved_at_us.is_(None)).order_by(e.id))
        return [tuple(row) for row in rows]


def messages(house: House) -> list[tuple[str, str]]:
    m = views.message.c
    with house.database.connect() as connection:
        return [tuple(row) for row in connection.execute(select(m.control_id, m.state).order_by(m.id))]


def test_a_wrong_count_is_an_exception_of_its_batch_and_holds_nothing(house: House) -> None:
    heard = house.receive(BHS + one(1) + one(2) + one(3) + b"BTS|4\r")
    house.deliver()
    assert b"BTS|3|BTS-1 says 4 messages, and 3 were found" in heard.told[0][1]
    assert messages(house) == [("M1", "processed"), ("M2", "processed"), ("M3", "processed")]
    assert opened(house) == [(1, "batch", "BATCH_COUNT", "BTS-1", "BTS-1 says 4 messages, and 3 were found (batch B7)")]
    assert house.observer.notes == [("c", "BATCH_COUNT")]


def test_a_right_count_is_none(house: House) -> None:
    house.receive(FHS + BHS + one(1) + b"BTS|1\rFTS|1\r")
    assert opened(house) == [] and house.observer.notes == []


def test_it_hangs_on_the_first_message_of_its_batch_and_that_of_a_file_on_the_files_first(house: House) -> None:
    house.receive(FHS + BHS + one(1) + one(2) + b"BTS|2\r" + BHS.replace(b"B7", b"B8") + one(3) + one(4) + b"BTS|1\rFTS|3\r")
    assert opened(house) == [
        (1, "batch", "BATCH_COUNT", "FTS-1", "FTS-1 says 3 batches, and 2 were found (file F3)"),
        (3, "batch", "BATCH_COUNT", "BTS-1", "BTS-1 says 1 messages, and 2 were found (batch B8)"),
    ]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (BHS + one(1) + b"BTS|x\r", "BATCH_COUNT"),
        (BHS + one(1), "BATCH_UNENDED"),
        (FHS + BHS + one(1) + b"BTS|1\r", "BATCH_UNENDED"),
        (BHS + one(1) + BHS + one(2) + b"BTS|1\r", "BATCH_NESTING"),
    ],
)
def test_so_is_whatever_else_is_wrong_with_an_envelope(house: House, raw: bytes, code: str) -> None:
    house.receive(raw)
    (found,) = opened(house)
    assert found[:3] == (1, "batch", code) and "4711" not in found[4]
    assert house.observer.notes == [("c", code)]
    assert messages(house)[0] == ("M1", "processed")


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize(
    ("raw", "strays"),
    [
        (BHS + b"PID|1||4711\r" + one(1) + b"BTS|1\r", b"PID|1||4711\r"),
        (BHS + b"NTE|1||4711\r" + one(1) + b"BTS|1\rZZZ|4711\rZZ1|2\r", b"NTE|1||4711\rZZZ|4711\rZZ1|2\r"),
        (BHS + b"x 4711\r" + b"BTS|0\r", b"x 4711\r"),
    ],
)
def test_segments_of_no_message_are_kept_in_a_message_of_their_own(house: House, raw: bytes, strays: bytes, codec: str) -> None:
    mark = b"\xff\xfe" if codec == "utf-16-le" else b""
    heard = house.receive(mark + raw.decode().encode(codec))
    assert heard.stored == [True]
    (found,) = opened(house)
    assert found[1:] == ("batch", "STRAY_SEGMENT", "", "segments that belong to no message (batch B7)")
    assert house.observer.notes == [("c", "STRAY_SEGMENT")]
    assert messages(house) == [*([("M1", "processed")] if b"MSH" in raw else []), ("B7", "parked")]
    with house.database.connect() as connection:
        assert contents.raws(connection)[found[0]] == BHS + strays


@pytest.mark.parametrize("raw", [BHS + b"BTS|4\r", FHS + b"FTS|2\r"])
def test_an_envelope_without_messages_is_kept_itself(house: House, raw: bytes) -> None:
    heard = house.receive(raw)
    assert heard.told[0][1] is not None and heard.stored == [True]
    ((_, state),) = messages(house)
    assert state == "parked"
    ((number, stage, code, *_),) = opened(house)
    assert (number, stage, code) == (1, "batch", "BATCH_COUNT")
    with house.database.connect() as connection:
        (item,) = look.reprocess(connection, [1], False)
        (stored,) = again.stored(connection, [1], False)
        assert list(contents.raws(connection).values()) == [raw]
    assert item.action == "skip" and "have the batch sent again" in item.why == stored.left_alone


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize(
    ("raw", "codes"),
    [
        (one(1) + b"BTS|5\r", ["BATCH_COUNT"]),
        (one(1) + b"BTS|5|a comment\rZZZ|4711\r", ["BATCH_COUNT", "STRAY_SEGMENT"]),
        (one(1) + b"FTS|1\r", ["BATCH_NESTING", "BATCH_COUNT"]),
        (one(1) + BHS, ["BATCH_UNENDED"]),
        (one(1) + one(2) + b"  BTS|3\r", ["BATCH_COUNT"]),
        (one(1) + BHS + one(2) + b"BTS|2\r", ["BATCH_COUNT"]),
        (one(1) + b"BTS|1\r", []),
        (one(1) + one(2) + b"BTS|2\r", []),
        (one(1) + b"NTE|1||BTS|5\r", []),
    ],
)
def test_an_envelope_behind_a_message_is_told_of_with_the_first(house: House, raw: bytes, codes: list[str], codec: str) -> None:
    mark = b"\xff\xfe" if codec == "utf-16-le" else b""
    heard = house.receive(mark + raw.decode().encode(codec))
    house.deliver()
    assert [row[:3] for row in opened(house)] == [(1, "batch", code) for code in codes]
    assert house.observer.notes == [("c", code) for code in codes]
    assert {state for _, state in messages(house)} == {"processed"}
    assert set(heard.codes) == {"AA"}


def test_an_envelope_that_cannot_be_kept_is_not_said_to_be(house: House) -> None:
    write = house.journal.write
    house.journal.write = lambda o: o.failed(ValueError("no")) if isinstance(o, Received) else write(o)  # type: ignore[method-assign]
    assert house.receive(BHS + b"BTS|4\r").stored == [False]


@pytest.mark.parametrize("house", [AnswerRules(batch_messages=1)], indirect=True)
def test_a_batch_that_is_refused_for_its_size_is_an_exception_too(house: House) -> None:
    heard = house.receive(BHS + one(1) + one(2) + b"BTS|2\r")
    assert heard.codes == ["AR"]
    assert messages(house) == [("B7", "parked")]
    assert [row[:3] for row in opened(house)] == [(1, "batch", "BATCH_TOO_LARGE")]
    assert house.observer.notes == [("c", "BATCH_TOO_LARGE")]


def test_the_same_batch_again_opens_no_second_exception(house: House) -> None:
    raw = BHS + one(1) + b"BTS|4\r"
    house.receive(raw)
    house.receive(raw)
    assert len(opened(house)) == 1
    assert messages(house) == [("M1", "processed"), ("M1", "duplicate")]


def test_another_count_around_the_same_message_opens_one(house: House) -> None:
    house.receive(BHS + one(1) + b"BTS|1\r")
    house.receive(BHS + one(1) + b"BTS|4\r")
    assert [row[0] for row in opened(house)] == [2]


def test_reprocessing_a_message_says_nothing_of_its_batch(house: House) -> None:
    house.receive(BHS + one(1) + b"BTS|4\r")
    with house.database.connect() as connection:
        (stored,) = again.stored(connection, [1], insist=False)
    house.channel.process(stored.message, stored.taken, stored.revision + 1)
    house.settle()
    assert [row[2] for row in opened(house)] == ["BATCH_COUNT"]


def test_a_sender_that_repeats_the_message_is_not_told_of_it(house: House) -> None:
    house.receive(BHS + one(1) + b"BTS|4\r")
    with house.database.connect() as connection:
        assert recall(connection, 1).faults == []


def test_so_many_faults_of_one_frame_are_told_and_the_rest_is_counted() -> None:
    events = list(batch.cut(BHS + one(1) + b"BTS|9\r" * 100))
    found = [fault for faults in envelopes.faults_of(events).values() for fault in faults]
    assert len(found) == envelopes.FAULTS_MAX
    assert "more like these" in found[-1].reason


@pytest.mark.parametrize("house", [AnswerRules(batch_messages=1)], indirect=True)
def test_so_are_too_many_messages_that_come_together(house: House) -> None:
    heard = house.receive(one(1) + one(2))
    assert heard.codes == ["AR"]
    assert messages(house) == [("M1", "parked")]
    assert [row[:3] for row in opened(house)] == [(1, "batch", "BATCH_TOO_LARGE")]
