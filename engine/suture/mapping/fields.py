"""What the canonical model says of a field."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel

from suture.mapping.times import from_iso
from suture.model.events import EVENT_TYPES


@lru_cache(256)
def field_type(model: type[BaseModel], name: str) -> tuple[type, bool]:
    """The type of a field (str, Decimal, list[str], datetime for times of any precision) and whether every event has it."""
    info = model.model_fields[name]
    kinds: list[Any] = [kind for kind in get_args(info.annotation) if kind is not type(None)]
    return (kinds[0] if kinds else info.annotation), info.is_required()  # type: ignore[return-value]


def typed(event_type: str, data: dict[str, Any]) -> dict[str, Any]:
    """An event's data as a mapping makes it, from what was read of its JSON: numbers and times are texts there."""
    model = EVENT_TYPES[event_type]
    return {name: _FROM_JSON[field_type(model, name)[0]](value) for name, value in data.items()}


_FROM_JSON: dict[Any, Callable[[Any], Any]] = {str: str, Decimal: Decimal, datetime: from_iso, list[str]: list}


CANONICAL_FIELDS = frozenset(name for model in EVENT_TYPES.values() for name in model.model_fields)
"""The fields of all events."""
LISTS = frozenset(name for model in EVENT_TYPES.values() for name in model.model_fields if field_type(model, name)[0] == list[str])
"""Those that hold several texts."""
