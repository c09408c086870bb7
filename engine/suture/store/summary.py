"""How a site is doing: status for an operator, and the balance of a channel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, and_, case, exists, func, literal_column, not_, select

from suture.model import states
from suture.model.outcome import apart
from suture.model.views import Balance, ChannelStatus, DestinationStatus, Refusal, Status
from suture.store.doubled import doubled
from suture.store.queries import OPEN_DELIVERY, OPEN_MESSAGE, first_id
from suture.store.standing import Standing, standing
from suture.store.tables import channel_state, delivery, destination_state, event, exception, message

DAY_US = 86_400_000_000
RECENT_MESSAGES = 100_000


def recently(connection: Connection, now_us: int) -> int:
    """From when a status counts: a day ago, or the RECENT_MESSAGES newest messages, whichever is less to count."""
    newest = connection.execute(select(func.max(message.c.id))).scalar() or 0
    first = select(message.c.received_at_us).where(message.c.id > newest - RECENT_MESSAGES).order_by(message.c.id).limit(1)
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
    waiting = select(t.channel, t.state, func.count(), func.max(t.received_at_us)).where(OPEN_MESSAGE).group_by(t.channel, t.state)
    done = select(t.channel, t.state, func.count(), func.max(t.received_at_us)).where(not_(OPEN_MESSAGE)).group_by(t.channel, t.state)
    if since_us is not None:
        done = done.where(t.id >= first_id(connection, message, t.received_at_us, since_us), t.received_at_us >= since_us)
    for name, state, count, last in [*connection.execute(waiting), *connection.execute(done)]:
        channel = _channel(channels, name)
        channel.messages[state] = count
        channel.last_received_us = max(channel.last_received_us or 0, last)


def _waiting(connection: Connection, channels: dict[str, ChannelStatus]) -> None:
    t = delivery.c
    key = (t.channel, t.destination, t.state)
    statement = select(*key, func.count(), func.min(t.created_at_us)).where(OPEN_DELIVERY).group_by(*key)
    for channel, name, state, count, oldest in connection.execute(statement):
        found = _destination(channels, channel, name)
        found.deliveries[state] = count
        found.oldest_waiting_us = min(found.oldest_waiting_us or oldest, oldest)


def _finished(connection: Connection, channels: dict[str, ChannelStatus], since_us: int | None) -> None:
    t = delivery.c
    key = (t.channel, t.destination, t.state)
    statement = select(*key, func.count(), func.max(t.accepted_at_us)).where(not_(OPEN_DELIVERY)).group_by(*key)
    if since_us is not None:
        statement = statement.where(t.id >= first_id(connection, delivery, t.created_at_us, since_us), t.created_at_us >= since_us)
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
    messages = _counts(connection, select(message.c.state, func.count()).where(message.c.channel == channel).group_by(message.c.state))
    books = Balance(channel, sum(messages.values()), messages)
    books.events = _table(connection, _events_by_state(channel))
    books.deliveries = _table(connection, _deliveries_by_state(channel))
    books.exceptions = _table(connection, _exceptions_by_code(channel))
    books.unsettled = messages.get(states.RECEIVED, 0) + _total(books.deliveries, states.WAITING)
    books.doubled = doubled(connection, channel)
    books.wrong = _wrong(connection, books)
    return books


def _events_by_state(channel: str) -> Any:
    newest = and_(event.c.message_id == message.c.id, event.c.revision == message.c.revision)
    statement = select(event.c.type, event.c.state, func.count()).join(message, newest)
    return statement.where(message.c.channel == channel).group_by(event.c.type, event.c.state)


def _deliveries_by_state(channel: str) -> Any:
    t = delivery.c
    return select(t.destination, t.state, func.count()).where(t.channel == channel).group_by(t.destination, t.state)


def _exceptions_by_code(channel: str) -> Any:
    t = exception.c
    state = case((t.resolved_at_us.is_(None), literal_column("'open'")), else_=literal_column("'resolved'"))
    return select(t.stage + " " + t.code, state, func.count()).where(t.channel == channel).group_by(t.stage, t.code, state)


_CHECKS = (
    ("parked and without an exception", lambda: (message.c.state == states.PARKED, not_(_has(exception)))),
    (
        "processed and without an event, a delivery or an exception",
        lambda: (message.c.state == states.PROCESSED, not_(_has(event)), not_(_has(delivery)), not_(_has(exception))),
    ),
    ("a duplicate and without its original or an event", lambda: (message.c.state == states.DUPLICATE, _no_original(), not_(_has(event)))),
    ("in a state there is none of", lambda: (message.c.state.not_in(states.MESSAGE_STATES),)),
)


def _wrong(connection: Connection, books: Balance) -> list[str]:
    found = []
    for text, conditions in _CHECKS:
        statement = select(func.count(), func.min(message.c.id)).where(message.c.channel == books.channel, *conditions())
        count, first = connection.execute(statement).one()
        if count:
            found.append(f"{count} messages are {text} (the first is {first})")
    return found + _lost_deliveries(connection, books.channel)


def _lost_deliveries(connection: Connection, channel: str) -> list[str]:
    t = delivery.c
    needs_person = t.state.in_([states.HELD, states.DEAD, states.REFUSED])
    told = exists().where(exception.c.message_id == t.message_id, exception.c.delivery_id == t.id)
    statement = select(func.count(), func.min(t.id)).where(t.channel == channel, needs_person, not_(told))
    count, first = connection.execute(statement).one()
    return [f"{count} deliveries are held, dead or refused without an exception (the first is {first})"] if count else []


def _has(table: Any) -> Any:
    return exists().where(table.c.message_id == message.c.id)


def _no_original() -> Any:
    original = message.alias()
    return not_(exists().where(original.c.id == message.c.duplicate_of))


def _counts(connection: Connection, statement: Any) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(statement)}


def _table(connection: Connection, statement: Any) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for name, state, count in connection.execute(statement):
        found[name][state] = count
    return dict(sorted(found.items()))


def _total(table: dict[str, dict[str, int]], wanted: Iterable[str]) -> int:
    return sum(row.get(state, 0) for row in table.values() for state in wanted)
