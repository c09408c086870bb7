"""What stands in for the systems behind the engine: an HTTP and an MLLP sink that note every message that arrives."""

from __future__ import annotations

import asyncio
import os
import re
import time
from multiprocessing.connection import Connection
from typing import Any

from bench.child import Child, new_loop
from bench.figures import Arrived
from bench.template import numbers
from bench.workloads import HOST, Workload

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'
CHUNKED = b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


class Sink(Child):
    """The sink of a workload, in a process of its own."""

    def __init__(self, workload: Workload) -> None:
        """Raises BenchError when it cannot listen."""
        super().__init__(f"{workload.sink} sink", serve, workload.sink, workload.port)
        self.answer()

    def unique(self) -> int:
        """How many different messages have arrived since the last `take`."""
        return int(self.ask("unique"))

    def take(self) -> Arrived:
        """What has arrived since the last `take`, and begin anew."""
        arrived: Arrived = self.ask("take")
        return arrived


class Book:
    """What arrived, in order."""

    def __init__(self) -> None:
        self.arrived, self.seen = Arrived(), set[int]()

    def note(self, body: bytes) -> None:
        """Note the messages of one body; each once, however often the body names it."""
        found = numbers(body)
        self.arrived.numbers.extend(found)
        self.arrived.nameless += not found
        self.seen |= found
        self.arrived.last_s = time.monotonic()

    def take(self) -> Arrived:
        """What was noted, and begin anew."""
        arrived, self.arrived = self.arrived, Arrived()
        self.seen = set()
        return arrived


class Peer(asyncio.Protocol):
    """One connection of the engine."""

    transport: Any

    def __init__(self, book: Book) -> None:
        self.book, self.buffer = book, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


class HttpPeer(Peer):
    """HTTP/1.1 as far as POSTs with a Content-Length need it; every one is answered 200."""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self.buffer, 0, end)
            if length is None:
                self.transport.write(CHUNKED)
                self.transport.close()
                return
            whole = end + 4 + int(length[1])
            if len(self.buffer) < whole:
                return
            body, self.buffer = self.buffer[end + 4 : whole], self.buffer[whole:]
            self.book.note(body)
            self.transport.write(ANSWER)


class MllpPeer(Peer):
    """MLLP; every message is answered AA under its MSH-10."""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\x1c\r")) >= 0:
            message, self.buffer = self.buffer[1:end], self.buffer[end + 2 :]
            fields = message.split(b"|", 10)
            control = fields[9] if len(fields) > 10 else b""
            self.book.note(message)
            header = b"\x0bMSH|^~\\&|SINK|SINK|ENGINE|ENGINE|20260101000000||ACK|S" + control + b"|P|2.5.1\r"
            self.transport.write(header + b"MSA|AA|" + control + b"\r\x1c\r")


PEERS: dict[str, type[Peer]] = {"http": HttpPeer, "mllp": MllpPeer}


def serve(pipe: Connection, kind: str, port: int) -> None:
    """Serve until the pipe closes; answers None once it listens, and then every request."""
    loop, book = new_loop(), Book()
    loop.run_until_complete(loop.create_server(lambda: PEERS[kind](book), HOST, port, backlog=512))
    pipe.send(None)

    def asked() -> None:
        os.set_blocking(pipe.fileno(), True)  # the loop made it non-blocking, and a long answer does not fit at once
        try:
            pipe.send(len(book.seen) if pipe.recv() == "unique" else book.take())
        except (EOFError, OSError):
            loop.stop()

    loop.add_reader(pipe.fileno(), asked)
    loop.run_forever()
