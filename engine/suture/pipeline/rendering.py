"""Payloads: the form that one destination gets of a message's events, or of the message itself. Pure.

What cannot be made holds its delivery and no other: what else came of the message goes on.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence

from suture.mapping.payload import Payload, RenderContext, Renderer
from suture.model import states
from suture.model.errors import MessageError
from suture.model.events import Event
from suture.model.message import Note
from suture.model.value import changed
from suture.pipeline.characters import check_bytes
from suture.ports import Delivery, Unrendered
from suture.wire.hl7v2.exchange import ack, due
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.recode import Target, recoded

HL7 = "application/hl7-v2"
ASKS_COMMIT, MSH_18 = er7.path("MSH-15"), er7.path("MSH-18")
PAYLOAD_BYTES = 67_108_864
"""The default of the largest payload."""
NO_PAYLOAD = Payload(b"", "")
"""Of a delivery that has none."""


def rendered(
    renderer: Renderer, events: Sequence[Event], context: RenderContext, limit_bytes: int, target: Target | None = None
) -> Payload:
    """The payload of these events. Raises MessageError, and whatever a bug of the renderer's may raise.

    target: the character set that HL7 goes out in; None: as it is made.
    """
    payload = renderer.render(events, context)
    if target is not None and payload.content_type == HL7:
        payload = _in_set(er7.Message.parse(payload.body), payload.body, target)
    return _fitting(payload, limit_bytes)


def passed(
    changes: Mapping[er7.Path, str], answered: bool, parsed: er7.Message, raw: bytes, limit_bytes: int, target: Target | None = None
) -> Payload:
    """The received message with a destination's changes, which are made in parsed. Raises MessageError.

    answered: as of the Output. target: as of `rendered`.
    """
    body = _changed(parsed, changes) if changes else raw
    header = ack.Header.read(body)  # MSH-10 as it is on the wire: so it comes back in the answer
    if answered and due.replies(header, "accepted") == due.SILENCE:
        parsed.check_places()
        parsed.put(ASKS_COMMIT, "AL")
        body = parsed.to_bytes()
    if target is not None:
        return _fitting(_in_set(parsed, body, target), limit_bytes)
    return _fitting(Payload(body, HL7, header.text(10) if header else ""), limit_bytes)


def _changed(parsed: er7.Message, changes: Mapping[er7.Path, str]) -> bytes:
    """The message with these changes, which never say that it is in another character set than it is."""
    check_bytes(parsed, "render")
    for place, text in changes.items():
        parsed.put(place, text)
    body = parsed.to_bytes()
    named = MSH_18 in changes and not body.isascii()
    if named and er7.Message.parse(body, parsed.encoding).encoding != parsed.encoding:
        reason = f"the message is in {parsed.encoding}, and `message` says otherwise; the endpoint's `send_as` converts it"
        raise MessageError("render", "CHARSET", "MSH-18", reason)
    return body


def _in_set(parsed: er7.Message, body: bytes, target: Target) -> Payload:
    """The message in the character set that its receiver knows."""
    found = recoded(parsed, body, target)
    header = ack.Header.read(found.body)
    reason = f"{found.replaced} characters that {target.name} does not have were replaced"
    notes = (Note(0, "CHARACTERS_REPLACED", found.place, reason),) if found.replaced else ()
    return Payload(found.body, f"{HL7}; charset={target.mime}", header.text(10) if header else "", notes)


def _fitting(payload: Payload, limit_bytes: int) -> Payload:
    size_bytes = len(payload.body)
    if size_bytes > limit_bytes:
        reason = f"it has {size_bytes:,} bytes, and the endpoint's payload_bytes is {limit_bytes:,}"
        raise MessageError("render", "PAYLOAD_TOO_LARGE", "", reason)
    return payload


def unrendered(delivery: Delivery, error: Exception) -> Unrendered:
    """A delivery without a payload, and why it has none."""
    told = error if isinstance(error, MessageError) else unexpected("render", error)
    return Unrendered(changed(delivery, state=states.HELD), told.code, told.place, told.reason, told.table, told.value)


def unexpected(stage: str, error: Exception) -> MessageError:
    """An error that should not be; told by its type and place in the program, never by its text (PHI)."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
    return MessageError(stage, "UNEXPECTED", "", f"{type(error).__name__} at {where}; please report it")
