"""A payload that could not be made is made anew, by the channel as it is today. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from suture.mapping.payload import RenderContext
from suture.model.events import Event
from suture.model.message import Message
from suture.model.payload import Payload
from suture.pipeline.plan import Output, Plan
from suture.pipeline.rendering import passed, rendered, unrendered
from suture.ports import Delivery, Unrendered

OTHER = "the channel sends something else there today; reprocess the message"


def remade(plan: Plan, delivery: Delivery, message: Message, events: Sequence[Event], now_us: int) -> Payload | Unrendered | str:
    """The payload of a delivery of these events (none: of the message itself); why there is none, or why it is not asked for."""
    output = next((one for one in plan.outputs if one.destination == delivery.destination), None)
    if output is None:
        return f"the channel has no destination {delivery.destination} today"
    if bool(events) != (output.renderer is not None):
        return OTHER
    try:
        return _made(plan, output, delivery, message, events, now_us)
    except Exception as e:
        return unrendered(delivery, e)


def _made(plan: Plan, output: Output, delivery: Delivery, message: Message, events: Sequence[Event], now_us: int) -> Payload:
    if output.renderer is not None:
        context = RenderContext(message, output.destination, delivery.idempotency_key, now_us, plan.source)
        return rendered(output, events, context)
    return passed(output, plan.format.parse(message.raw), message.raw)
