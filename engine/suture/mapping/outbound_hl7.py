"""HL7 v2 messages of outbound mappings, in ER7 with the standard delimiters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from suture.mapping.hints import Loc
from suture.mapping.outbound_values import OutboundValues, Scope
from suture.mapping.payload import HL7V2, RenderContext
from suture.mapping.spec import OutboundSpec
from suture.mapping.times import hl7_time, moment_at
from suture.model.errors import MessageError
from suture.model.events import Event, control_id
from suture.model.payload import Payload
from suture.model.value import Value
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.charsets import UTF_8, codec_of, is_written
from suture.wire.hl7v2.text.lines import is_name

_FIELD = re.compile(r"([1-9][0-9]{0,2})(?:\.([1-9][0-9]?))?")

ENGINES = {1: "the field separator", 2: "the delimiters", 7: "the time of sending", 10: "derived from the idempotency key"}
"""Fields of MSH that a mapping cannot set."""

NEEDED = {9: "the message type, e.g. {const: DFT^P03^DFT_P03}", 12: 'the version, e.g. {const: "2.5.1"}'}
"""Fields of MSH without which no receiver takes a message."""

CHARSET_FIELD, UNICODE = 18, "UNICODE UTF-8"

Text = Callable[[Scope], str]


class SegmentPlan(Value, frozen=True):
    """A segment: its name, whether there is one for each event, and its fields as (number, component or 0, text)."""

    name: str
    each: bool
    fields: Sequence[tuple[int, int, Text]]

    def scopes(self, scope: Scope) -> Sequence[Scope]:
        """What its segments are made of, one by one."""
        return scope.each() if self.each else (scope,)

    def values(self, scope: Scope) -> dict[int, str]:
        """Field number -> ER7 text; fields without any text are left out."""
        found: dict[int, dict[int, str]] = {}
        for number, component, text in self.fields:
            written = text(scope)
            if written:
                found.setdefault(number, {})[component] = written
        return {number: parts[0] if 0 in parts else "^".join(_up_to_last(parts)) for number, parts in found.items()}


def _up_to_last(values: Mapping[int, str], first: int = 1) -> list[str]:
    """The values by their numbers, with "" where there is none."""
    return [values.get(i, "") for i in range(first, max(values) + 1)]


class Hl7Renderer:
    """A Renderer of one message. MSH-7 and MSH-10 are the engine's; MSH-18 too, where there are other characters than ASCII."""

    def __init__(self, plans: Sequence[SegmentPlan], values: OutboundValues) -> None:
        self._plans, self._zone = tuple(plans), values.zone

    def __call__(self, events: Sequence[Event], context: RenderContext) -> Payload:
        scope = Scope.of(events, context)
        header, *rest = self._plans
        body = ["|".join([plan.name, *_up_to_last(found)]) for plan in rest for one in plan.scopes(scope) if (found := plan.values(one))]
        control = control_id(context.idempotency_key)
        msh = {**header.values(scope), 7: hl7_time(moment_at(context.now_us, self._zone), self._zone), 10: control}
        text = "".join([f"{segment}\r" for segment in (_header(msh, body), *body)])
        return Payload(_bytes(text, msh.get(CHARSET_FIELD, "")), HL7V2, control)


def _bytes(text: str, charset: str) -> bytes:
    """The message in the character set that its MSH-18 says, which is UTF-8 where it says nothing that is known."""
    codec = codec_of(charset.partition("~")[0]) if charset not in ("", UNICODE) else UTF_8
    try:
        return text.encode(codec if is_written(codec) else UTF_8)
    except UnicodeEncodeError:
        pass
    if is_written(codec) and codec != UTF_8:
        reason = "a value has characters that the set in MSH-18 of the mapping does not have; write another set there, or none"
        raise MessageError("render", "CHARSET", "MSH-18", reason)
    raise MessageError("render", "NOT_TEXT", "", "a value holds bytes of an unknown character set")


def _header(msh: dict[int, str], body: Sequence[str]) -> str:
    if CHARSET_FIELD not in msh and not all(text.isascii() for text in (*body, *msh.values())):
        msh[CHARSET_FIELD] = UNICODE
    return "|".join(["MSH", "^~\\&", *_up_to_last(msh, 3)])


def compile_segments(values: OutboundValues, spec: OutboundSpec) -> Hl7Renderer:
    """The renderer of a list of segments; what is wrong goes to the problems of values."""
    plans = []
    for i, entry in enumerate(spec.segments or ()):
        if len(entry) != 1:
            values.problems.add(("segments", i), f"has {len(entry)} keys; write one segment an entry: - PID: {{3: patient}}")
        plans += [_plan(values, ("segments", i, name), name, fields) for name, fields in entry.items()]
    _check_header(values, plans, spec)
    return Hl7Renderer(plans, values)


def _check_header(values: OutboundValues, plans: Sequence[SegmentPlan], spec: OutboundSpec) -> None:
    if not plans:
        return
    if plans[0].name != "MSH" or any(plan.name == "MSH" for plan in plans[1:]):
        values.problems.add(("segments",), "a message has one MSH, and it comes first")
        return
    loc = ("segments", 0, "MSH")
    if plans[0].each:
        values.problems.add((*loc, "each"), "a message has one MSH; drop each")
    given = {number for number, _, _ in plans[0].fields}
    for number, text in NEEDED.items():
        if number not in given and f"{number}" not in (spec.segments or [{}])[0]["MSH"]:
            values.problems.add(loc, f"MSH needs {number}, {text}")


def _plan(values: OutboundValues, loc: Loc, name: str, fields: Mapping[str, Any]) -> SegmentPlan:
    if not is_name(name):
        values.problems.add(loc, f"'{name}' is not a segment; write its three letters, e.g. PID")
    each = fields.get("each")
    if each not in (None, "event"):
        values.problems.unknown((*loc, "each"), "choice for each", str(each), ["event"])
    parts = [_field(values, (*loc, key), name, key, node) for key, node in fields.items() if key != "each"]
    found = [part for part in parts if part is not None]
    for number in {n for n, component, _ in found if component == 0} & {n for n, component, _ in found if component}:
        values.problems.add((*loc, str(number)), f"{name}-{number} is set as a whole and by components; keep one")
    return SegmentPlan(name, each is not None, found)


def _field(values: OutboundValues, loc: Loc, name: str, key: str, node: Any) -> tuple[int, int, Text] | None:
    match = _FIELD.fullmatch(key)
    if not match:
        values.problems.add(loc, f"'{key}' is not a field; write its number (3) or number and component (3.1)")
        return None
    number, component = int(match[1]), int(match[2] or 0)
    if name == "MSH" and number in ENGINES:
        values.problems.add(loc, f"MSH-{number} is the engine's ({ENGINES[number]}); drop it")
        return None
    if component and values.names_list(node):
        values.problems.add(loc, f"holds a list, which is written as repetitions of a whole field; write {number}, not {key}")
        return None
    return number, component, _text(values, loc, f"{name}-{key}", node)


def _text(values: OutboundValues, loc: Loc, place: str, node: Any) -> Text:
    """The ER7 text of a field: constants as they are, everything else escaped."""
    if isinstance(node, Mapping) and "const" in node:
        if any(c == "|" or c < " " for c in str(node["const"])):
            remedy = "which would break the segment or the frame; write \\F\\ for |, and \\X0B\\ for a control character"
            values.problems.add((*loc, "const"), f"holds a field separator, a line end or another control character, {remedy}")
        get = values.value(loc, node, place)
        return lambda scope: str(get(scope))
    get = values.value(loc, node, place)

    def text(scope: Scope) -> str:
        value = get(scope)
        if isinstance(value, list):
            return "~".join(map(er7.escape, value))
        return "" if value is None else er7.escape(value)

    return text
