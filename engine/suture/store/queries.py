"""Reading messages, deliveries and exceptions. What is shown comes back as the views of model/views.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, func, or_, select

from suture.model import states
from suture.model.outcome import apart
from suture.model.search import selective_first
from suture.model.value import Value
from suture.model.views import AttemptView, DeliveryView, ExceptionView, MessageView, View
from suture.store import search
from suture.store.replay import Known, Whole
from suture.store.tables import attempt, exception, queued, received
from suture.store.views import OPEN_STATES, delivery, delivery_open, message, message_open

V = TypeVar("V", bound=View)

_CONTENT = ("response", "lane")
"""Columns that hold, or may hold, what identifies a patient: read only to be shown."""
MAX_ID = (1 << 63) - 1
CLOCK_SLACK_US = 600_000_000
"""How far a clock may have been set back: ids grow, and times grow with them but for that."""


class Page(Value, frozen=True, kw_only=True):
    """What every list can be narrowed by: every field that is set must fit. since_us and until_us: when, until not included.

    before_id: only older ones (the next page: the last id of the page before). limit: most rows that come back.
    """

    since_us: int | None = None
    until_us: int | None = None
    before_id: int | None = None
    limit: int = 50


class MessageFilter(Page, frozen=True, kw_only=True):
    """Which messages; times are when they were received. find: (kind, value) pairs that they are filed under, all of them."""

    channel: str | None = None
    state: str | None = None
    control_id: str | None = None
    find: tuple[tuple[str, str], ...] = ()


class DeliveryFilter(Page, frozen=True, kw_only=True):
    """Which deliveries; times are when they were made."""

    channel: str | None = None
    destination: str | None = None
    state: str | None = None
    message_id: int | None = None


class ExceptionFilter(Page, frozen=True, kw_only=True):
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
    open: bool | None = True


class ReleaseFilter(DeliveryFilter, frozen=True, kw_only=True):
    """Which held and dead deliveries that an open exception tells of: code, table, value and field are of it, as above."""

    limit: int = 1000
    code: str | None = None
    table: str | None = None
    value: str | None = None
    field: str | None = None


class AuditFilter(Page, frozen=True, kw_only=True):
    """Which lines of the audit. actor: with or without what comes before its colon. target: a part of it."""

    actor: str | None = None
    verb: str | None = None
    target: str | None = None


_TABLES: dict[type[View], Table] = {
    MessageView: message,
    DeliveryView: delivery,
    AttemptView: attempt,
    ExceptionView: exception,
}


def shown(connection: Connection, kind: type[V], *which: ColumnElement[bool], content: bool = False, **more: Any) -> list[V]:
    """What a view shows of the rows that fit, in the order of their keys. content: with what may identify a patient.

    more: fields that are in no column.
    """
    return _views(connection, kind, _of(kind, content).where(*which).order_by(*_TABLES[kind].primary_key), **more)


def one(connection: Connection, kind: type[V], which: ColumnElement[bool], content: bool = False) -> V | None:
    """The same of a row that there may be."""
    return next(iter(shown(connection, kind, which, content=content)), None)


def _of(kind: type[View], content: bool = False, table: Table | None = None) -> Select[Any]:
    columns = (_TABLES[kind] if table is None else table).c
    return select(*(columns[name] for name in kind.__struct_fields__ if name in columns and (content or name not in _CONTENT)))


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
    table = message_open if wanted.state == states.RECEIVED and not wanted.find else message
    t = table.c
    conditions = _equal((t.channel, wanted.channel), (t.state, wanted.state), (t.control_id, wanted.control_id))
    if wanted.find:
        return _searched(connection, wanted, [*conditions, *between(t.received_at_us, wanted)])
    return _page(connection, MessageView, table, wanted, conditions)


def _searched(connection: Connection, wanted: MessageFilter, conditions: list[ColumnElement[bool]]) -> list[MessageView]:
    found: list[MessageView] = []
    t = message.c
    for ids in search.find(connection, selective_first([*wanted.find]), *_id_range(connection, MessageView, wanted)):
        for part in parts(ids):
            statement = _of(MessageView).where(t.id.in_(part), *conditions).order_by(t.id.desc())
            found += _views(connection, MessageView, statement.limit(wanted.limit - len(found)))
            if len(found) >= wanted.limit:
                return found
    return found


def wholes(connection: Connection, ids: Iterable[int]) -> list[Whole]:
    """These messages, as the rules of replay.py look at them, by id; those that are not there are left out.

    The fault of a message that is parked is the one of its exceptions that its reason tells: it may have others, about its batch.
    """
    m, e = message.c, exception.c
    parked_for = (e.message_id == m.id) & e.delivery_id.is_(None) & (m.reason == e.code + ": " + e.reason)
    fault = (func.coalesce(e.stage, ""), func.coalesce(e.code, ""))
    statement = select(m.id, m.channel, m.state, m.duplicate_of, *fault).outerjoin(exception, parked_for).order_by(m.id)
    return list({row.id: Whole(*row) for row in in_parts(connection, statement, m.id, ids)}.values())


def deliveries(connection: Connection, wanted: DeliveryFilter) -> list[DeliveryView]:
    """Deliveries newest first, without content; those that wait are found without looking at the others."""
    table = delivery_open if wanted.state in OPEN_STATES["delivery"] else delivery
    return _page(connection, DeliveryView, table, wanted, _of_delivery(wanted, table))


def _of_delivery(wanted: DeliveryFilter, table: Table) -> list[ColumnElement[bool]]:
    t = table.c
    same = ((t.channel, wanted.channel), (t.destination, wanted.destination), (t.state, wanted.state), (t.message_id, wanted.message_id))
    return _equal(*same)


def without_payload() -> ColumnElement[bool]:
    """The condition on `delivery` that no payload could be made for it (unrendered.py)."""
    return delivery.c.payload.is_(None)


def known(connection: Connection, message_ids: Iterable[int]) -> list[Known]:
    """All deliveries of these messages, as the rules of replay.py look at them."""
    d = delivery.c
    about = (d.id, d.message_id, d.channel, d.destination, d.state, d.idempotency_key, d.events, without_payload())
    found = in_parts(connection, select(*about).order_by(d.id), d.message_id, message_ids)
    return [_known(*row) for row in found]


def _known(number: int, message_id: int, channel: str, destination: str, state: str, key: str, events: str, bare: Any) -> Known:
    return Known(number, message_id, channel, destination, state, key, frozenset(map(int, (events or "0").split(","))), bool(bare))


def known_with(connection: Connection, ids: Iterable[int]) -> list[Known]:
    """These deliveries, and all others of their messages; those that are not there are left out."""
    d = delivery.c
    return known(connection, {row.message_id for row in in_parts(connection, select(d.message_id), d.id, ids)})


def exceptions(connection: Connection, wanted: ExceptionFilter) -> list[ExceptionView]:
    """Exceptions newest first."""
    t = exception.c
    conditions = [*_equal((t.channel, wanted.channel), (t.stage, wanted.stage), (t.message_id, wanted.message_id)), *_about(wanted)]
    if wanted.destination is not None:
        conditions += [t.field == wanted.destination, t.delivery_id.is_not(None)]
    if wanted.open is not None:
        conditions.append(t.resolved_at_us.is_(None) if wanted.open else t.resolved_at_us.is_not(None))
    return _page(connection, ExceptionView, exception, wanted, conditions)


def _about(wanted: ExceptionFilter | ReleaseFilter) -> list[ColumnElement[bool]]:
    """What an exception is about."""
    t = exception.c
    found = _equal((t.code, wanted.code), (t.table_name, wanted.table), (t.value, wanted.value))
    if wanted.field is not None:
        found.append(or_(t.field == wanted.field, t.path == wanted.field))
    return found


def releasable(connection: Connection, wanted: ReleaseFilter) -> list[int]:
    """Held and dead deliveries that wait for a person, the oldest first: those of which an exception is open."""
    e, d = exception.c, delivery.c
    waits = (e.resolved_at_us.is_(None), d.state.in_((states.HELD, states.DEAD)))
    statement = select(d.id).distinct().join(exception, (e.delivery_id == d.id) & (e.message_id == d.message_id)).where(*waits)
    statement = statement.where(*_of_delivery(wanted, delivery), *_about(wanted), *between(d.created_at_us, wanted), *before(d.id, wanted))
    return list(connection.execute(statement.order_by(d.id).limit(wanted.limit)).scalars())


def first_id(connection: Connection, table: Table, at: ColumnElement[int], since_us: int) -> int:
    """The lowest id whose row is of since_us or later, found by halving: rows are made in the order of their times.

    Clocks are set back now and then: the answer is for a moment CLOCK_SLACK_US earlier, so compare times as well.
    """
    since_us -= CLOCK_SLACK_US
    low, last = search.ends(connection, table.c.id)
    high = last + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(select(table.c.id, at).where(table.c.id >= middle).order_by(table.c.id).limit(1)).first()
        if row is None or row[1] >= since_us:
            high = middle
        else:
            low = row[0] + 1
    return low


_TIMES: dict[type[View], tuple[Table, ColumnElement[int]]] = {
    MessageView: (received, received.c.received_at_us),
    DeliveryView: (queued, queued.c.created_at_us),
    ExceptionView: (exception, exception.c.opened_at_us),
}
"""The table that has the numbers of a view and their times."""


def _id_range(connection: Connection, kind: type[View], wanted: Page) -> tuple[int, int]:
    table, at = _TIMES[kind]
    low = first_id(connection, table, at, wanted.since_us) if wanted.since_us is not None else 0
    high = wanted.before_id - 1 if wanted.before_id is not None else MAX_ID
    if wanted.until_us is not None:
        high = min(high, first_id(connection, table, at, wanted.until_us + 2 * CLOCK_SLACK_US))
    return low, high


def _equal(*pairs: tuple[ColumnElement[Any], Any]) -> list[ColumnElement[bool]]:
    return [column == value for column, value in pairs if value is not None]


def between(column: ColumnElement[int], wanted: Page) -> list[ColumnElement[bool]]:
    """The conditions that a time fits."""
    since = [] if wanted.since_us is None else [column >= wanted.since_us]
    return since if wanted.until_us is None else [*since, column < wanted.until_us]


def before(column: ColumnElement[int], wanted: Page) -> list[ColumnElement[bool]]:
    """The condition that a row is of this page or a later one."""
    return [] if wanted.before_id is None else [column < wanted.before_id]


def _page(connection: Connection, kind: type[V], table: Table, wanted: Page, conditions: list[ColumnElement[bool]]) -> list[V]:
    """Newest first, of the rows of a table that fit."""
    at = table.c[_TIMES[kind][1].name]
    fit = (*conditions, *between(at, wanted), table.c.id.between(*_id_range(connection, kind, wanted)))
    return _views(connection, kind, _of(kind, table=table).where(*fit).order_by(table.c.id.desc()).limit(wanted.limit))


def parts(ids: list[int], size: int = 500) -> Iterator[list[int]]:
    """Numbers in parts of as many as a statement, or a request, takes."""
    return (ids[start : start + size] for start in range(0, len(ids), size))


def in_parts(connection: Connection, statement: Any, column: ColumnElement[int], ids: Iterable[int]) -> Iterator[Any]:
    """The rows of a statement, or those that an update returns, whose column is one of these; a statement takes only so many."""
    for part in parts(sorted(set(ids))):
        yield from connection.execute(statement.where(column.in_(part)))
