"""What the pipeline needs of the world outside: the engine makes one for all its channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from suture.ports import Backlog, Clock, Journal, Observer


@dataclass(frozen=True, slots=True)
class World:
    """may_send: asked before each send begins; when it says no, the lanes pause until `resume`."""

    journal: Journal
    backlog: Backlog
    clock: Clock
    observer: Observer
    random: Callable[[], float]
    may_send: Callable[[], bool] = lambda: True
