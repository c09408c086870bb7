"""JSON bodies of outbound mappings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from suture.mapping.hints import Loc
from suture.mapping.outbound_values import OutboundValues, Scope
from suture.mapping.payload import Payload, RenderContext, json_payload
from suture.mapping.spec import VOCABULARY
from suture.model.events import Event

Build = Callable[[Scope], Any]
"""Makes a JSON value; None = the key is left out."""


def compile_body(values: OutboundValues, body: Mapping[str, Any], each: bool, as_list: bool) -> JsonRenderer:
    """The renderer of a body. each: it is built for every event. as_list: always in a list then."""
    return JsonRenderer(_object(values, ("body",), body), each, as_list)


class JsonRenderer:
    """Renders JSON: an object of the first event, or one for each."""

    def __init__(self, build: Build, each: bool, as_list: bool) -> None:
        self._build, self._each, self._as_list = build, each, as_list

    def render(self, events: Sequence[Event], context: RenderContext) -> Payload:
        """Raises MessageError (stage render)."""
        scope = Scope.of(events, context)
        if not self._each:
            return json_payload(self._build(scope))
        content = [self._build(one) for one in scope.each()]
        return json_payload(content if self._as_list or len(content) > 1 else content[0])


def _object(values: OutboundValues, loc: Loc, given: Mapping[str, Any]) -> Build:
    parts = [(key, _node(values, (*loc, key), node)) for key, node in given.items() if key != "each"]
    build = _keys(parts)
    if "each" not in given or loc == ("body",):
        if "each" in given:
            values.problems.add((*loc, "each"), "stands beside body, not in it: write it one level further out")
        return build
    if given["each"] != "event":
        values.problems.unknown((*loc, "each"), "choice for each", str(given["each"]), ["event"])
    return lambda scope: [build(one) for one in scope.each()]


def _keys(parts: Sequence[tuple[str, Build]]) -> Build:
    return lambda scope: {key: value for key, part in parts if (value := part(scope)) is not None}


def _node(values: OutboundValues, loc: Loc, node: Any) -> Build:
    if isinstance(node, Mapping) and not is_value(node):
        return _object(values, loc, node)
    return values.value(loc, node, ".".join(map(str, loc[1:])))


def is_value(node: Mapping[str, Any]) -> bool:
    """Is it a value of the vocabulary, and not a nested object?"""
    return any(key in VOCABULARY and not isinstance(value, Mapping) for key, value in node.items())
