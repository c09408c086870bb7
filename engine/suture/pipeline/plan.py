"""A channel's way with a message: what it takes, where it goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from suture.mapping.compile import Inbound
from suture.mapping.keys import findable
from suture.mapping.payload import Renderer
from suture.master.stock import StockLevels
from suture.model import states
from suture.model.message import Message, Note
from suture.model.value import Value, changed
from suture.pipeline.validation import Validation
from suture.pipeline.world import World
from suture.ports import Processed, Settled
from suture.ports.conversation import Conversation, Inside
from suture.ports.format import Format, Passing, Record, Written


class Output(Value, frozen=True):
    """What one destination of a channel gets: events of these types through a renderer, or the message that came.

    types: event types, () for a passed message, which `passing` makes; None for both: it goes as it came. per_event: one delivery
    an event, else one a message. numbered: messages go there under sequence numbers, one after another, so all of them are in
    one lane. limit_bytes: the largest payload that goes there. written: what is made, as the receiver can read it.
    """

    destination: str
    types: frozenset[str] = frozenset()
    renderer: Renderer | None = None
    passing: Passing | None = None
    per_event: bool = False
    numbered: bool = False
    limit_bytes: int = 67_108_864
    written: Written | None = None


class Plan(Value, frozen=True):
    """A channel's way with a message. format: how it reads messages. accept: types as DFT^P03, empty = all.

    converse: the conversation with its senders, which it is asked for once. window_us: of duplicate detection. on_error: park or
    stop. order_by: the order key of a record. whole: as of Format, for it. settles: what the conversation makes of a message
    instead, where that is known from it alone; adds: what it adds to what a message came to (None for both: nothing).
    """

    channel: str
    outputs: Sequence[Output]
    format: Format
    converse: Callable[[World, Inside], Conversation]
    whole: Callable[[Record], None]
    accept: frozenset[str] = frozenset()
    order_by: Callable[[Record, None], str] | None = None
    inbound: Inbound | None = None
    stock: StockLevels | None = None
    window_us: int = 0
    source: str = "suture"
    on_error: str = "park"
    validation: Validation | None = None
    settles: Callable[[Message], Settled | None] | None = None
    adds: Callable[[Processed], Processed] | None = None

    @property
    def only_reports(self) -> bool:
        """Are findings of the standard told, and no reason to hold a message back?"""
        return self.validation is not None and self.validation.standard is not None and not self.validation.enforce_standard

    def asks_the_standard(self, message: Message) -> bool:
        """Must `process` be given the findings of standard validation for this message?"""
        if self.validation is None or self.validation.standard is None or message.fault:
            return False
        if self.format.unprocessed(message):
            return False
        return self.takes(message) or self.looked(message)[0] is None

    def takes(self, message: Message) -> bool:
        """Is the message's type, as it is written, one that the channel accepts?"""
        return not self.accept or message.type in self.accept or bool(message.fault)

    def looked(self, message: Message) -> tuple[Settled | None, Note | None]:
        """What a message comes to that the channel does not take when it looks closer; and where it does, how its type was read."""
        look = self.format.look(self.accept, message)
        if look.taken:
            return None, look.note
        if look.doubt is None:
            return Settled.filtered(f"{message.type} is not accepted by the channel"), None
        gap = changed(look.doubt, value=findable(look.doubt.value))
        return Settled(states.PARKED, f"{gap.kind}: {gap.path}: {gap.reason}", gaps=[gap]), None
