"""What is kept of messages comes back byte for byte, whatever it was compressed with; and takes little room."""

from __future__ import annotations

import random
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select, update

from suture.model.errors import StoreError
from suture.model.made import KeptEvent, Made, counted, counts, read, write
from suture.model.message import Message
from suture.ports import Received, Work
from suture.store import content, dialect, tables
from suture.store.codec import LARGE_BYTES, RENEWED, SAMPLES, Codec, _Kind, trained
from tests import contents
from tests.store.desk import Desk

DAY_US = 86_400_000_000


def charge(number: int) -> bytes:
    """A charge with a name, times and numbers of its own."""
    chance = random.Random(number)
    lines = [f"FT1|{n}|{number}-{n}||2026051209{chance.randrange(60):02}||CG|IMP-{chance.randrange(300)}|||1\r" for n in range(3)]
    head = f"MSH|^~\\&|CABINET|OR|SUTURE|GENERAL|20260512||DFT^P03^DFT_P03|C{number}|P|2.5.1\r"
    return (head + f"PID|1||{chance.randrange(10**7)}^^^GENERAL^MR||DOE{number}^JANE\r" + "".join(lines)).encode()


def received(number: int, told: list[Any], raw: bytes | None = None) -> Received:
    raw = charge(number) if raw is None else raw
    return Received(Message("c", raw, 1_000, f"C{number}", "DFT^P03", "A|B", "p"), DAY_US, lambda state, m: told.append(m.id), told.append)


@pytest.fixture
def desk(engine_db: Engine) -> Desk:
    return Desk(engine_db)


def kept(engine: Engine) -> list[Any]:
    b = tables.message_body.c
    with engine.connect() as connection:
        return list(connection.execute(select(b.coding, b.raw).order_by(b.message_id)))


def test_after_some_messages_they_are_kept_in_a_third_of_the_room_and_come_back_as_they_were(desk: Desk) -> None:
    told: list[Any] = []
    desk.written([received(n, told) for n in range(SAMPLES + 50)])
    with desk.engine.connect() as connection:
        assert list(contents.raws(connection).values()) == [charge(n) for n in range(SAMPLES + 50)]
    codings = [row.coding for row in kept(desk.engine)]
    assert codings[: SAMPLES - 1] == [content.ZSTD] * (SAMPLES - 1)
    assert set(codings[SAMPLES:]) == set(desk.column(tables.dictionary.c.id))
    assert sum(len(row.raw) for row in kept(desk.engine)[-50:]) < sum(len(charge(n)) for n in range(SAMPLES, SAMPLES + 50)) / 3


def test_a_writer_goes_on_with_the_dictionary_of_the_one_before(engine_db: Engine) -> None:
    told: list[Any] = []
    desk = Desk(engine_db)
    desk.written([received(n, told) for n in range(SAMPLES)])
    with engine_db.connect() as connection:
        codec = Codec(lambda: 0)
        codec.load(connection)
        (made,) = connection.execute(select(tables.dictionary)).all()
        coding, body = codec.coded("c", "raw", charge(9999))
        assert (coding, made.channel, made.kind) == (made.id, "c", "raw")
        assert content.content(connection, coding, body) == charge(9999)
        assert codec.coded("other", "raw", charge(9999))[0] == content.ZSTD


def test_a_dictionary_is_there_with_the_first_that_needs_it_though_its_own_group_was_undone(desk: Desk) -> None:
    told: list[Any] = []
    broken = Received(Message("c", b"x", None, "X"), 0, lambda state, m: None, told.append)  # type: ignore[arg-type]
    desk.written([*(received(n, told) for n in range(SAMPLES + 20)), broken])
    with desk.engine.connect() as connection:
        assert list(contents.raws(connection).values()) == [charge(n) for n in range(SAMPLES + 20)]
    assert {row.coding for row in kept(desk.engine)[SAMPLES:]} == set(desk.column(tables.dictionary.c.id))


def test_work_of_the_same_group_can_read_what_a_new_dictionary_was_used_for(desk: Desk) -> None:
    told: list[Any] = []
    found: list[Any] = []
    reads = Work("reads", lambda c: list(contents.raws(c).values())[-1], found.append, found.append)
    desk.written([*(received(n, told) for n in range(SAMPLES + 2)), reads])
    assert found == [charge(SAMPLES + 1)]


@pytest.mark.parametrize("raw", [b"", b"x", bytes(range(64)), b"y" * 5000, random.Random(1).randbytes(300), b"z" * (LARGE_BYTES + 1)])
def test_whatever_is_received_comes_back(desk: Desk, raw: bytes) -> None:
    desk.written([received(1, [], raw)])
    with desk.engine.connect() as connection:
        assert contents.raws(connection) == {1: raw}


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda t: delete(tables.dictionary), "is lost or damaged"),
        (lambda t: update(tables.dictionary).values(body=b"another"), "is lost or damaged"),
        (lambda t: update(t).values(raw=b"not zstd"), "is damaged: it cannot be decompressed"),
        (lambda t: update(t).values(coding=content.ZSTD, raw=b""), "is damaged: it cannot be decompressed"),
    ],
)
def test_what_cannot_be_read_is_said_and_nothing_is_made_up(engine_db: Engine, harm: Any, said: str) -> None:
    desk = Desk(engine_db)
    desk.written([received(n, []) for n in range(SAMPLES + 1)])
    with dialect.writing(engine_db) as connection:
        connection.execute(harm(tables.message_body))
    with engine_db.connect() as connection, pytest.raises(StoreError, match=said):
        content.raw(connection, SAMPLES + 1)


def test_a_dictionary_is_made_anew_when_a_channel_has_carried_much(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = _Kind()
    made = [kind.learn(charge(n)) for n in range(SAMPLES)][-1]
    assert made and kind.samples is None and kind.coding == content.number_of(made)
    kind._left = 2
    assert kind.compress(b"a") and kind.samples is None
    assert kind.compress(b"a") and kind.samples == []
    again = [kind.learn(charge(n)) for n in range(1000, 1000 + SAMPLES)][-1]
    assert kind.coding == content.number_of(again) != content.number_of(made) and kind._left == RENEWED


def test_a_dictionary_stays_in_use_when_no_better_one_can_be_made() -> None:
    kind = _Kind()
    made = [kind.learn(charge(n)) for n in range(SAMPLES)][-1]
    kind.samples = []
    assert [kind.learn(b"") for _ in range(SAMPLES)][-1] == b""
    assert kind.samples is None and kind.coding == content.number_of(made)
    data = zstandard.ZstdCompressionDict(made)
    assert zstandard.ZstdDecompressor(dict_data=data).decompress(kind.compress(charge(1))) == charge(1)


def test_a_bit_that_turned_never_gives_other_bytes(engine_db: Engine) -> None:
    codec, noticed = Codec(lambda: 0), 0
    coding, body = codec.coded("c", "raw", charge(1))
    with engine_db.connect() as connection:
        for place in range(len(body)):
            try:
                assert content.content(connection, coding, body[:place] + bytes([body[place] ^ 4]) + body[place + 1 :]) == charge(1)
            except StoreError:
                noticed += 1
    assert noticed >= len(body) - 1  # the bit that says whether there is a checksum changes nothing else


def test_what_has_nothing_in_common_gets_no_dictionary() -> None:
    assert trained([b""] * 5) == b""
    kind = _Kind()
    for _ in range(SAMPLES):
        kind.learn(b"")
    assert kind.samples is None and kind.coding == content.ZSTD


texts, types, conditions = st.text(max_size=8), st.sampled_from(["supply.used", "charge.raised"]), st.sampled_from(["raised", "duplicate"])
events = st.builds(KeptEvent, st.integers(0, 99), texts, types, st.integers(0, 9), conditions, texts, st.binary(max_size=20))
notes = st.tuples(st.integers(0, 9), texts, texts, texts)
makings = st.builds(
    Made, st.lists(events, max_size=5), st.lists(notes, max_size=3), st.lists(st.none() | st.binary(max_size=30), max_size=3)
)


@given(makings)
def test_what_a_processing_made_is_read_as_it_was_written(made: Made) -> None:
    assert read(write(made)) == made
    found = counts(counted(made.events))
    assert found == {(e.type, e.state): sum((o.type, o.state) == (e.type, e.state) for o in made.events) for e in made.events}


@pytest.mark.parametrize("kept", [b"", b"\xc1", b"\x93\x01\x02\x03", write(Made())[:-1]])
def test_what_no_processing_made_is_refused(kept: bytes) -> None:
    with pytest.raises(ValueError, match="not what a processing made"):
        read(kept)
