"""What waits in the store, read on threads of its own and called back on the reactor."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, select

from suture.model import states
from suture.model.message import Message
from suture.ports import Delivery
from suture.store import content, dialect, faults
from suture.store.queries import in_parts, parts
from suture.store.tables import message_body, numbers, waiting
from suture.store.views import delivery, message

READ_BYTES = 16_777_216
"""Bodies that one read brings into memory, at most; a larger one comes alone."""

_WITH_BYTES = select(message, message_body.c.coding, message_body.c.raw).join(message_body, message_body.c.message_id == message.c.id)

CallBack = Callable[[Callable[[], None]], None]


class Reader:
    """Reads off the reactor's thread. threads: connections used at a time. retry_s: pause after a read that failed.

    bug(error): a read failed, and not because of the database; damaged(error): because of what waiting does not mend. Both are
    called on the reactor. Its threads keep no process from ending: one may be waiting for a database that does not answer.
    """

    def __init__(
        self,
        engine: Engine,
        call_back: CallBack,
        later: Callable[[float, Callable[[], None]], Any],
        bug: Callable[[Exception], None],
        damaged: Callable[[Exception], None] | None = None,
        threads: int = 2,
    ) -> None:
        self._engine, self._call_back, self._later, self._bug = engine, call_back, later, bug
        self._damaged = damaged or bug
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._numbers = itertools.count()
        self._since_s: dict[int, float] = {}
        self._stopped = False
        self._threads = [threading.Thread(target=self._work, name=f"reader-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()
        self.retry_s = 1.0

    _now = staticmethod(time.monotonic)

    def read(self, query: Callable[[Connection], Any], done: Callable[[Any], None]) -> None:
        """Run query(connection), then done(result) on the reactor; tried again until it can be done, for somebody waits for it."""
        number = next(self._numbers)
        self._since_s[number] = self._now()
        self._jobs.put(partial(self._try, number, query, done))

    def _try(self, number: int, query: Callable[[Connection], Any], done: Callable[[Any], None]) -> None:
        try:
            with self._engine.connect() as connection:
                result = query(connection)
        except Exception as e:
            self._call_back(partial(self._again, partial(self._try, number, query, done), e))
            return
        self._call_back(partial(self._answered, number, done, result))

    def _answered(self, number: int, done: Callable[[Any], None], result: Any) -> None:
        self._since_s.pop(number, None)
        done(result)

    def _again(self, job: Callable[[], None], error: Exception) -> None:
        kind = faults.sort(error).kind
        if kind in faults.FOR_GOOD:
            self._damaged(error)
        elif kind in (faults.OWN, faults.UNCLEAR):
            self._bug(error)
        self._later(self.retry_s, partial(self._jobs.put, job))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None and not self._stopped:
            job()

    def waiting_s(self) -> float:
        """Seconds that the oldest read has been waiting for its answer; called on the reactor."""
        return self._now() - next(iter(self._since_s.values())) if self._since_s else 0.0

    def stop(self) -> None:
        """Begin no more reads."""
        self._stopped = True
        for _ in self._threads:
            self._jobs.put(None)

    def load(
        self, channel: str, destination: str, lane: str | None, after_id: int, limit: int, done: Callable[[list[Delivery], bool], None]
    ) -> None:
        """As suture.ports.Backlog says."""
        d = delivery.c
        where = [d.channel == channel, d.destination == destination, d.state.in_(states.WAITING), d.payload.is_not(None)]
        where += [] if lane is None else [d.lane == lane]
        place = (channel, destination, after_id)
        self.read(lambda c: _waiting_part(c, place, where, limit), lambda found: done(*found))

    def load_received(self, channel: str, after_id: int, limit: int, done: Callable[[list[Message]], None]) -> None:
        """Messages that were stored and not processed, in order."""
        self.read(lambda c: received(c, channel, after_id, limit), done)


def _waiting_part(
    connection: Connection, place: tuple[str, str, int], where: Sequence[ColumnElement[bool]], limit: int
) -> tuple[list[Delivery], bool]:
    """The first waiting deliveries of a place, as far as they fit into READ_BYTES, and whether there are more."""
    found = _first(connection, delivery, place, where, limit)
    fitting = _fitting(found)
    return _whole_deliveries(connection, fitting), len(fitting) < len(found) or len(found) >= limit


def _first(connection: Connection, view: Table, place: tuple[str, str, int], where: Sequence[ColumnElement[bool]], limit: int) -> list[Any]:
    """Of what is open, the first (id, size_bytes) that fit, limit at most. place: channel, destination, and after which number.

    numbers.open_from is read before: what it goes past meanwhile is then found among those that are not behind.
    """
    channel, destination, after_id = place
    dialect.by_index(connection)
    v, w, kind = view.c, waiting.c, view.name
    mark = connection.execute(select(numbers.c.open_from).where(numbers.c.kind == kind)).scalar()
    asked = select(v.id, v.size_bytes).where(*where).order_by(v.id)
    found: list[Any] = []
    if mark is not None:
        there = (w.kind == kind, w.channel == channel, w.destination == destination, w.id > after_id, w.id < mark)
        left = select(v.id, v.size_bytes).join(waiting, w.id == v.id).where(*there, *where).order_by(w.id)
        found += connection.execute(left.limit(limit)).all()
        asked = asked.where(v.id >= mark)
    if len(found) < limit:
        found += connection.execute(asked.where(v.id > after_id).limit(limit - len(found))).all()
    return found


def _fitting(found: Sequence[Any]) -> list[int]:
    """Of (id, size_bytes) the numbers of those that are read with the first."""
    fitting: list[int] = []
    total = 0
    for number, size in found:
        total += size
        if fitting and total > READ_BYTES:
            break
        fitting.append(number)
    return fitting


def _whole_deliveries(connection: Connection, ids: Sequence[int]) -> list[Delivery]:
    found = _rows(connection, ids)
    payloads = content.Payloads(connection, found)
    return [delivery_of(row, payloads.of(row)) for row in found]


def _rows(connection: Connection, ids: Sequence[int]) -> list[Any]:
    """The rows of deliveries that have a payload, in order."""
    d = delivery.c
    return list(in_parts(connection, select(delivery).where(d.payload.is_not(None)).order_by(d.id), d.id, ids))


def delivery_of(row: Any, body: bytes) -> Delivery:
    """A row of delivery as a Delivery."""
    return Delivery(
        row.message_id,
        row.channel,
        row.destination,
        row.lane,
        body,
        row.idempotency_key,
        row.control_id,
        row.content_type,
        tuple(int(n) for n in row.events.split(",") if n),
        row.created_at_us,
        row.attempts,
        row.state,
        row.next_at_us,
        row.original_id,
        row.id,
    )


def deliveries_by_id(connection: Connection, ids: Sequence[int], bodies: bool = True) -> list[Delivery]:
    """Deliveries that have a payload, in order of their numbers; with their bodies, or with empty ones."""
    return _whole_deliveries(connection, ids) if bodies else [delivery_of(row, b"") for row in _rows(connection, ids)]


def received(connection: Connection, channel: str, after_id: int, limit: int) -> list[Message]:
    """Messages in state `received`, in order: so many, or as many as fit into READ_BYTES; none only when there are no more."""
    where = (message.c.channel == channel, message.c.state == states.RECEIVED)
    fitting = _fitting(_first(connection, message, (channel, "", after_id), where, limit))
    return [m for part in parts(fitting) for m, _ in whole(connection, message.c.id.in_(part))]


def whole(connection: Connection, *which: ColumnElement[bool]) -> list[tuple[Message, int]]:
    """Messages with their bytes, in order, and the revision of each."""
    found = connection.execute(_WITH_BYTES.where(*which).order_by(message.c.id)).all()
    return [(_message_of(row, content.content(connection, row.coding, row.raw)), row.revision) for row in found]


def _message_of(row: Any, raw: bytes) -> Message:
    return Message(row.channel, raw, row.received_at_us, row.control_id, row.type, row.sender, row.peer, row.id)
