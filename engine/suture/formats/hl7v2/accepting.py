"""Whether a channel takes a message of this type. Pure.

A type that `accept` does not name is filtered. A message whose code it does name, with an event that cannot be read, is
never passed over: old and careless senders leave MSH-9.2 empty (HL7 2.1 and 2.2 had the event in EVN-1 alone), or write
the structure there.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from suture.model.errors import MessageError
from suture.model.message import Gap, Message, Note
from suture.ports.format import Look
from suture.wire.hl7v2.standard.events import sole_event
from suture.wire.hl7v2.text import er7

TYPE_READ, UNREADABLE_TYPE = "TYPE_READ", "UNREADABLE_TYPE"
_TYPE = re.compile(r"[A-Z][A-Z0-9]{2}\^[A-Z][A-Z0-9]{2}")
MSH_9 = "MSH-9"
_UNREADABLE = "a type whose event cannot be read, so nobody knows whether the channel accepts it"


def is_type(kind: str) -> bool:
    """Is it a message code and an event, as DFT^P03?"""
    return _TYPE.fullmatch(kind) is not None


def look(accept: Collection[str], message: Message) -> Look:
    """Say whether a message whose type is none of `accept` as it is written is taken."""
    try:
        parsed = er7.Message.parse(message.raw)
    except MessageError:
        return Look(True)  # it is parked when it is parsed for good
    code, event, structure = (_text(parsed, f"MSH-9.{n}") for n in (1, 2, 3))
    kind, how = _read(parsed, code, event, structure)
    if kind in accept:
        return Look(True, Note(0, TYPE_READ, MSH_9, f"the message is taken as {kind.replace('^', ' ')}: {how}"))
    if is_type(kind) or (code and not any(code.startswith(known.partition("^")[0]) for known in accept)):
        return Look(False)
    return Look(False, doubt=Gap(0, "", MSH_9, _UNREADABLE, value=message.type, kind=UNREADABLE_TYPE))


def _read(parsed: er7.Message, code: str, event: str, structure: str) -> tuple[str, str]:
    """The type that is meant, as far as it can be read, and how it was."""
    if event:
        return f"{code}^{event}", "MSH-9 has blanks or lower case"
    own = _text(parsed, "EVN-1")
    code, _, rest = code.partition("_")
    if own:
        return f"{code}^{own}", "MSH-9 names no event, and EVN-1 does"
    named = f"{code}_{rest}" if rest else structure
    return f"{code}^{sole_event(named)}", "MSH-9 names a structure that one event alone has"


def _text(parsed: er7.Message, place: str) -> str:
    """The value at a place without blanks, in upper case; null is none."""
    return parsed.get(place).strip().upper().strip('"')
