"""Payloads of canonical events: the built-in forms, and outbound mappings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from orjson import Fragment

from suture.mapping.hints import Loc, Problems
from suture.mapping.outbound_hl7 import compile_segments
from suture.mapping.outbound_values import OutboundValues, Scope
from suture.mapping.payload import CLOUDEVENTS_BATCH, RenderContext, Renderer, data_json, json_payload
from suture.mapping.spec import VOCABULARY, OutboundSpec
from suture.mapping.tables import Tables
from suture.mapping.times import moment_at, whole
from suture.model.events import Event
from suture.model.payload import Payload

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
        renderer: Renderer = _body(values, spec.body or {}, spec.each is not None, per == "message")
    else:
        renderer = compile_segments(values, spec)
    problems.raise_if_any()
    return renderer


Build = Callable[[Scope], Any]
"""Makes a JSON value; None = the key is left out."""


def _body(values: OutboundValues, body: Mapping[str, Any], each: bool, as_list: bool) -> Renderer:
    """The renderer of a JSON body. each: it is built for every event, else of the first. as_list: always in a list then."""
    build = _object(values, ("body",), body)

    def render(events: Sequence[Event], context: RenderContext) -> Payload:
        scope = Scope.of(events, context)
        if not each:
            return json_payload(build(scope))
        content = [build(one) for one in scope.each()]
        return json_payload(content if as_list or len(content) > 1 else content[0])

    return render


def _object(values: OutboundValues, loc: Loc, given: Mapping[str, Any]) -> Build:
    parts = [(key, _node(values, (*loc, key), node)) for key, node in given.items() if key != "each"]

    def build(scope: Scope) -> dict[str, Any]:
        return {key: value for key, part in parts if (value := part(scope)) is not None}

    if "each" not in given or loc == ("body",):
        if "each" in given:
            values.problems.add((*loc, "each"), "stands beside body, not in it: write it one level further out")
        return build
    if given["each"] != "event":
        values.problems.unknown((*loc, "each"), "choice for each", str(given["each"]), ["event"])
    return lambda scope: [build(one) for one in scope.each()]


def _node(values: OutboundValues, loc: Loc, node: Any) -> Build:
    if isinstance(node, Mapping) and not is_value(node):
        return _object(values, loc, node)
    return values.value(loc, node, ".".join(map(str, loc[1:])))


def is_value(node: Mapping[str, Any]) -> bool:
    """Is it a value of the vocabulary, and not a nested object?"""
    return any(key in VOCABULARY and not isinstance(value, Mapping) for key, value in node.items())


def as_events(events: Sequence[Event], context: RenderContext) -> Payload:
    """The canonical events as they are, with the message they come from."""
    message = context.message
    return json_payload(
        {
            "message": {"id": message.id, "control_id": message.control_id, "channel": message.channel, "type": message.type},
            "idempotency_key": context.idempotency_key,
            "events": [{"id": e.id, "type": e.type, "line": e.line, "data": Fragment(data_json(e))} for e in events],
        }
    )


def as_cloudevents(events: Sequence[Event], context: RenderContext) -> Payload:
    """A batch of CloudEvents 1.0 (JSON event format). The id is the event's: a consumer drops one it has seen. The time is
    a moment (RFC 3339), so that of an event with a day only is the time of receipt."""
    received = moment_at(context.message.received_at_us, UTC)
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


BUILT_IN: dict[str, Renderer] = {"events": as_events, "cloudevents": as_cloudevents}
"""What `as:` may name beside outbound mappings."""
