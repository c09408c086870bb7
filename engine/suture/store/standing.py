"""Whether a store's engine is at work, told from what nobody's clock can falsify: the lock, and the progress of its heartbeat.

A heartbeat is a time of day of the engine's machine. It counts as fresh where it is a few seconds old by the reader's clock;
one that is old, or in the future, says nothing by itself: then it has to be seen to change.
"""

from __future__ import annotations

from sqlalchemy import Connection

from suture.model.value import Value, fresh
from suture.store import ownership, tenure
from suture.store.state import HEARTBEAT, PHASE, RUNNING, STARTING, STOPPING, STORE, engine_facts
from suture.store.tenure import Owner

_STOPPED = "stopped_at_us"
_INNER = ("journal", "owner", HEARTBEAT, _STOPPED, PHASE)
ALIVE_US = 5_000_000
"""A heartbeat that is older than this is no sign of life."""

NEVER, STOPPED_WELL, DEAD, SILENT = "never", "stopped", "dead", "silent"
AT_WORK = (STARTING, RUNNING, STOPPING)
ABSENT = (NEVER, STOPPED_WELL, DEAD)


class Standing(Value, frozen=True):
    """What a store knows of its engine.

    state: never (there was none), stopped (it said goodbye), dead (it ended without one), silent (it holds the store, and
    gives no sign of life), starting, running, stopping. heartbeat_us: its last sign of life, by its own clock. owner: who
    has the store, or had it last. facts: what it says about itself (pid, version, ...), as text.
    """

    state: str
    heartbeat_us: int | None = None
    owner: Owner | None = None
    facts: dict[str, str] = fresh(dict)

    @property
    def at_work(self) -> bool:
        """Whether there is an engine that does its work, or begins or ends it."""
        return self.state in AT_WORK


def standing(connection: Connection, now_us: int, seen_us: int | None = None) -> Standing:
    """seen_us: a heartbeat that was read a while ago; another one now is a sign of life, whatever the clocks say."""
    owner = tenure.owner(connection)
    told = engine_facts(connection, owner.node if owner else STORE)
    facts = {name: value for name, value in told.items() if name not in _INNER}
    beat_us = _number(told.get(HEARTBEAT))
    state = _state(told, beat_us, owner, ownership.is_held(connection))
    if state in AT_WORK and beat_us is not None:
        fresh = 0 <= now_us - beat_us < ALIVE_US or (seen_us is not None and beat_us != seen_us)
        state = state if fresh else SILENT
    return Standing(state, beat_us, owner, facts)


def _state(told: dict[str, str], beat_us: int | None, owner: Owner | None, held: bool | None) -> str:
    """As far as it can be told without a clock."""
    if held:
        return told.get(PHASE, RUNNING)
    if beat_us is None:
        return NEVER
    released = owner.released if owner is not None else (_number(told.get(_STOPPED)) or 0) >= beat_us
    if released:
        return STOPPED_WELL
    return DEAD if held is False else told.get(PHASE, RUNNING)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
