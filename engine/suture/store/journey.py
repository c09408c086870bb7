"""The whole journey of one message, from its arrival to what every destination made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import attrgetter

from sqlalchemy import Connection, select

from suture.model import states
from suture.model.made import KeptEvent, Made
from suture.model.value import changed
from suture.model.views import AttemptView, DeliveryView, EventView, ExceptionView, Journey, MessageView, NoteView, Step
from suture.store import queries
from suture.store.content import makings
from suture.store.tables import attempt, claim, exception
from suture.store.views import delivery, message


def journey(connection: Connection, message_id: int) -> Journey | None:
    """The journey of a message; None when there is no such message."""
    row = queries.one(connection, MessageView, message.c.id == message_id)
    if row is None:
        return None
    made = makings(connection, message_id)
    deliveries = queries.shown(connection, DeliveryView, delivery.c.message_id == message_id)
    found = Journey(
        message=row,
        original=queries.one(connection, MessageView, message.c.id == row.duplicate_of) if row.duplicate_of else None,
        duplicates=copies(connection, row),
        events=_events(connection, message_id, made),
        deliveries=deliveries,
        attempts=queries.shown(connection, AttemptView, attempt.c.delivery_id.in_([d.id for d in deliveries])),
        exceptions=queries.shown(connection, ExceptionView, exception.c.message_id == message_id),
        notes=[NoteView(*one) for one in made[row.revision].notes] if row.revision in made else [],
        steps=[],
    )
    found.steps = sorted(_steps(found), key=lambda step: step.at_us)
    return found


def copies(connection: Connection, original: MessageView) -> list[MessageView]:
    """Later messages with the same bytes."""
    m = message.c
    same = (m.control_id == original.control_id, m.sender == original.sender, m.duplicate_of == original.id)
    return queries.shown(connection, MessageView, *same)


def events(message_id: int, of: Mapping[int, Made], content: bool = False) -> list[EventView]:
    """The events of what processings made. content: with their data (PHI)."""
    return [
        _event(message_id, revision, e, content) for revision, made in of.items() for e in sorted(made.events, key=attrgetter("number"))
    ]


def _event(message_id: int, revision: int, e: KeptEvent, content: bool) -> EventView:
    found = EventView(message_id, revision, e.number, e.event_id, e.type, e.line, e.state, e.key)
    return changed(found, body=e.body) if content else found


def _events(connection: Connection, message_id: int, of: Mapping[int, Made]) -> list[EventView]:
    found = events(message_id, of)
    keys = sorted({row.key for row in found if row.state == "duplicate"})
    statement = select(claim.c.key, claim.c.message_id).where(claim.c.key.in_(keys))
    holders = {row.key: row.message_id for row in connection.execute(statement)}
    return [changed(row, held_by=holders.get(row.key) if row.state == "duplicate" else None) for row in found]


def _steps(found: Journey) -> Iterator[Step]:
    yield from _arrival(found)
    yield from _processing(found)
    for row in found.deliveries:
        again = f", again as delivery {row.original_id}" if row.original_id else ""
        holds = f", events {row.events}" if row.events else ""
        yield Step(row.created_at_us, "delivery", f"{row.id} for {row.destination}{holds}{again}", row.id)
    destinations = {row.id: row.destination for row in found.deliveries}
    for one in found.attempts:
        yield _attempt(one, destinations[one.delivery_id])
    for row in found.deliveries:  # after the attempts: an answer that names the document has the time of the attempt
        yield from _outcome(row)
    for each in found.exceptions:
        yield from _exception(each)


def _arrival(found: Journey) -> Iterator[Step]:
    row = found.message
    yield Step(row.received_at_us, "received", f"{row.type or 'bytes'} from {row.peer}, stored, then acknowledged")
    if row.duplicate_of:
        yield Step(row.received_at_us, "duplicate", f"the same bytes came before as message {row.duplicate_of}; nothing more is done")
    for copy in found.duplicates:
        yield Step(copy.received_at_us, "duplicate", f"the same bytes came again, as message {copy.id}")


def _processing(found: Journey) -> Iterator[Step]:
    row = found.message
    if row.processed_at_us is None:
        return
    times = f" (reprocessed {row.revision} times)" if row.revision else ""
    reason = f": {row.reason}" if row.reason else ""
    yield Step(row.processed_at_us, row.state, f"by today's mapping{times}{reason}" if times else f"by the mapping{reason}")
    for each in found.events:
        if each.revision == row.revision:
            held = f": message {each.held_by} raised it" if each.held_by else ""
            text = f"{each.type} of line {each.line}, number {each.number}, {each.state}{held}"
            yield Step(row.processed_at_us, "event", text)
    for one in found.notes:
        line = f"line {one.line}: " if one.line else ""
        place = f" at {one.place}" if one.place else ""
        yield Step(row.processed_at_us, "note", f"{line}{one.code}{place}: {one.reason}")


def _outcome(row: DeliveryView) -> Iterator[Step]:
    if row.posted_at_us:
        yield Step(row.posted_at_us, "posted", f"{row.id} by {row.destination} as {row.document or '(no number)'}", row.id)
    if row.state in (states.SKIPPED, states.REFUSED):
        yield Step(row.updated_at_us, row.state, f"{row.id} for {row.destination}: {row.reason}", row.id)


def _attempt(row: AttemptView, destination: str) -> Step:
    took_ms = (row.ended_at_us - row.started_at_us) / 1000
    reason = f": {row.reason}" if row.reason else ""
    text = f"{row.delivery_id} to {destination}, attempt {row.number}, {row.code} after {took_ms:.1f} ms{reason}"
    return Step(row.ended_at_us, row.outcome, text, row.delivery_id)


def _exception(row: ExceptionView) -> Iterator[Step]:
    place = ", ".join(filter(None, (row.path, row.field)))
    line = f" in line {row.line}" if row.line else ""
    where = f" ({place})" if place else ""
    yield Step(row.opened_at_us, "exception", f"{row.id}, {row.code}{line}{where}: {row.reason}", row.delivery_id)
    if row.resolved_at_us:
        yield Step(row.resolved_at_us, "resolved", f"exception {row.id}: {row.resolution or ''}", row.delivery_id)
