"""A format: one way of writing messages. What the pipeline asks of a message it asks here, and never sees the message's class."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from suture.model.fault import Fault
from suture.model.finding import Finding
from suture.model.message import Gap, Message, Note
from suture.model.payload import Payload
from suture.model.reading import Record
from suture.model.value import Value

Passing = Callable[[Record, bytes, bool], Payload]
"""passing(record, raw, shared): the received message as one destination gets it. Raises MessageError. shared: others get it too,
so that the record is left as it is."""
Written = Callable[[Payload], Payload]
"""written(payload): a payload in the form that its receiver can read. Raises MessageError."""


class Envelope(Value, frozen=True):
    """What a message says of itself, as texts that any database takes. sent: when, as it is written."""

    control_id: str = ""
    type: str = ""
    sender: str = ""
    sent: str = ""


class Look(Value, frozen=True):
    """A closer look at a type that a channel does not name as it is written.

    taken: it is one of the channel's all the same; note then says how it was read. doubt: why nobody can know; its value is
    the type as it stands, and it is to be made findable.
    """

    taken: bool
    note: Note | None = None
    doubt: Gap | None = None


class Format(Protocol):
    """How one channel reads messages of one format. A record is what `parse` gave."""

    def envelope(self, raw: bytes) -> Envelope | Fault:
        """What a message says of itself; why it is none of this format."""

    def unprocessed(self, message: Message) -> str:
        """Why a message of its kind is kept and never processed, whatever the channel says; "" where it may be."""

    def look(self, accept: Collection[str], message: Message) -> Look:
        """Whether a message whose type is none of `accept` as it is written is one of them."""

    def parse(self, raw: bytes) -> Record:
        """Read a message, as far as is needed to go on. Raises MessageError (stage parse)."""

    def remarks(self, record: Record, reporting: bool) -> Sequence[Note]:
        """What is odd about it and was read all the same. Raises MessageError where it cannot be.

        reporting: what is no worse than a finding of the standard is only remarked.
        """

    def check(self, record: Record, reporting: bool) -> None:
        """Raise MessageError where its values could be others than the sender's; asked before they are mapped."""

    def whole(self, order_by: str) -> Callable[[Record], None]:
        """What raises MessageError for a record that is not one message, or in which order_by ("" for none) names a place in several;
        asked before it is passed on."""

    def judge(self, raw: bytes, standard: Any) -> Sequence[Finding]:
        """What breaks the format's standard, by rules of its own; none where it has no standard."""

    def getter(self, place: str) -> Callable[[Record, None], str]:
        """What gives the text at a path (a sound one) of a record, "" where there is none: its order key."""

    def passing(self, changes: Mapping[str, str], answered: bool, to: Any) -> Passing:
        """How a destination gets the received message: with these texts at these places, in the character set `to` (None: as it came).

        answered: only an answer ends a delivery there, so one that asks for none when all is well asks for one.
        """


class Rules(Protocol):
    """Rules of a site about its messages."""

    def check(self, record: Record, limit: int) -> list[Finding]:
        """What breaks them, at most `limit` findings."""
