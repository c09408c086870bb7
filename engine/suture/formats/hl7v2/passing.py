"""HL7 messages on their way out: passed on with changes, and in the character set that their receiver knows."""

from __future__ import annotations

from collections.abc import Mapping

from suture.formats.hl7v2.characters import check_bytes
from suture.model.errors import MessageError
from suture.model.message import Note
from suture.model.payload import Payload
from suture.wire.hl7v2.exchange import due
from suture.wire.hl7v2.text import edit, er7
from suture.wire.hl7v2.text.header import Header
from suture.wire.hl7v2.text.recode import Target, recoded

HL7 = "application/hl7-v2"
ASKS_COMMIT, MSH_18 = er7.path("MSH-15"), er7.path("MSH-18")


def passed(
    changes: Mapping[er7.Path, str], answered: bool, target: Target | None, record: er7.Message, raw: bytes, shared: bool
) -> Payload:
    """The received message with a destination's changes, of which the record keeps none where it is shared. Raises MessageError.

    answered: a message that asks for no answer when all is well asks for one. target: the character set that it goes out in.
    """
    body = raw
    if changes:
        record = record.copy() if shared else record
        body = _changed(record, changes)
    header = Header.read(body)  # MSH-10 as it is on the wire: so it comes back in the answer
    if answered and due.replies(header, "accepted") == due.SILENCE:
        edit.check_places(record)
        record = record.copy() if shared and not changes else record
        edit.put(record, ASKS_COMMIT, "AL")
        body = record.to_bytes()
    if target is not None:
        return _in_set(record, body, target)
    return Payload(body, HL7, header.text(10) if header else "")


def _changed(record: er7.Message, changes: Mapping[er7.Path, str]) -> bytes:
    """The message with these changes, which never say that it is in another character set than it is."""
    check_bytes(record, "render")
    for place, text in changes.items():
        edit.put(record, place, text)
    body = record.to_bytes()
    named = MSH_18 in changes and not body.isascii()
    if named and er7.Message.parse(body, record.encoding).encoding != record.encoding:
        reason = f"the message is in {record.encoding}, and `message` says otherwise; the endpoint's `send_as` converts it"
        raise MessageError("render", "CHARSET", "MSH-18", reason)
    return body


def in_set(target: Target, payload: Payload) -> Payload:
    """A payload that was made, in that character set where it is HL7. Raises MessageError."""
    return _in_set(er7.Message.parse(payload.body), payload.body, target) if payload.content_type == HL7 else payload


def _in_set(record: er7.Message, body: bytes, target: Target) -> Payload:
    """The message in the character set that its receiver knows."""
    found = recoded(record, body, target)
    header = Header.read(found.body)
    reason = f"{found.replaced} characters that {target.name} does not have were replaced"
    notes = (Note(0, "CHARACTERS_REPLACED", found.place, reason),) if found.replaced else ()
    return Payload(found.body, f"{HL7}; charset={target.mime}", header.text(10) if header else "", notes)
