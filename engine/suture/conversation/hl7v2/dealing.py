"""How a channel deals with its HL7 senders: what it makes of a message for its header, and what it adds to what it came to. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from suture.conversation.hl7v2 import verdict
from suture.conversation.hl7v2.rules import AnswerRules
from suture.model.fault import Fault
from suture.model.message import Message
from suture.model.value import Value, changed
from suture.ports import Delivery, Processed, Settled
from suture.wire.hl7v2.exchange import due
from suture.wire.hl7v2.exchange.continuation import Limits, is_fragment
from suture.wire.hl7v2.exchange.reply import Reply, hl7_time
from suture.wire.hl7v2.text.header import Header

_DSC = "DSC"
_FRAGMENT = Fault("CONTINUATION_UNKNOWN", "map", _DSC, f"{_DSC}: a fragment alone cannot be processed; have the message sent again")
NO_RULES = AnswerRules()
_ASKS = "AL"
"""MSH-15 of an acknowledgement over a connection of its own: its acceptance is waited for, as for any delivery (HL7 2.9.1
section 2.8.3)."""


class Dealing(Value, frozen=True):
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
        return partial(_acknowledging, self.answer) if self.answer.apart else None

    def _settled(self, message: Message) -> Settled | None:
        """Refused to its sender, or a fragment that came alone."""
        header = Header.read(message.raw)
        if header is None:
            return None
        if finding := self.answer.refusal(header):
            return Settled.filtered(f"refused: {finding}")
        return Settled.parked(_FRAGMENT) if self.continuation and is_fragment(header, message.raw) else None


def _acknowledging(rules: AnswerRules, work: Processed) -> Processed:
    """The same work with the acknowledgement among its deliveries, where the sender asks for one (enhanced mode).

    Such an acknowledgement goes over a connection of its own. It is a delivery like any other, durable and tried again, and is
    written in the transaction that says what the message came to: so there is one, and it survives a crash.
    """
    header = Header.read(work.message.raw)
    if header is None or not due.wants(header).enhanced or due.wants(header).application == b"NE":
        return work
    return work.through(partial(_with_answer, rules, header, work.message, work.at_us))


def _with_answer(rules: AnswerRules, header: Header, message: Message, at_us: int, settled: Settled) -> Settled:
    told = verdict.of_settled(settled)
    code = due.replies(header, told.fate).application
    if code is None:
        return settled
    own_id = f"SUT{message.id}A"
    now = hl7_time(at_us // 1_000_000)
    body = rules.written(header, Reply(code, own_id, now, told.reason, told.findings, None, _ASKS, apart=True))
    key = f"acknowledgement/{message.channel}/{message.id}"
    answer = Delivery(message.id, message.channel, rules.apart, "", body, key, own_id, "application/hl7-v2")
    return changed(settled, deliveries=[*settled.deliveries, answer])
