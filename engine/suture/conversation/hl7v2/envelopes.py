"""What is to be told of a batch's envelope beside its messages: what is wrong with it, and whether it may be answered. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from suture.model import states
from suture.model.fault import Fault
from suture.model.value import changed
from suture.wire.hl7v2.exchange import acknowledgement, batch
from suture.wire.hl7v2.text.header import Header, text_of

FAULTS_MAX = 20
"""Exceptions that one frame opens for its envelopes; the last of them says how many more there were."""
TOO_LARGE = "BATCH_TOO_LARGE"
"""A batch of more messages or envelopes than the channel takes."""
NAMED_BYTES = 40
_COUNT = "BATCH_COUNT"


def too_large(text: str) -> Fault:
    """A frame that is refused whole, for how much is in it."""
    return Fault(TOO_LARGE, states.BATCH_STAGE, "", text)


def faults_of(events: Sequence[batch.Event]) -> dict[int, list[Fault]]:
    """What is wrong with a frame's envelopes, by the message that it is told with: the first of its batch, else of the frame.

    Segments that belong to no message are told by `strays_of`. 0 stands for a frame without messages.
    """
    placed = list(_placed(events))
    more = len(placed) - FAULTS_MAX
    if more > 0:
        at, last = placed[FAULTS_MAX - 1]
        placed[FAULTS_MAX - 1 :] = [(at, changed(last, reason=f"{last.reason} (and {more} more like these)"))]
    first = next((event.number for event in events if isinstance(event, batch.Found)), 0)
    found: dict[int, list[Fault]] = {}
    for at, fault in placed:
        found.setdefault(at or first, []).append(fault)
    return found


def _placed(events: Sequence[batch.Event]) -> Iterator[tuple[int, Fault]]:
    """Each fault with the number of the first message of its batch, 0 when there is none."""
    file = named = ""
    first = 0
    for event in events:
        if isinstance(event, batch.Opened):
            first, named = 0, _named(event)
            file = named if event.kind == "FHS" else file
        elif isinstance(event, batch.Found):
            first = first or event.number
        elif isinstance(event, batch.Fault):
            if event.raw:
                continue
            yield first, Fault(event.code, states.BATCH_STAGE, event.text[:5] if event.code == _COUNT else "", event.text + named)
        else:
            first, named = 0, file


def strays_of(events: Sequence[batch.Event]) -> tuple[bytes, list[Fault]]:
    """The segments of a frame that belong to no message, and what is to be told of them; b"" and nothing when there are none."""
    strays = [event for event in events if isinstance(event, batch.Fault) and event.raw]
    if not strays:
        return b"", []
    opened = next((event for event in events if isinstance(event, batch.Opened)), None)
    reason = strays[0].text + (_named(opened) if opened else "")
    return b"".join(event.raw for event in strays), [Fault(strays[0].code, states.BATCH_STAGE, "", reason)]


def _named(opened: batch.Opened) -> str:
    """The batch or file by its own control id, as the end of a sentence."""
    control_id = text_of(batch.control_id(opened.line), NAMED_BYTES)
    return f" ({'file' if opened.kind == 'FHS' else 'batch'} {control_id})" if control_id else ""


def acknowledges(events: Sequence[batch.Event]) -> bool:
    """Whether the frame is an answer: all its messages are acknowledgements, or it has none and names the batch that it answers."""
    messages = [event.raw for event in events if isinstance(event, batch.Found)]
    if messages:
        return all(map(_acknowledges, messages))
    return any(batch.answers(event.line) for event in events if isinstance(event, batch.Opened))


def _acknowledges(raw: bytes) -> bool:
    header = Header.read(raw)
    return header is not None and acknowledgement.is_one(header.type, raw)


def begins_with_acknowledgement(head: bytes) -> bool:
    """The same of a batch that is too large to be looked through, by its first message."""
    first = next((event.raw for event in batch.cut(head) if isinstance(event, batch.Found)), None)
    return first is not None and _acknowledges(first)
