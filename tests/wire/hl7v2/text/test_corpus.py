"""Messages that nobody of us wrote: parsed and written, every one is what it was but for its line ends."""

import os
import re
from pathlib import Path

import pytest

from suture.model.errors import MessageError
from suture.wire.hl7v2.text import er7

SHARED = Path(os.environ.get("SUTURE_SHARED") or Path(__file__).parents[4].parent / "shared")
CORPUS = SHARED / "corpus" / "hl7v2"
FILES = sorted(CORPUS.rglob("*.hl7"))

pytestmark = pytest.mark.skipif(not FILES, reason=f"no corpus of messages in {CORPUS}")


def messages(raw: bytes) -> list[bytes]:
    """A file cut at the lines that begin with MSH; what stands before the first, and headers of batches, are left out."""
    cuts = [match.start() for match in re.finditer(rb"(?:(?<=[\r\n])|^(?:\xef\xbb\xbf)?\s*|(?<=\x0b))MSH", raw)]
    return [raw[begin:end] for begin, end in zip(cuts, [*cuts[1:], len(raw)], strict=True)]


def normalised(raw: bytes) -> bytes:
    """Line ends as docs/messages.md has them."""
    raw = re.sub(rb"^(\xef\xbb\xbf|[ \t\r\n\x0b])*", b"", raw)
    if b"\r" not in raw:
        lines = raw.split(b"\n")
    else:
        start = b"\n(?=[A-Z][A-Z0-9]{2}(?:\n|$|" + re.escape(raw[3:4]) + b"))"
        lines = [line for part in re.split(b"\r\n*", raw.rstrip(b"\n")) for line in re.split(start, part)]
    return b"".join(line + b"\r" for line in lines if line)


def refused(raw: bytes) -> bool:
    """May the message be refused? Only one whose MSH-1 and MSH-2 are no separators."""
    separator = raw[3:4]
    return not separator or separator.isalnum() or separator in b"\r\n" or raw[4:5] in (b"", separator, b"\r", b"\n")


def test_every_message_is_written_as_it_was_read():
    read = 0
    for file in FILES:
        for raw in messages(file.read_bytes()):
            start = re.sub(rb"^(\xef\xbb\xbf|\s)*", b"", raw)
            try:
                message = er7.Message.parse(raw)
            except MessageError:
                assert refused(start), file.name
                continue
            read += 1
            assert message.to_bytes() == normalised(raw), file.name
            assert er7.Message.parse(message.to_bytes()).to_bytes() == message.to_bytes(), file.name
    assert read > 1000


def test_every_value_of_every_message_can_be_set_to_itself():
    for file in FILES:
        for raw in messages(file.read_bytes())[:3]:
            try:
                message = er7.Message.parse(raw)
            except MessageError:
                continue
            before = message.to_bytes()
            for segment in message.segments:
                for index, text in enumerate(segment.fields):
                    segment.put(index, text)
            assert message.to_bytes() == before, file.name
