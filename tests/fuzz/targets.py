"""What is fuzzed: functions of bytes that raise nothing but an AssertionError when a promise is broken.

Exceptions that are documented (MessageError, ValueError of a path, FrameTooLarge) are caught here; any other is a find.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from suture.connectors.mllp.answers import with_words
from suture.connectors.net import words
from suture.model.errors import MessageError
from suture.model.finding import Finding, Location
from suture.wire import mllp
from suture.wire.hl7v2.exchange import ack, batch, continuation, reply, sequence
from suture.wire.hl7v2.standard import profile, validate
from suture.wire.hl7v2.text import cut, er7, quick
from suture.wire.hl7v2.text.header import Header
from suture.wire.hl7v2.tools import render, xml

LIMIT_BYTES = 4096


def framing(data: bytes) -> None:
    """Any chunking gives the same messages and complaints; what was framed properly comes out as it went in."""
    size = data[0] + 1 if data else 1
    whole, pieces = _unframed([data]), _unframed([data[i : i + size] for i in range(0, len(data), size)])
    assert whole == pieces
    if data[:3] == b"MSH" and not {0x0B, 0x1C} & set(data) and len(data) <= LIMIT_BYTES:
        assert _unframed([mllp.frame(data)])[0] == [data]


def _unframed(pieces: list[bytes]) -> tuple[list[bytes], dict[str, int] | None]:
    unframer, found = mllp.Unframer(LIMIT_BYTES), list[bytes]()
    try:
        for piece in pieces:
            found += unframer.feed(piece)
        found += unframer.close()
    except mllp.FrameTooLarge:
        return [], None  # the connection ends, and what came with the piece is not acknowledged
    return found, dict(unframer.quirks)


def _message(data: bytes) -> er7.Message | None:
    try:
        return er7.Message.parse(data)
    except MessageError:
        return None


def parsing(data: bytes) -> None:
    """Every value of a message can be read, and it is written as it was read."""
    message = _message(data)
    if message is None:
        return
    written = message.to_bytes()
    for segment in message.segments:
        for number in range(1, len(segment.fields) + 1):
            segment.get(number)
    assert message.to_bytes() == written
    again = _message(written)
    assert again is None or again.to_bytes() == written
    assert quick.reader([er7.path("MSH-10"), er7.path("PID-3.1"), er7.path("OBX-5")])(data)[0] == message.get("MSH-10")


def changing(data: bytes) -> None:
    """A value that is set is read back, and the other segments stay as they were."""
    message = _message(data)
    if message is None:
        return
    before = [segment.text for segment in message.segments[1:]]
    value = data[-20:].decode("utf-8", "replace").replace("\r", "")
    try:
        message.set("MSH-6", value)
    except (MessageError, ValueError):
        return
    assert message.get("MSH-6") == value
    assert [segment.text for segment in message.segments[1:]] == before
    try:
        message.to_bytes()
    except MessageError:
        pass  # a character that the message's character set does not have


def paths(data: bytes) -> None:
    """A path is read, or refused with a remedy; one that is read finds values or nothing."""
    text = data.decode("utf-8", "replace")
    for part in (text, text[:20], *re.split(r"[\r\n|]", text)[:20]):
        try:
            _MESSAGE.get_all(part)
            _MESSAGE.get(part)
        except ValueError as e:
            assert str(e)


def answering(data: bytes) -> None:
    """Whatever came, there is an answer that HL7 can read and that names the message."""
    header = Header.read(data)
    findings = [Finding(101, "E", Location("PID", 1, 3), "why"), Finding(207, "W", None, "a|b^c~d\\e&f\r")]
    for text, found in (("", []), ("why", []), ("why", findings)):
        answer = reply.written(header, reply.Reply("AE", "SUT1", "20260301120000+0000", text, found))
        back = Header.read(answer)
        assert back is not None
        if header is not None and header.text(10).isalnum():
            assert ack.read(answer).control_id == header.text(10)


def judging(data: bytes) -> None:
    """A peer's answer is judged, and what it says in words is a line of text."""
    outcome = with_words(ack.outcome(ack.read(data)), data)
    assert outcome.code
    assert len(outcome.words) <= words.LIMIT
    assert not outcome.words or outcome.words.isprintable()


def escapes(data: bytes) -> None:
    """What was escaped comes back as it was, in any delimiters."""
    text = data.decode("utf-8", "replace")
    assert er7.unescape(er7.escape(text)) == text
    er7.unescape(data.decode("latin-1"))


def batches(data: bytes) -> None:
    """Any chunking gives the same events, and no message gets lost or changed."""
    size = data[0] + 1 if data else 1
    whole, pieces = _events([data]), _events([data[i : i + size] for i in range(0, len(data), size)])
    assert whole == pieces


def _events(pieces: list[bytes]) -> list[batch.Event]:
    envelope = batch.Envelope()
    return [event for unit in cut.units(pieces, 1 << 20) for event in envelope.take(unit)] + list(envelope.end())


def linking(data: bytes) -> None:
    """Fragments wait, are joined or are given up, within their limits; sequence numbers are read or are none."""
    header = Header.read(data)
    if header is None:
        return
    try:
        sequence.arrival(7, sequence.number_of(header.get(13)))
    except ValueError:
        pass  # it is no number
    assembler: continuation.Assembler[int] = continuation.Assembler(continuation.Limits(3, 100_000, 2, 10.0))
    for number in range(5):
        assembler.add("S", header, data, number, number * 4.0)
    assert assembler.waiting <= 2


def judging_standard(data: bytes) -> None:
    """Any message can be held against the standard; findings are limited, and show no content."""
    found = validate.validate(data, validate.Rules(limit=20))
    assert len(found) <= 20
    assert all(str(one) for one in found)


def showing(data: bytes) -> None:
    """Any message can be shown as a tree, as JSON's values and as XML that is well-formed in characters."""
    message = _message(data)
    if message is None:
        return
    for line in render.tree(message):
        assert "\x1b" not in str(line)
    for line in xml.lines(message):
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]", line)


def profiles(data: bytes) -> None:
    """A profile never raises, whatever the message."""
    message = _message(data)
    if message is not None:
        assert len(_PROFILE.check(message, 10)) <= 10


_MESSAGE = er7.Message.parse(b"MSH|^~\\&|A|B|||||ADT^A01|M1|P|2.5\rPID|1||17^^^H^MR~18^^^H^PI\rFT1|1|T1\rFT1|2|T2\r")
_PROFILE = profile.Profile(
    "fuzz",
    [
        profile.Rule("PID-3", required=True),
        profile.Rule("PID-5.1", length=(1, 20)),
        profile.Rule("OBX-5", forbidden=True, when=[("OBX-2", frozenset({"ED"}))]),
        profile.Rule("FT1-10", type="decimal"),
        profile.Rule("FT1", times=(1, 2)),
    ],
)

TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        framing,
        parsing,
        changing,
        paths,
        answering,
        judging,
        escapes,
        batches,
        linking,
        judging_standard,
        showing,
        profiles,
    )
}
