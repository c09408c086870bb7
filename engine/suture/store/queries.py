"""Reading messages, deliveries and exceptions. What is shown comes back as the views of model/views.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, exists, func, literal_column, or_, select

from suture.model import states
from suture.model.outcome import apart
from suture.model.search import selective_first
from suture.model.value import Value
from suture.model.views import AttemptView, DeliveryView, EventView, ExceptionView, MessageView, View
from suture.store import search
from suture.store.replay import Known, Whole
from suture.store.tables import OPEN, attempt, delivery, delivery_body, event, exception, message, message_body

V = TypeVar("V", bound=View)

_CONTENT = ("body", "response", "lane")
"""Columns that hold, or may hold, what identifies a patient: read only to be shown."""
MAX_ID = (1 << 63) - 1
CLOCK_SLACK_US = 600_000_000
"""How far a clock may have been set back: ids grow, and times grow with them but for that."""

# Word for word the conditions of the partial indexes: a database uses them for nothing else.
OPEN_DELIVERY: ColumnElement[bool] = literal_column(OPEN)
OPEN_MESSAGE: ColumnElement[bool] = literal_column("state = 'received'")


class MessageFilter(Value, frozen=True):
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


class DeliveryFilter(Value, frozen=True):
    """Which deliveries; fields as in MessageFilter, times are when they were made."""

    channel: str | None = None
    destination: str | None = None
    state: str | None = None
    message_id: int | None = None
    since_us: int | None = None
    until_us: int | None = None
    before_id: int | None = None
    limit: int = 50


class ExceptionFilter(Value, frozen=True):
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


class ReleaseFilter(Value, frozen=True):
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


def _of(kind: type[View], table: Table, content: bool = False) -> Select[Any]:
    """What a view shows of a table, with or without content."""
    return select(*(table.c[name] for name in kind.__struct_fields__ if name in table.c and (content or name not in _CONTENT)))


def _views(connection: Connection, kind: type[V], statement: Select[Any], **more: Any) -> list[V]:
    """The rows of a statement; the partner's own words, which stand behind a reason, for themselves too (they may name a patient)."""
    rows = connection.execute(statement).mappings()
    if "words" in kind.__struct_fields__:
        return [kind(**row, **more, words=apart(row["reason"])[1]) for row in rows]
    return [kind(**row, **more) for row in rows]


def messages(connection: Connection, wanted: MessageFilter) -> list[MessageView]:
    """Messages newest first. By what they are filed under or control id: under a second on millions.

    By state or channel alone, rows are read backwards until `limit` are found: about half a second a million.
    """
    conditions = _message_conditions(wanted)
    low, high = _id_range(connection, message, message.c.received_at_us, wanted)
    if wanted.find:
        return _searched(connection, wanted, conditions, low, high)
    statement = _page(_of(MessageView, message), message, conditions, low, high, wanted.limit)
    if wanted.state == states.RECEIVED:
        statement = statement.where(OPEN_MESSAGE)
    return _views(connection, MessageView, statement)


def _message_conditions(wanted: MessageFilter) -> list[ColumnElement[bool]]:
    t = message.c
    return [
        *_equal((t.channel, wanted.channel), (t.state, wanted.state), (t.control_id, wanted.control_id)),
        *_between(t.received_at_us, wanted.since_us, wanted.until_us),
    ]


def _searched(
    connection: Connection, wanted: MessageFilter, conditions: list[ColumnElement[bool]], low: int, high: int
) -> list[MessageView]:
    found: list[MessageView] = []
    for ids in search.find(connection, selective_first([*wanted.find]), low, high):
        for part in _parts(ids, 500):
            statement = _of(MessageView, message).where(message.c.id.in_(part), *conditions).order_by(message.c.id.desc())
            found += _views(connection, MessageView, statement.limit(wanted.limit - len(found)))
            if len(found) >= wanted.limit:
                return found
    return found


def message_row(connection: Connection, message_id: int) -> MessageView | None:
    """One message without its body."""
    return _one(_views(connection, MessageView, _of(MessageView, message).where(message.c.id == message_id)))


def copies(connection: Connection, original: MessageView) -> list[MessageView]:
    """Later messages with the same bytes."""
    t = message.c
    statement = _of(MessageView, message).where(t.control_id == original.control_id, t.sender == original.sender)
    return _views(connection, MessageView, statement.where(t.duplicate_of == original.id).order_by(t.id))


def wholes(connection: Connection, ids: Iterable[int]) -> list[Whole]:
    """These messages, as the rules of replay.py look at them, by id; those that are not there are left out.

    The fault of a message that is parked is the one of its exceptions that its reason tells: it may have others, about its batch.
    """
    m, e = message.c, exception.c
    parked_for = (e.message_id == m.id) & e.delivery_id.is_(None) & (m.reason == e.code + ": " + e.reason)
    fault = (func.coalesce(e.stage, ""), func.coalesce(e.code, ""))
    statement = select(m.id, m.channel, m.state, m.duplicate_of, *fault).outerjoin(exception, parked_for).order_by(m.id)
    return list({row.id: Whole(*row) for row in _in_parts(connection, statement, m.id, ids)}.values())


def raw(connection: Connection, message_id: int) -> bytes | None:
    """The bytes as received (PHI)."""
    return _body(connection.execute(select(message_body.c.raw).where(message_body.c.message_id == message_id)).scalar())


def events(connection: Connection, message_id: int, content: bool) -> list[EventView]:
    """A message's events in order, of every time it was processed: the revision says which."""
    statement = _of(EventView, event, content).where(event.c.message_id == message_id).order_by(event.c.revision, event.c.number)
    return _views(connection, EventView, statement)


def deliveries(connection: Connection, wanted: DeliveryFilter) -> list[DeliveryView]:
    """Deliveries newest first, without content; those that wait come from an index of their own."""
    t = delivery.c
    conditions = [
        *_equal((t.channel, wanted.channel), (t.destination, wanted.destination), (t.state, wanted.state)),
        *_equal((t.message_id, wanted.message_id)),
        *_between(t.created_at_us, wanted.since_us, wanted.until_us),
    ]
    low, high = _id_range(connection, delivery, t.created_at_us, wanted)
    shown = _of(DeliveryView, delivery)
    if wanted.state in (*states.WAITING, states.HELD):
        # The plus keeps a database from walking the primary key, which would look as good to it.
        key: ColumnElement[int] = literal_column("+id")
        statement = shown.where(OPEN_DELIVERY, *conditions, key.between(low, high)).order_by(key.desc()).limit(wanted.limit)
    else:
        statement = _page(shown, delivery, conditions, low, high, wanted.limit)
    return _views(connection, DeliveryView, statement)


def without_payload() -> ColumnElement[bool]:
    """The condition on `delivery` that no payload could be made for it (unrendered.py)."""
    return ~exists().where(delivery_body.c.delivery_id == delivery.c.id)


def known(connection: Connection, message_ids: Iterable[int]) -> list[Known]:
    """All deliveries of these messages, as the rules of replay.py look at them."""
    return _known(connection, delivery.c.message_id, message_ids)


def known_with(connection: Connection, ids: Iterable[int]) -> list[Known]:
    """These deliveries, and all others of their messages; those that are not there are left out."""
    return known(connection, {d.message_id for d in _known(connection, delivery.c.id, ids)})


def _known(connection: Connection, column: ColumnElement[int], ids: Iterable[int]) -> list[Known]:
    d = delivery.c
    about = (d.id, d.message_id, d.channel, d.destination, d.state, d.idempotency_key, d.events, without_payload())
    found = _in_parts(connection, select(*about).order_by(d.id), column, ids)
    return [_one_known(*row) for row in found]


def _one_known(number: int, message_id: int, channel: str, destination: str, state: str, key: str, events: str, bare: Any) -> Known:
    own = frozenset(map(int, (events or "0").split(",")))
    return Known(number, message_id, channel, destination, state, key, own, bool(bare))


def delivery_row(connection: Connection, delivery_id: int, content: bool = False) -> DeliveryView | None:
    """One delivery without its body; content: with its lane."""
    return _one(_views(connection, DeliveryView, _of(DeliveryView, delivery, content).where(delivery.c.id == delivery_id)))


def deliveries_of(connection: Connection, message_id: int) -> list[DeliveryView]:
    """All deliveries of a message, in the order they were made, without content."""
    d = delivery.c
    return _views(connection, DeliveryView, _of(DeliveryView, delivery).where(d.message_id == message_id).order_by(d.id))


def payload(connection: Connection, delivery_id: int) -> bytes | None:
    """The bytes that go out (PHI)."""
    return _body(connection.execute(select(delivery_body.c.body).where(delivery_body.c.delivery_id == delivery_id)).scalar())


def attempts(connection: Connection, delivery_ids: list[int], content: bool = False, **more: Any) -> list[AttemptView]:
    """What was tried of these deliveries, in order; content: with the responses."""
    t = attempt.c
    statement = _of(AttemptView, attempt, content).where(t.delivery_id.in_(delivery_ids)).order_by(t.delivery_id, t.number)
    return _views(connection, AttemptView, statement, **more)


def exceptions(connection: Connection, wanted: ExceptionFilter) -> list[ExceptionView]:
    """Exceptions newest first."""
    t = exception.c
    conditions = [*_equal((t.channel, wanted.channel), (t.stage, wanted.stage)), *_about(wanted)]
    if wanted.destination is not None:
        conditions += [t.field == wanted.destination, t.delivery_id.is_not(None)]
    conditions += _between(t.opened_at_us, wanted.since_us, wanted.until_us)
    if wanted.open is not None:
        conditions.append(t.resolved_at_us.is_(None) if wanted.open else t.resolved_at_us.is_not(None))
    low, high = _id_range(connection, exception, t.opened_at_us, wanted)
    return _views(connection, ExceptionView, _page(_of(ExceptionView, exception), exception, conditions, low, high, wanted.limit))


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


def exception_rows(connection: Connection, ids: Iterable[int]) -> list[ExceptionView]:
    """These exceptions, by id; those that are not there are left out."""
    statement = _of(ExceptionView, exception).order_by(exception.c.id)
    parts = (statement.where(exception.c.id.in_(part)) for part in _parts(sorted(set(ids)), 500))
    return [one for part in parts for one in _views(connection, ExceptionView, part)]


def exceptions_of(connection: Connection, message_id: int) -> list[ExceptionView]:
    """All exceptions of a message, in the order they were opened."""
    statement = _of(ExceptionView, exception).where(exception.c.message_id == message_id)
    return _views(connection, ExceptionView, statement.order_by(exception.c.id))


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


def _in_parts(connection: Connection, statement: Select[Any], column: ColumnElement[int], ids: Iterable[int]) -> list[Any]:
    """The rows of a statement whose column is one of these; a statement takes only so many."""
    return [row for part in _parts(sorted(set(ids)), 500) for row in connection.execute(statement.where(column.in_(part)))]


def _one(found: list[V]) -> V | None:
    return found[0] if found else None


def _body(value: Any) -> bytes | None:
    return None if value is None else bytes(value)
