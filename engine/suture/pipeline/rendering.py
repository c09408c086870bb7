"""Payloads: the form that one destination gets of a message's events, or of the message itself. Pure.

What cannot be made holds its delivery and no other: what else came of the message goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

from suture.mapping.payload import RenderContext
from suture.model import states
from suture.model.errors import MessageError, in_the_program
from suture.model.events import Event
from suture.model.message import Message
from suture.model.payload import Payload
from suture.model.value import changed
from suture.pipeline.plan import Output, Plan
from suture.ports import Delivery, Unrendered
from suture.ports.format import Record

NO_PAYLOAD = Payload(b"", "")
"""Of a delivery that has none."""
OTHER = "the channel sends something else there today; reprocess the message"


def rendered(output: Output, events: Sequence[Event], context: RenderContext) -> Payload:
    """The payload of these events. Raises MessageError, and whatever a bug of the renderer's may raise."""
    assert output.renderer is not None
    payload = output.renderer(events, context)
    return _fitting(payload if output.written is None else output.written(payload), output.limit_bytes)


def passed(output: Output, record: Record, raw: bytes, shared: bool = False) -> Payload:
    """The received message with a destination's changes. shared: the record is for others too. Raises MessageError."""
    assert output.passing is not None
    return _fitting(output.passing(record, raw, shared), output.limit_bytes)


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
    """An error that should not be."""
    return MessageError(stage, "UNEXPECTED", "", in_the_program(error))


def remade(plan: Plan, delivery: Delivery, message: Message, events: Sequence[Event], now_us: int) -> Payload | Unrendered | str:
    """The payload of a delivery of these events (none: of the message itself), made anew by the channel as it is today.

    Else why there is none, or why it is not asked for.
    """
    output = next((one for one in plan.outputs if one.destination == delivery.destination), None)
    if output is None:
        return f"the channel has no destination {delivery.destination} today"
    if bool(events) != (output.renderer is not None):
        return OTHER
    try:
        if not events:
            return passed(output, plan.format.parse(message.raw), message.raw)
        return rendered(output, events, RenderContext(message, output.destination, delivery.idempotency_key, now_us, plan.source))
    except Exception as e:
        return unrendered(delivery, e)
