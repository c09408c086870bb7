"""The sequence number protocol on the way out (HL7 2.9.1 section 2.9.1): a destination whose messages are numbered.

It stands between the lane and the connector. The number of a delivery is durable before its bytes leave the house, so that
after a crash the same delivery goes out under the same number, and the receiver can tell that it has it. Where the two
sides do not agree nothing is sent: the lane waits, visibly, until they agree again or a person resynchronises them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from suture.model.errors import MessageError
from suture.model.outcome import Accepted, Ambiguous, Held, Outcome, Rejected, Unavailable
from suture.model.value import changed
from suture.pipeline.world import World
from suture.ports import Delivery, Destination, Done
from suture.wire.hl7v2.exchange import ack, sequence
from suture.wire.hl7v2.exchange.reply import hl7_time
from suture.wire.hl7v2.exchange.sequence import RESYNC, START, Count

NO_NUMBER = RESYNC - 1
"""Stands for an MSA-4 that is no sequence number: no number fits it."""
REFUSALS_BY_NUMBER = ("CE", "CR")
"""Codes of an accept acknowledgement: with them a repetition is refused for its number, not for its content."""


class Numbered:
    """A destination whose messages carry MSH-13. note(code, text): a change worth a log line."""

    def __init__(self, peer: Destination, channel: str, name: str, world: World, note: Callable[[str, str], None]) -> None:
        self._peer, self._channel, self._name, self._note = peer, channel, name, note
        self._memory, self._clock = world.memory, world.clock
        self._count = Count()
        self._resync = False
        self._busy = False
        self._queue: deque[tuple[Delivery, Done]] = deque()

    def load(self, last: tuple[int, int] | None) -> None:
        """What an earlier run wrote down: the number that it gave last, and the delivery that it gave it to."""
        if last is not None:
            self._count = Count(*last, taken=None)

    def resync(self) -> None:
        """A person says: give up on what the receiver expects, and go on with the next number (MSH-13 = -1)."""
        self._resync = True

    def send(self, delivery: Delivery, done: Done) -> None:
        """Send it under its number, after those that came before it."""
        self._queue.append((delivery, done))
        if not self._busy:
            self._busy = True
            self._next()

    def cut(self, code: str, reason: str) -> None:
        """Give up what is in flight."""
        self._peer.cut(code, reason)

    def _next(self) -> None:
        delivery = self._queue[0][0]
        try:
            if self._resync or self._count.asks(delivery.id):
                self._ask(delivery)
            else:
                self._give(delivery)
        except MessageError as e:
            self._clock.callLater(0, self._end, Rejected(e.code, f"it cannot be numbered: {e.reason}"))

    def _end(self, outcome: Outcome) -> None:
        """The first of the queue has its outcome."""
        _, done = self._queue.popleft()
        done(outcome)
        self._busy = bool(self._queue)
        if self._busy:
            self._next()

    # -- where the two sides stand -----------------------------------------------------------------------------------

    def _ask(self, delivery: Delivery) -> None:
        number = RESYNC if self._resync else START
        at_s = self._clock.seconds()
        control_id = f"SEQ{int(at_s * 1e6)}"
        body = sequence.link(delivery.body, number, control_id, hl7_time(int(at_s)))
        asked = changed(delivery, id=0, body=body, control_id=control_id)
        self._peer.send(asked, partial(self._told, delivery, number))

    def _told(self, delivery: Delivery, asked: int, outcome: Outcome) -> None:
        if isinstance(outcome, (Ambiguous, Unavailable)):
            wait_s = outcome.wait_s if isinstance(outcome, Unavailable) else None
            why = f"when asked for its sequence number: {outcome.reason}"
            self._end(Unavailable(outcome.code, why, outcome.response, outcome.words, wait_s))
            return
        try:
            expected = ack.expected_number(outcome.response)
        except ValueError:
            self._refuse(outcome, "the peer answers a sequence number (MSA-4) that is none")
            return
        if expected is None and not isinstance(outcome, Accepted):
            self._refuse(outcome, f"the peer refuses to say where its sequence numbers stand ({outcome.code})")
        elif asked == RESYNC:
            self._count.started(delivery.id, RESYNC)
            self._resync = False
            self._note("SEQUENCE_RESYNC", "the peer was told to take any sequence number")
            self._next()
        elif self._count.started(delivery.id, expected):
            self._next()
        else:
            own = " or ".join(map(str, self._count.expectable()))
            self._refuse(
                outcome,
                f"the peer expects sequence number {expected}, and {own} is next here: messages are missing on one side; look for them,"
                f" then `suture channel resync {self._channel} {self._name}`",
            )

    def _refuse(self, outcome: Outcome, why: str) -> None:
        self._end(Unavailable("SEQUENCE", why, outcome.response, outcome.words))

    # -- a message under its number ----------------------------------------------------------------------------------

    def _give(self, delivery: Delivery) -> None:
        count = self._count
        number = count.give(delivery.id)
        try:
            sent = changed(delivery, body=sequence.numbered(delivery.body, number))
        except MessageError:
            count.unsent()
            raise
        if count.again:  # its number is durable since it was given first
            self._peer.send(sent, self._answered)
            return
        send, at_us = partial(self._peer.send, sent, self._answered), int(self._clock.seconds() * 1e6)
        self._memory.put_sent(self._channel, self._name, number, delivery.id, at_us, send, self._unwritten)

    def _unwritten(self, error: Exception) -> None:
        self._count.unsent()
        self._end(Unavailable("STORE", f"its sequence number cannot be stored ({type(error).__name__})"))

    def _answered(self, outcome: Outcome) -> None:
        if isinstance(outcome, (Ambiguous, Unavailable)):
            self._end(outcome)  # it comes again under the same number
            return
        number = self._count.last
        try:
            expected = ack.expected_number(outcome.response)
            stands = f"expects sequence number {expected}"
        except ValueError:
            expected, stands = NO_NUMBER, "answers a sequence number (MSA-4) that is none"
        told = self._count.answered(isinstance(outcome, Accepted), expected)
        if told == "own":
            self._end(outcome)
        elif told == "repetition":
            self._end(_repeated(outcome))
        else:
            self._refuse(outcome, f"the peer {stands}, and this message has {number}; it is asked where it stands")


def _repeated(outcome: Outcome) -> Outcome:
    """The receiver has it already; what it answered the first time was lost."""
    if outcome.code in REFUSALS_BY_NUMBER:
        return Accepted(outcome.code, outcome.response)
    reason = f"the peer has had it before and answers {outcome.code} to the repetition; ask there what it did"
    return Held(outcome.code, reason, outcome.response, outcome.words)
