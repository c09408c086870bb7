"""A message over the limit: refused as the sender asked to be told, kept as its header and no more, and never processed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, select

from suture.conversation.hl7v2.rules import AnswerRules
from suture.store import again, dialect, tables, views
from suture.wire.oversize import TooLarge
from tests import contents
from tests.pipeline.house import Heard, House

LIMIT = 16_777_216
SIZE = 20_971_520
MSH = "MSH|^~\\&|CAB|OR1|SUTURE|S|20260301||DFT^P03|BIG1|P|{version}|||{acks}|"
PHI = b"\rPID|1||7||ZZMARKER^ANNA\r" + b"FT1|1|ZZMARKER\r" * 10


def large(version: str = "2.5.1", acks: str = "|", tail: bytes = PHI, endless: bool = False) -> TooLarge:
    return TooLarge(MSH.format(version=version, acks=acks).encode() + tail, SIZE, not endless, endless)


@pytest.fixture
def house(engine_db: Engine) -> Iterator[House]:
    one = House(engine_db, AnswerRules())
    yield one
    one.stop()


def refuse(house: House, message: TooLarge) -> Heard:
    heard = Heard()
    house.channel.conversation.too_large(message, LIMIT, "10.1.2.3:7", heard.answer)
    house.settle()
    return heard


@pytest.mark.parametrize(
    ("version", "acks", "codes"),
    [
        ("2.5.1", "|", ["AR"]),
        ("2.3", "|", ["AR"]),
        ("2.9", "|", ["AR"]),
        ("2.5.1", "AL|NE", ["CR"]),
        ("2.5.1", "NE|AL", ["AR"]),
        ("2.5.1", "ER|ER", ["CR"]),
        ("2.5.1", "NE|NE", ["-"]),
    ],
)
def test_the_sender_is_told_as_it_asked(house: House, version: str, acks: str, codes: list[str]) -> None:
    heard = refuse(house, large(version, acks))
    assert heard.codes == codes
    assert heard.stored == [False]
    for answer in heard.messages:
        assert answer.get("MSA-2") == "BIG1"
        assert "16,777,216" in repr(answer.to_bytes()) and b"ZZMARKER" not in answer.to_bytes()
        code = answer.get("ERR-1.4.1") or answer.get("ERR-3.1") if version != "2.3" else answer.get("ERR-1.4.1")
        assert code == "207"


def test_its_header_is_kept_and_waits_for_a_person(house: House) -> None:
    refuse(house, large())
    with house.database.connect() as connection:
        (message,) = connection.execute(select(views.message)).all()
        (raw,) = contents.raws(connection).values()
        (exception,) = connection.execute(select(tables.exception)).all()
    assert (message.state, message.control_id, message.type, message.sender) == ("parked", "BIG1", "DFT^P03", "CAB|OR1")
    assert message.peer == "10.1.2.3:7"
    assert bytes(raw) == MSH.format(version="2.5.1", acks="|").encode() + b"\r"
    assert (exception.code, exception.stage, exception.resolved_at_us) == ("FRAME_TOO_LARGE", "parse", None)
    assert "(control id BIG1) of 20,971,520 bytes" in exception.reason and "16,777,216" in exception.reason
    assert message.reason == f"FRAME_TOO_LARGE: {exception.reason}"
    assert b"ZZMARKER" not in bytes(raw) and "ZZMARKER" not in exception.reason
    assert house.unprocessed() == 0


def test_it_is_not_processed_again_and_nothing_of_it_goes_out(house: House) -> None:
    refuse(house, large())
    with dialect.reading(house.database) as connection:
        (stored,) = again.stored(connection, [1], insist=True)
    assert "have it sent again" in stored.left_alone
    assert house.peers["d"].asked == []


def test_one_that_is_sent_again_and_again_is_one_exception_and_is_refused_each_time(house: House) -> None:
    assert [refuse(house, large()).codes for _ in range(3)] == [["AR"]] * 3
    with house.database.connect() as connection:
        assert len(connection.execute(select(tables.exception)).all()) == 1
        states = connection.execute(select(views.message.c.state).order_by(views.message.c.id)).scalars()
        assert list(states) == ["parked", "duplicate", "duplicate"]


def test_when_it_comes_again_under_the_limit_it_is_taken(house: House) -> None:
    refuse(house, large())
    heard = house.receive(MSH.format(version="2.5.1", acks="|").encode() + PHI)
    assert heard.codes == ["AA"]
    with house.database.connect() as connection:
        states = connection.execute(select(views.message.c.state).order_by(views.message.c.id)).scalars()
        assert list(states) == ["parked", "processed"]


@pytest.mark.parametrize(
    ("head", "control_id", "kept"),
    [
        (b"MSH|^~\\&|CAB|OR1|S|S|20260301||DFT^P03|BIG", "", b"MSH|^~\\&|CAB|OR1|S|S|20260301||DFT^P03\r"),
        (b"MSH|^~\\&|CAB|OR1|S|S|20260301||DFT^P03|BIG1|P", "BIG1", b"MSH|^~\\&|CAB|OR1|S|S|20260301||DFT^P03|BIG1\r"),
        (b"MSH|^~\\&|CAB|OR1|S|S|20260301||DFT^P03|BIG1|P\nPID|ZZMARKER", "BIG1", b"MSH|^~\\&|CAB|OR1|S|S|20260301||DFT^P03|BIG1|P\r"),
        (b"MSH|", "", b""),
        (b"MSH|^~\\&", "", b""),
        (b"MSH|^~\\&|", "", b"MSH|^~\\&\r"),
        (b"MSH", "", b""),
        (b"%PDF-1.4 ZZMARKER", "", b""),
        (b"", "", b""),
    ],
)
def test_only_what_is_whole_of_the_header_is_read(house: House, head: bytes, control_id: str, kept: bytes) -> None:
    heard = refuse(house, TooLarge(head, SIZE, True))
    assert heard.codes == ["AR"]
    assert heard.messages[0].get("MSA-2") == control_id
    with house.database.connect() as connection:
        (raw,) = contents.raws(connection).values()
        assert bytes(raw) == kept
        assert connection.execute(select(tables.exception.c.code)).scalars().all() == ["FRAME_TOO_LARGE"]


def test_a_header_in_utf_16_is_read_too(house: House) -> None:
    text = (MSH.format(version="2.5.1", acks="|") + "||UNICODE UTF-16\rPID|1||7||ZZMARKER").encode("utf-16-le")
    heard = refuse(house, TooLarge(b"\xff\xfe" + text, SIZE, True))
    assert "BIG1" in (heard.told[0][1] or b"").decode("utf-16")
    with house.database.connect() as connection:
        (raw,) = contents.raws(connection).values()
        assert b"ZZMARKER" not in bytes(raw) and b"BIG1" in bytes(raw)


def test_of_one_that_does_not_end_it_is_said_that_it_has_more(house: House) -> None:
    refuse(house, large(endless=True))
    with house.database.connect() as connection:
        (reason,) = connection.execute(select(tables.exception.c.reason)).scalars()
    assert "more than 20,971,520 bytes" in reason
