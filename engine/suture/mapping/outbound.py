"""Payloads of canonical events: the built-in forms, and outbound mappings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from orjson import Fragment

from suture.mapping.hints import Problems
from suture.mapping.outbound_hl7 import compile_segments
from suture.mapping.outbound_json import compile_body
from suture.mapping.outbound_values import OutboundValues
from suture.mapping.payload import CLOUDEVENTS_BATCH, Payload, RenderContext, Renderer, data_json, json_payload
from suture.mapping.spec import OutboundSpec
from suture.mapping.tables import Tables
from suture.mapping.times import whole
from suture.model.events import Event

__all__ = ["BUILT_IN", "CLOUDEVENTS", "EVENTS", "Payload", "RenderContext", "Renderer", "compile_outbound"]

TYPE_PREFIX = "org.suture."
"""Of the event types in CloudEvents, which asks for a reversed domain name."""


def compile_outbound(spec: OutboundSpec, tables: Tables, zone: ZoneInfo, per: Literal["message", "event"] = "event") -> Renderer:
    """Make an outbound mapping ready to run.

    zone: times are written in it. per: "message" makes a JSON body with `each: event` a list, however many events there
    are; "event" makes it an object (a list only if there are several). Raises SpecError with everything that is wrong.
    """
    problems = Problems()
    values = OutboundValues(tables, zone, spec.to, problems)
    other, needed = ("segments", "body") if spec.to == "json" else ("body", "segments")
    if getattr(spec, other) is not None:
        problems.add((other,), f"does not go with `to: {spec.to}`, which has {needed}; drop it")
    if not getattr(spec, needed):
        problems.add((), f"`to: {spec.to}` needs {needed}")
    if spec.to == "json":
        renderer: Renderer = compile_body(values, spec.body or {}, spec.each is not None, per == "message")
    else:
        renderer = compile_segments(values, spec)
    problems.raise_if_any()
    return renderer


class _Events:
    """The canonical events as they are, with the message they come from."""

    def render(self, events: Sequence[Event], context: RenderContext) -> Payload:
        message = context.message
        return json_payload(
            {
                "message": {"id": message.id, "control_id": message.control_id, "channel": message.channel, "type": message.type},
                "idempotency_key": context.idempotency_key,
                "events": [{"id": e.id, "type": e.type, "line": e.line, "data": Fragment(data_json(e))} for e in events],
            }
        )


class _CloudEvents:
    """A batch of CloudEvents 1.0 (JSON event format). The id is the event's: a consumer drops one it has seen. The time is
    a moment (RFC 3339), so that of an event with a day only is the time of receipt."""

    def render(self, events: Sequence[Event], context: RenderContext) -> Payload:
        received = datetime.fromtimestamp(context.message.received_at_us / 1_000_000, UTC)
        return json_payload([_cloud_event(event, context, received) for event in events], CLOUDEVENTS_BATCH)


def _cloud_event(event: Event, context: RenderContext, received: datetime) -> dict[str, Any]:
    used_at = event.data.get("used_at")
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": context.source,
        "type": TYPE_PREFIX + event.type,
        "time": whole(used_at) if isinstance(used_at, datetime) else received,
        "subject": event.data.get("item"),
        "datacontenttype": "application/json",
        "controlid": context.message.control_id,
        "data": Fragment(data_json(event)),
    }


EVENTS: Renderer = _Events()
CLOUDEVENTS: Renderer = _CloudEvents()
BUILT_IN = {"events": EVENTS, "cloudevents": CLOUDEVENTS}
"""What `as:` may name beside outbound mappings."""
