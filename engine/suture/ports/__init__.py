"""What the core needs from the world, as protocols: the connectors, the store and the metrics implement them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal, Protocol

from suture.model import states
from suture.model.events import Event
from suture.model.fault import Fault
from suture.model.finding import Finding
from suture.model.message import Gap, Message, Note
from suture.model.outcome import Outcome
from suture.model.value import Value, changed


class Clock(Protocol):
    """Time between things, as Twisted's IReactorTime has it: the reactor's, which is never set back; `task.Clock` in tests."""

    def seconds(self) -> float:
        """Seconds since some moment."""

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any) -> Any:  # noqa: N802
        """Run callable after delay seconds; returns an object with cancel() and active()."""


class TimeOfDay(Clock, Protocol):
    """The time that people and the store go by, which may be set back: its seconds are UNIX time; its timers are the reactor's."""


class Delivery(Value, frozen=True, gc=False):
    """One payload for one destination; a value, which nobody changes. lane: the order key; FIFO within it.

    id: given by the journal, 0 where it is not in the store (a request of the engine's own to the peer).
    control_id: MSH-10 of an HL7 payload, else "". events: numbers of the message's events inside. attempts: those that
    were over when it was read or made.
    """

    message_id: int
    channel: str
    destination: str
    lane: str
    body: bytes
    idempotency_key: str = ""
    control_id: str = ""
    content_type: str = ""
    events: tuple[int, ...] = ()
    created_at_us: int = 0
    attempts: int = 0
    state: str = "queued"
    next_at_us: int = 0
    original_id: int | None = None
    id: int = 0

    def __repr__(self) -> str:
        return f"Delivery(id={self.id}, message_id={self.message_id}, {self.channel}/{self.destination}, {self.state})"


class Unrendered(Value, frozen=True):
    """A delivery whose payload cannot be made: it is held without one, until what is wrong is mended and it is released.

    code, place, reason, table, value: as of a MessageError; they hold no content.
    """

    delivery: Delivery
    code: str
    place: str
    reason: str
    table: str = ""
    value: str = ""

    def __str__(self) -> str:
        at = f" at {self.place}" if self.place else ""
        return f"no payload can be made: {self.code}{at}: {self.reason}"


@dataclass(slots=True)
class Held:
    """What is in work, in bytes: messages that were handed on and are not processed yet, and payloads not written yet."""

    bytes: int = 0


class Claim(Value, frozen=True):
    """Who holds a business key: the message that used it first within the duplicate window.

    digest: of what the key stood for there (model.events.digest), None where that is not known. own: it is this very
    message, which is processed again; its claim counts as expired, and one generation back.
    """

    message_id: int
    generation: int
    expired: bool
    digest: int | None = None
    own: bool = False


StockKey = tuple[str, str]
"""(location, item)"""

STOCK_UNIT = "STOCK_UNIT"
"""The code of a use in a unit that the stock does not know: the use goes on, and the stock is not moved (docs/errors.md)."""

AckTime = Literal["after_store", "after_process", "after_delivery"]
"""When the application acknowledgement of a message is given: when it is durable, when it is processed, when every
delivery of it has been taken. It never comes before the message is durable."""


NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Settled(Value, frozen=True):
    """What one message came to: the rows that are written in one transaction; a value.

    claims: (business key, generation, digest). findings: of validation, for the answer and the metrics. fault: why a message
    is parked as a whole; without one, its gaps say why. unrendered: deliveries that are held because they have no payload.
    notes: remarks that are kept with the message.
    """

    state: str
    reason: str
    events: Sequence[Event] = ()
    duplicates: Sequence[Event] = ()
    deliveries: Sequence[Delivery] = ()
    gaps: Sequence[Gap] = ()
    claims: Sequence[tuple[str, int, int]] = ()
    stock: Mapping[StockKey, Decimal] = NOTHING
    findings: Sequence[Finding] = ()
    fault: Fault | None = None
    unrendered: Sequence[Unrendered] = ()
    notes: Sequence[Note] = ()

    @classmethod
    def parked(cls, fault: Fault, findings: Sequence[Finding] = ()) -> Settled:
        """The message as a whole waits for a person."""
        return cls(states.PARKED, str(fault), findings=findings, fault=fault)

    @classmethod
    def filtered(cls, reason: str) -> Settled:
        """The message comes to nothing, as the channel says."""
        return cls(states.FILTERED, reason)


class Past(Value, frozen=True):
    """What the store says of a message. id: of the first that had these bytes. deliveries: (id, destination, state)."""

    id: int
    state: str
    faults: Sequence[Fault] = ()
    deliveries: Sequence[tuple[int, str, str]] = ()


class Received(Value, frozen=True):
    """Store a message; a value. done(state, message): state is `received`, or `duplicate` when the same bytes came before.

    The message that is told of has its id. faults: what is wrong with the batch that it came in, kept as open exceptions
    with it; they do not hold it back.
    """

    message: Message
    window_us: int
    done: Callable[[str, Message], None]
    failed: Callable[[Exception], None]
    faults: Sequence[Fault] = ()

    @property
    def size_bytes(self) -> int:
        """What it keeps in memory."""
        return len(self.message.raw)


class Processed(Value, frozen=True):
    """Store what a message came to; a value.

    keys: business keys to claim. ready: what to write when no key is taken. settle(claims, stock): asked, on the
    writer's thread and inside the transaction, when a key is taken or stock is touched; pure.
    search: (kind, value) pairs to find the message by.
    """

    message: Message
    at_us: int
    window_us: int
    keys: Sequence[str]
    ready: Settled | None
    settle: Callable[[Mapping[str, Claim], Mapping[StockKey, Decimal]], Settled]
    touches: Sequence[StockKey]
    search: Sequence[tuple[str, str]]
    revision: int
    done: Callable[[Settled], None]
    failed: Callable[[Exception], None]

    def through(self, change: Callable[[Settled], Settled]) -> Processed:
        """The same work, whose outcome is what `change` makes of it."""
        settle, ready = self.settle, None if self.ready is None else change(self.ready)
        return changed(self, settle=lambda claims, stock: change(settle(claims, stock)), ready=ready)

    @property
    def size_bytes(self) -> int:
        """What it keeps in memory: the message and its payloads, as far as they are known."""
        raw = self.message.raw
        size_bytes = len(raw)
        if self.ready is not None:
            for delivery in self.ready.deliveries:
                if delivery.body is not raw:
                    size_bytes += len(delivery.body)
        return size_bytes


class Attempted(Value, frozen=True):
    """Record one attempt and the state it left the delivery in; a value.

    number: of the attempt, from 1. salvaged: "" or why the outcome could not be written as it was; an exception tells of it
    then, and the attempt takes the next free number where its own is taken.
    """

    delivery: Delivery
    number: int
    started_at_us: int
    ended_at_us: int
    outcome: Outcome
    state: str
    next_at_us: int
    reason: str
    done: Callable[[], None] | None
    failed: Callable[[Exception], None]
    salvaged: str = ""


class Sending(Value, frozen=True):
    """Record that a delivery is about to be sent, before it is: for peers that cannot tell a repetition; a value."""

    delivery: Delivery
    at_us: int
    done: Callable[[], None]
    failed: Callable[[Exception], None]


class Work(Value, frozen=True):
    """Any other durable write; a value: run(connection) inside a transaction, then done(its result). name shows in logs."""

    name: str
    run: Callable[[Any], Any]
    done: Callable[[Any], None]
    failed: Callable[[Exception], None]


Failed = Callable[[Exception], None]
Done = Callable[[Outcome], None]
"""done(outcome): what an attempt to deliver came to."""
Operation = Received | Processed | Attempted | Sending | Work
Aside = Callable[[Callable[[], Any], Callable[[Any], None]], None]
"""aside(work, done): runs what takes long beside the reactor's thread; done(work()) is called later, on the reactor. work may not
raise."""


class Journal(Protocol):
    """Durable writes: operations are committed in order, in groups, and called back on the reactor after the commit."""

    def write(self, operation: Operation) -> None:
        """Hand over one operation; never blocks."""

    def pending(self) -> int:
        """Operations handed over and not yet called back."""


class Memory(Protocol):
    """What the store remembers of earlier messages, in the order of the journal: all that was handed over before is in it.

    done is called on the reactor after the commit; failed(error) instead where the store cannot do it, and can do other things.
    """

    def recall(self, number: int, done: Callable[[Past], None], failed: Failed) -> None:
        """What became of a message."""

    def numbers(self, channel: str, done: Callable[[dict[str, int | None]], None], failed: Failed) -> None:
        """The sequence number that is expected next of each sender, None where any may come."""

    def put_number(self, channel: str, sender: str, expected: int | None, at_us: int, done: Callable[[], None], failed: Failed) -> None:
        """Remember the number that is expected next."""

    def sent(self, channel: str, destination: str, done: Callable[[tuple[int, int] | None], None], failed: Failed) -> None:
        """The sequence number that was given last on the way out, and the delivery that it was given to."""

    def put_sent(
        self, channel: str, destination: str, number: int, delivery_id: int, at_us: int, done: Callable[[], None], failed: Failed
    ) -> None:
        """Remember that this delivery goes out under this number."""


class Backlog(Protocol):
    """Deliveries that wait in the store because memory has a limit."""

    def load(
        self, channel: str, destination: str, lane: str | None, after_id: int, limit: int, done: Callable[[list[Delivery], bool], None]
    ) -> None:
        """The waiting deliveries of a lane (None: of all) with id > after_id, in order: at most so many, and fewer when they are large.

        done(deliveries, more) is called on the reactor; more: there may be others after them.
        """


class Destination(Protocol):
    """Where deliveries go, for those that decide when. No retry, no storage, no metrics inside: the pipeline owns those."""

    def send(self, delivery: Delivery, done: Done) -> None:
        """Send once; done is called exactly once, on the reactor, never inside this call. Never raises."""

    def cut(self, code: str, reason: str) -> None:
        """Give up what is in flight and what waits for a connection, at once: nothing of it goes out any more. It may be sent to again."""


class Connector(Protocol):
    """What every connector tells of itself, from when it is made, open or not. docs/spec/connector.md has its duties."""

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """What only a connector can see (odd framing, answers for nobody), since it was made: how often, by kind and code."""

    def held(self) -> Iterable[tuple[Any, Callable[[], None]]]:
        """The sockets of its connections, each with what ends it at once."""


class Peer(Destination, Connector, Protocol):
    """The connector of one peer. The engine sets may_send, asked right before bytes leave; time_of_day, in UNIX seconds; and
    refused, to be called when the peer refuses what it has accepted."""

    may_send: Callable[[], bool]
    time_of_day: Callable[[], float]
    refused: Callable[[Delivery, Outcome], None]

    async def close(self) -> None:
        """Close what is idle at once and the rest when its answer has come or its time is over; awaits nothing but Deferreds."""


class Source(Connector, Protocol):
    """Where a channel's messages come from. room: the engine's connectors.net.room.Room, for unfinished messages; None until it is set."""

    room: Any

    @property
    def listening(self) -> bool:
        """Whether messages can come in."""

    def open(self) -> None:
        """Begin to take messages. Raises SutureError, in words for an operator, where it cannot; anything else is told as a bug."""

    def set_full(self, full: bool) -> None:
        """Read nothing more from now on, or go on; also while it is not open."""

    async def close(self, drain_s: float) -> None:
        """Take nothing more, wait until what was taken is answered, drain_s seconds at most, and close; awaits nothing but Deferreds.

        One that is not open stays so.
        """


class Validator(Protocol):
    """Standard validation of one channel's messages."""

    def check(self, raw: bytes, done: Callable[[Sequence[Finding]], None]) -> None:
        """Validate one message; done is called once, at once or later, in the order of the calls. Never raises."""


class Observer(Protocol):
    """Where the pipeline tells what happened; names are metrics, labels never hold content."""

    def message(self, channel: str, state: str) -> None: ...

    def stage(self, channel: str, stage: str, seconds: float) -> None: ...

    def attempt(self, channel: str, destination: str, outcome: str) -> None: ...

    def duplicate(self, channel: str, kind: str) -> None: ...

    def gap(self, channel: str, table: str) -> None: ...

    def finding(self, channel: str, code: int, severity: str) -> None: ...

    def note(self, channel: str, code: str) -> None: ...

    def batch(self, size: int, seconds: float) -> None: ...
