"""What Suture's store says about a day, line by line, read only and with nothing but the store's own rows."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from suture.model.states import DELIVERED
from suture.model.views import ExceptionView
from suture.store import content, queries
from suture.store.engine import open_engine
from suture.store.summary import balance
from suture.wire.hl7v2.text import er7

_MESSAGES = "SELECT id, state, duplicate_of FROM message ORDER BY id"
_BODIES = "SELECT b.message_id, b.coding, b.raw FROM message_body b JOIN message m ON m.id = b.message_id WHERE m.duplicate_of IS NULL"
_MADE = (
    "SELECT e.message_id, e.coding, e.body FROM made e JOIN message m ON m.id = e.message_id AND m.revision = e.revision WHERE e.part = 0"
)
_DELIVERIES = "SELECT message_id, destination, state, attempts, events, document FROM delivery WHERE original_id IS NULL"
_GAPS = "SELECT DISTINCT message_id, line FROM exception WHERE stage = 'map' AND line > 0"

Key = tuple[int, int]
"""(message, line) or (message, number of event)"""


@dataclass(slots=True)
class Leg:
    """One destination. states: deliveries by state. attempts: beyond the first of each delivery.

    events: by type, how many its deliveries carry; delivered: of those, how many in deliveries the peer has taken.
    value, quantity: of the delivered events, the sums of `amount` and of `quantity`.
    uncovered, doubled: events that belong here and are in no delivery, or in more than one.
    """

    states: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    events: Counter[str] = field(default_factory=Counter)
    delivered: Counter[str] = field(default_factory=Counter)
    value: Decimal = Decimal(0)
    quantity: Decimal = Decimal(0)
    documents: set[str] = field(default_factory=set)
    uncovered: int = 0
    doubled: int = 0


@dataclass(slots=True)
class Ledger:
    """The books. messages: by state. lines: by fate: event, duplicate, gap or filtered. torn: lines with two fates.

    events: by type, then raised or duplicate. wrong: what the store's own balance finds.
    """

    messages: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    lines: Counter[str] = field(default_factory=Counter)
    torn: int = 0
    events: dict[str, Counter[str]] = field(default_factory=dict)
    legs: dict[str, Leg] = field(default_factory=dict)
    exceptions: list[ExceptionView] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def received(self) -> int:
        """All messages."""
        return sum(self.messages.values())

    def raised(self, kind: str) -> int:
        """Events of a type, duplicates left out."""
        return self.events[kind]["raised"] if kind in self.events else 0


class Books:
    """Reads the store of a site. legs: destination to the patterns of event types it gets."""

    def __init__(self, url: str, channel: str, legs: Mapping[str, Iterable[str]]) -> None:
        self.channel = channel
        self.legs = {name: tuple(patterns) for name, patterns in legs.items()}
        self._database = open_engine(url, site=None, create=False)

    def close(self) -> None:
        """Let go of the database."""
        self._database.dispose()

    def received(self) -> int:
        """Messages stored so far."""
        return int(self._rows("SELECT count(*) FROM message")[0][0])

    def waiting(self, destination: str) -> int:
        """Deliveries of a destination that the engine still has to make."""
        states = "('queued', 'in_flight', 'retrying')"
        return int(self._rows(f"SELECT count(*) FROM delivery WHERE destination = '{destination}' AND state IN {states}")[0][0])

    def trouble(self, destination: str) -> str:
        """What the engine says is wrong with a destination, "" when nothing is."""
        rows = self._rows("SELECT destination, state, reason FROM destination_state")
        return next((str(reason) for name, state, reason in rows if name == destination and state != "ok"), "")

    def unsettled(self) -> int:
        """Messages and deliveries that the engine is still at."""
        with self._database.connect() as connection:
            return balance(connection, self.channel).unsettled

    def read(self) -> Ledger:
        """The whole ledger."""
        ledger = Ledger()
        events = self._events()
        self._messages(ledger)
        self._lines(ledger, events)
        for _, _, kind, _, state, _ in events:
            ledger.events.setdefault(kind, Counter())[state] += 1
        ledger.legs = self._legs(events)
        with self._database.connect() as connection:
            ledger.exceptions = queries.exceptions(connection, queries.ExceptionFilter(limit=1000))[::-1]
            ledger.wrong = balance(connection, self.channel).wrong
        return ledger

    def _rows(self, sql: str) -> list[Any]:
        with self._database.connect() as connection:
            return list(connection.exec_driver_sql(sql).fetchall())

    def _events(self) -> list[Any]:
        """(message, number, type, line, state, data) of every event of the newest processings."""
        with self._database.connect() as connection:
            return [
                (message, e.number, e.type, e.line, e.state, e.body)
                for message, coding, body in connection.exec_driver_sql(_MADE).fetchall()
                for e in content.opened(connection, coding, body).events
            ]

    def _raw(self) -> list[tuple[int, bytes]]:
        """Every message's bytes, exact repetitions left out."""
        with self._database.connect() as connection:
            return [(message, content.content(connection, *kept)) for message, *kept in connection.exec_driver_sql(_BODIES).fetchall()]

    def _messages(self, ledger: Ledger) -> None:
        for _, state, duplicate_of in self._rows(_MESSAGES):
            ledger.messages[state] += 1
            ledger.repeated += duplicate_of is not None

    def _lines(self, ledger: Ledger, events: list[Any]) -> None:
        """Give every FT1 of every message (but exact repetitions) its one fate."""
        fates: dict[Key, set[str]] = defaultdict(set)
        for message, _, kind, line, state, _ in events:
            if kind != "replenishment.due":
                fates[message, line].add("event" if state == "raised" else "duplicate")
        for message, line in self._rows(_GAPS):
            fates[message, line].add("gap")
        for message, raw in self._raw():
            for line in range(1, _count(raw) + 1):
                fate = fates.get((message, line), {"filtered"})
                ledger.torn += len(fate) > 1
                ledger.lines[min(fate)] += 1

    def _legs(self, events: list[Any]) -> dict[str, Leg]:
        legs = {name: Leg() for name in self.legs}
        raised = {(message, number): (kind, body) for message, number, kind, _, state, body in events if state == "raised"}
        carried: dict[str, Counter[Key]] = defaultdict(Counter)
        for message, destination, state, attempts, numbers, document in self._rows(_DELIVERIES):
            leg = legs.setdefault(destination, Leg())
            leg.states[state] += 1
            leg.attempts += max(0, attempts - 1)
            leg.documents |= {document} if document else set()
            keys = [(message, int(number)) for number in numbers.split(",")]
            carried[destination].update(keys)
            for key in keys:
                _carry(leg, *raised[key], delivered=state in DELIVERED)
        for name, patterns in self.legs.items():
            mine = [key for key, (kind, _) in raised.items() if any(fnmatchcase(kind, pattern) for pattern in patterns)]
            legs[name].uncovered = sum(not carried[name][key] for key in mine)
            legs[name].doubled = sum(count > 1 for count in carried[name].values())
        return legs


def _carry(leg: Leg, kind: str, body: bytes, delivered: bool) -> None:
    leg.events[kind] += 1
    if delivered:
        data = json.loads(body)
        leg.delivered[kind] += 1
        leg.value += Decimal(data.get("amount") or 0)
        leg.quantity += Decimal(data.get("quantity") or 0)


def _count(raw: bytes) -> int:
    """FT1 segments of a message; 0 when it is none."""
    return len(er7.Message.parse(raw).named("FT1")) if raw.startswith(b"MSH") else 0
