"""Application acknowledgements that go over a connection of their own: deliveries like any other, durable and tried again.

The acknowledgement is written in the transaction that says what the message came to, so there is one, and it survives a crash.
"""

from __future__ import annotations

from functools import partial

from suture.conversation.hl7v2 import verdict
from suture.conversation.hl7v2.rules import AnswerRules
from suture.model.message import Message
from suture.model.value import changed
from suture.ports import Delivery, Processed, Settled
from suture.wire.hl7v2.exchange import due
from suture.wire.hl7v2.exchange.reply import Reply, filled, written
from suture.wire.hl7v2.text.header import Header

ASKS = "AL"
"""MSH-15 of such an acknowledgement: its own acceptance is waited for, as for any delivery (HL7 2.9.1 section 2.8.3)."""


def acknowledging(rules: AnswerRules, work: Processed) -> Processed:
    """The same work with the acknowledgement among its deliveries, where the sender asks for one (enhanced mode)."""
    header = Header.read(work.message.raw)
    if header is None or not due.wants(header).enhanced or due.wants(header).application == b"NE":
        return work
    settle, ready = work.settle, work.ready
    with_answer = partial(_with_answer, rules, header, work.message, work.at_us)
    return changed(
        work, settle=lambda claims, stock: with_answer(settle(claims, stock)), ready=None if ready is None else with_answer(ready)
    )


def _with_answer(rules: AnswerRules, header: Header, message: Message, at_us: int, settled: Settled) -> Settled:
    told = verdict.of_settled(settled)
    code = due.replies(header, told.fate).application
    if code is None:
        return settled
    own_id = f"SUT{message.id}A"
    custom = rules.custom(header, code in due.POSITIVE)
    now = verdict.hl7_time(at_us // 1_000_000)
    reply = Reply(code, own_id, now, told.reason, told.findings, None, ASKS, True, custom)
    body = filled(header, rules.template, reply) if rules.template else written(header, reply)
    key = f"acknowledgement/{message.channel}/{message.id}"
    answer = Delivery(message.id, message.channel, rules.apart, "", body, key, own_id, "application/hl7-v2")
    return changed(settled, deliveries=[*settled.deliveries, answer])
