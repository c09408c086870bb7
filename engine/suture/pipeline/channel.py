"""A channel: its way in, its mapping, its lanes; started, drained and stopped as one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from suture.model import states
from suture.model.errors import SutureError
from suture.model.message import Message
from suture.pipeline.answers import Answers
from suture.pipeline.deliver import Lanes
from suture.pipeline.fragments import Fragments
from suture.pipeline.process import Plan, Skip, fixed, process
from suture.pipeline.receive import Receiver, Ways
from suture.pipeline.sequences import Sequences
from suture.ports import Clock, Journal, Memory, Observer, Processed, Settled, Validator
from suture.wire.finding import Finding

Soon = Callable[[Callable[[], None]], object]
A_TURN = 32
"""Messages that are mapped in one turn of the reactor."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a channel can use of the engine. soon(f): run f in the next turn of the reactor (None: at once).

    memory: what the store remembers of earlier messages. validator: of messages by the standard, where the plan asks for it.
    """

    soon: Soon | None = None
    memory: Memory | None = None
    validator: Validator | None = None


NOTHING_AROUND = Around()


class Channel:
    """The running channel without its transports. halted(reason): `on_error: stop` wants the channel stopped.

    in_work: messages that are stored and not yet processed, durably.
    """

    def __init__(
        self,
        plan: Plan,
        lanes: Mapping[str, Lanes],
        journal: Journal,
        clock: Clock,
        observer: Observer,
        halted: Callable[[str], None],
        around: Around = NOTHING_AROUND,
    ) -> None:
        self.plan, self.lanes = plan, lanes
        self._journal, self._clock, self._observer, self._halted = journal, clock, observer, halted
        memory = around.memory
        self.answers = Answers(plan.answer, journal, clock, memory)
        self.fragments: Fragments | None = None
        if plan.continuation:
            self.fragments = Fragments(plan.continuation, journal, clock, self.answers, self._received, self._settle, plan.window_us)
        self.sequences = Sequences(plan.channel, journal, clock, self.answers, memory) if plan.sequence and memory else None
        ways = Ways(self.answers, self.fragments, self.sequences)
        self.receiver = Receiver(plan.channel, plan.window_us, journal, clock, observer, self._received, ways)
        self._waits = plan.answer.when != "after_store"
        if plan.answer.when == "after_delivery":
            for one in lanes.values():
                one.ended = self.answers.ended
        self._soon = around.soon or (lambda work: work())
        self._validator = around.validator
        self._todo: deque[Message] = deque()
        self.in_work = 0

    @property
    def name(self) -> str:
        """The channel's name."""
        return self.plan.channel

    def _received(self, message: Message) -> None:
        """A message is stored and answered: it is mapped when the reactor has looked at its sockets again.

        So the next messages of those who got their answer are on their way to the disk meanwhile.
        """
        self.in_work += 1
        self._todo.append(message)
        if len(self._todo) == 1:
            self._soon(self._work)

    def _work(self) -> None:
        if len(self._todo) > A_TURN:
            self._soon(self._work)
        for _ in range(min(A_TURN, len(self._todo))):
            self.in_work -= 1
            self.process(self._todo.popleft())

    def recover(self, message: Message) -> None:
        """A message that an earlier run stored and did not process; nobody waits for its answer any more."""
        if self.fragments is None or not self.fragments.take(message):
            self.process(message)

    def stop(self) -> None:
        """Forget who waits for an answer, and what is only in memory; all messages are in the store."""
        self.answers.stop()
        if self.fragments:
            self.fragments.stop()

    def _settle(self, message: Message, settled: Settled, then: Callable[[], None] | None = None) -> None:
        """Write what a message came to, where that is not for the mapping to say; then() is called when that is durable."""
        begin_s = self._clock.seconds()
        self._write(fixed(self.plan, message, int(begin_s * 1e6), 0, settled), begin_s, then)

    def process(self, message: Message, skip: Skip | None = None, revision: int = 0, then: Callable[[], None] | None = None) -> None:
        """Validate and map a stored message and write what it comes to; then() is called when that is durable, or cannot be."""
        if self._validator is not None and self.plan.asks_the_standard(message):
            self.in_work += 1
            self._validator.check(message.raw, partial(self._validated, message, skip, revision, then))
        else:
            self._map(message, skip, revision, then, ())

    def _validated(
        self, message: Message, skip: Skip | None, revision: int, then: Callable[[], None] | None, findings: Sequence[Finding]
    ) -> None:
        self.in_work -= 1
        self._map(message, skip, revision, then, findings)

    def _map(
        self, message: Message, skip: Skip | None, revision: int, then: Callable[[], None] | None, findings: Sequence[Finding]
    ) -> None:
        begin_s = self._clock.seconds()
        work = process(self.plan, message, int(begin_s * 1e6), skip, revision, findings)
        self._observer.stage(self.name, "process", self._clock.seconds() - begin_s)
        self._write(work, begin_s, then)

    def _write(self, work: Processed, begin_s: float, then: Callable[[], None] | None) -> None:
        self.in_work += 1
        work.done = partial(self._processed, work.message, begin_s, then)
        work.failed = partial(self._failed, work, begin_s, then)
        self._journal.write(work)

    def _processed(self, message: Message, begin_s: float, then: Callable[[], None] | None, settled: Settled) -> None:
        self.in_work -= 1
        observer = self._observer
        observer.message(self.name, settled.state)
        observer.stage(self.name, "process_commit", self._clock.seconds() - begin_s)
        for _ in settled.duplicates:
            observer.duplicate(self.name, "event")
        for gap in settled.gaps:
            observer.gap(self.name, gap.table)
        for finding in settled.findings:
            observer.finding(self.name, finding.code, finding.severity)
        if self._waits:
            self.answers.processed(message.id, settled)
        for one in settled.unrendered:
            observer.gap(self.name, one.table)
        for delivery in settled.deliveries:
            self.lanes[delivery.destination].add(delivery)
        if then:
            then()
        if self.plan.on_error == "stop" and (settled.state == states.PARKED or settled.gaps or settled.unrendered):
            what = "is parked" if settled.state == states.PARKED or settled.gaps else f"is {settled.reason}"
            self._halted(f"message {message.id} {what}, and the channel says on_error: stop")

    def _failed(self, work: Processed, begin_s: float, then: Callable[[], None] | None, error: Exception) -> None:
        """The store takes the message but not what it came to: park it, so that the channel goes on."""
        self.in_work -= 1
        code = error.args[0] if isinstance(error, SutureError) else type(error).__name__
        settled = Settled(states.PARKED, f"STORE: what the message came to cannot be stored ({code})", (), (), (), ())
        parked = replace(work, keys=(), ready=settled, touches=(), search=(), settle=lambda claims, stock: settled)
        parked.failed = partial(self._left, then)
        self.in_work += 1
        parked.done = partial(self._processed, work.message, begin_s, then)
        self._journal.write(parked)

    def _left(self, then: Callable[[], None] | None, error: Exception) -> None:
        """Not even that can be stored: the message stays `received`, for the next start; nobody waits for it any longer."""
        self.in_work -= 1
        if then:
            then()
