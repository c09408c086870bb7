"""Answering: each message gets the acknowledgements that its sender asked for, when the channel says, and none twice.

Of a message that waits for its answer the header is kept and no more (pipeline/waiting.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from suture.conversation.hl7v2 import verdict
from suture.conversation.hl7v2.rules import AnswerRules
from suture.conversation.hl7v2.verdict import GOOD, Verdict
from suture.model.finding import Finding
from suture.model.message import Message
from suture.pipeline.waiting import Waiting
from suture.ports import Memory, TimeOfDay
from suture.ports.conversation import Answer, Say
from suture.wire.hl7v2.exchange import due
from suture.wire.hl7v2.exchange.due import Fate
from suture.wire.hl7v2.exchange.reply import Reply, form, hl7_time, written
from suture.wire.hl7v2.text.header import Header


@dataclass(slots=True)
class Asker:
    """Who waits for the answer to one message. answer is None when the commit acknowledgement has gone that way."""

    header: Header
    number: int
    answer: Answer | None
    say: Say | None
    expected: int | None = None


class Forms(NamedTuple):
    """The first and the second answer to a message that went well, as forms; None where that one is not due."""

    first: bytes | None = None
    second: bytes | None = None


UNFIT = Forms()
"""Of a kind of message whose answers cannot be remembered."""
FORMS_MAX = 512
FORM_BYTES_MAX = 2048
"""Kinds of messages of which the form of the answer is remembered, and the largest header of such a kind."""


def _forms(header: Header) -> Forms:
    codes, enhanced = due.replies(header, "accepted"), due.wants(header).enhanced
    asked = ((codes.commit, None), (codes.application, "NE" if enhanced else None))
    made = [form(header, code, application) for code, application in asked if code is not None]
    return UNFIT if None in made else Forms(*made)


class Answers:
    """The answers of one channel."""

    def __init__(self, rules: AnswerRules, clock: TimeOfDay, memory: Memory) -> None:
        self.rules = rules
        self._clock = clock
        self._at_once = rules.when == "after_store"
        self._plain = self._at_once and not (rules.settings or rules.apart or rules.template)
        self.waiting: Waiting[Asker, Verdict] = Waiting(rules.when, rules.within_s, clock, memory, verdict, self._answer)
        self._now = ("", 0)
        self._forms: dict[tuple[bytes, ...], Forms] = {}
        self._count = 0

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
        refusal = self.rules.refusal(header)
        if refusal:
            self._refuse(asker, Verdict("rejected", [refusal], refusal.text))
            return
        self._commit(asker)
        if self.rules.apart and due.wants(header).enhanced:
            self._close(asker)
        else:
            self._go_on(asker, header, state, message)

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
            forms = self._forms[key] = UNFIT if self.rules.refusal(header) else _forms(header)
        if forms is UNFIT:
            return False
        now, own_id, control_id = self.now().encode(), b"SUT%d" % number, f[9]
        first, second = forms
        answer(None if first is None else first % (now, own_id, control_id))
        if second is not None and say is not None:
            say(second % (now, own_id + b"A", control_id))
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
        if refusal := self.rules.refusal(first):
            fate: due.Fate = "error" if due.wants(first).enhanced else "rejected"  # its fragments were accepted one by one
            self._answer(asker, Verdict(fate, [refusal], refusal.text))
        else:
            self._go_on(asker, first, state, message)

    def broken(self, asker: Asker, finding: Finding) -> None:
        """The fragments will never be a message."""
        self._answer(asker, Verdict("error", [finding], finding.text))

    def unstorable(self, header: Header | None, answer: Answer, error: Exception) -> None:
        """The store does not take this message (and takes others): the sender has to send it again."""
        self._unstored(header, answer, Verdict("unstorable", text="the message could not be stored; send it again"))

    def refused(
        self, header: Header | None, answer: Answer, finding: Finding, fate: Fate = "rejected", expected: int | None = None
    ) -> None:
        """The message is not taken, and not stored. header: None where it has none that can be read."""
        self._unstored(header, answer, Verdict(fate, [finding], finding.text), expected)

    def _unstored(self, header: Header | None, answer: Answer, told: Verdict, expected: int | None = None) -> None:
        if header is None:
            answer(written(None, Reply("AR", self.unstored_id("R"), self.now(), told.text)), False)
        else:
            self._refuse(Asker(header, 0, answer, None, expected), told, stored=False)

    def linked(self, header: Header, answer: Answer, expected: int | None) -> None:
        """A message that only asks where the sequence numbers stand: one positive answer, of whichever kind is asked for."""
        codes = due.replies(header, "accepted")
        code = codes.commit or codes.application
        answer(self._written(Asker(header, 0, answer, None, expected), code, GOOD) if code else None)

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
            self._close(asker, self._written(asker, codes.commit, GOOD))
        elif asks.enhanced and asks.application == b"NE":
            self._close(asker)

    @staticmethod
    def _close(asker: Asker, payload: bytes | None = None) -> None:
        """No more than this goes back the way the message came."""
        if asker.answer is not None:
            answer, asker.answer = asker.answer, None
            answer(payload)

    def _go_on(self, asker: Asker, header: Header, state: str, message: Message) -> None:
        """The application acknowledgement, at once or when the message has come to what the channel waits for."""
        if self._at_once:
            self._answer(asker, GOOD)
            return
        if asker.answer is None and due.wants(header).application == b"NE":
            return
        if self.waiting.askers >= self.rules.waiting:
            self._answer(asker, verdict.undelivered("kept, and too many wait for an answer; it will be done"))
            return
        if asker.answer is not None and asker.say is not None:
            asker.say(None)
        self.waiting.wait(asker, state, message)

    # -- answering -------------------------------------------------------------------------------------------------

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
        return self.rules.written(header, Reply(code, own_id, self.now(), told.reason, told.findings, asker.expected, application))

    def unstored_id(self, kind: str) -> str:
        """A control id for an answer to what has no number in the store: the second, and a count."""
        self._count += 1
        return f"SUT{kind}{int(self._clock.seconds())}.{self._count}"

    def now(self) -> str:
        """The time as HL7 has it, in UTC, to the second."""
        second = int(self._clock.seconds())
        if self._now[1] != second:
            self._now = (hl7_time(second), second)
        return self._now[0]
