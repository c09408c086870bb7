"""What looking returns. The names and the order of the fields are public (the JSON of the command and of the API), whatever the
columns are called that they come from. Times are UTC, in microseconds since 1970.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from suture.model.value import Draft, Value, fresh


class Shown:
    """What all of them have in common. None shows itself in a log: it may name a patient."""

    __slots__ = ()
    __struct_fields__: tuple[str, ...]

    def public(self) -> dict[str, Any]:
        """Names and values, without those that this look does not show."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class View(Shown, Value, frozen=True):
    """Something as it stands in the store."""


class Gathered(Shown, Draft):
    """Something that is put together from many rows."""


class MessageView(View, frozen=True):
    """A message without its content."""

    id: int
    channel: str
    received_at_us: int
    processed_at_us: int | None
    state: str
    control_id: str
    type: str
    sender: str
    peer: str
    size_bytes: int
    duplicate_of: int | None
    reason: str
    revision: int


class EventView(View, frozen=True):
    """A canonical event. body: its JSON (PHI), where content is shown. held_by: in a journey, who raised first what is a duplicate."""

    message_id: int
    revision: int
    number: int
    event_id: str
    type: str
    line: int
    state: str
    key: str
    body: bytes | UnsetType = UNSET
    held_by: int | UnsetType | None = UNSET


class DeliveryView(View, frozen=True, kw_only=True):
    """A delivery. lane: its order key, which may be an account number, where content is shown. words: the partner's own, of the reason."""

    id: int
    message_id: int
    channel: str
    destination: str
    lane: str | UnsetType = UNSET
    state: str
    attempts: int
    next_at_us: int
    idempotency_key: str
    control_id: str
    content_type: str
    events: str
    created_at_us: int
    updated_at_us: int
    accepted_at_us: int | None
    posted_at_us: int | None
    document: str | None
    reason: str
    original_id: int | None
    words: str


class AttemptView(View, frozen=True, kw_only=True):
    """A try to deliver. response: the answer (PHI) where content is shown. words: as of a delivery."""

    delivery_id: int
    number: int
    started_at_us: int
    ended_at_us: int
    outcome: str
    code: str
    reason: str
    response: bytes | UnsetType | None = UNSET
    words: str


class ExceptionView(View, frozen=True):
    """What waits, or waited, for a person. words: as of a delivery."""

    id: int
    message_id: int
    delivery_id: int | None
    channel: str
    stage: str
    code: str
    line: int
    field: str
    path: str
    table_name: str
    value: str
    reason: str
    opened_at_us: int
    resolved_at_us: int | None
    resolution: str | None
    words: str


class NoteView(View, frozen=True):
    """A remark about a message, or one of its lines (0: the whole)."""

    line: int
    code: str
    place: str
    reason: str


class AuditView(View, frozen=True):
    """A line of the audit."""

    id: int
    at_us: int
    actor: str
    verb: str
    target: str
    reason: str


class Step(View, frozen=True):
    """One thing that happened: when, what in one word, and the sentence. No content (PHI), but for a partner's own words in a reason."""

    at_us: int
    what: str
    text: str
    delivery_id: int | None = None


class Journey(Gathered):
    """A message with everything that came of it, without content; steps: all of it in the order of time.

    notes: remarks about the message and its lines. original: the message these bytes came as before. duplicates: later
    messages with the same bytes.
    """

    message: MessageView
    original: MessageView | None
    duplicates: list[MessageView]
    events: list[EventView]
    deliveries: list[DeliveryView]
    attempts: list[AttemptView]
    exceptions: list[ExceptionView]
    notes: list[NoteView]
    steps: list[Step]


SEND, SKIP = "send", "skip"


class Item(View, frozen=True):
    """One message or delivery of a request. action: send or skip, and why; doubles: who would get it a second time."""

    message_id: int
    delivery_id: int | None
    channel: str
    destination: str
    state: str
    action: str
    why: str
    doubles: tuple[str, ...] = ()


class Answer(View, frozen=True):
    """What became of a command. done: the engine has answered; ok and result are its answer (as in verbs.py, or a text).

    running: there is an engine at work; state: as in store/standing.py. A command that is not done stays, and is obeyed when
    the engine can.
    """

    command_id: int
    done: bool
    ok: bool
    result: Any
    running: bool
    state: str = ""


class Owner(View, frozen=True):
    """Who took a store last, in its own words. node: the machine's name. process: as in store/process.py. lease_s: how long it
    may go on sending after a commit. since_us: when it took the store, by its clock. released: it has said that it sends no more.
    """

    epoch: int
    node: str
    pid: int
    process: str
    lease_s: float
    since_us: int
    released: bool = False

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.node or 'an unnamed machine'}, epoch {self.epoch}"


class Refusal(View, frozen=True):
    """The last delivery that a destination did not take and that waits for a person. reason: with the partner's words; words: those."""

    delivery_id: int
    exception_id: int
    at_us: int
    code: str
    reason: str
    words: str


class DestinationStatus(Gathered):
    """One destination of a channel. deliveries: count by state; oldest_waiting_us: when the oldest of them was made.

    state, since_us, next_try_us, reason: what the engine says of the peer, reason with the peer's own words, which stand in
    words too; state is "" when it has said nothing yet. refusal: the last one that waits for a person.
    """

    destination: str
    deliveries: dict[str, int] = fresh(dict)
    oldest_waiting_us: int | None = None
    last_accepted_us: int | None = None
    state: str = ""
    since_us: int | None = None
    next_try_us: int | None = None
    reason: str = ""
    words: str = ""
    refusal: Refusal | None = None


class ChannelStatus(Gathered):
    """One channel. desired is what the operator wants, actual what the engine says; messages: count by state."""

    channel: str
    desired: str = ""
    actual: str = ""
    reason: str = ""
    messages: dict[str, int] = fresh(dict)
    last_received_us: int | None = None
    exceptions: int = 0
    destinations: dict[str, DestinationStatus] = fresh(dict)


class Status(Gathered):
    """state: of the engine, as in store/standing.py; running: it is at work. engine: its facts (pid, version, ...) as text.

    heartbeat_us: its last sign of life. owner: who has the store, or had it last. missing: what could not be told, in sentences.
    """

    running: bool
    state: str
    engine: dict[str, str]
    heartbeat_us: int | None
    since_us: int | None
    channels: dict[str, ChannelStatus]
    owner: Owner | None = None
    missing: list[str] = fresh(list)


class Doubled(Gathered):
    """At one destination. deliveries: how many held something that it had taken before. messages: whose, in order."""

    deliveries: int = 0
    messages: list[int] = fresh(list)


class Balance(Gathered):
    """Every input of a channel accounted for. All fields are counts.

    received: messages stored, which is the sum of `messages` (by state). events: by type, then raised or duplicate (of
    each message's newest processing). deliveries: by destination, then state. exceptions: by "stage code", then open
    or resolved. unsettled: messages and deliveries that the engine is still at. doubled: what destinations have taken a
    second time because a person insisted, which is no mistake in the books. wrong: sentences on whatever does not add up;
    empty when the books balance.
    """

    channel: str
    received: int = 0
    messages: dict[str, int] = fresh(dict)
    events: dict[str, dict[str, int]] = fresh(dict)
    deliveries: dict[str, dict[str, int]] = fresh(dict)
    exceptions: dict[str, dict[str, int]] = fresh(dict)
    unsettled: int = 0
    doubled: dict[str, Doubled] = fresh(dict)
    wrong: list[str] = fresh(list)
