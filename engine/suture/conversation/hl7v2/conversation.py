"""The conversation of a channel with its HL7 senders: store the bytes, then acknowledge, then hand on.

Nothing is answered before it is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Any

from suture.conversation.hl7v2.answers import Answers
from suture.conversation.hl7v2.batches import Batches, Inward, width_of
from suture.conversation.hl7v2.dealing import Dealing
from suture.conversation.hl7v2.fragments import Fragments
from suture.conversation.hl7v2.sequences import Counted, SenderSequences
from suture.conversation.hl7v2.together import Together, may_be_several
from suture.formats.hl7v2.format import NOT_HL7
from suture.model import states
from suture.model.fault import Fault
from suture.model.finding import APPLICATION_ERROR, ERROR, Finding
from suture.model.message import Message
from suture.model.oversize import FRAME_TOO_LARGE, TooLarge
from suture.pipeline.turns import LARGE_BYTES, Turns
from suture.pipeline.world import World
from suture.ports import Delivery, Failed, Received, Settled
from suture.ports.conversation import Answer, Inside, Say, Then
from suture.wire.hl7v2.exchange import acknowledgement
from suture.wire.hl7v2.exchange.continuation import is_fragment
from suture.wire.hl7v2.text.header import Header, text_of, type_of
from suture.wire.hl7v2.text.widths import Width

ACKNOWLEDGEMENT = "ACKNOWLEDGEMENT"
"""What an acknowledgement that came as a message is counted as."""
KEPT_NAMES_BYTES = 512
"""The longest type and sender that are remembered."""


class Conversation:
    """A suture.ports.conversation.Conversation. channel: its name. window_us: of duplicate detection. inside: the channel behind it."""

    def __init__(self, channel: str, window_us: int, dealing: Dealing, world: World, inside: Inside) -> None:
        self._channel, self._window_us, self._inside = channel, window_us, inside
        self._journal, self._clock, self._observer = world.journal, world.clock, world.observer
        self.when = dealing.answer.when
        self.answers = answers = Answers(dealing.answer, world.clock, world.memory)
        self.turns = turns = Turns(world.soon, world.aside, world.held)
        limits = dealing.continuation
        self.fragments = Fragments(limits, answers, world, inside, window_us, turns) if limits else None
        self.sequences = SenderSequences(channel, answers, world) if dealing.sequence else None
        self.processed: Callable[[int, Settled], None] = answers.waiting.processed
        self.ended: Callable[[Delivery, str], None] = answers.waiting.ended

    def begin(self, done: Then, failed: Failed) -> None:
        """Recall the sequence numbers that are expected of senders."""
        if self.sequences is None:
            done()
        else:
            self.sequences.begin(done, failed)

    def recovered(self, message: Message) -> bool:
        """Whether it is a fragment, which waits for the others."""
        return self.fragments is not None and self.fragments.take(message)

    def stop(self) -> None:
        """Forget who waits for an answer, and what is only in memory."""
        self.turns.stop()
        self.answers.waiting.stop()
        if self.fragments:
            self.fragments.stop()

    def arrived(self, raw: bytes, peer: str, answer: Answer, say: Say | None = None) -> None:
        """Take one message, a batch of them, or several without one."""
        turns = self.turns
        if peer in turns.busy:
            turns.wait(peer, len(raw), partial(self.arrived, raw, peer, answer, say))
            return
        width = width_of(raw) if raw[:3] != b"MSH" else None
        if width is None and not may_be_several(raw):
            self._one(peer, raw, answer, say)
        else:
            self._cut(peer, raw, width, answer, say)

    def _cut(self, peer: str, raw: bytes, width: Width | None, answer: Answer, say: Say | None) -> None:
        """Take what may be several messages, a large one in turns. width: of a batch."""
        turns, head = self.turns, raw[:LARGE_BYTES]
        inward = Inward(partial(self._one, peer), partial(self._envelope, peer))
        way: Batches | Together = Together(self.answers, inward) if width is None else Batches(self.answers, inward, width)
        cut: Callable[[], Any] = partial(way.cut, raw)
        hand_on: Callable[[Any], Iterator[None]] = partial(way.hand_on, head, answer, say)
        if len(raw) > LARGE_BYTES:
            turns.begin(peer, len(raw), cut, hand_on)
        else:
            for _ in hand_on(cut()):
                pass

    def too_large(self, large: TooLarge, limit_bytes: int, peer: str, answer: Answer) -> None:
        """Refuse a message over the limit: its header is kept and waits for a person, and the sender is told.

        answer: as of `arrived`, also where nobody waits for it any more.
        """
        header = Header.of_beginning(large.head)
        size = f"{'more than ' if large.endless else ''}{large.size_bytes:,} bytes"
        named = f" (control id {header.text(10)})" if header and header.get(10) else ""
        reason = f"a message{named} of {size}, over the source's limit of {limit_bytes:,}; only its header is kept"
        kept = header.separator.join(header.fields) + b"\r" if header else b""
        at_us = int(self._clock.seconds() * 1e6)
        fault = Fault(FRAME_TOO_LARGE, "parse", "MSH", reason)
        message = Message(self._channel, kept, at_us, *_names(header), peer, fault=fault)
        if header is not None and acknowledgement.is_one(message.type, kept):
            header = acknowledgement.quiet(header, large.head)
        finding = Finding(APPLICATION_ERROR, ERROR, None, f"the message has {size}, and no more than {limit_bytes:,} are taken")
        told = partial(self.answers.refused, header, answer, finding)
        self._journal.write(Received(message, self._window_us, partial(self._kept, told), lambda error: told()))

    def _kept(self, told: Callable[[], None], state: str, message: Message) -> None:
        self._observer.message(self._channel, state)
        told()

    def _envelope(self, peer: str, header: Header, raw: bytes, faults: list[Fault], told: Callable[[bool], None]) -> None:
        """Keep the envelope of a batch that has no message to keep its faults with; it waits for a person."""
        self._count(faults)
        names = header.text(10), "", f"{header.text(3)}|{header.text(4)}"
        message = Message(self._channel, raw, int(self._clock.seconds() * 1e6), *names, peer, fault=faults[0])
        done = partial(self._kept, partial(told, True))
        self._journal.write(Received(message, self._window_us, done, lambda error: told(False), tuple(faults)))

    def _count(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self._observer.note(self._channel, fault.code)

    def _with(self, faults: list[Fault]) -> tuple[Fault, ...]:
        """The faults that are kept with a message, which are told of no further."""
        kept = tuple(faults)
        faults.clear()
        self._count(kept)
        return kept

    def _one(self, peer: str, raw: bytes, answer: Answer, say: Say | None, faults: list[Fault] | None = None) -> None:
        header = Header.read(raw)
        at_s = self._clock.seconds()
        fault = None if header is not None else NOT_HL7
        message = Message(self._channel, raw, int(at_s * 1e6), *_names(header), peer, 0, fault)
        stored: Callable[[str, Message], None]
        if header is not None and acknowledgement.is_one(message.type, raw):
            header = acknowledgement.quiet(header, raw)  # it is kept like any message, and never counted, nor joined
            stored, failed = partial(self._acknowledgement, header, answer), partial(self.answers.unstorable, header, answer)
        elif self.sequences is not None and header is not None and header.get(13):
            counted = self.sequences.arrived(header, message, answer)
            if counted is None:
                return
            stored = partial(self.sequences.stored, counted, partial(self._stored, header, answer, say, at_s))
            failed = partial(self._uncounted, header, answer, counted)
        else:
            stored, failed = partial(self._stored, header, answer, say, at_s, None), partial(self.answers.unstorable, header, answer)
        self._journal.write(Received(message, self._window_us, stored, failed, self._with(faults) if faults else ()))

    def _acknowledgement(self, header: Header, answer: Answer, state: str, message: Message) -> None:
        """An acknowledgement that came as a message is never answered as one. header: as far as it may be answered."""
        self._observer.message(self._channel, state)
        self._observer.note(self._channel, ACKNOWLEDGEMENT)
        self.answers.acknowledgement(header, message.id, answer)
        if state == states.RECEIVED:
            self._inside.received(message)

    def _uncounted(self, header: Header, answer: Answer, counted: Counted, error: Exception) -> None:
        assert self.sequences is not None
        self.sequences.unstorable(counted)
        self.answers.unstorable(header, answer, error)

    def _stored(
        self, header: Header | None, answer: Answer, say: Say | None, at_s: float, expected: int | None, state: str, message: Message
    ) -> None:
        self._observer.message(self._channel, state)
        self._observer.stage(self._channel, "receive_commit", self._clock.seconds() - at_s)
        if self.fragments is not None and header is not None and is_fragment(header, message.raw):
            self.fragments.stored(header, state, message, answer, say)
            return
        self.answers.stored(header, state, message, answer, say, expected)
        if state == states.RECEIVED:
            self._inside.received(message)
        elif state == states.DUPLICATE:
            self._observer.duplicate(self._channel, "message")


def _names(header: Header | None) -> tuple[str, str, str]:
    """What a message is called (control id and type), and who sent it."""
    if header is None:
        return "", "", ""
    f = header.fields
    if len(f) > 9 and len(f[1]) + len(f[2]) + len(f[3]) + len(f[8]) < KEPT_NAMES_BYTES:
        return (text_of(f[9]), *_kind(f[1], f[2], f[3], f[8]))
    return header.text(10), header.type, f"{header.text(3)}|{header.text(4)}"


@lru_cache(maxsize=256)
def _kind(signs: bytes, application: bytes, facility: bytes, kind: bytes) -> tuple[str, str]:
    """Type and sender, of which a channel has few: told again instead of read again."""
    return type_of(signs, kind), f"{text_of(application)}|{text_of(facility)}"
