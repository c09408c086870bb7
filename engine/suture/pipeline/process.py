"""One message: parse, filter, map, enrich, and render for each destination. Pure: bytes in, a `Processed` out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial

from suture.mapping.compile import Mapped
from suture.mapping.keys import findable
from suture.mapping.payload import RenderContext
from suture.master.stock import Due, StockLevels
from suture.model import states
from suture.model.errors import MessageError
from suture.model.events import Event, event_id, idempotency_key
from suture.model.fault import Fault
from suture.model.finding import Finding
from suture.model.message import Gap, Message, Note
from suture.model.payload import Payload
from suture.model.storable import storable
from suture.model.value import Draft, changed
from suture.pipeline.claims import Firsts, Sorted, firsts, sort
from suture.pipeline.plan import Output, Plan
from suture.pipeline.rendering import NO_PAYLOAD, passed, rendered, unexpected, unrendered
from suture.pipeline.tasks import Skip
from suture.pipeline.validation import refusal, reported
from suture.ports import STOCK_UNIT, Claim, Delivery, Processed, Settled, StockKey, Unrendered
from suture.ports.format import Record

STOCK_EVENTS_FROM = 20_000
"""Numbers of replenishment events, beyond those of any mapping."""

SKIPPED, NOT_RAISED = "SKIPPED", "NOT_RAISED"
"""Codes of notes: a line that `skip` names, an event that its `when` keeps back."""
STOCK_TABLE = "stock"
"""The table of stock positions, in exceptions."""
STOCK = ""
"""The stock among the destinations of Skip: an event moves it once, however often its message is processed."""


def process(
    plan: Plan, message: Message, now_us: int, skip: Skip | None = None, revision: int = 0, findings: Sequence[Finding] = ()
) -> Processed:
    """Say what a message comes to. Never raises: what cannot be read, mapped or let through is parked, with its reason.

    findings: of standard validation, where the plan asks for it; the plan's profile is applied here. skip: what
    destinations have taken already, when a message is processed again. `done` and `failed` are the caller's.
    """
    if reason := plan.format.unprocessed(message):
        return fixed(plan, message, now_us, revision, Settled.filtered(reason))
    settled, note = (None, None) if plan.takes(message) else plan.looked(message)
    if settled is None and plan.settles is not None:
        settled = plan.settles(message)
    if settled is not None:
        return fixed(plan, message, now_us, revision, settled)
    work = _tried(plan, message, now_us, skip or {}, revision, findings)
    if note is not None:
        work = _remarked(work, [note])
    return work if plan.adds is None or revision else plan.adds(work)


def _tried(plan: Plan, message: Message, now_us: int, skip: Skip, revision: int, findings: Sequence[Finding]) -> Processed:
    try:
        parsed = plan.format.parse(message.raw)
        notes = plan.format.remarks(parsed, plan.only_reports)
        if plan.validation is None:
            return _remarked(_mapped(plan, message, parsed, now_us, skip, revision), notes)
        found, refused = plan.validation.judge(parsed, findings)
        if refused:
            return _remarked(fixed(plan, message, now_us, revision, refusal(found)), notes)
        return _remarked(reported(_mapped(plan, message, parsed, now_us, skip, revision), found), notes)
    except MessageError as e:
        return fixed(plan, message, now_us, revision, _parked(e))
    except Exception as e:  # a bug of ours must not stop the channel: the message waits for a person, and the others go on
        return fixed(plan, message, now_us, revision, _parked(unexpected("map", e)))


def _mapped(plan: Plan, message: Message, parsed: Record, now_us: int, skip: Skip, revision: int) -> Processed:
    lane = plan.order_by(parsed, None) if plan.order_by else ""
    job = _Job(plan, message, storable(lane), now_us, skip)
    if plan.inbound is None:
        plan.whole(parsed)
        going, held = _sorted(job.passed(parsed))
        settled = _with(held, Settled(states.PROCESSED, "", deliveries=going, notes=job.notes))
        return fixed(plan, message, now_us, revision, settled)
    plan.format.check(parsed, plan.only_reports)
    mapped = plan.inbound.run(parsed, message.received_at_us)
    first = firsts(mapped.events)
    touches = plan.stock.moves(job.moving(mapped.events)) if plan.stock else ()
    settle = partial(job.settle, mapped, first)
    ready = None if touches else settle({}, {})
    return Processed(message, now_us, plan.window_us, tuple(first), ready, settle, touches, _search(mapped), revision, _nothing, _raise)


def _remarked(work: Processed, notes: Sequence[Note]) -> Processed:
    """The same work, whose outcome carries these notes before its own."""
    return work.through(lambda settled: changed(settled, notes=[*notes, *settled.notes])) if notes else work


def _parked(error: MessageError) -> Settled:
    reason = f"{error.place}: {error.reason}" if error.place else error.reason
    return Settled.parked(Fault(error.code, error.stage, error.place, reason))


def _search(mapped: Mapped) -> Sequence[tuple[str, str]]:
    """What the message is found by; with the items that no table knows, for they are what a person will look for."""
    unknown = [("item", findable(gap.value)) for gap in mapped.gaps if gap.field == "item" and gap.value]
    return [*mapped.search, *unknown] if unknown else mapped.search


def fixed(plan: Plan, message: Message, now_us: int, revision: int, settled: Settled) -> Processed:
    """The operation that writes this, whatever the store says."""
    return Processed(message, now_us, plan.window_us, (), settled, lambda c, s: settled, (), (), revision, _nothing, _raise)


class _Job(Draft):
    """One message on its way."""

    plan: Plan
    message: Message
    lane: str
    now_us: int
    skip: Skip
    notes: Sequence[Note] = ()
    """What is to be remarked, about payloads too."""

    def settle(self, mapped: Mapped, first: Firsts, claims: Mapping[str, Claim], stock: Mapping[StockKey, Decimal]) -> Settled:
        """Sort the mapped events by who holds their business keys, move the stock, render what goes out."""
        assert self.plan.inbound is not None
        found = sort(mapped.events, first, claims, self.plan.inbound.key_place)
        events, gaps = found.events, [*mapped.gaps, *found.conflicts]
        positions: Mapping[StockKey, Decimal] = {}
        if self.plan.stock:
            moving = self.moving(events)
            positions, due = self.plan.stock.apply(moving, stock)
            gaps += _unmoved(self.plan.stock, moving)
            events = [*events, *(_replenishment(one, i) for i, one in enumerate(due))]
        state, reason = _verdict(found, gaps, mapped, claims)
        self.notes = _notes(mapped) if mapped.filtered or mapped.suppressed else ()
        going, held = _sorted(self.deliveries(events))
        settled = Settled(state, reason, events, found.duplicates, going, gaps, found.claims, positions, notes=self.notes)
        return _with(held, settled)

    def moving(self, events: Sequence[Event]) -> Sequence[Event]:
        """The events that have not moved the stock yet."""
        moved = self.skip.get(STOCK)
        return [e for e in events if e.number not in moved] if moved else events

    def deliveries(self, events: Sequence[Event]) -> list[Delivery | Unrendered]:
        found: list[Delivery | Unrendered] = []
        for output in self.plan.outputs:
            taken = self.skip.get(output.destination, frozenset())
            mine = [e for e in events if e.type in output.types and e.number not in taken]
            if mine:
                for group in [[e] for e in mine] if output.per_event else (mine,):
                    found.append(self.delivery(output, group))
        return found

    def delivery(self, output: Output, events: Sequence[Event]) -> Delivery | Unrendered:
        key = idempotency_key(output.destination, [e.id for e in events])
        context = RenderContext(self.message, output.destination, key, self.now_us, self.plan.source)
        numbers = tuple([e.number for e in events])
        try:
            payload = rendered(output, events, context)
        except Exception as e:
            return unrendered(self.addressed(output, key, NO_PAYLOAD, numbers), e)
        return self.addressed(output, key, payload, numbers)

    def passed(self, parsed: Record) -> list[Delivery | Unrendered]:
        """The received message for each destination, with that destination's changes."""
        found: list[Delivery | Unrendered] = []
        for output in self.plan.outputs:
            if 0 in self.skip.get(output.destination, frozenset()):
                continue
            key = idempotency_key(output.destination, [self.plan.channel, str(self.message.id)])
            try:
                payload = passed(output, parsed, self.message.raw, len(self.plan.outputs) > 1)
            except Exception as e:
                found.append(unrendered(self.addressed(output, key, NO_PAYLOAD, ()), e))
            else:
                found.append(self.addressed(output, key, payload, ()))
        return found

    def addressed(self, output: Output, key: str, payload: Payload, numbers: tuple[int, ...]) -> Delivery:
        if payload.notes:
            self.notes = [*self.notes, *(changed(note, reason=f"{note.reason} for {output.destination}") for note in payload.notes)]
        return Delivery(
            self.message.id,
            self.plan.channel,
            output.destination,
            "" if output.numbered else self.lane,
            payload.body,
            key,
            payload.control_id,
            payload.content_type,
            numbers,
        )


def _sorted(made: Sequence[Delivery | Unrendered]) -> tuple[list[Delivery], list[Unrendered]]:
    going = [one for one in made if isinstance(one, Delivery)]
    return going, [one for one in made if isinstance(one, Unrendered)] if len(going) < len(made) else []


def _with(held: list[Unrendered], settled: Settled) -> Settled:
    """What the message came to, with the deliveries that have no payload."""
    if not held:
        return settled
    reason = f"held for {', '.join(dict.fromkeys(one.delivery.destination for one in held))}"
    return changed(settled, unrendered=held, reason=f"{settled.reason}; {reason}" if settled.reason else reason)


def _verdict(found: Sorted, gaps: Sequence[Gap], mapped: Mapped, claims: Mapping[str, Claim]) -> tuple[str, str]:
    duplicates = found.duplicates
    if found.events:
        return states.PROCESSED, f"{len(duplicates)} events came before" if duplicates else ""
    if gaps:
        return states.PARKED, f"{gaps[0].reason}" + (f" (and {len(gaps) - 1} more)" if len(gaps) > 1 else "")
    if duplicates:
        owners = sorted({claims[e.key].message_id for e in duplicates if e.key in claims})
        return states.DUPLICATE, f"the same charges as message {', '.join(map(str, owners))}"
    return states.FILTERED, mapped.filtered[0][2]


def _notes(mapped: Mapped) -> Sequence[Note]:
    """Why lines and events came to nothing."""
    skipped = [Note(line, SKIPPED, place, reason) for line, place, reason in mapped.filtered]
    return [*skipped, *(Note(line, NOT_RAISED, kind, reason) for line, kind, reason in mapped.suppressed)]


def _unmoved(stock: StockLevels, moving: Sequence[Event]) -> Sequence[Gap]:
    return [
        Gap(event.line, "unit", "", f"the stock was not moved: {why}", STOCK_TABLE, findable(event.data.get("unit") or ""), STOCK_UNIT)
        for event, why in stock.unmoved(moving)
    ]


def _replenishment(due: Due, index: int) -> Event:
    key = f"{due.data['location']}\x1f{due.data['item']}\x1f{due.cause.id}"
    number = STOCK_EVENTS_FROM + index
    return Event("replenishment.due", number, due.cause.line, key, due.data, 0, event_id("replenishment.due", key))


def _nothing(settled: Settled) -> None:
    pass


def _raise(error: Exception) -> None:
    raise error
