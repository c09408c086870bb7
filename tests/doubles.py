"""What stands in tests for a part of the world that has no say there; what waits in a store is no part of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from suture.pipeline.world import World
from suture.store.past import Memory


class Silent:
    """An observer that is told everything and does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given, **named: None


class Empty:
    """A backlog in which nothing waits."""

    def load(self, channel: str, destination: str, after_id: int, limit: int, done: Callable[[list[Any], bool], None]) -> None:
        done([], False)

    def load_lane(self, channel: str, destination: str, lane: str, *wanted: Any) -> None:
        self.load(channel, destination, *wanted)


def world(journal: Any, clock: Any, backlog: Any = None, **more: Any) -> World:
    """A world in which nothing is random, nobody observes, and nothing waits unless there is a backlog."""
    given = {"observer": Silent(), "memory": Memory(), "random": lambda: 0.0, **more}
    return World(journal, Empty() if backlog is None else backlog, clock, **given)
