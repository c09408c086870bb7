"""Looking at the store, once for all who look: functions of a connection that return views.

control.py runs them for the command, looking.py on the reactor. A look at content (PHI) comes back as Audited: whoever runs it
writes its lines to the audit before anybody sees what was found. known: channels that the site's files name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Generic, TypeVar

from sqlalchemy import Connection

from suture.model.errors import CommandError, NotFound
from suture.model.meant import did_you_mean
from suture.model.value import Value
from suture.model.verbs import ranges
from suture.model.views import AttemptView, Balance, DeliveryView, EventView, ExceptionView, Item, Journey, MessageView
from suture.store import content, orders, queries, replay, search, summary, tables, views
from suture.store import journey as journeys
from suture.store.queries import DeliveryFilter, ExceptionFilter, MessageFilter, ReleaseFilter
from suture.store.replay import Known

T = TypeVar("T")
F = TypeVar("F", MessageFilter, DeliveryFilter, ExceptionFilter, ReleaseFilter)
Line = tuple[str, str, str]
"""Of the audit: verb, target and reason."""


class Audited(Value, Generic[T], frozen=True):
    """What was found, and the lines that the audit has of it."""

    shown: T
    lines: list[Line]


def record(connection: Connection, lines: Iterable[Line], actor: str, now_us: int) -> None:
    """Write lines of the audit."""
    for verb, target, reason in lines:
        orders.record(connection, actor, verb, target, reason, now_us)


def _content(shown: T, target: str) -> Audited[T]:
    return Audited(shown, [("look", target, "")])


# -- what there is ------------------------------------------------------------------------------------------------------


def balance(connection: Connection, channel: str, known: Collection[str] = ()) -> Balance:
    """The books of a channel: every input accounted for. Raises NotFound."""
    require_channel(connection, channel, known)
    return summary.balance(connection, channel)


def messages(connection: Connection, wanted: MessageFilter, known: Collection[str] = ()) -> Audited[list[MessageView]]:
    """Messages newest first; a search for anything but an item is audited (by the value's hash).

    Raises NotFound for a channel that there is not.
    """
    found = _listed(connection, queries.messages, wanted, known)
    hashed = ((kind, search.search_hash(kind, value).hex()) for kind, value in wanted.find if kind != "item")
    return Audited(found, [("find", f"{kind} #{value}", f"{len(found)} found") for kind, value in hashed])


def message(connection: Connection, message_id: int) -> MessageView:
    """One message without content. Raises NotFound."""
    return _found(queries.one(connection, MessageView, views.message.c.id == message_id), "message", message_id)


def raw(connection: Connection, message_id: int) -> Audited[bytes]:
    """A message's bytes as received. Raises NotFound."""
    return _content(_found(content.raw(connection, message_id), "message", message_id), f"message {message_id} raw")


def events(connection: Connection, message_id: int) -> Audited[list[EventView]]:
    """A message's canonical events as of its newest processing, with content. Raises NotFound."""
    revision, made = message(connection, message_id).revision, content.makings(connection, message_id)
    newest = {revision: made[revision]} if revision in made else {}
    return _content(journeys.events(message_id, newest, content=True), f"message {message_id} events")


def journey(connection: Connection, message_id: int) -> Journey:
    """All that happened to a message, without content. Raises NotFound."""
    return _found(journeys.journey(connection, message_id), "message", message_id)


def deliveries(connection: Connection, wanted: DeliveryFilter, known: Collection[str] = ()) -> list[DeliveryView]:
    """Deliveries newest first, without content. Raises NotFound for a channel that there is not."""
    return _listed(connection, queries.deliveries, wanted, known)


def delivery(connection: Connection, delivery_id: int) -> tuple[DeliveryView, list[AttemptView]]:
    """One delivery and its attempts, without content. Raises NotFound."""
    found = _found(queries.one(connection, DeliveryView, views.delivery.c.id == delivery_id), "delivery", delivery_id)
    return found, queries.shown(connection, AttemptView, tables.attempt.c.delivery_id == delivery_id, response=None)


def payload(connection: Connection, delivery_id: int) -> Audited[tuple[DeliveryView, bytes, list[AttemptView]]]:
    """One delivery, the bytes that go out, and the attempts with the answers. Raises NotFound."""
    found = _found(queries.one(connection, DeliveryView, views.delivery.c.id == delivery_id, content=True), "delivery", delivery_id)
    body = content.payload(connection, delivery_id) or b""
    tried = queries.shown(connection, AttemptView, tables.attempt.c.delivery_id == delivery_id, content=True)
    return _content((found, body, tried), f"delivery {delivery_id} body")


def exceptions(connection: Connection, wanted: ExceptionFilter, known: Collection[str] = ()) -> list[ExceptionView]:
    """Exceptions newest first. Raises NotFound for a channel that there is not."""
    return _listed(connection, queries.exceptions, wanted, known)


def exception(connection: Connection, exception_id: int) -> ExceptionView:
    """One exception. Raises NotFound."""
    return exceptions_by_id(connection, [exception_id])[0]


def exceptions_by_id(connection: Connection, ids: Sequence[int]) -> list[ExceptionView]:
    """These exceptions, open or resolved. Raises NotFound."""
    by_id = (tables.exception.c.id.in_(part) for part in queries.parts(sorted(set(ids))))
    found = [each for some in by_id for each in queries.shown(connection, ExceptionView, some)]
    _require_ids("exception", ids, (each.id for each in found))
    return found


def releasable(connection: Connection, wanted: ReleaseFilter, known: Collection[str] = ()) -> list[int]:
    """Held and dead deliveries of which an exception is open, the oldest first. Raises NotFound for a channel that there is not."""
    return _listed(connection, queries.releasable, wanted, known)


# -- previews -----------------------------------------------------------------------------------------------------------


def resend(
    connection: Connection, message_ids: Sequence[int], delivery_ids: Sequence[int], destinations: Sequence[str], insist: bool
) -> list[Item]:
    """What a resend would send and what it would double. Raises NotFound, and CommandError for a destination that has none."""
    _require_ids("message", message_ids, (m.id for m in queries.wholes(connection, message_ids)))
    named, theirs = deliveries_by_id(connection, delivery_ids), queries.known(connection, message_ids)
    wanted = [*(d for d in named if d.id in set(delivery_ids)), *replay.newest(theirs)]
    names = {d.destination for d in wanted}
    for name in destinations:
        if name not in names:
            raise CommandError(f"none of these went to a destination {name!r}{did_you_mean(name, sorted(names))}")
    ids = [d.id for d in wanted if not destinations or d.destination in destinations]
    return replay.resend(ids, [*named, *theirs], insist)


def release(connection: Connection, delivery_ids: Sequence[int]) -> list[Item]:
    """What a release would let go. Raises NotFound."""
    return replay.release(delivery_ids, deliveries_by_id(connection, delivery_ids))


def reprocess(connection: Connection, message_ids: Sequence[int], insist: bool) -> list[Item]:
    """What reprocessing would do. Raises NotFound."""
    found = queries.wholes(connection, message_ids)
    _require_ids("message", message_ids, (m.id for m in found))
    return replay.reprocess(found, queries.known(connection, message_ids), insist)


def deliveries_by_id(connection: Connection, ids: Sequence[int]) -> list[Known]:
    """These deliveries, and all others of their messages. Raises NotFound."""
    found = queries.known_with(connection, ids)
    _require_ids("delivery", ids, (d.id for d in found))
    return found


# -- what is not there --------------------------------------------------------------------------------------------------


def require_channel(connection: Connection, name: str, known: Collection[str]) -> None:
    """Raises NotFound for a channel that neither the site's files nor the store know."""
    names = {*known, *orders.channels(connection)}
    if name not in names:
        raise NotFound(f"there is no channel {name!r}{did_you_mean(name, sorted(names))}")


def _listed(connection: Connection, query: Callable[[Connection, F], list[T]], wanted: F, known: Collection[str]) -> list[T]:
    """An empty list for a channel whose name is mistyped would read as good news."""
    found = query(connection, wanted)
    if wanted.channel is not None and not found:
        require_channel(connection, wanted.channel, known)
    return found


def _found(value: T | None, noun: str, number: int) -> T:
    if value is None:
        raise NotFound(f"there is no {noun} {number}")
    return value


def _require_ids(noun: str, wanted: Iterable[int], there: Iterable[int]) -> None:
    missing = set(wanted) - set(there)
    if missing:
        raise NotFound(f"there is no {noun} {ranges(missing)}")
