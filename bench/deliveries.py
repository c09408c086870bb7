"""The delivery queue alone: deliveries a second that are enqueued, and taken and completed.

The parts are the engine's own, put together as the engine does it: the journal writes what messages came to, the lanes of
a destination take the deliveries from the store and send them, IN_FLIGHT at a time, and the journal writes the attempts. There
is no network and no mapping: the peer accepts whatever it is given in the next turn of the loop.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

from bench.child import BenchError, new_loop
from bench.payloads import payload
from bench.template import ACCOUNTS, control_id
from suture.app import GC_THRESHOLD, SWITCH_S
from suture.model import states
from suture.model.message import Message
from suture.model.outcome import Accepted
from suture.pipeline.lanes import Lanes
from suture.pipeline.retry import Policy
from suture.pipeline.world import World
from suture.ports import Delivery, Done, Operation, Processed, Received, Settled
from suture.store import schema
from suture.store.backlog import Reader
from suture.store.engine import open_engine
from suture.store.journal import Journal
from suture.store.tenure import Tenure

CHANNEL, DESTINATION = "queue", "peer"
IN_FLIGHT = 64
AT_ONCE = 1000
"""Operations that are handed to the journal without waiting for the first of them."""
LIMIT_S = 600
"""Each part ends within this, or it is given up."""


class Silent:
    """An observer that keeps nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given: None


class Willing:
    """A peer that accepts everything in the next turn of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._soon = loop.call_soon

    def send(self, delivery: Delivery, done: Done) -> None:
        """As suture.ports.Destination says."""
        self._soon(done, Accepted("200"))

    def cut(self, code: str, reason: str) -> None:
        """Nothing is in flight for longer than a turn."""


class Queue:
    """So many deliveries on an empty database. Its parts are run one after another, each once; each gives its seconds."""

    def __init__(self, url: str, count: int) -> None:
        self.count, self.loop = count, new_loop()
        self.database = open_engine(url, site=None)
        schema.upgrade(self.database)
        loop = self.loop
        soon: Callable[[Callable[[], None]], Any] = loop.call_soon_threadsafe
        self.journal = Journal(self.database, soon, Silent(), self._trouble, self._failed, loop.call_later)
        tenure = self.journal.tenure = Tenure("bench")
        self.reader = Reader(self.database, soon, loop.call_later, self._failed)
        clock: Any = SimpleNamespace(seconds=time.time, callLater=loop.call_later)
        memory: Any = None
        parts = self.journal, self.reader, clock, Silent(), memory
        self._world = World(*parts, random.random, tenure.may_send, loop.call_soon, lambda work, done: None, self.journal.held)
        self._messages: list[Message] = []
        self._over: asyncio.Future[None] = loop.create_future()
        self.journal.start()

    def receive(self) -> float:
        """Store the messages that the deliveries are of."""
        return self._written(self._received)

    def enqueue(self) -> float:
        """Store what the messages came to, a delivery each, until all are durable."""
        return self._written(self._processed)

    def complete(self) -> float:
        """Have all deliveries taken and sent, until it is durable that all were accepted."""
        peer, policy = Willing(self.loop), Policy(in_flight=IN_FLIGHT)
        lanes = Lanes(CHANNEL, DESTINATION, peer, policy, self._world, lambda lanes: None)
        left = self.count

        def ended(delivery: Delivery, state: str) -> None:
            nonlocal left
            left -= 1
            if state != states.ACCEPTED:
                self._failed(BenchError(f"a delivery is {state}"))
            elif not left:
                self._over.set_result(None)

        lanes.attempts.ended = ended
        seconds = self._timed(lambda: lanes.start(self.count))
        lanes.stop()
        return seconds

    def close(self) -> None:
        """End the threads and let the database go."""
        self.journal.stop()
        self.journal.join(20)
        self.reader.stop()
        self.database.dispose()
        self.loop.close()

    def _written(self, operation: Callable[[int, Callable[..., None]], Operation]) -> float:
        """Hand over an operation for each number, AT_ONCE at a time, until all are durable. operation(number, done)"""
        numbers = iter(range(self.count))
        left = self.count

        def more() -> None:
            if (number := next(numbers, None)) is not None:
                self.journal.write(operation(number, done))

        def done(*result: Any) -> None:
            nonlocal left
            left -= 1
            if left:
                more()
            else:
                self._over.set_result(None)

        def begin() -> None:
            for _ in range(AT_ONCE):
                more()

        return self._timed(begin)

    def _timed(self, begin: Callable[[], None]) -> float:
        self._over = self.loop.create_future()
        begin_s = time.monotonic()
        self.loop.call_soon(begin)
        try:
            self.loop.run_until_complete(asyncio.wait_for(self._over, LIMIT_S))
        except TimeoutError:
            raise BenchError(f"the queue was not through after {LIMIT_S} s") from None
        return time.monotonic() - begin_s

    def _received(self, number: int, done: Callable[..., None]) -> Operation:
        control = control_id(number).decode()
        raw = b"MSH|^~\\&|BENCH|QUEUE|SUTURE|GENERAL|20260101||DFT^P03|%s|P|2.5.1\r" % control_id(number)
        message = Message(CHANNEL, raw, _now_us(), control, "DFT^P03", "BENCH|QUEUE", "127.0.0.1:40000")

        def kept(state: str, stored: Message) -> None:
            self._messages.append(stored)
            done()

        return Received(message, 0, kept, self._failed)

    def _processed(self, number: int, done: Callable[..., None]) -> Operation:
        message, lane = self._messages[number], f"{number % ACCOUNTS:06d}"
        delivery = Delivery(message.id, CHANNEL, DESTINATION, lane, payload(number).encode(), f"bench-{number}", events=(0,))
        settled = Settled(states.PROCESSED, "", deliveries=(delivery,))
        return Processed(message, _now_us(), 0, (), settled, lambda claims, stock: settled, (), (), 0, done, self._failed)

    def _trouble(self, text: str) -> None:
        if text:
            self._failed(BenchError(text))

    def _failed(self, error: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(error if isinstance(error, BenchError) else BenchError(f"the queue: {error}"))


def _now_us() -> int:
    return int(time.time() * 1e6)


def serve(pipe: Connection, url: str, count: int) -> None:
    """In a process of its own, with the settings of an engine's process: sends the seconds of both parts, or a BenchError."""
    gc.set_threshold(*GC_THRESHOLD)
    sys.setswitchinterval(SWITCH_S)
    queue = Queue(url, count)
    try:
        queue.receive()
        gc.freeze()
        pipe.send({"enqueue_s": queue.enqueue(), "complete_s": queue.complete()})
    except BenchError as e:
        pipe.send(e)
    finally:
        queue.close()
