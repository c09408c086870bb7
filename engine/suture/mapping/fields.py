"""What the canonical model says of a field."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel

from suture.model.events import EVENT_TYPES


@lru_cache(256)
def field_type(model: type[BaseModel], name: str) -> tuple[type, bool]:
    """The type of a field (str, Decimal, datetime) and whether every event has it."""
    info = model.model_fields[name]
    kinds: list[Any] = [kind for kind in get_args(info.annotation) if kind is not type(None)]
    return (kinds[0] if kinds else info.annotation), info.is_required()  # type: ignore[return-value]


CANONICAL_FIELDS = frozenset(name for model in EVENT_TYPES.values() for name in model.model_fields)
"""The fields of all events."""
