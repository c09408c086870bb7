"""Values of outbound mappings: canonical fields and names of the engine, looked up, converted and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from pydantic import ValidationError

from suture.mapping.fields import CANONICAL_FIELDS, LISTS
from suture.mapping.functions import FIELD_FUNCTIONS, FUNCTIONS, NUMBER_FUNCTIONS, TEXT_FUNCTIONS, WORD_FUNCTIONS
from suture.mapping.hints import Loc, Problems
from suture.mapping.payload import RenderContext
from suture.mapping.spec import Value
from suture.mapping.tables import Table, Tables
from suture.mapping.times import Time, day_in, from_iso, hl7_day, hl7_time, moment_at, month_or_year, whole
from suture.mapping.values import decimal, plain
from suture.model.errors import MessageError
from suture.model.events import Event
from suture.model.storable import keepable


@dataclass(frozen=True, slots=True)
class Scope:
    """What a value may refer to. event: the current one (outside `each`, the first). position: its place, from 1."""

    events: Sequence[Event]
    event: Event
    position: int
    context: RenderContext

    @classmethod
    def of(cls, events: Sequence[Event], context: RenderContext) -> Scope:
        """The scope of a whole payload. Raises MessageError when there is no event."""
        if not events:
            raise MessageError("render", "NO_EVENTS", "", "a payload needs at least one event")
        return cls(events, events[0], 1, context)

    def each(self) -> Sequence[Scope]:
        """A scope for every event."""
        return [Scope(self.events, event, i, self.context) for i, event in enumerate(self.events, 1)]


Get = Callable[[Scope], Any]
Write = Callable[[Any], Any]

NUMBERS: Mapping[str, Callable[[Decimal], Any]] = {**NUMBER_FUNCTIONS, **WORD_FUNCTIONS}


class OutboundValues:
    """Compiles values. to: json or hl7v2, which says how times and numbers are written."""

    def __init__(self, tables: Tables, zone: ZoneInfo, to: str, problems: Problems) -> None:
        self.tables, self.zone, self.problems = tables, zone, problems
        self.names = _names(zone)
        hl7 = _hl7_forms(zone)
        self.forms = _json_forms(zone) if to == "json" else hl7
        self._text = hl7[""]

    def value(self, loc: Loc, node: Any, place: str) -> Get:
        """The function for one value; place names it in errors. None = absent."""
        try:
            value = Value.model_validate(node)
        except ValidationError as error:
            self.problems.invalid(loc, error, Value)
            return _absent
        before = len(self.problems.found)
        self._check(loc, value)
        reads = [self._name((*loc, "from", i), name) for i, name in enumerate(value.from_)]
        if value.default:
            reads.append(self._default((*loc, "default"), value.default))
        if len(self.problems.found) > before:
            return _absent
        return self._compiled(value, reads, place)

    @staticmethod
    def names_list(node: Any) -> bool:
        """Is a value that of a field with several texts?"""
        given = node.get("from") if isinstance(node, Mapping) else node
        return any(name in LISTS for name in (given if isinstance(given, list) else [given]))

    def _check(self, loc: Loc, value: Value) -> None:
        add, unknown = self.problems.add, self.problems.unknown
        others = [key for key in ("table", "default", "as_", "call", "from_") if getattr(value, key)]
        if value.const is not None and others:
            add(loc, f"const stands alone; drop it or {' and '.join(key.rstrip('_') for key in others)}")
        if value.const is None and not value.from_:
            add(loc, "says nothing of where the value comes from; add from: <field>, or const: <text>")
        if value.table is not None and value.table not in self.tables:
            unknown((*loc, "table"), "table", value.table, self.tables)
        if value.as_ is not None and value.as_ not in self.forms:
            unknown((*loc, "as"), "form", value.as_, filter(None, self.forms))
        lists = [name for name in value.from_ if name in LISTS]
        if lists and (len(value.from_) > 1 or any(key != "from_" for key in others)):
            add(loc, f"{lists[0]} is a list; it stands alone, as a JSON list or as the repetitions of an HL7 field")
        if value.between is not None:
            add((*loc, "between"), "holds for inbound mappings; the event's values have been checked there")
        if value.call in FIELD_FUNCTIONS:
            add((*loc, "call"), f"{value.call} is for inbound mappings; a payload takes the field that it made")
        elif value.call is not None and value.call not in FUNCTIONS:
            unknown((*loc, "call"), "function", value.call, [*TEXT_FUNCTIONS, *NUMBERS])

    def _name(self, loc: Loc, name: str) -> Get:
        if name in self.names:
            return self.names[name]
        if name not in CANONICAL_FIELDS:
            self.problems.unknown(loc, "field", name, [*CANONICAL_FIELDS, *self.names])
        return lambda scope: scope.event.data.get(name)

    def _default(self, loc: Loc, text: str) -> Get:
        if text in self.names or text in CANONICAL_FIELDS:
            return self._name(loc, text)
        return lambda scope: text

    def _compiled(self, value: Value, reads: Sequence[Get], place: str) -> Get:
        if value.const is not None:
            return lambda scope: value.const
        needed = value.required is True or (value.table is not None and value.required is None and value.default != "")
        read = _first(reads, place if needed else "")
        steps = [step for step in self._steps(value, place) if step is not None]
        write = self.forms[value.as_ or ""]

        def get(scope: Scope) -> Any:
            found = read(scope)
            if found is None:
                return None
            try:
                for step in steps:
                    found = step(found, scope)
                return write(found)
            except _Unfit as unfit:
                raise MessageError("render", "MALFORMED_VALUE", place, str(unfit)) from None

        return get

    def _steps(self, value: Value, place: str) -> Iterable[Callable[[Any, Scope], Any] | None]:
        text, number = TEXT_FUNCTIONS.get(value.call or ""), NUMBERS.get(value.call or "")
        yield (lambda found, scope: text(self._text(found))) if text else None
        yield (lambda found, scope: number(_number_of(found))) if number else None
        yield self._lookup(self.tables[value.table], place, value.required is not False) if value.table else None

    def _lookup(self, table: Table, place: str, required: bool) -> Callable[[Any, Scope], Any]:
        result = table.result

        def look_up(found: Any, scope: Scope) -> Any:
            code = self._text(found)
            row = table.lookup(code, self._day(scope) if table.dated else None)
            if row is not None:
                return row[result] if result else code
            if required:
                raise MessageError("render", "UNKNOWN_CODE", place, table.absence(code), table.name, keepable(code))
            return code

        return look_up

    def _day(self, scope: Scope) -> date:
        used_at = scope.event.data.get("used_at")
        return day_in(_time_of(used_at) if used_at else moment_at(scope.context.now_us, self.zone), self.zone)


def _absent(scope: Scope) -> None:
    return None


def _first(reads: Sequence[Get], needed_by: str) -> Get:
    """The first value that is neither absent nor empty. needed_by: the place that must have one, "" = it may be absent."""

    def read(scope: Scope) -> Any:
        for one in reads:
            found = one(scope)
            if found is not None and found != "":
                return found
        if needed_by:
            raise MessageError("render", "MISSING_VALUE", needed_by, "required, and the event does not have it")
        return None

    return read


def _names(zone: ZoneInfo) -> Mapping[str, Get]:
    return {
        "event.id": lambda scope: scope.event.id,
        "event.type": lambda scope: scope.event.type,
        "event.position": lambda scope: scope.position,
        "event.key": lambda scope: scope.event.key,
        "message.control_id": lambda scope: scope.context.message.control_id,
        "message.id": lambda scope: scope.context.message.id,
        "idempotency_key": lambda scope: scope.context.idempotency_key,
        "now": lambda scope: moment_at(scope.context.now_us, zone),
    }


class _Unfit(Exception):
    """A value is not what `as` or `call` asks for."""


def _json_forms(zone: ZoneInfo) -> Mapping[str, Write]:
    """`as` -> what JSON gets; "": the value as it is. Days are days of zone."""
    return {
        "": lambda value: value,
        "text": lambda value: _as_text(value, lambda time: time.isoformat()),
        "decimal": _number_of,
        "number": lambda value: orjson.Fragment(plain(_number_of(value)).encode()),
        "integer": _whole,
        "time": lambda value: whole(_time_of(value)),
        "date": lambda value: value if _is_rough(value) else day_in(_time_of(value), zone),
        "hl7time": lambda value: _hl7(value, zone),
    }


def _hl7_forms(zone: ZoneInfo) -> Mapping[str, Write]:
    """`as` -> the text in HL7, a list of them for a list; "": by what the value is. Moments are written in zone."""

    def written(value: Any) -> Any:
        return [written(one) for one in value] if isinstance(value, list) else _as_text(value, lambda time: hl7_time(time, zone))

    return {
        "": written,
        "text": written,
        "decimal": lambda value: plain(_number_of(value)),
        "integer": lambda value: str(_whole(value)),
        "time": lambda value: _hl7(value, zone),
        "date": lambda value: month_or_year(value) if _is_rough(value) else hl7_day(day_in(_time_of(value), zone)),
        "hl7time": lambda value: _hl7(value, zone),
    }


def _as_text(value: Any, time: Callable[[Time], str]) -> str:
    """Any value as text; time writes times."""
    if isinstance(value, date):
        return time(value)
    return plain(value) if isinstance(value, Decimal) else str(value)


def _number_of(value: Any) -> Decimal:
    """A number; text is read. Raises _Unfit."""
    number = value if isinstance(value, Decimal) else decimal(str(value))
    if number is None:
        raise _Unfit("not a number")
    return number


def _time_of(value: Any) -> Time:
    """A time; text in ISO 8601, as events are kept in the store, is read. Raises _Unfit."""
    time = value if isinstance(value, date) else from_iso(str(value))
    if time is None:
        raise _Unfit("neither a day nor a time with an offset")
    return time


def _hl7(value: Any, zone: ZoneInfo) -> str:
    return month_or_year(value) if _is_rough(value) else hl7_time(_time_of(value), zone)


def _is_rough(value: Any) -> bool:
    """Is it the text of a month or a year?"""
    return isinstance(value, str) and bool(month_or_year(value))


def _whole(value: Any) -> int:
    number = _number_of(value)
    if number != number.to_integral_value():
        raise _Unfit("not a whole number")
    return int(number)
