"""What was seen at the edges of the engine, and what its store says afterwards: plain data for the judge.

Times are seconds since 1970, of one clock: senders, sinks, engine and store are on one machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SINKS_OF = {"C": ("erp", "billing"), "A": ("lab", "registry")}
"""Where a sender's messages have to arrive, by the letter that its control ids begin with."""
CHANNEL_OF = {"C": "charges", "A": "adt"}
HOLDING = frozenset({"billing", "registry"})
"""Sinks that know nothing again: what they may have had, they must not get again."""

ANSWER_AND_RESET = "answer and reset"
"""What an arrival did, whose whole answer was on its way when its connection was reset."""


@dataclass(slots=True)
class Sent:
    """A message of a sender. digest: of its bytes. acked_s: when the sender saw it acknowledged, 0: never."""

    control_id: str
    account: str
    digest: str
    began_s: float
    acked_s: float = 0.0

    @property
    def kind(self) -> str:
        """The letter of its channel."""
        return self.control_id[0]

    @property
    def number(self) -> int:
        """Its place among the messages of its account."""
        return int(self.control_id[1:])


@dataclass(slots=True)
class Arrival:
    """A message at a sink. origin: control id of the sender's message. life: which run of the engine sent it.

    did: what the sink did. took: it has the effect. denied: it has said, plainly, that it did not take it. known_s: when
    the engine could know what came of it: by an answer, by the end of the connection, or because its time was over.
    """

    sink: str
    origin: str
    account: str
    key: str
    digest: str
    life: int
    at_s: float
    did: str
    took: bool = True
    denied: bool = False
    known_s: float = 0.0


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A row of message, with the digest of its body."""

    id: int
    channel: str
    control_id: str
    state: str
    digest: str


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A row of delivery; origin: control id of its message."""

    id: int
    origin: str
    destination: str
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StoredAttempt:
    """A row of attempt."""

    delivery_id: int
    number: int
    outcome: str
    code: str
    ended_s: float


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when something was so. what: in plain words."""

    begin_s: float
    end_s: float
    what: str


@dataclass(frozen=True, slots=True)
class End:
    """How a run of the engine ended.

    asked: kill, stop, or "" when it ended by itself. took_s: from asking to the end. ready: it had been ready before.
    """

    life: int
    at_s: float
    asked: str
    code: int
    took_s: float = 0.0
    ready: bool = True


@dataclass(slots=True)
class History:
    """All of a round.

    excepted: (origin, delivery or None) of open exceptions. blackouts: when the store could take nothing at all; troubles:
    when it was in any trouble. frozen: when the engine stood still. seconds: when a second engine was about. ready: (when,
    status) of the readiness page. parked: deliveries that waited for a person at any time. insisted: (sink, origin) that the
    operator sent again on purpose. leaked: sockets that led nowhere and stayed. notes: (verdict, text) of what the driver itself saw.
    """

    sent: list[Sent] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    messages: list[StoredMessage] = field(default_factory=list)
    deliveries: list[StoredDelivery] = field(default_factory=list)
    attempts: list[StoredAttempt] = field(default_factory=list)
    excepted: set[tuple[str, int | None]] = field(default_factory=set)
    blackouts: list[Span] = field(default_factory=list)
    troubles: list[Span] = field(default_factory=list)
    frozen: list[Span] = field(default_factory=list)
    seconds: list[Span] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    ready: list[tuple[float, int]] = field(default_factory=list)
    parked: set[int] = field(default_factory=set)
    insisted: set[tuple[str, str]] = field(default_factory=set)
    leaked: int = 0
    notes: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Finding:
    """A promise that was not kept. count: how often; text: with examples."""

    verdict: str
    count: int
    text: str
