"""Which fault comes when: pure, and the same for the same seed.

Faults of one track come one after the other; the tracks run beside each other, so that an engine is killed while its
store stands still and a peer lies.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Detail = Mapping[str, Any]

DRAIN_S = 1.0
"""limits.drain_s of the campaign's site."""
ANSWER_S = 4.0
"""How long its destinations wait for an answer."""
NOTICE_S = 5.0
"""How long a store may stand still before the engine has to say that it is not ready."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when it begins, in seconds from the start of the round, how long it stays, and what is particular to it."""

    track: str
    kind: str
    at_s: float
    for_s: float = 0.0
    detail: Detail = field(default_factory=dict)

    def __str__(self) -> str:
        said = " ".join(f"{name}={value}" for name, value in self.detail.items())
        return f"{self.at_s:6.1f} s {self.kind:<8} {f'for {self.for_s:.1f} s' if self.for_s else '':<10} {said}".rstrip()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault. databases: where it can be. make(chance): how long it stays, and its detail."""

    track: str
    about: str
    make: Callable[[random.Random], tuple[float, Detail]]
    databases: tuple[str, ...] = ("sqlite", "postgresql")


ENGINE, STORE, PEERS, POISON = "engine", "store", "peers", "poison"
GAP_S: Mapping[str, tuple[float, float]] = {ENGINE: (0.5, 5.0), STORE: (1.0, 6.0), PEERS: (0.2, 2.0), POISON: (1.0, 4.0)}
"""Pauses between the faults of a track, shortest and longest."""
SINKS = ("erp", "billing", "lab", "registry")
CHANNELS = ("charges", "adt")


def _for(shortest_s: float, longest_s: float) -> Callable[[random.Random], tuple[float, Detail]]:
    return lambda chance: (round(chance.uniform(shortest_s, longest_s), 2), {})


def _kill(chance: random.Random) -> tuple[float, Detail]:
    return round(chance.choice((0.0, 0.0, 1.5)), 2), {"wait": chance.random() < 0.6}


def _short_and_long(*around_s: float) -> Callable[[random.Random], tuple[float, Detail]]:
    """A time a little shorter or longer than one of these limits."""
    return lambda chance: (round(chance.choice(around_s) * chance.uniform(0.5, 1.8), 2), {})


def _verb(*verbs: str) -> Callable[[random.Random], tuple[float, Detail]]:
    """A channel's verb; three times of four with sends in flight that outlast the drain."""

    def make(chance: random.Random) -> tuple[float, Detail]:
        slow_s = round(chance.uniform(1.5, 2.5) * DRAIN_S, 2) if chance.random() < 0.75 else 0.0
        return 0.0, {"verb": chance.choice(verbs), "channel": chance.choice(CHANNELS), "slow_s": slow_s}

    return make


def _second(chance: random.Random) -> tuple[float, Detail]:
    return round(chance.uniform(3, 6), 2), {"way": chance.choice(("plain", "lock", "frozen"))}


def _lies(chance: random.Random) -> tuple[float, Detail]:
    return round(chance.uniform(3, 10), 2), {"sink": chance.choice(SINKS), "share": round(chance.choice((0.03, 0.1, 0.4)), 2)}


def _slow(chance: random.Random) -> tuple[float, Detail]:
    return round(chance.uniform(2, 5), 2), {"sink": chance.choice(SINKS), "after_s": round(chance.uniform(0.2, 0.8) * ANSWER_S, 2)}


def _down(chance: random.Random) -> tuple[float, Detail]:
    return round(chance.uniform(0.5, 5), 2), {"sink": chance.choice(SINKS)}


def _poison(chance: random.Random) -> tuple[float, Detail]:
    return round(chance.uniform(5, 12), 2), {"sink": chance.choice(("erp", "lab")), "account": str(chance.randrange(24))}


def _reset(chance: random.Random) -> tuple[float, Detail]:
    return round(chance.uniform(2, 6), 2), {"share": chance.choice((0.1, 0.5))}


KINDS: Mapping[str, Kind] = {
    "kill": Kind(ENGINE, "the engine is killed (SIGKILL) and started", _kill),
    "restart": Kind(ENGINE, "the engine is asked to end (SIGTERM) and started", _for(0, 0.5)),
    "freeze": Kind(ENGINE, "the engine stands still (SIGSTOP), for less and for more than its own limits", _short_and_long(0.5, ANSWER_S)),
    "channel": Kind(ENGINE, "a channel is stopped and started, or restarted, by the command", _verb("stop", "restart")),
    "reload": Kind(ENGINE, "a channel is reloaded by the command", _verb("reload")),
    "second": Kind(ENGINE, "a second engine is started on the same store, also when the first has lost its lock", _second),
    "stall": Kind(STORE, "the store stands still: a frozen server, a file that is locked", _short_and_long(0.5, 2.0, 2 * NOTICE_S)),
    "disk": Kind(STORE, "the disk of the store is full", _for(1, 6)),
    "backends": Kind(STORE, "the server ends the engine's sessions", _for(0, 0), ("postgresql",)),
    "server": Kind(STORE, "the server is killed and started", _for(0.2, 4), ("postgresql",)),
    "lies": Kind(PEERS, "a peer lies: late answers, others' answers, two answers, resets, silence, refusals", _lies),
    "slow": Kind(PEERS, "a peer answers slowly, within its time", _slow),
    "down": Kind(PEERS, "a peer is away", _down),
    "reset": Kind(PEERS, "senders reset their connections right behind a message", _reset),
    "poison": Kind(POISON, "a peer never takes the messages of one account; at the end they are still not taken", _poison),
}


def generate(seed: int, seconds: float, kinds: Sequence[str], database: str) -> tuple[Fault, ...]:
    """The faults of one round, in the order in which they begin; the same for the same arguments."""
    wanted = [name for name in KINDS if name in kinds and database in KINDS[name].databases]
    faults: list[Fault] = []
    for track in GAP_S:
        mine = [name for name in wanted if KINDS[name].track == track]
        if mine:
            faults += _track(random.Random(f"{seed}/{track}"), track, mine, seconds)
    return tuple(sorted(faults, key=lambda fault: (fault.at_s, fault.track)))


def _track(chance: random.Random, track: str, kinds: list[str], seconds: float) -> list[Fault]:
    """Each kind comes once before any comes again."""
    faults: list[Fault] = []
    at_s, bag = chance.uniform(*GAP_S[track]), list[str]()
    while True:
        bag = bag or chance.sample(kinds, len(kinds))
        kind = bag.pop()
        for_s, detail = KINDS[kind].make(chance)
        if at_s + for_s > seconds:
            return faults
        faults.append(Fault(track, kind, round(at_s, 2), for_s, detail))
        at_s += for_s + chance.uniform(*GAP_S[track])


def written(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    """Faults as JSON has them."""
    return [asdict(fault) for fault in faults]


def read(rows: Sequence[Mapping[str, Any]]) -> tuple[Fault, ...]:
    """Faults as `written` wrote them."""
    return tuple(Fault(**row) for row in rows)
