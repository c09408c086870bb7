"""Reading messages, deliveries and exceptions. Rows come back as dicts with the columns of store/tables.py as keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, exists, func, literal_column, or_, select

from suture.model import states
from suture.model.outcome import apart
from suture.model.search import selective_first
from suture.store import search
from suture.store.tables import OPEN, attempt, delivery, delivery_body, event, exception, message, message_body

Row = dict[str, Any]

MAX_ID = (1 << 63) - 1
CLOCK_SLACK_US = 600_000_000
"""How far a clock may have been set back: ids grow, and times grow with them but for that."""

# Word for word the conditions of the partial indexes: a database uses them for nothing else.
OPEN_DELIVERY: ColumnElement[bool] = literal_column(OPEN)
OPEN_MESSAGE: ColumnElement[bool] = literal_column("state = 'received'")


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages: every field that is set must fit. since_us and until_us: when received, until not included.

    find: (kind, value) pairs that the message is filed under, all of them. before_id: only older ones (the next page: the last id
    of the page before). limit: most rows that come back.
    """

    channel: str | None = None
    state: str | None = None
    control_id: str | None = None
    find: tuple[tuple[str, str], ...] = ()
    since_us: int | None = None
    until_us: int | None = None
    before_id: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries; fields as in MessageFilter, times are when they were made."""

    channel: str | None = None
    destination: str | None = None
    state: str | None = None
    message_id: int | None = None
    since_us: int | None = None
    until_us: int | None = None
    before_id: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class ExceptionFilter:
    """Which exceptions; open: True only those that wait, False only resolved ones, None both.

    destination: of the delivery that waits. table, value: the table and the code that it does not know. field: the canonical
    field, or the path or place. Times are when it was opened.
    """

    channel: str | None = None
    stage: str | None = None
    code: str | None = None
    message_id: int | None = None
    destination: str | None = None
    table: str | None = None
    value: str | None = None
    field: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    open: bool | None = True
    before_id: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class ReleaseFilter:
    """Which held and dead deliveries that an open exception tells of; fields as above, times are when the deliveries were made."""

    channel: str | None = None
    destination: str | None = None
    state: str | None = None
    code: str | None = None
    table: str | None = None
    value: str | None = None
    field: str | None = None
    message_id: int | None = None
    since_us: int | None = None
    until_us: int | None = None
    limit: int = 1000


def messages(connection: Connection, wanted: MessageFilter) -> list[Row]:
    """Messages newest first. By what they are filed under or control id: under a second on millions.

    By state or channel alone, rows are read backwards until `limit` are found: about half a second a million.
    """
    conditions = _message_conditions(wanted)
    low, high = _id_range(connection, message, message.c.received_at_us, wanted)
    if wanted.find:
        return _searched(connection, wanted, conditions, low, high)
    statement = _page(select(message), message, conditions, low, high, wanted.limit)
    if wanted.state == states.RECEIVED:
        statement = statement.where(OPEN_MESSAGE)
    return _rows(connection, statement)


def _message_conditions(wanted: MessageFilter) -> list[ColumnElement[bool]]:
    t = message.c
    return [
        *_equal((t.channel, wanted.channel), (t.state, wanted.state), (t.control_id, wanted.control_id)),
        *_between(t.received_at_us, wanted.since_us, wanted.until_us),
    ]


def _searched(connection: Connection, wanted: MessageFilter, conditions: list[ColumnElement[bool]], low: int, high: int) -> list[Row]:
    found: list[Row] = []
    for ids in search.find(connection, selective_first([*wanted.find]), low, high):
        for part in _parts(ids, 500):
            statement = select(message).where(message.c.id.in_(part), *conditions).order_by(message.c.id.desc())
            found += _rows(connection, statement.limit(wanted.limit - len(found)))
            if len(found) >= wanted.limit:
                return found
    return found


def message_row(connection: Connection, message_id: int) -> Row | None:
    """One message without its body."""
    return _one(connection, select(message).where(message.c.id == message_id))


def message_rows(connection: Connection, ids: list[int]) -> list[Row]:
    """These messages, by id; those that are not there are left out."""
    return _in_parts(connection, select(message).order_by(message.c.id), message.c.id, ids)


def raw(connection: Connection, message_id: int) -> bytes | None:
    """The bytes as received (PHI)."""
    return _body(connection.execute(select(message_body.c.raw).where(message_body.c.message_id == message_id)).scalar())


def events(connection: Connection, message_id: int) -> list[Row]:
    """A message's events in order, of every time it was processed: the row's revision says which (PHI in body)."""
    statement = select(event).where(event.c.message_id == message_id).order_by(event.c.revision, event.c.number)
    return _rows(connection, statement)


def deliveries(connection: Connection, wanted: DeliveryFilter) -> list[Row]:
    """Deliveries newest first; those that wait come from an index of their own."""
    t = delivery.c
    conditions = [
        *_equal((t.channel, wanted.channel), (t.destination, wanted.destination), (t.state, wanted.state)),
        *_equal((t.message_id, wanted.message_id)),
        *_between(t.created_at_us, wanted.since_us, wanted.until_us),
    ]
    low, high = _id_range(connection, delivery, t.created_at_us, wanted)
    if wanted.state in (*states.WAITING, states.HELD):
        # The plus keeps a database from walking the primary key, which would look as good to it.
        key: ColumnElement[int] = literal_column("+id")
        statement = select(delivery).where(OPEN_DELIVERY, *conditions, key.between(low, high)).order_by(key.desc()).limit(wanted.limit)
    else:
        statement = _page(select(delivery), delivery, conditions, low, high, wanted.limit)
    return _rows(connection, statement)


def deliveries_of(connection: Connection, message_ids: list[int]) -> list[Row]:
    """All deliveries of these messages, in the order they were made."""
    return _in_parts(connection, select(delivery).order_by(delivery.c.id), delivery.c.message_id, message_ids)


def without_payload() -> ColumnElement[bool]:
    """The condition on `delivery` that no payload could be made for it (unrendered.py)."""
    return ~exists().where(delivery_body.c.delivery_id == delivery.c.id)


def bare(connection: Connection, message_ids: Iterable[int]) -> frozenset[int]:
    """Which deliveries of these messages have no payload."""
    held = select(delivery.c.id).where(delivery.c.state == states.HELD, without_payload())
    return frozenset(row["id"] for row in _in_parts(connection, held, delivery.c.message_id, message_ids))


def delivery_rows(connection: Connection, ids: list[int]) -> list[Row]:
    """These deliveries, by id; those that are not there are left out."""
    return _in_parts(connection, select(delivery).order_by(delivery.c.id), delivery.c.id, ids)


def delivery_row(connection: Connection, delivery_id: int) -> Row | None:
    """One delivery without its body."""
    return _one(connection, select(delivery).where(delivery.c.id == delivery_id))


def payload(connection: Connection, delivery_id: int) -> bytes | None:
    """The bytes that go out (PHI)."""
    return _body(connection.execute(select(delivery_body.c.body).where(delivery_body.c.delivery_id == delivery_id)).scalar())


def attempts(connection: Connection, delivery_id: int) -> list[Row]:
    """A delivery's attempts in order (the response may hold PHI)."""
    return _rows(connection, select(attempt).where(attempt.c.delivery_id == delivery_id).order_by(attempt.c.number))


def exceptions(connection: Connection, wanted: ExceptionFilter) -> list[Row]:
    """Exceptions newest first."""
    t = exception.c
    conditions = [*_equal((t.channel, wanted.channel), (t.stage, wanted.stage)), *_about(wanted)]
    if wanted.destination is not None:
        conditions += [t.field == wanted.destination, t.delivery_id.is_not(None)]
    conditions += _between(t.opened_at_us, wanted.since_us, wanted.until_us)
    if wanted.open is not None:
        conditions.append(t.resolved_at_us.is_(None) if wanted.open else t.resolved_at_us.is_not(None))
    low, high = _id_range(connection, exception, t.opened_at_us, wanted)
    return _rows(connection, _page(select(exception), exception, conditions, low, high, wanted.limit))


def _about(wanted: ExceptionFilter | ReleaseFilter) -> list[ColumnElement[bool]]:
    """What an exception is about."""
    t = exception.c
    found = _equal((t.code, wanted.code), (t.message_id, wanted.message_id), (t.table_name, wanted.table), (t.value, wanted.value))
    if wanted.field is not None:
        found.append(or_(t.field == wanted.field, t.path == wanted.field))
    return found


def releasable(connection: Connection, wanted: ReleaseFilter) -> list[int]:
    """Held and dead deliveries that wait for a person, the oldest first: those of which an exception is open."""
    e, d = exception.c, delivery.c
    statement = select(d.id).distinct().join(exception, (e.delivery_id == d.id) & (e.message_id == d.message_id))
    conditions = _equal((d.channel, wanted.channel), (d.destination, wanted.destination), (d.state, wanted.state))
    conditions += [*_about(wanted), *_between(d.created_at_us, wanted.since_us, wanted.until_us)]
    waits = (e.resolved_at_us.is_(None), d.state.in_((states.HELD, states.DEAD)))
    return list(connection.execute(statement.where(*waits, *conditions).order_by(d.id).limit(wanted.limit)).scalars())


def exception_rows(connection: Connection, ids: list[int]) -> list[Row]:
    """These exceptions, by id; those that are not there are left out."""
    return _in_parts(connection, select(exception).order_by(exception.c.id), exception.c.id, ids)


def exception_row(connection: Connection, exception_id: int) -> Row | None:
    """One exception."""
    return _one(connection, select(exception).where(exception.c.id == exception_id))


def with_words(row: Row) -> Row:
    """The row with the partner's own words, which stand behind its reason, for themselves too (they may name a patient)."""
    return {**row, "words": apart(row["reason"])[1]}


def first_id(connection: Connection, table: Table, at: ColumnElement[int], since_us: int) -> int:
    """The lowest id whose row is of since_us or later, found by halving: rows are made in the order of their times.

    Clocks are set back now and then: the answer is for a moment CLOCK_SLACK_US earlier, so compare times as well.
    """
    since_us -= CLOCK_SLACK_US
    # Two statements: SQLite reads one end of the key for a min or a max alone, and all of it for both.
    low: int = connection.execute(select(func.min(table.c.id))).scalar() or 0
    high: int = (connection.execute(select(func.max(table.c.id))).scalar() or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(select(table.c.id, at).where(table.c.id >= middle).order_by(table.c.id).limit(1)).first()
        if row is None or row[1] >= since_us:
            high = middle
        else:
            low = row[0] + 1
    return low


def _id_range(
    connection: Connection, table: Table, at: ColumnElement[int], wanted: MessageFilter | DeliveryFilter | ExceptionFilter
) -> tuple[int, int]:
    low = first_id(connection, table, at, wanted.since_us) if wanted.since_us is not None else 0
    high = wanted.before_id - 1 if wanted.before_id is not None else MAX_ID
    if wanted.until_us is not None:
        high = min(high, first_id(connection, table, at, wanted.until_us + 2 * CLOCK_SLACK_US))
    return low, high


def _equal(*pairs: tuple[ColumnElement[Any], Any]) -> list[ColumnElement[bool]]:
    return [column == value for column, value in pairs if value is not None]


def _between(column: ColumnElement[int], since_us: int | None, until_us: int | None) -> list[ColumnElement[bool]]:
    since = [] if since_us is None else [column >= since_us]
    return since if until_us is None else [*since, column < until_us]


def _page(statement: Select[Any], table: Table, conditions: list[ColumnElement[bool]], low: int, high: int, limit: int) -> Select[Any]:
    return statement.where(*conditions, table.c.id.between(low, high)).order_by(table.c.id.desc()).limit(limit)


def _parts(ids: list[int], size: int) -> Iterator[list[int]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _in_parts(connection: Connection, statement: Select[Any], column: ColumnElement[int], ids: Iterable[int]) -> list[Row]:
    """The rows of a statement whose column is one of these; a statement takes only so many."""
    return [row for part in _parts(sorted(set(ids)), 500) for row in _rows(connection, statement.where(column.in_(part)))]


def _rows(connection: Connection, statement: Select[Any]) -> list[Row]:
    return [dict(row) for row in connection.execute(statement).mappings()]


def _one(connection: Connection, statement: Select[Any]) -> Row | None:
    row = connection.execute(statement).mappings().first()
    return dict(row) if row is not None else None


def _body(value: Any) -> bytes | None:
    return None if value is None else bytes(value)
