"""Answering: each message gets the acknowledgements that its sender asked for, when the channel says, and none twice.

A message that waits for its answer is kept by its number, with its header and no more; what it comes to is told by the
channel (`processed`) and by the lanes (`ended`), both after the commit. A repetition joins what it repeats. None of this
is durable: after a crash the sender sends again, and the repetition is answered by what became of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from suture.model import states
from suture.model.finding import APPLICATION_ERROR, ERROR, Finding
from suture.model.message import Message
from suture.pipeline import verdict
from suture.pipeline.answer_rules import AnswerRules
from suture.pipeline.verdict import GOOD, Verdict
from suture.ports import Clock, Delivery, Journal, Memory, Past, Settled, Work
from suture.wire.hl7v2.exchange import due
from suture.wire.hl7v2.exchange.due import Fate
from suture.wire.hl7v2.exchange.reply import Form, Reply, filled, form, written
from suture.wire.hl7v2.text.header import Header

Answer = Callable[..., None]
"""answer(payload, stored=True): the answer of one message, called exactly once; None: say nothing. stored: it is durable."""
Say = Callable[..., None]
"""say(payload, stored=True): a further message to the same sender: the application acknowledgement after a commit acknowledgement.

Before the answer, say(None) tells that the message is durable and its answer comes later (for the release 2 of MLLP). stored:
as of Answer, where this comes before it.
"""


@dataclass(slots=True)
class Asker:
    """Who waits for the answer to one message. answer is None when the commit acknowledgement has gone that way."""

    header: Header
    number: int
    answer: Answer | None
    say: Say | None
    expected: int | None = None


@dataclass(slots=True)
class _Entry:
    """A message that is waited for. left: its deliveries that have not ended, None before it is processed."""

    until_s: float
    askers: list[Asker]
    left: set[int] | None = None
    findings: Sequence[Finding] = field(default_factory=tuple)


_Forms = list[tuple[Form | None, Form | None]]
FORMS_MAX = 512
FORM_BYTES_MAX = 2048
"""Kinds of messages of which the form of the answer is remembered, and the largest header of such a kind."""


def _forms(header: Header) -> _Forms:
    """The first and the second answer to a message that went well, as forms; [] where that cannot be."""
    codes, enhanced = due.replies(header, "accepted"), due.wants(header).enhanced
    found: list[Form | None] = []
    for code, application in ((codes.commit, None), (codes.application, "NE" if enhanced else None)):
        if code is not None:
            found.append(form(header, code, application))
            if found[-1] is None:
                return []
    found += [None, None]
    return [(found[0], found[1])]


class Answers:
    """The answers of one channel. memory: reads the store (None: a repetition is answered as if the first had gone well)."""

    def __init__(self, rules: AnswerRules, journal: Journal, clock: Clock, memory: Memory | None = None) -> None:
        self.rules = rules
        self._journal, self._clock, self._memory = journal, clock, memory
        self._at_once = rules.when == "after_store"
        self._plain = self._at_once and not (rules.settings or rules.apart or rules.template)
        self._entries: dict[int, _Entry] = {}
        self._timer: Any = None
        self._now = ("", 0)
        self._forms: dict[tuple[bytes, ...], _Forms] = {}
        self._unstored = 0
        self._askers = 0

    @property
    def waiting(self) -> int:
        """Messages, with repetitions, whose answer waits for what they come to."""
        return self._askers

    # -- what the receiver tells -----------------------------------------------------------------------------------

    def stored(
        self, header: Header | None, state: str, message: Message, answer: Answer, say: Say | None = None, expected: int | None = None
    ) -> None:
        """The message is durable: answer it, or keep who asked until more is known. expected: MSA-4."""
        if header is None:
            answer(written(None, Reply("AE", f"SUT{message.id}", self.now(), f"kept as message {message.id}, but it is not HL7 v2")))
            return
        if self._plain and expected is None and len(header.fields) > 11 and self._by_form(header, message.id, answer, say):
            return
        asker = Asker(header, message.id, answer, say, expected)
        refusal = self._refusal(header)
        if refusal:
            self._refuse(asker, Verdict("rejected", [refusal], refusal.text))
            return
        self._commit(asker)
        if self.rules.apart and due.wants(header).enhanced:
            self._close(asker)
        elif self._at_once:
            self._answer(asker, GOOD)
        elif asker.answer is not None or due.wants(header).application != b"NE":
            self._await(asker, state, message)

    def acknowledgement(self, header: Header, number: int, answer: Answer) -> None:
        """An acknowledgement that came as a message is durable: no more than its acceptance is told, where it asks for that."""
        asker = Asker(header, number, answer, None)
        self._commit(asker)
        self._close(asker)

    def _by_form(self, header: Header, number: int, answer: Answer, say: Say | None) -> bool:
        """Answer at once and well, as nearly always; what the message asks for and looks like is remembered for its sender's next."""
        f = header.fields
        key = (header.separator, f[1], f[2], f[3], f[4], f[5], f[8], f[10], f[11], *f[14:18])
        forms = self._forms.get(key)
        if forms is None:
            if sum(map(len, key)) > FORM_BYTES_MAX:
                return False
            if len(self._forms) >= FORMS_MAX:
                self._forms.clear()
            forms = self._forms[key] = [] if self._refusal(header) else _forms(header)
        if not forms:
            return False
        now, own_id, control_id = self.now().encode(), b"SUT%d" % number, f[9]
        first, second = forms[0]
        answer(None if first is None else first.fill(now, own_id, control_id))
        if second is not None and say is not None:
            say(second.fill(now, own_id + b"A", control_id))
        return True

    def fragment(self, asker: Asker, last: bool) -> Asker | None:
        """A fragment is durable: the accept acknowledgement at once; who asks for the application's is given back.

        In original mode every fragment but the last is answered AA, for that is how its sender knows to go on. last: nothing
        is to follow it, also because its message can never be whole.
        """
        if due.wants(asker.header).enhanced:
            self._commit(asker)
            if not last or self.rules.apart:
                self._close(asker)
        elif not last:
            self._answer(asker, GOOD)
            return None
        return asker

    def whole(self, first: Header, asker: Asker, state: str, message: Message) -> None:
        """The message that fragments were joined to is durable: its application acknowledgement names the first fragment.

        In original mode the one reply there is answers the last fragment.
        """
        if due.wants(first).enhanced:
            if self.rules.apart:
                return
            asker.header = first
        if refusal := self._refusal(first):
            fate: due.Fate = "error" if due.wants(first).enhanced else "rejected"  # its fragments were accepted one by one
            self._answer(asker, Verdict(fate, [refusal], refusal.text))
        elif self._at_once:
            self._answer(asker, GOOD)
        elif asker.answer is not None or due.wants(first).application != b"NE":
            self._await(asker, state, message)

    def broken(self, asker: Asker, finding: Finding) -> None:
        """The fragments will never be a message."""
        self._answer(asker, Verdict("error", [finding], finding.text))

    def unstorable(self, header: Header | None, answer: Answer) -> None:
        """The store does not take this message (and takes others): the sender has to send it again."""
        text = "the message could not be stored; send it again"
        if header is None:
            answer(written(None, Reply("AR", self.unstored_id("R"), self.now(), text)), False)
        else:
            self._refuse(Asker(header, 0, answer, None), Verdict("unstorable", text=text), stored=False)

    def too_large(self, header: Header | None, answer: Answer, text: str) -> None:
        """The message is not taken, for its size. header: None where it has none that can be read."""
        if header is None:
            answer(written(None, Reply("AR", self.unstored_id("R"), self.now(), text)), False)
        else:
            self.refused(header, answer, Finding(APPLICATION_ERROR, ERROR, None, text))

    def refused(self, header: Header, answer: Answer, finding: Finding, fate: Fate = "rejected", expected: int | None = None) -> None:
        """The message is not taken, and not stored."""
        self._refuse(Asker(header, 0, answer, None, expected), Verdict(fate, [finding], finding.text), stored=False)

    def linked(self, header: Header, answer: Answer, expected: int | None) -> None:
        """A message that only asks where the sequence numbers stand: one positive answer, of whichever kind is asked for."""
        codes = due.replies(header, "accepted")
        code = codes.commit or codes.application
        answer(self._written(Asker(header, 0, answer, None, expected), code, GOOD) if code else None)

    def _refusal(self, header: Header) -> Finding | None:
        """Why the channel does not take the message, by what the key of a form holds too."""
        return self.rules.refusal(header) if self.rules.restricts else None

    def _refuse(self, asker: Asker, told: Verdict, stored: bool = True) -> None:
        """One answer, of whichever kind is asked for."""
        codes = due.replies(asker.header, told.fate)
        code = codes.commit if codes.commit not in (None, "CA") else codes.application
        assert asker.answer is not None
        asker.answer(None if code is None else self._written(asker, code, told), stored)

    def _commit(self, asker: Asker) -> None:
        """Send the commit acknowledgement, if one is asked for; then the answer has been given, and the rest is said."""
        codes = due.replies(asker.header, "accepted")
        asks = due.wants(asker.header)
        if codes.commit and asker.answer:
            answer, asker.answer = asker.answer, None
            answer(self._written(asker, codes.commit, GOOD))
        elif asks.enhanced and asks.application == b"NE":
            self._close(asker)

    @staticmethod
    def _close(asker: Asker) -> None:
        """Nothing more goes back the way the message came."""
        if asker.answer is not None:
            answer, asker.answer = asker.answer, None
            answer(None)

    # -- what the channel and the lanes tell -----------------------------------------------------------------------

    def processed(self, number: int, settled: Settled) -> None:
        """A message's rows are durable."""
        entry = self._entries.get(number)
        if entry is None:
            return
        told = verdict.of_settled(settled)
        if self.rules.when == "after_delivery" and settled.unrendered and told.fate == "accepted":
            held = verdict.of_delivery(states.HELD, settled.unrendered[0].delivery.destination)
            self._finish(number, held or told)
        elif self.rules.when == "after_delivery" and settled.deliveries and told.fate == "accepted":
            entry.left, entry.findings = {delivery.id for delivery in settled.deliveries}, told.findings
        else:
            self._finish(number, told)

    def ended(self, delivery: Delivery, state: str) -> None:
        """A delivery has come to the end of its lane, durably."""
        entry = self._entries.get(delivery.message_id)
        if entry is None or entry.left is None:
            return
        bad = verdict.of_delivery(state, delivery.destination)
        if bad is not None and delivery.id in entry.left:
            self._finish(delivery.message_id, bad)
            return
        entry.left.discard(delivery.id)
        if not entry.left:
            self._finish(delivery.message_id, Verdict("accepted", entry.findings))

    # -- waiting ---------------------------------------------------------------------------------------------------

    def _await(self, asker: Asker, state: str, message: Message) -> None:
        if self.waiting >= self.rules.waiting:
            self._answer(asker, Verdict("undelivered", text="kept, and too many wait for an answer; it will be done"))
            return
        if asker.answer is not None and asker.say is not None:
            asker.say(None)
        if state == states.RECEIVED:
            self._enter(message.id, asker)
        elif not message.duplicate_of or self._memory is None:
            self._answer(asker, GOOD)
        else:
            recall = partial(self._ask, message.duplicate_of)
            failed = Verdict("undelivered", text="what became of the first such message cannot be read")
            self._journal.write(Work("recall", recall, partial(self._recalled, asker), lambda e: self._answer(asker, failed)))

    def _ask(self, number: int, connection: Any) -> Past:
        assert self._memory is not None
        return self._memory.recall(connection, number)

    def _recalled(self, asker: Asker, past: Past) -> None:
        """What is known of the first such message: its end, or that it is still on its way, which is then waited for.

        The journal calls back in the order of what it wrote, so nothing that is still to come has been told yet.
        """
        if past.state == states.RECEIVED:
            self._enter(past.id, asker)
            return
        told = verdict.of_past(past)
        if self.rules.when != "after_delivery" or told.fate != "accepted":
            self._answer(asker, told)
            return
        bad = [found for _, destination, state in past.deliveries if (found := verdict.of_delivery(state, destination))]
        left = {number for number, _, state in past.deliveries if state in states.WAITING}
        if bad or not left:
            self._answer(asker, bad[0] if bad else told)
        else:
            self._enter(past.id, asker).left = left

    def _enter(self, number: int, asker: Asker) -> _Entry:
        entry = self._entries.get(number)
        if entry is None:
            entry = self._entries[number] = _Entry(self._clock.seconds() + self.rules.within_s, [])
            if self._timer is None:
                self._timer = self._clock.callLater(self.rules.within_s, self._overdue)
        entry.askers.append(asker)
        self._askers += 1
        return entry

    def _overdue(self) -> None:
        """Answer those who waited too long; the first of the entries is always the oldest."""
        self._timer = None
        now_s = self._clock.seconds()
        text = f"kept, and not done within {self.rules.within_s:g} s; it will be done"
        while self._entries:
            number, entry = next(iter(self._entries.items()))
            left_s = entry.until_s - now_s
            if 0 < left_s < self.rules.within_s + 1:  # more is left where the clock was set back
                self._timer = self._clock.callLater(left_s, self._overdue)
                return
            self._finish(number, Verdict("undelivered", text=text))

    def stop(self) -> None:
        """Wait for nothing any more; who still asks gets no answer, and sends again."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._entries.clear()
        self._askers = 0

    # -- answering -------------------------------------------------------------------------------------------------

    def _finish(self, number: int, told: Verdict) -> None:
        askers = self._entries.pop(number).askers
        self._askers -= len(askers)
        for asker in askers:
            self._answer(asker, told)

    def _answer(self, asker: Asker, told: Verdict) -> None:
        """The application acknowledgement: the answer, or said after the commit acknowledgement."""
        code = due.replies(asker.header, told.fate).application
        payload = None if code is None else self._written(asker, code, told)
        if asker.answer is not None:
            asker.answer(payload)
        elif payload is not None and asker.say is not None:
            asker.say(payload)

    def _written(self, asker: Asker, code: str, told: Verdict) -> bytes:
        header, application = asker.header, None
        own_id = f"SUT{asker.number}" if asker.number else self.unstored_id("R")
        if code[0] == "A" and due.wants(header).enhanced:
            own_id, application = f"{own_id}A", "NE"
        custom = self.rules.custom(header, code in due.POSITIVE)
        reply = Reply(code, own_id, self.now(), told.reason, told.findings, asker.expected, application, False, custom)
        return filled(header, self.rules.template, reply) if self.rules.template else written(header, reply)

    def unstored_id(self, kind: str) -> str:
        """A control id for an answer to what has no number in the store: the second, and a count."""
        self._unstored += 1
        return f"SUT{kind}{int(self._clock.seconds())}.{self._unstored}"

    def now(self) -> str:
        """The time as HL7 has it, in UTC, to the second."""
        second = int(self._clock.seconds())
        if self._now[1] != second:
            self._now = (verdict.hl7_time(second), second)
        return self._now[0]
