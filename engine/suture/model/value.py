"""What is handed from one part to another, and from one thread to another, and changes for nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct, field, structs


class Value(Struct, frozen=True):
    """A value: its fields are set once, when it is made, and to set one later raises AttributeError.

    Like a frozen dataclass, which costs ten times as much to make, and a NamedTuple, which costs twice as much, and three
    times as much to read from; an engine makes some twenty for each message.
    """


class Draft(Struct):
    """What one message is filled into on its way through a part: like a Value, and its fields may be set."""


def fresh(kind: Callable[[], Any]) -> Any:
    """The default of a field: one of its own for each, a list as a rule."""
    return field(default_factory=kind)


changed = structs.replace
"""changed(value, field=...): another value, which differs in these fields and is otherwise alike."""
