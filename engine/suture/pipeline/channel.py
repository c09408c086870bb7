"""A channel: its way in, its mapping, its lanes; started, drained and stopped as one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from suture.model import states
from suture.model.errors import SutureError
from suture.model.fault import Fault
from suture.model.finding import Finding
from suture.model.message import Message
from suture.model.value import Value, changed
from suture.pipeline.answers import Answers
from suture.pipeline.fragments import Fragments
from suture.pipeline.lanes import Lanes
from suture.pipeline.process import Plan, Skip, fixed, process
from suture.pipeline.receive import Receiver, Ways
from suture.pipeline.sequences import Sequences
from suture.pipeline.turns import A_TURN, LARGE_BYTES, Turns
from suture.pipeline.world import World
from suture.ports import Processed, Settled, Validator

Then = Callable[[], None]


class _Task(Value, frozen=True):
    """A message to be mapped. skip, revision: where it is processed again. then(): the end of it."""

    message: Message
    skip: Skip | None
    revision: int
    then: Then | None
    findings: Sequence[Finding] = ()


class Channel:
    """The running channel without its transports. halted(reason): `on_error: stop` wants the channel stopped.

    validator: of messages by the standard, where the plan asks for it.
    in_work: messages that are stored and not yet processed, durably.
    """

    def __init__(
        self,
        plan: Plan,
        lanes: Mapping[str, Lanes],
        world: World,
        halted: Callable[[str], None],
        validator: Validator | None = None,
    ) -> None:
        self.plan, self.lanes, self._halted, self._validator = plan, lanes, halted, validator
        journal, clock, memory = world.journal, world.clock, world.memory
        self._journal, self._clock, self._observer = journal, clock, world.observer
        self.answers = Answers(plan.answer, journal, clock, memory)
        self._soon, self._aside, self._held = world.soon, world.aside, world.held
        self._turns = None if world.aside is None else Turns(world.soon, world.aside, world.held)
        self.fragments: Fragments | None = None
        if plan.continuation:
            ends = (self._received, self._settle, plan.window_us, self._turns)
            self.fragments = Fragments(plan.continuation, journal, clock, self.answers, *ends)
        self.sequences = Sequences(plan.channel, journal, clock, self.answers, memory) if plan.sequence else None
        ways = Ways(self.answers, self.fragments, self.sequences, self._turns)
        self.receiver = Receiver(plan.channel, plan.window_us, world, self._received, ways)
        self._waits = plan.answer.when != "after_store"
        if plan.answer.when == "after_delivery":
            for one in lanes.values():
                one.attempts.ended = self.answers.ended
        self._todo: deque[Message] = deque()
        self._tasks: deque[_Task] = deque()
        self._stopped = False
        self.in_work = 0

    @property
    def name(self) -> str:
        """The channel's name."""
        return self.plan.channel

    def _received(self, message: Message) -> None:
        """A message is stored and answered: it is mapped when the reactor has looked at its sockets again.

        So the next messages of those who got their answer are on their way to the disk meanwhile. A channel that has
        stopped leaves it to its next start.
        """
        if self._stopped:
            return
        self._enter(message)
        self._todo.append(message)
        if len(self._todo) == 1:
            self._soon(self._work)

    def _enter(self, message: Message) -> None:
        self.in_work += 1
        self._held.bytes += len(message.raw)

    def _leave(self, message: Message) -> None:
        self.in_work -= 1
        self._held.bytes -= len(message.raw)

    def _work(self) -> None:
        size_bytes = count = 0
        try:
            while self._todo and count < A_TURN and size_bytes < LARGE_BYTES:
                message = self._todo.popleft()
                count, size_bytes = count + 1, size_bytes + len(message.raw)
                self._leave(message)
                self.process(message)
        finally:
            if self._todo:
                self._soon(self._work)

    def recover(self, message: Message) -> None:
        """A message that an earlier run stored and did not process; nobody waits for its answer any more."""
        if self.fragments is None or not self.fragments.take(message):
            self._received(message)

    def stop(self) -> None:
        """Forget who waits for an answer, what is only in memory, and how messages are mapped; all messages are in the store.

        (The mapping has the tables, and a channel is one of many objects that know each other: they would be kept with it.)
        """
        self._stopped = True
        if self._turns:
            self._turns.stop()
        self.answers.stop()
        if self.fragments:
            self.fragments.stop()
        for message in self._todo:
            self._leave(message)
        for task in self._tasks:
            self._dropped(task)
        self._todo.clear()
        self._tasks.clear()
        self.plan = replace(self.plan, outputs=(), inbound=None, stock=None, validation=None)

    def _dropped(self, task: _Task) -> None:
        """The channel has stopped: the message stays as it is in the store, where the next start finds it."""
        self._leave(task.message)
        if task.then:
            task.then()

    def _settle(self, message: Message, settled: Settled, then: Then | None = None) -> None:
        """Write what a message came to, where that is not for the mapping to say; then() is called when that is durable."""
        begin_s = self._clock.seconds()
        self._write(fixed(self.plan, message, int(begin_s * 1e6), 0, settled), begin_s, then)

    def process(self, message: Message, skip: Skip | None = None, revision: int = 0, then: Then | None = None) -> None:
        """Validate and map a stored message and write what it comes to; then() is called when that is durable, or cannot be."""
        task = _Task(message, skip, revision, then)
        if self._validator is not None and self.plan.asks_the_standard(message):
            self._enter(message)
            self._validator.check(message.raw, partial(self._validated, task))
        else:
            self._map(task)

    def _validated(self, task: _Task, findings: Sequence[Finding]) -> None:
        if self._stopped:
            self._dropped(task)
            return
        self._leave(task.message)
        self._map(changed(task, findings=findings))

    def _map(self, task: _Task) -> None:
        """Map a message; behind one that is mapped beside the reactor, when that is done."""
        if self._tasks or (self._aside is not None and len(task.message.raw) > LARGE_BYTES):
            self._enter(task.message)
            self._tasks.append(task)
            if len(self._tasks) == 1:
                self._begin_aside()
        else:
            begin_s = self._clock.seconds()
            self._mapped(task, begin_s, self._come_to(task, begin_s))

    def _come_to(self, task: _Task, begin_s: float) -> Processed:
        return process(self.plan, task.message, int(begin_s * 1e6), task.skip, task.revision, task.findings)

    def _begin_aside(self) -> None:
        """The first of the waiting is large."""
        if self._stopped:
            return
        assert self._aside is not None
        task, begin_s = self._tasks[0], self._clock.seconds()
        self._aside(partial(self._come_to, task, begin_s), partial(self._came_back, begin_s))

    def _came_back(self, begin_s: float, work: Processed) -> None:
        if self._stopped:
            return
        task = self._tasks.popleft()
        self._leave(task.message)
        try:
            self._mapped(task, begin_s, work)
        finally:
            self._go_on()

    def _go_on(self) -> None:
        """Those that waited behind it, in their order: the small ones as in `_work`, up to the next large one."""
        size_bytes = count = 0
        try:
            while self._tasks and count < A_TURN and size_bytes < LARGE_BYTES:
                if len(self._tasks[0].message.raw) > LARGE_BYTES:
                    break
                task = self._tasks.popleft()
                count, size_bytes = count + 1, size_bytes + len(task.message.raw)
                self._leave(task.message)
                begin_s = self._clock.seconds()
                self._mapped(task, begin_s, self._come_to(task, begin_s))
        finally:
            if self._tasks:
                self._soon(self._go_on if len(self._tasks[0].message.raw) <= LARGE_BYTES else self._begin_aside)

    def _mapped(self, task: _Task, begin_s: float, work: Processed) -> None:
        self._observer.stage(self.name, "process", self._clock.seconds() - begin_s)
        self._write(work, begin_s, task.then)

    def _write(self, work: Processed, begin_s: float, then: Then | None) -> None:
        self.in_work += 1
        message = work.message
        done = partial(self._processed, message, begin_s, then)
        self._journal.write(changed(work, done=done, failed=partial(self._failed, message, work.revision, begin_s, then)))

    def _processed(self, message: Message, begin_s: float, then: Then | None, settled: Settled) -> None:
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
        for note in settled.notes:
            observer.note(self.name, note.code)
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

    def _failed(self, message: Message, revision: int, begin_s: float, then: Then | None, error: Exception) -> None:
        """The store takes the message but not what it came to: park it, so that the channel goes on."""
        self.in_work -= 1
        code = error.args[0] if isinstance(error, SutureError) else type(error).__name__
        fault = Fault("STORE", "map", "", f"what the message came to cannot be stored ({code})")
        parked = fixed(self.plan, message, int(begin_s * 1e6), revision, Settled.parked(fault))
        self.in_work += 1
        self._journal.write(changed(parked, done=partial(self._processed, message, begin_s, then), failed=partial(self._left, then)))

    def _left(self, then: Then | None, error: Exception) -> None:
        """Not even that can be stored: the message stays `received`, for the next start; nobody waits for it any longer."""
        self.in_work -= 1
        if then:
            then()
