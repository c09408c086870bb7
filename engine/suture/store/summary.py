"""How a site is doing: status for an operator, and the balance of a channel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, case, exists, func, literal_column, select, union

from suture.model import states
from suture.model.made import counts
from suture.model.outcome import apart
from suture.model.views import Balance, ChannelStatus, DestinationStatus, Doubled, Refusal, Status
from suture.store.queries import first_id, in_parts
from suture.store.standing import Standing, standing
from suture.store.tables import channel_state, destination_state, exception, made, queued, received
from suture.store.views import OPEN_STATES, delivery, delivery_open, message, message_open

DAY_US = 86_400_000_000
RECENT_MESSAGES = 100_000


def recently(connection: Connection, now_us: int) -> int:
    """From when a status counts: a day ago, or the RECENT_MESSAGES newest messages, whichever is less to count."""
    r = received.c
    newest = connection.execute(select(func.max(r.id))).scalar() or 0
    first = select(r.received_at_us).where(r.id > newest - RECENT_MESSAGES).order_by(r.id).limit(1)
    return max(now_us - DAY_US, (connection.execute(first).scalar() or 0) if newest > RECENT_MESSAGES else 0)


def begin(connection: Connection, now_us: int) -> Status:
    """What is known without counting: the engine, the channels, and what the engine says of the peers."""
    found = Status(False, "", {}, None, None, {})
    stands(found, standing(connection, now_us))
    for row in connection.execute(select(channel_state).order_by(channel_state.c.channel)):
        found.channels[row.channel] = ChannelStatus(row.channel, row.desired, row.actual, row.reason)
    _peers(connection, found.channels)
    return found


def stands(found: Status, engine: Standing) -> None:
    """Note how the engine is."""
    found.running, found.state, found.owner = engine.at_work, engine.state, engine.owner
    found.engine, found.heartbeat_us = engine.facts, engine.heartbeat_us


def count(connection: Connection, found: Status, since_us: int | None) -> None:
    """Count messages, deliveries and exceptions.

    What waits (received messages, waiting and held deliveries, open exceptions) is counted whole, from indexes that
    hold nothing else. The other states are counted from since_us on, for they pile up without end: about a second a
    million rows. since_us None counts from the beginning.
    """
    found.since_us, channels = since_us, found.channels
    _messages(connection, channels, since_us)
    _waiting(connection, channels)
    _finished(connection, channels, since_us)
    for name, number in connection.execute(_open_exceptions()):
        _channel(channels, name).exceptions = number
    _refused(connection, channels)


def _channel(channels: dict[str, ChannelStatus], name: str) -> ChannelStatus:
    return channels.setdefault(name, ChannelStatus(name))


def _destination(channels: dict[str, ChannelStatus], channel: str, name: str) -> DestinationStatus:
    return _channel(channels, channel).destinations.setdefault(name, DestinationStatus(name))


def _messages(connection: Connection, channels: dict[str, ChannelStatus], since_us: int | None) -> None:
    t = message.c
    done = _counted(message).where(t.state.not_in(OPEN_STATES["message"]))
    waiting = _counted(message_open)
    if since_us is not None:
        done = done.where(t.id >= first_id(connection, received, received.c.received_at_us, since_us), t.received_at_us >= since_us)
    for name, state, count, last in [*connection.execute(waiting), *connection.execute(done)]:
        channel = _channel(channels, name)
        channel.messages[state] = count
        channel.last_received_us = max(channel.last_received_us or 0, last)


def _counted(table: Table) -> Select[Any]:
    t = table.c
    return select(t.channel, t.state, func.count(), func.max(t.received_at_us)).group_by(t.channel, t.state)


def _waiting(connection: Connection, channels: dict[str, ChannelStatus]) -> None:
    t = delivery_open.c
    key = (t.channel, t.destination, t.state)
    statement = select(*key, func.count(), func.min(t.created_at_us)).group_by(*key)
    for channel, name, state, count, oldest in connection.execute(statement):
        found = _destination(channels, channel, name)
        found.deliveries[state] = count
        found.oldest_waiting_us = min(found.oldest_waiting_us or oldest, oldest)


def _finished(connection: Connection, channels: dict[str, ChannelStatus], since_us: int | None) -> None:
    t = delivery.c
    key = (t.channel, t.destination, t.state)
    statement = select(*key, func.count(), func.max(t.accepted_at_us)).where(t.state.not_in(OPEN_STATES["delivery"])).group_by(*key)
    if since_us is not None:
        statement = statement.where(t.id >= first_id(connection, queued, queued.c.created_at_us, since_us), t.created_at_us >= since_us)
    for channel, name, state, count, accepted in connection.execute(statement):
        found = _destination(channels, channel, name)
        found.deliveries[state] = count
        found.last_accepted_us = max(found.last_accepted_us or 0, accepted or 0) or None


def _peers(connection: Connection, channels: dict[str, ChannelStatus]) -> None:
    for row in connection.execute(select(destination_state)):
        found = _destination(channels, row.channel, row.destination)
        found.state, found.since_us, found.reason, found.words = row.state, row.since_us, row.reason, apart(row.reason)[1]
        found.next_try_us = row.next_try_us or None


def _refused(connection: Connection, channels: dict[str, ChannelStatus]) -> None:
    """Of each destination the last delivery that waits for a person, and why."""
    t = exception.c
    waits = (t.resolved_at_us.is_(None), t.stage == "deliver", t.delivery_id.is_not(None))
    last = select(func.max(t.id)).where(*waits).group_by(t.channel, t.field)
    for row in connection.execute(select(exception).where(t.id.in_(last))):
        found = _destination(channels, row.channel, row.field)
        found.refusal = Refusal(row.delivery_id, row.id, row.opened_at_us, row.code, row.reason, apart(row.reason)[1])


def _open_exceptions() -> Any:
    t = exception.c
    return select(t.channel, func.count()).where(t.resolved_at_us.is_(None)).group_by(t.channel)


def balance(connection: Connection, channel: str) -> Balance:
    """The books of a channel over its whole history: reads every row, so seconds a million messages."""
    m, d, x = message.c, delivery.c, exception.c
    by_state = connection.execute(select(m.state, func.count()).where(m.channel == channel).group_by(m.state))
    messages = {row.state: row[1] for row in by_state}
    resolved = case((x.resolved_at_us.is_(None), literal_column("'open'")), else_=literal_column("'resolved'"))
    books = Balance(channel, sum(messages.values()), messages)
    books.events = _events(connection, channel)
    books.deliveries = _table(connection, select(d.destination, d.state, func.count()).where(d.channel == channel), d.destination, d.state)
    coded = select(x.stage + " " + x.code, resolved, func.count()).where(x.channel == channel)
    books.exceptions = _table(connection, coded, x.stage, x.code, resolved)
    waiting = sum(row.get(state, 0) for row in books.deliveries.values() for state in states.WAITING)
    books.unsettled = messages.get(states.RECEIVED, 0) + waiting
    books.doubled = _doubled(connection, channel)
    books.wrong = [*_wrong(connection, channel)]
    return books


def _table(connection: Connection, statement: Select[Any], *by: ColumnElement[Any]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for name, state, count in connection.execute(statement.group_by(*by)):
        found[name][state] = count
    return dict(sorted(found.items()))


def _events(connection: Connection, channel: str) -> dict[str, dict[str, int]]:
    """How many events of the newest processings there are, by type and state."""
    newest = (made.c.message_id == message.c.id) & (made.c.revision == message.c.revision) & (made.c.part == 0)
    statement = select(made.c.events, func.count()).join(message, newest).where(message.c.channel == channel).group_by(made.c.events)
    found: dict[str, dict[str, int]] = {}
    for text, messages in connection.execute(statement):
        for (kind, state), count in counts(text).items():
            of_kind = found.setdefault(kind, {})
            of_kind[state] = of_kind.get(state, 0) + count * messages
    return {kind: dict(sorted(of_kind.items())) for kind, of_kind in sorted(found.items())}


def _doubled(connection: Connection, channel: str) -> dict[str, Doubled]:
    """What destinations have taken a second time because a person insisted on sending it again, over the whole history.

    An event is told by its number, as where what a destination has is skipped; a message that is passed on goes by the number 0.
    """
    taken: dict[tuple[int, str], set[str]] = {}
    found: dict[str, Doubled] = {}
    for message_id, destination, events in _taken_again(connection, channel):
        before, numbers = taken.setdefault((message_id, destination), set()), set((events or "0").split(","))
        if before & numbers:
            one = found.setdefault(destination, Doubled())
            one.deliveries += 1
            if message_id not in one.messages[-1:]:
                one.messages.append(message_id)
        before |= numbers
    return dict(sorted(found.items()))


def _taken_again(connection: Connection, channel: str) -> Iterator[Any]:
    """What was taken of the messages that were sent or processed again, in the order in which it was made."""
    d, m = delivery.c, message.c
    resent = select(d.message_id).where(d.channel == channel, d.original_id.is_not(None), d.state.in_(states.DELIVERED))
    reprocessed = select(m.id).where(m.channel == channel, m.revision > 0)
    taken = select(d.message_id, d.destination, d.events).where(d.state.in_(states.DELIVERED)).order_by(d.message_id, d.id)
    return in_parts(connection, taken, d.message_id, connection.execute(union(resent, reprocessed)).scalars())


def _has(table: Table) -> ColumnElement[bool]:
    return exists().where(table.c.message_id == message.c.id)


def _has_events() -> ColumnElement[bool]:
    return exists().where(made.c.message_id == message.c.id, made.c.events != "")


def _no_original() -> ColumnElement[bool]:
    original = message.alias()
    return ~exists().where(original.c.id == message.c.duplicate_of)


def _untold() -> ColumnElement[bool]:
    return ~exists().where(exception.c.message_id == delivery.c.message_id, exception.c.delivery_id == delivery.c.id)


_CHECKS: tuple[tuple[str, Table, Callable[[], tuple[ColumnElement[bool], ...]]], ...] = (
    ("messages are parked and without an exception", message, lambda: (message.c.state == states.PARKED, ~_has(exception))),
    (
        "messages are processed and without an event, a delivery or an exception",
        message,
        lambda: (message.c.state == states.PROCESSED, ~_has_events(), ~_has(delivery), ~_has(exception)),
    ),
    (
        "messages are a duplicate and without its original or an event",
        message,
        lambda: (message.c.state == states.DUPLICATE, _no_original(), ~_has_events()),
    ),
    ("messages are in a state there is none of", message, lambda: (message.c.state.not_in(states.MESSAGE_STATES),)),
    (
        "deliveries are held, dead or refused without an exception",
        delivery,
        lambda: (delivery.c.state.in_([states.HELD, states.DEAD, states.REFUSED]), _untold()),
    ),
)


def _wrong(connection: Connection, channel: str) -> Iterator[str]:
    for text, table, conditions in _CHECKS:
        statement = select(func.count(), func.min(table.c.id)).where(table.c.channel == channel, *conditions())
        count, first = connection.execute(statement).one()
        if count:
            yield f"{count} {text} (the first is {first})"
