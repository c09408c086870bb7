"""A batch in one frame: each message stored for itself, and the whole answered as a batch when all are durable."""

from __future__ import annotations

import pytest

from suture.conversation.hl7v2.rules import AnswerRules
from suture.ports import Received
from suture.store.backlog import received
from suture.wire.hl7v2.exchange import batch
from tests.pipeline.house import Heard, House

BHS = b"BHS|^~\\&|CAB|OR|ENGINE|HOSP|20260401||||B1\r"
FHS = BHS.replace(b"BHS", b"FHS").replace(b"B1", b"F1")


def one(number: int, kind: str = "DFT^P03", modes: str = "|") -> bytes:
    return rf"MSH|^~\&|CAB|OR|ENGINE|HOSP|20260401||{kind}|M{number}|P|2.5.1|||{modes}".encode() + b"\rEVN|P03\r"


def codes(heard: Heard) -> list[str]:
    ((how, payload),) = heard.told
    assert how == "answer"
    return [(er7.get("MSA-2"), er7.get("MSA-1")) for er7 in map(read, batch.cut(payload)) if er7]


def read(event):
    from suture.wire.hl7v2.text import er7

    return er7.Message.parse(event.raw) if isinstance(event, batch.Found) else None


def test_every_message_is_stored_and_answered_in_one_batch(database):
    house = House(database, AnswerRules())
    heard = house.receive(BHS + one(1) + one(2, "ADT^A01") + b"BTS|2\r")
    assert codes(heard) == [("M1", "AA"), ("M2", "AA")]
    assert heard.told[0][1].split(b"\r")[0].split(b"|")[11] == b"B1"
    with database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT control_id, type FROM message ORDER BY id").all()
    assert rows == [("M1", "DFT^P03"), ("M2", "ADT^A01")]
    house.stop()


def test_only_what_is_wrong_is_told_where_the_channel_says_so(database):
    house = House(database, AnswerRules(types=frozenset({"DFT^P03"}), batch="errors"))
    assert codes(house.receive(BHS + one(1) + one(2, "ADT^A01") + b"BTS|2\r")) == [("M2", "AR")]
    well = house.receive(BHS + one(3) + b"BTS|1\r")
    assert codes(well) == []
    assert well.told[0][1].endswith(b"BTS|0\r")
    house.stop()


def test_a_batch_that_wants_no_answer_gets_none(database):
    house = House(database, AnswerRules(batch="none"))
    assert house.receive(BHS + one(1) + b"BTS|1\r").told == [("answer", None)]
    house.stop()


def test_an_empty_batch_is_answered_with_an_empty_batch(database):
    house = House(database, AnswerRules())
    assert codes(house.receive(BHS + b"BTS|0\r")) == []
    house.stop()


def test_a_file_is_answered_batch_by_batch_in_order_with_what_is_wrong_in_a_comment(database):
    house = House(database, AnswerRules(when="after_process"))
    heard = house.receive(FHS + BHS + one(1) + one(2) + b"BTS|9\r" + BHS + one(3) + b"BTS|1\rFTS|2\r")
    lines = [line[:9] for line in heard.told[0][1].split(b"\r") if line[:3] not in (b"MSH",)]
    assert [line[:3] for line in lines if line] == [b"FHS", b"BHS", b"MSA", b"MSA", b"BTS", b"BHS", b"MSA", b"BTS", b"FTS"]
    assert b"BTS|2|BTS-1 says 9 messages, and 2 were found\r" in heard.told[0][1]
    house.stop()


WIDE = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]


def wide(text: bytes, codec: str, mark: bool) -> bytes:
    return (("\ufeff" if mark else "") + text.decode()).encode(codec)


@pytest.mark.parametrize("mark", [False, True])
@pytest.mark.parametrize("codec", WIDE)
@pytest.mark.parametrize("when", ["after_store", "after_process"])
def test_a_batch_in_wide_characters_is_stored_message_by_message_and_answered_in_its_encoding(database, codec, mark, when):
    house = House(database, AnswerRules(when=when, types=frozenset({"DFT^P03"})))
    messages = [one(1) + "NTE|1||Zoë 測試\r".encode(), one(2, "ADT^A01")]
    heard = house.receive(wide(FHS + BHS + b"".join(messages) + b"BTS|3\rFTS|1\r", codec, mark))
    house.settle()
    ((_, payload),) = heard.told
    text = payload.decode(codec)
    assert text.startswith("\ufeffFHS|" if mark else "FHS|") and text.count("\ufeff") == mark
    lines = [line.split("|") for line in text.lstrip("\ufeff").split("\r")]
    assert [line[:3] for line in lines if line[0] == "MSA"] == [["MSA", "AA", "M1"], ["MSA", "AR", "M2"]]
    assert [line[1:] for line in lines if line[0] in ("BTS", "FTS")] == [["2", "BTS-1 says 3 messages, and 2 were found"], ["1"]]
    assert [line[11] for line in lines if line[0] in ("FHS", "BHS")] == ["F1", "B1"]
    with database.connect() as connection:
        stored = received(connection, "c", 0, 100) if when == "after_store" else []
        rows = connection.exec_driver_sql("SELECT control_id, type FROM message ORDER BY id").all()
    assert rows == [("M1", "DFT^P03"), ("M2", "ADT^A01")]
    assert [message.raw for message in stored] in ([], [wide(each, codec, mark) for each in messages])
    house.stop()


@pytest.mark.parametrize("codec", WIDE)
def test_only_what_is_wrong_is_told_of_a_wide_batch_too(database, codec):
    house = House(database, AnswerRules(types=frozenset({"DFT^P03"}), batch="errors"))
    heard = house.receive(wide(BHS + one(1) + one(2, "ADT^A01") + b"BTS|2\r", codec, False))
    assert codes(heard) == [("M2", "AR")]
    assert heard.told[0][1].decode(codec).endswith("BTS|1\r")
    house.stop()


@pytest.mark.parametrize("codec", WIDE)
def test_a_wide_batch_with_too_many_messages_is_refused_whole(database, codec):
    house = House(database, AnswerRules(batch_messages=2))
    heard = house.receive(wide(BHS + one(1) + one(2) + one(3) + b"BTS|3\r", codec, True))
    assert heard.codes == ["AR"]
    assert heard.messages[0].get("MSA-2") == "B1"
    assert heard.messages[0].encoding == codec
    assert house.unprocessed() == 0
    house.stop()


@pytest.mark.parametrize("raw", ["\ufeff", "\ufeffBHS", "\ufeffBHSX|", "\ufeff \rBHS|", "FHS\r"])
@pytest.mark.parametrize("codec", WIDE)
def test_what_only_looks_like_a_wide_batch_is_answered_too(database, codec, raw):
    house = House(database, AnswerRules())
    assert len(house.receive(raw.encode(codec) + b"x").told) == 1
    house.stop()


def test_nothing_is_answered_before_all_are_durable(database):
    house = House(database, AnswerRules())
    heard, kept = Heard(), []
    write = house.journal.write
    house.journal.write = lambda o: kept.append(o) if isinstance(o, Received) and o.message.control_id == "M2" else write(o)
    house.channel.conversation.arrived(BHS + one(1) + one(2) + b"BTS|2\r", "peer", heard.answer, heard.say)
    house.settle()
    assert heard.told == []
    write(kept[0])
    house.settle()
    assert codes(heard) == [("M1", "AA"), ("M2", "AA")]
    house.stop()


def test_a_batch_with_too_many_messages_is_refused_whole(database):
    house = House(database, AnswerRules(batch_messages=2))
    heard = house.receive(BHS + one(1) + one(2) + one(3) + b"BTS|3\r")
    assert heard.codes == ["AR"]
    assert heard.messages[0].get("MSA-2") == "B1"
    assert house.unprocessed() == 0
    house.stop()


def test_a_repeated_batch_is_answered_alike_and_stored_as_duplicates(database):
    house = House(database, AnswerRules(when="after_delivery"))
    first = house.receive(BHS + one(1) + one(2) + b"BTS|2\r")
    again = house.receive(BHS + one(1) + one(2) + b"BTS|2\r")
    house.deliver()
    house.deliver()
    assert codes(first) == codes(again) == [("M1", "AA"), ("M2", "AA")]
    house.stop()


@pytest.mark.parametrize("raw", [b"BHS", b"BHSX|", b"FHS\r", b"BHS|", b"BHS|\x0b\x1c\r\r"])
def test_what_only_looks_like_a_batch_is_answered_too(database, raw):
    house = House(database, AnswerRules())
    assert len(house.receive(raw).told) == 1
    house.stop()


@pytest.mark.parametrize("envelope", [b"BHS|^~\\&|A\r", b"FHS|^~\\&|A\r", b"BTS|0\r"])
def test_a_frame_of_envelopes_around_nothing_is_refused_and_not_looked_at_to_its_end(database, envelope):
    house = House(database, AnswerRules(batch_messages=2))
    heard = house.receive(b"BHS|^~\\&|A\r" + envelope * 100)
    assert heard.codes == ["AR"]
    house.stop()
