"""Messages on their way through the mapping, in the order in which they came: the small ones at once, a large one beside the reactor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from suture.model.finding import Finding
from suture.model.message import Message
from suture.model.value import Value
from suture.pipeline.turns import A_TURN, LARGE_BYTES
from suture.pipeline.world import World
from suture.ports import Held, Processed
from suture.ports.conversation import Then

Skip = Mapping[str, frozenset[int]]
"""Destination to numbers of events (0 for a passed message) that it has taken already; STOCK for those it has counted."""


class Task(Value, frozen=True):
    """A message to be mapped. skip, revision: where it is processed again. then(): the end of it."""

    message: Message
    skip: Skip | None
    revision: int
    then: Then | None
    findings: Sequence[Finding] = ()


@dataclass(slots=True)
class Load:
    """What a channel has in work: messages that are stored and not yet processed, durably; their bytes are counted in held."""

    held: Held
    count: int = 0

    def enter(self, message: Message) -> None:
        """A message waits."""
        self.count += 1
        self.held.bytes += len(message.raw)

    def leave(self, message: Message) -> None:
        """It waits no longer."""
        self.count -= 1
        self.held.bytes -= len(message.raw)

    def dropped(self, task: Task) -> None:
        """The channel has stopped: the message stays as it is in the store, where the next start finds it."""
        self.leave(task.message)
        if task.then:
            task.then()


class Tasks:
    """Maps one channel's messages. come_to(task, begin_s): what it comes to; done(task, begin_s, work): what is done with that."""

    def __init__(
        self,
        world: World,
        load: Load,
        come_to: Callable[[Task, float], Processed],
        done: Callable[[Task, float, Processed], None],
    ) -> None:
        self._soon, self._aside, self._clock, self._load = world.soon, world.aside, world.clock, load
        self._come_to, self._done = come_to, done
        self._waiting: deque[Task] = deque()
        self._stopped = False

    def map(self, task: Task) -> None:
        """Map a message; behind one that is mapped beside the reactor, when that is done."""
        if self._waiting or len(task.message.raw) > LARGE_BYTES:
            self._load.enter(task.message)
            self._waiting.append(task)
            if len(self._waiting) == 1:
                self._begin_aside()
        else:
            begin_s = self._clock.seconds()
            self._done(task, begin_s, self._come_to(task, begin_s))

    def _begin_aside(self) -> None:
        """The first of the waiting is large."""
        if self._stopped:
            return
        task, begin_s = self._waiting[0], self._clock.seconds()
        self._aside(partial(self._come_to, task, begin_s), partial(self._came_back, begin_s))

    def _came_back(self, begin_s: float, work: Processed) -> None:
        if self._stopped:
            return
        task = self._waiting.popleft()
        self._load.leave(task.message)
        try:
            self._done(task, begin_s, work)
        finally:
            self._go_on()

    def _go_on(self) -> None:
        """Those that waited behind it, in their order: some small ones in a turn of the reactor, up to the next large one."""
        size_bytes = count = 0
        try:
            while self._waiting and count < A_TURN and size_bytes < LARGE_BYTES:
                if len(self._waiting[0].message.raw) > LARGE_BYTES:
                    break
                task = self._waiting.popleft()
                count, size_bytes = count + 1, size_bytes + len(task.message.raw)
                self._load.leave(task.message)
                begin_s = self._clock.seconds()
                self._done(task, begin_s, self._come_to(task, begin_s))
        finally:
            if self._waiting:
                self._soon(self._go_on if len(self._waiting[0].message.raw) <= LARGE_BYTES else self._begin_aside)

    def stop(self) -> None:
        """Map no more."""
        self._stopped = True
        for task in self._waiting:
            self._load.dropped(task)
        self._waiting.clear()
