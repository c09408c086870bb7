"""What the pipeline needs of the world outside; the engine makes one for all its channels."""

from __future__ import annotations

from collections.abc import Callable

from suture.model.value import Value
from suture.pipeline.turns import Soon
from suture.ports import Aside, Backlog, Held, Journal, Memory, Observer, TimeOfDay


class World(Value, frozen=True):
    """memory: what the store remembers of earlier messages. random: [0, 1).

    may_send: asked before each send begins; when it says no, the lanes pause until `resume`. soon(f): run f in the next turn
    of the reactor. aside: runs what takes long beside the reactor. held: where the bytes of messages in work are counted.
    """

    journal: Journal
    backlog: Backlog
    clock: TimeOfDay
    observer: Observer
    memory: Memory
    random: Callable[[], float]
    may_send: Callable[[], bool]
    soon: Soon
    aside: Aside
    held: Held
