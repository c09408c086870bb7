"""How a channel deals with its HL7 senders: what it makes of a message for its header, and what it adds to what it came to. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from suture.conversation.hl7v2.apart import acknowledging
from suture.conversation.hl7v2.rules import AnswerRules
from suture.model.fault import Fault
from suture.model.message import Message
from suture.ports import Processed, Settled
from suture.wire.hl7v2.exchange.continuation import Limits, is_fragment
from suture.wire.hl7v2.text.header import Header

_DSC = "DSC"
_FRAGMENT = Fault("CONTINUATION_UNKNOWN", "map", _DSC, f"{_DSC}: a fragment alone cannot be processed; have the message sent again")
NO_RULES = AnswerRules()


@dataclass(frozen=True, slots=True)
class Dealing:
    """answer: how senders are answered. continuation: limits of messages in fragments, None where DSC means nothing.

    sequence: the sequence number protocol is followed.
    """

    answer: AnswerRules = NO_RULES
    continuation: Limits | None = None
    sequence: bool = False

    @property
    def settles(self) -> Callable[[Message], Settled | None] | None:
        """What is made of a message instead of processing it; None where that is nothing, whatever comes."""
        return self._settled if self.answer.restricts or self.continuation else None

    @property
    def adds(self) -> Callable[[Processed], Processed] | None:
        """What is added to what a message came to: the acknowledgement that goes over a connection of its own."""
        return partial(acknowledging, self.answer) if self.answer.apart else None

    def _settled(self, message: Message) -> Settled | None:
        """Refused to its sender, or a fragment that came alone."""
        header = Header.read(message.raw)
        if header is None:
            return None
        if self.answer.restricts and (finding := self.answer.refusal(header)):
            return Settled.filtered(f"refused: {finding}")
        return Settled.parked(_FRAGMENT) if self.continuation and is_fragment(header, message.raw) else None
