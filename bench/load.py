"""The senders: a number of MLLP connections, each of which waits for its answer before it sends again (a closed loop)."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.child import Child, new_loop
from bench.figures import Sent
from bench.template import ACCOUNTS, Template, control_id
from bench.workloads import HOST, Workload

ERRORS_MAX = 200
"""A connection gives up after so many errors."""
PAUSE_S = 0.05
ANSWER_TIMEOUT_S = 30.0
_MSA = re.compile(rb"[\r\n]MSA\|([A-Z]{2})\|([^|\r\n]*)")


@dataclass(frozen=True)
class Order:
    """Send `count` messages, numbered from `first`."""

    first: int
    count: int


class Senders(Child):
    """The senders of a workload, in a process of their own."""

    def __init__(self, workload: Workload, connections: int) -> None:
        """They connect with the first order."""
        super().__init__("senders", work, workload.message_file, workload.listener, connections)

    def sent(self, first: int, count: int) -> Sent:
        """Send, and wait for all answers."""
        sent: Sent = self.ask(Order(first, count))
        return sent


class Run:
    """One order, shared by the connections: who sends next, and what came of it."""

    def __init__(self, order: Order, template: Template) -> None:
        self.template, self.first = template, order.first
        self.end = order.first + order.count
        self.sent = Sent(begin_s=time.monotonic())
        self._next = order.first
        self._answered = bytearray(order.count)

    def take(self) -> int | None:
        """The next number to send, None when there are no more."""
        number = self._next
        if number >= self.end:
            return None
        self._next = number + 1
        before = number - ACCOUNTS - self.first
        if before >= 0 and not self._answered[before]:
            self.sent.early.add(number)
        return number

    def answered(self, number: int, began_s: float, answer: bytes) -> None:
        """Note an answer."""
        sent = self.sent
        sent.end_s = time.monotonic()
        sent.latencies_us.append(int((sent.end_s - began_s) * 1e6))
        msa = _MSA.search(answer)
        code, control = (msa[1].decode(), msa[2]) if msa else ("none", b"")
        sent.codes[code] = sent.codes.get(code, 0) + 1
        if control != control_id(number):
            sent.mismatched += 1
        elif code in ("AA", "CA"):
            self._answered[number - self.first] = 1
            sent.acked.append(number)


class Sender(asyncio.Protocol):
    """One connection. `done` is set when it has nothing more to send, or is lost."""

    transport: Any = None

    def __init__(self) -> None:
        self.buffer, self.number, self.began_s, self.lost = b"", -1, 0.0, True
        self.run: Run | None = None
        self.done: asyncio.Future[bool] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.lost = transport, False

    def start(self, run: Run) -> asyncio.Future[bool]:
        """Send until the run has no more; the result is False when the connection was lost before."""
        self.run, self.done = run, asyncio.get_running_loop().create_future()
        self._send()
        return self.done

    def _send(self) -> None:
        assert self.run is not None
        number = self.run.take()
        if number is None:
            self._finish(True)
            return
        self.number = number
        frame = b"\x0b" + self.run.template.message(number) + b"\x1c\r"
        self.began_s = time.monotonic()
        self.transport.write(frame)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\x1c\r")
        if end < 0 or self.run is None:
            return
        answer, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
        self.run.answered(self.number, self.began_s, answer)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._finish(False)

    def silent(self, now_s: float) -> bool:
        """Whether an answer is overdue."""
        return self.done is not None and not self.done.done() and now_s - self.began_s > ANSWER_TIMEOUT_S

    def _finish(self, well: bool) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_result(well)


class Crew:
    """All connections; they stay open from one order to the next."""

    def __init__(self, template: Template, port: int, connections: int) -> None:
        self.template, self.port = template, port
        self.senders = [Sender() for _ in range(connections)]

    async def obey(self, order: Order) -> Sent:
        """Send what is ordered."""
        run = Run(order, self.template)
        watching = asyncio.ensure_future(self._watch())
        await asyncio.gather(*(self._work(place, run) for place in range(len(self.senders))))
        watching.cancel()
        return run.sent

    async def _work(self, place: int, run: Run) -> None:
        errors = 0
        while errors <= ERRORS_MAX:
            well = await self._connected(place) and await self.senders[place].start(run)
            if well:
                return
            errors += 1
            run.sent.errors += 1
            await asyncio.sleep(PAUSE_S)

    async def _connected(self, place: int) -> bool:
        if self.senders[place].lost:
            try:
                _, self.senders[place] = await asyncio.get_running_loop().create_connection(Sender, HOST, self.port)
            except OSError:
                return False
        return True

    async def _watch(self) -> None:
        """Hang up on an engine that does not answer."""
        while True:
            await asyncio.sleep(1)
            now_s = time.monotonic()
            for sender in self.senders:
                if sender.silent(now_s):
                    sender.transport.abort()


def work(pipe: Connection, message: Path, port: int, connections: int) -> None:
    """Obey orders until the pipe closes."""
    loop, crew = new_loop(), Crew(Template.read(message), port, connections)
    while True:
        order: Order = pipe.recv()
        pipe.send(loop.run_until_complete(crew.obey(order)))
