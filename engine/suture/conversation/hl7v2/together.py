"""Messages that come as one without a batch around them: cut before each MSH, and each stored, processed and answered for itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import chain

from suture.conversation.hl7v2 import envelopes
from suture.conversation.hl7v2.answers import Answers
from suture.conversation.hl7v2.batches import Inward, positive
from suture.model.fault import Fault
from suture.model.finding import CARDINALITY, ERROR, Finding
from suture.ports.conversation import Answer, Say
from suture.wire.hl7v2.exchange import acknowledgement, batch
from suture.wire.hl7v2.text import lines, widths
from suture.wire.hl7v2.text.header import UNREAD, Header

_END_BYTES = 160
"""Where a trailer of a batch stands behind a message that has no header before it: BTS-2 has 80 characters."""
_AROUND = re.compile(rb"[\r\n][ \t\x0b]*(?!MSH)%b" % lines.BEGINS)


def may_be_several(raw: bytes) -> bool:
    """Is there more than one MSH, wherever it stands, or the name of a segment around messages in the end? Mostly not.

    It takes one look at each byte.
    """
    if raw[:3] != b"MSH":
        return Header.read(raw) is not None
    if raw.rfind(b"TS", -_END_BYTES) >= 0 or lines.has_second(raw):
        return True
    return raw.rfind(b"HS", -_END_BYTES) >= 0


class Together:
    """Receives what may be several messages of one sender of a channel, and takes them in their order.

    Too many of them are refused whole, and only the first segment is kept. Segments of an envelope among them stay in the
    message that they stand in; what is wrong with it is kept with the first.
    """

    def __init__(self, answers: Answers, inward: Inward) -> None:
        self._answers, self._inward = answers, inward
        self._faults: list[Fault] = []

    def cut(self, raw: bytes) -> list[bytes] | None:
        """The messages, which are the bytes that came when they are put one behind another; None where they are too many."""
        if not may_be_several(raw):
            return [raw]
        width, limit = widths.width_of(raw), self._answers.rules.batch_messages
        view, mark = (raw, b"") if width is widths.NARROW else (width.view(raw.removeprefix(width.mark)), width.mark)
        begins = lines.messages_in(view, limit)
        if len(begins) > limit:
            return None
        if _AROUND.search(view):
            self._faults = _faults_of(raw)
        if len(begins) == 1:
            return [raw]
        rest, size = raw[len(mark) :], width.size
        ends = [*(begin * size for begin in begins[1:]), len(rest)]
        return [mark + rest[begin * size : end] for begin, end in zip(begins, ends, strict=True)]

    def hand_on(self, head: bytes, answer: Answer, say: Say | None, messages: list[bytes] | None) -> Iterator[None]:
        """Take the messages, one at each step. head: the beginning of what came."""
        if messages is None:
            self._refuse(head, answer)
            return
        if len(messages) == 1:
            self._inward.receive(messages[0], answer, say, self._faults)
            return
        told = _Told(len(messages), answer, say)
        messages.reverse()
        for number in range(len(messages)):
            said = None if say is None else partial(told.said, number)
            self._inward.receive(messages.pop(), partial(told.answered, number), said, self._faults)
            yield

    def _refuse(self, head: bytes, answer: Answer) -> None:
        """One answer for them all, when what is kept of them is durable."""
        text = f"too many messages at once; at most {self._answers.rules.batch_messages} are taken"
        header = Header.read(head) or UNREAD
        first = header.separator.join(header.fields) + b"\r"
        if acknowledgement.is_one(header.type, first):
            header = acknowledgement.quiet(header, first)
        told = partial(self._answers.refused, header, answer, Finding(CARDINALITY, ERROR, None, text))
        self._inward.keep(header, first, [envelopes.too_large(text)], lambda stored: told())


def _faults_of(raw: bytes) -> list[Fault]:
    """What is wrong with the envelopes in a frame, as if it were a batch."""
    events = list(batch.cut(raw))
    return [*chain.from_iterable(envelopes.faults_of(events).values()), *envelopes.strays_of(events)[1]]


class _Told:
    """What is told of messages that came as one: an answer for each, in the order in which they get them.

    Nothing is told before all are known to be durable, or not: where the transport has a commit acknowledgement, it stands for
    them all and goes first. The last answer ends the turn of the sender. Who can be told one thing only (say is None) is told
    of the first that is refused, or else of the first.
    """

    def __init__(self, count: int, answer: Answer, say: Say | None) -> None:
        self._answer, self._say = answer, say
        self._unknown = set(range(count))
        self._left = count
        self._kept: list[bytes | None] = []
        self._stored = True
        self._begun = self._ended = False

    def said(self, number: int, payload: bytes | None) -> None:
        """One message is durable and its answer comes later; or there is one more thing to say of it."""
        self._unknown.discard(number)
        if payload is not None:
            self._kept.append(payload)
        self._tell()

    def answered(self, number: int, payload: bytes | None, stored: bool = True) -> None:
        """One message has its answer."""
        self._unknown.discard(number)
        self._left -= 1
        self._stored = self._stored and stored
        self._kept.append(payload)
        self._tell()

    def _tell(self) -> None:
        if self._unknown:
            return
        if self._say is None:
            if not self._left:
                self._answer(_one_of(self._kept), self._stored)
            return
        kept, self._kept = self._kept, []
        ending = not self._left and not self._ended
        last = kept.pop() if ending else None
        told: list[bytes | None] = [payload for payload in kept if payload is not None]
        for payload in told or ([] if self._begun or ending else [None]):
            self._say(payload, self._stored)
        self._begun = True
        if ending:
            self._ended = True
            self._answer(last, self._stored)


def _one_of(answers: list[bytes | None]) -> bytes | None:
    """The first answer that says no, else the first."""
    told = [one for one in answers if one is not None]
    return next((one for one in told if not positive(one)), told[0] if told else None)
