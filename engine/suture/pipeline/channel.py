"""A channel: its way in, its mapping, its lanes; started, drained and stopped as one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from suture.model import states
from suture.model.errors import SutureError
from suture.model.fault import Fault
from suture.model.finding import Finding
from suture.model.message import Message
from suture.model.value import changed
from suture.pipeline.lanes import Lanes
from suture.pipeline.plan import Plan
from suture.pipeline.process import fixed, process
from suture.pipeline.tasks import Load, Skip, Task, Tasks
from suture.pipeline.turns import A_TURN, LARGE_BYTES
from suture.pipeline.world import World
from suture.ports import Processed, Settled, Validator
from suture.ports.conversation import Then


class Channel:
    """The running channel without its transports. halted(reason): `on_error: stop` wants the channel stopped.

    validator: of messages by the standard, where the plan asks for it.
    """

    def __init__(
        self,
        plan: Plan,
        lanes: Mapping[str, Lanes],
        world: World,
        halted: Callable[[str], None],
        validator: Validator | None = None,
    ) -> None:
        self.plan, self.name, self.lanes, self._halted, self._validator = plan, plan.channel, lanes, halted, validator
        self._journal, self._clock, self._observer = world.journal, world.clock, world.observer
        self._soon, self._load = world.soon, Load(world.held)
        self._tasks = Tasks(world, self._load, self._come_to, self._mapped)
        self.conversation = plan.converse(world, self)
        self._waits = self.conversation.when != "after_store"
        if self.conversation.when == "after_delivery":
            for one in lanes.values():
                one.attempts.ended = self.conversation.ended
        self._todo: deque[Message] = deque()
        self._stopped = False

    @property
    def in_work(self) -> int:
        """Messages that are stored and not yet processed, durably."""
        return self._load.count

    def received(self, message: Message) -> None:
        """A message is stored and answered: it is mapped when the reactor has looked at its sockets again.

        So the next messages of those who got their answer are on their way to the disk meanwhile. A channel that has
        stopped leaves it to its next start.
        """
        if self._stopped:
            return
        self._load.enter(message)
        self._todo.append(message)
        if len(self._todo) == 1:
            self._soon(self._work)

    def _work(self) -> None:
        size_bytes = count = 0
        try:
            while self._todo and count < A_TURN and size_bytes < LARGE_BYTES:
                message = self._todo.popleft()
                count, size_bytes = count + 1, size_bytes + len(message.raw)
                self._load.leave(message)
                self.process(message)
        finally:
            if self._todo:
                self._soon(self._work)

    def recover(self, message: Message) -> None:
        """A message that an earlier run stored and did not process; nobody waits for its answer any more."""
        if not self.conversation.recovered(message):
            self.received(message)

    def stop(self) -> None:
        """Forget who waits for an answer, what is only in memory, and how messages are mapped; all messages are in the store.

        (The mapping has the tables, and a channel is one of many objects that know each other: they would be kept with it.)
        """
        self._stopped = True
        self.conversation.stop()
        for message in self._todo:
            self._load.leave(message)
        self._tasks.stop()
        self._todo.clear()
        self.plan = changed(self.plan, outputs=(), inbound=None, stock=None, validation=None)

    def settle(self, message: Message, settled: Settled, then: Then | None = None) -> None:
        """Write what a message came to, where that is not for the mapping to say; then() is called when that is durable."""
        begin_s = self._clock.seconds()
        self._write(fixed(self.plan, message, int(begin_s * 1e6), 0, settled), begin_s, then)

    def process(self, message: Message, skip: Skip | None = None, revision: int = 0, then: Then | None = None) -> None:
        """Validate and map a stored message and write what it comes to; then() is called when that is durable, or cannot be."""
        task = Task(message, skip, revision, then)
        if self._validator is not None and self.plan.asks_the_standard(message):
            self._load.enter(message)
            self._validator.check(message.raw, partial(self._validated, task))
        else:
            self._tasks.map(task)

    def _validated(self, task: Task, findings: Sequence[Finding]) -> None:
        if self._stopped:
            self._load.dropped(task)
            return
        self._load.leave(task.message)
        self._tasks.map(changed(task, findings=findings))

    def _come_to(self, task: Task, begin_s: float) -> Processed:
        return process(self.plan, task.message, int(begin_s * 1e6), task.skip, task.revision, task.findings)

    def _mapped(self, task: Task, begin_s: float, work: Processed) -> None:
        self._observer.stage(self.name, "process", self._clock.seconds() - begin_s)
        self._write(work, begin_s, task.then)

    def _write(self, work: Processed, begin_s: float, then: Then | None) -> None:
        self._load.count += 1
        message = work.message
        done = partial(self._processed, message, begin_s, then)
        self._journal.write(changed(work, done=done, failed=partial(self._failed, message, work.revision, begin_s, then)))

    def _processed(self, message: Message, begin_s: float, then: Then | None, settled: Settled) -> None:
        self._load.count -= 1
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
            self.conversation.processed(message.id, settled)
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
        code = error.args[0] if isinstance(error, SutureError) else type(error).__name__
        fault = Fault("STORE", "map", "", f"what the message came to cannot be stored ({code})")
        parked = fixed(self.plan, message, int(begin_s * 1e6), revision, Settled.parked(fault))
        self._journal.write(changed(parked, done=partial(self._processed, message, begin_s, then), failed=partial(self._left, then)))

    def _left(self, then: Then | None, error: Exception) -> None:
        """Not even that can be stored: the message stays `received`, for the next start; nobody waits for it any longer."""
        self._load.count -= 1
        if then:
            then()
