"""The sequence number protocol on the way in: the number that is expected of each sender, kept across restarts.

The number moves in memory when a message comes, and in the store after the message is durable and before it is answered.
After a crash between the two the sender repeats the message under its number, and the store finds it to be a duplicate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from suture.conversation.hl7v2.answers import Answers
from suture.model.finding import APPLICATION_ERROR, DATA_TYPE, ERROR, Finding, Location
from suture.model.message import Message
from suture.model.value import Value
from suture.pipeline.world import World
from suture.ports import Failed
from suture.ports.conversation import Answer, Then
from suture.wire.hl7v2.exchange.sequence import arrival, number_of
from suture.wire.hl7v2.text.header import Header

_PLACE = Location("MSH", 1, 13)
SENDERS_MAX = 10_000
"""Senders of one channel whose numbers are kept; a further one is refused, for its number could not be."""


class Counted(Value, frozen=True):
    """A message that is taken. reply: its MSA-4. before, expected: the number that was and is expected."""

    sender: str
    reply: int | None
    before: int | None
    expected: int | None


class SenderSequences:
    """The numbers of one channel's senders (MSH-3 and MSH-4)."""

    def __init__(self, channel: str, answers: Answers, world: World) -> None:
        self._channel, self._answers, self._clock, self._memory = channel, answers, world.clock, world.memory
        self._expected: dict[str, int | None] = {}

    def begin(self, done: Then, failed: Failed) -> None:
        """Recall what an earlier run expected of its senders."""
        self._memory.numbers(self._channel, partial(self._recalled, done), failed)

    def _recalled(self, done: Then, numbers: Mapping[str, int | None]) -> None:
        self._expected.update(numbers)
        done()

    def arrived(self, header: Header, message: Message, answer: Answer) -> Counted | None:
        """Decide on a message with a number: None when it is answered here and is not to be stored."""
        sender = message.sender
        if sender not in self._expected and len(self._expected) >= SENDERS_MAX:
            self._refuse(header, answer, "too many senders with sequence numbers", None)
            return None
        before = self._expected.get(sender)
        try:
            sent = number_of(header.get(13))
        except ValueError:
            finding = Finding(DATA_TYPE, ERROR, _PLACE, "this is not a sequence number")
            self._answers.refused(header, answer, finding, "unstorable", before)
            return None
        came = arrival(before, sent)
        if came.kind == "refuse":
            self._refuse(header, answer, "the message is out of sequence; MSA-4 is the number that is expected", came.reply)
            return None
        self._expected[sender] = came.expected
        counted = Counted(sender, came.reply, before, came.expected)
        if came.kind == "link" and _only_header(message.raw):
            self._remember(counted, partial(self._answers.linked, header, answer, came.reply))
            return None
        return counted

    def _refuse(self, header: Header, answer: Answer, why: str, expected: int | None) -> None:
        self._answers.refused(header, answer, Finding(APPLICATION_ERROR, ERROR, _PLACE, why), "unstorable", expected)

    def stored(self, counted: Counted, then: Callable[[int | None, str, Message], None], state: str, message: Message) -> None:
        """The message is durable: now its number, and then the answer: then(MSA-4, state, message)."""
        self._remember(counted, partial(then, counted.reply, state, message))

    def unstorable(self, counted: Counted) -> None:
        """The store does not take the message, so its number is still the expected one."""
        self._expected[counted.sender] = counted.before

    def _remember(self, counted: Counted, then: Callable[[], None]) -> None:
        if counted.before == counted.expected:
            then()
            return
        at_us = int(self._clock.seconds() * 1e6)
        # Without the number the protocol goes on from what is in memory: the message itself is durable.
        self._memory.put_number(self._channel, counted.sender, counted.expected, at_us, then, lambda error: then())


def _only_header(raw: bytes) -> bool:
    return len(raw.replace(b"\n", b"\r").strip(b"\r \t").split(b"\r")) == 1
