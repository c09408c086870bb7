"""Messages that nobody of us wrote: each frame is kept byte for byte and answered once, in a way that its sender can read."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from suture.conversation.hl7v2.rules import AnswerRules
from suture.store import schema
from suture.store.engine import open_engine
from suture.wire import mllp
from suture.wire.hl7v2.exchange import ack
from suture.wire.hl7v2.text import lines
from suture.wire.hl7v2.text.header import Header
from tests import contents
from tests.pipeline.house import House

SHARED = Path(os.environ.get("SUTURE_SHARED") or Path(__file__).parents[3].parent / "shared")
FILES = sorted((SHARED / "corpus" / "hl7v2").rglob("*.hl7"))

pytestmark = pytest.mark.skipif(not FILES, reason=f"no corpus of messages in {SHARED}")


@pytest.mark.parametrize("when", ["after_store", "after_process"])
def test_every_frame_is_kept_and_answered(tmp_path: Path, when: str) -> None:
    database = open_engine(f"sqlite:///{tmp_path / 'suture.db'}", site=None)
    schema.upgrade(database)
    house = House(database, AnswerRules(when=when))
    heard = []
    for number, file in enumerate(FILES):
        unframer = mllp.Unframer(1 << 26)
        for payload in [*unframer.feed(mllp.frame(file.read_bytes())), *unframer.close()]:
            heard.append((file.name, payload, house.receive(payload, settle=number % 50 == 0)))
    house.settle()
    house.settle()  # what was processed because of the first
    silent = 0
    for name, payload, one in heard:
        assert [how for how, _ in one.told].count("answer") == 1, name
        answers = [answer for _, answer in one.told if answer]
        silent += not answers
        parts = messages_of(payload)
        assert len(answers) <= 2 * len(parts), name
        for answer in answers:
            assert any(readable(part, answer) for part in parts), name
    house.journal.stop()
    house.journal.join(10)
    assert not house.bugs
    assert len(heard) >= len(FILES)
    assert silent < len(heard) / 5  # those that ask for no answer (MSH-15 and MSH-16 are NE or ER)
    with database.connect() as connection:
        stored = Counter(contents.raws(connection).values())
    for file in FILES:
        data = file.read_bytes()
        if not {0x0B, 0x1C} & set(data) and data[:3] not in (b"FHS", b"BHS"):
            assert all(stored[message] >= 1 for message in messages_of(data)), file.name


def messages_of(payload: bytes) -> list[bytes]:
    """The messages of a frame: each MSH at the beginning of a line begins one, and no byte is anywhere else."""
    begins = [0, *lines.messages_in(payload, 1000)[1:]] if payload.lstrip().startswith(b"MSH") else [0]
    return [payload[begin:end] for begin, end in zip(begins, [*begins[1:], len(payload)], strict=True)]


def readable(payload: bytes, answer: bytes) -> bool:
    """Can the sender of the payload place the answer? That of a batch is a batch, and that of what is no HL7 names nothing."""
    header = Header.read(payload)
    if answer[:3] in (b"FHS", b"BHS"):
        return payload[:3] in (b"FHS", b"BHS")
    return Header.read(answer) is not None and (header is None or ack.read(answer).control_id == header.text(10))
