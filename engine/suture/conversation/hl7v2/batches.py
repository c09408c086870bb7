"""A batch that comes as one message: cut into its messages, each stored for itself, and answered as a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from suture.conversation.hl7v2 import envelopes
from suture.conversation.hl7v2.answers import Answers
from suture.model.fault import Fault
from suture.model.finding import CARDINALITY, ERROR, Finding
from suture.model.value import Value
from suture.ports.conversation import Answer, Say
from suture.wire.hl7v2.exchange import ack, batch
from suture.wire.hl7v2.exchange.batch import Answered
from suture.wire.hl7v2.exchange.due import POSITIVE
from suture.wire.hl7v2.text import widths
from suture.wire.hl7v2.text.header import UNREAD, Header
from suture.wire.hl7v2.text.widths import Width

_NAMES = (b"BHS", b"FHS")
"""What a batch or a file of batches begins with."""
_BLANK = b" \t\r\n\x0b" + widths.MARK
KEPT_BYTES = 32_768
"""Of an envelope without messages so much is kept."""
ENVELOPE = 4
"""FHS, BHS, BTS and FTS: what may stand around one message. What stands around none costs time too, so it counts."""


class Inward(Value, frozen=True):
    """Where what a batch was cut into goes, for one sender.

    receive(raw, answer, say, faults): takes one message; what is wrong with its batch is kept with it, and taken out of the list.
    keep(header, raw, faults, told): keeps an envelope without a message to hang its faults on, or segments of no message;
    told(stored) when that is durable.
    """

    receive: Callable[[bytes, Answer, Say | None, list[Fault]], None]
    keep: Callable[[Header, bytes, list[Fault], Callable[[bool], None]], None]


def width_of(raw: bytes) -> Width | None:
    """How a batch is written; None for what is no batch."""
    if raw[:3] == b"MSH":
        return None
    if raw[:3] in _NAMES:
        return widths.NARROW if len(raw) > 3 and not raw[3:4].isalnum() else None
    width = widths.width_of(raw)
    head = width.view(raw[: widths.HEAD_BYTES]).lstrip(_BLANK) if width.size > 1 else b""
    return width if head[:3] in _NAMES and len(head) > 3 and not head[3:4].isalnum() else None


class Batches:
    """Receives the batches of one sender of a channel, in one width.

    A batch is answered once, when each of its messages has its answer, and so is durable. One with too many messages or
    envelopes, or without any that can be read, is refused whole, and of it only its first segment is kept. What is wrong with
    the envelope is kept as exceptions, and segments of no message in a message of their own, behind the first segment of the
    batch. A batch of acknowledgements is not answered.
    """

    def __init__(self, answers: Answers, inward: Inward, width: Width = widths.NARROW) -> None:
        self._answers, self._inward, self._width = answers, inward, width

    def cut(self, raw: bytes) -> list[batch.Event] | None:
        """What the batch is made of; None, without looking further, when that is more than so many messages or their envelopes.

        Pure, and takes long for a large one.
        """
        limit, messages, events = self._answers.rules.batch_messages, 0, list[batch.Event]()
        for event in batch.cut(raw):
            events.append(event)
            messages += isinstance(event, batch.Found)
            if messages > limit or len(events) - messages > ENVELOPE * (limit + 1):
                return None
        return events

    def hand_on(self, head: bytes, answer: Answer, say: Say | None, events: list[batch.Event] | None) -> Iterator[None]:
        """Take what the batch was cut into, a message at each step. head: of the batch, its first segment at least."""
        if events is None:
            limit = self._answers.rules.batch_messages
            text = f"a batch of too many messages or envelopes; at most {limit} messages are taken"
            self._refuse(head, answer, Finding(CARDINALITY, ERROR, None, text))
            return
        faults, waiting = envelopes.faults_of(events), list[Fault]()
        strays, told = envelopes.strays_of(events)
        gathered = _Gathered(self._answers, events, answer, self._width)
        said = None if say is None else partial(_said, say)
        events.reverse()
        while events:  # what is handed on is kept by whoever has it, and no longer here
            event = events.pop()
            if isinstance(event, batch.Found):
                waiting += faults.pop(event.number, ())
                self._inward.receive(event.raw, partial(gathered.answered, event.number), said, waiting)
                yield
        waiting += (*faults.pop(0, ()), *told)
        if waiting:
            kept = self._line(head) + b"\r" + strays if strays else head[:KEPT_BYTES]
            self._inward.keep(self._header(head), kept, waiting, gathered.handed_on)
        else:
            gathered.handed_on()

    def _refuse(self, head: bytes, answer: Answer, finding: Finding) -> None:
        """One acknowledgement for the whole, which names the batch by its control id; when what is kept of it is durable."""
        header, silent = self._header(head), envelopes.begins_with_acknowledgement(head)

        def told(stored: bool) -> None:
            if silent:
                answer(None, stored)
            else:
                self._answers.refused(header, answer, finding)

        self._inward.keep(header, self._line(head) + b"\r", [envelopes.too_large(finding.text)], told)

    def _line(self, head: bytes) -> bytes:
        """The first segment."""
        width = self._width
        text = head if width is widths.NARROW else width.narrow(head[: widths.HEAD_BYTES]).lstrip(_BLANK)
        return text.split(b"\r", 1)[0].split(b"\n", 1)[0]

    def _header(self, head: bytes) -> Header:
        """What an answer to the whole needs: the first segment as if it were an MSH, with the batch's own control id."""
        line = self._line(head)
        header = Header.read(b"MSH" + line[3:])
        if header is None:
            return UNREAD
        fields = [*header.fields[:7], *[b""] * (7 - len(header.fields)), b"", b"", batch.control_id(line), b"P"]
        return Header(header.separator, fields, self._width)


class _Gathered:
    """The answers to a batch's messages, until all have come."""

    def __init__(self, answers: Answers, events: list[batch.Event], answer: Answer, width: Width) -> None:
        self._answers, self._answer, self._width = answers, answer, width
        self._file = next((e.line for e in events if isinstance(e, batch.Opened) and e.kind == "FHS"), b"")
        self._batches: list[Answered] = []
        self._told: dict[int, list[tuple[int, bytes]]] = {}
        self._place: dict[int, int] = {}
        self._stored, self._silent = True, envelopes.acknowledges(events)
        self._left = 1  # one for the cutting itself, so that no answer comes before the last message is known
        self._shape(events)

    def _shape(self, events: list[batch.Event]) -> None:
        """The batches as they came, and the batch of each message."""
        faults = [e.text for e in events if isinstance(e, batch.Fault)]
        inside = False
        for event in events:
            if isinstance(event, batch.Opened) and event.kind == "BHS":
                self._batches.append(Answered(event.line, []))
                inside = True
            elif isinstance(event, batch.Found):
                if not inside:
                    self._batches.append(Answered(b"", []))
                    inside = True
                self._place[event.number] = len(self._batches) - 1
                self._left += 1
            elif isinstance(event, batch.Closed):
                inside = False
        if not self._batches:
            self._batches.append(Answered(b"", []))
        self._batches[0].comment = faults[0] + (f" (and {len(faults) - 1} more)" if len(faults) > 1 else "") if faults else ""

    def answered(self, number: int, payload: bytes | None, stored: bool = True) -> None:
        """One message has its answer."""
        self._stored = self._stored and stored
        if payload is not None and self._width is not widths.NARROW:
            payload = widths.width_of(payload).narrow(payload)
        if payload is not None and (self._answers.rules.batch == "all" or not positive(payload)):
            self._told.setdefault(self._place[number], []).append((number, payload))
        self._done()

    def handed_on(self, stored: bool = True) -> None:
        """Every message has been handed over. stored: what is wrong with the envelope, if anything, is durable."""
        self._stored = self._stored and stored
        self._done()

    def _done(self) -> None:
        self._left -= 1
        if self._left:
            return
        if self._answers.rules.batch == "none" or (self._silent and not self._told):
            self._answer(None, self._stored)
            return
        for place, told in self._told.items():
            self._batches[place].answers = [payload for _, payload in sorted(told)]
        own_id, now = self._answers.unstored_id("B"), self._answers.now()
        self._answer(batch.acknowledged(self._file, self._batches, own_id, now, self._width), self._stored)


def _said(say: Say, payload: bytes | None) -> None:
    """One message of a batch is durable, which says nothing of the batch; or it has its application acknowledgement."""
    if payload is not None:
        say(payload)


def positive(payload: bytes) -> bool:
    """Is this acknowledgement one that says yes?"""
    return ack.read(payload).code in POSITIVE
