"""What the store remembers of earlier messages: what became of them, and the sequence numbers of their senders."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import Connection, select

from suture.model import states
from suture.model.fault import Fault
from suture.ports import Failed, Journal, Past, Work
from suture.store import state as facts
from suture.store.tables import exception, sequence_number
from suture.store.views import delivery, message

CHAIN_MAX = 100
"""Repetitions of repetitions that are followed back to the message that was processed."""


class Memory:
    """The store's memory, for the pipeline: each is a `Work` of this journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def recall(self, number: int, done: Callable[[Past], None], failed: Failed) -> None:
        """What became of a message."""
        self._journal.write(Work("recall", partial(recall, number=number), done, failed))

    def numbers(self, channel: str, done: Callable[[dict[str, int | None]], None], failed: Failed) -> None:
        """The sequence number that is expected next of each sender."""
        self._journal.write(Work("sequence", partial(expected_numbers, channel=channel), done, failed))

    def put_number(self, channel: str, sender: str, expected: int | None, at_us: int, done: Callable[[], None], failed: Failed) -> None:
        """Remember the number that is expected next of this sender."""
        self._put({"channel": channel, "direction": "in", "partner": sender}, {"number": expected, "updated_at_us": at_us}, done, failed)

    def sent(self, channel: str, destination: str, done: Callable[[tuple[int, int] | None], None], failed: Failed) -> None:
        """The sequence number that was given last, and the delivery that it was given to."""
        self._journal.write(Work("sequence", partial(last_sent, channel=channel, destination=destination), done, failed))

    def put_sent(
        self, channel: str, destination: str, number: int, delivery_id: int, at_us: int, done: Callable[[], None], failed: Failed
    ) -> None:
        """Remember that this delivery goes out under this number."""
        values = {"number": number, "delivery_id": delivery_id, "updated_at_us": at_us}
        self._put({"channel": channel, "direction": "out", "partner": destination}, values, done, failed)

    def _put(self, keys: dict[str, Any], values: dict[str, Any], done: Callable[[], None], failed: Failed) -> None:
        self._journal.write(Work("sequence", lambda c: facts.put(c, sequence_number, keys, values), lambda _: done(), failed))


def expected_numbers(connection: Connection, channel: str) -> dict[str, int | None]:
    """The sequence number that is expected next of each sender of a channel."""
    n = sequence_number.c
    rows = connection.execute(select(n.partner, n.number).where(n.channel == channel, n.direction == "in"))
    return {row.partner: row.number for row in rows}


def last_sent(connection: Connection, channel: str, destination: str) -> tuple[int, int] | None:
    """The sequence number that a destination was given last, and the delivery that it was given to."""
    n = sequence_number.c
    where = (n.channel == channel, n.direction == "out", n.partner == destination)
    row = connection.execute(select(n.number, n.delivery_id).where(*where)).first()
    return None if row is None else (row.number, row.delivery_id)


def recall(connection: Connection, number: int) -> Past:
    """The message that was stored first with these bytes: its state, what is open against it, and its deliveries.

    A delivery that was sent again counts by its last resend.
    """
    number, state = _first(connection, number)
    e, d = exception.c, delivery.c
    open_ones = (e.message_id == number, e.delivery_id.is_(None), e.resolved_at_us.is_(None), e.stage != states.BATCH_STAGE)
    asked = select(e.code, e.stage, e.path, e.reason, e.line).where(*open_ones).order_by(e.id)
    faults = [Fault(*row) for row in connection.execute(asked)]
    rows = connection.execute(select(d.id, d.destination, d.state, d.original_id).where(d.message_id == number).order_by(d.id)).all()
    replaced = {row.original_id for row in rows if row.original_id}
    return Past(number, state, faults, [(row.id, row.destination, row.state) for row in rows if row.id not in replaced])


def _first(connection: Connection, number: int) -> tuple[int, str]:
    m = message.c
    for _ in range(CHAIN_MAX):
        row = connection.execute(select(m.state, m.duplicate_of).where(m.id == number)).first()
        if row is None:
            return number, states.PROCESSED  # it was purged since: it had come to its end
        if row.state != states.DUPLICATE or not row.duplicate_of:
            return number, row.state
        number = row.duplicate_of
    return number, states.PROCESSED
