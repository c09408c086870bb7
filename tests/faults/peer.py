"""Peers that misbehave as they are told: one list of faults for MLLP and for HTTP, over real sockets.

    async with FaultyPeer("mllp", [Ack("AA"), Silence(), Reset(after_bytes=3), Ack("AE"), WrongId()]) as peer: ...

Each message that arrives, on whatever connection, takes the next fault of the list; when the list is over, `usual`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STATUS_OF = {"AA": 200, "AE": 422, "AR": 503}
"""What the codes of acknowledgements are in HTTP, so that one list of faults does for both."""


@dataclass(frozen=True)
class Ack:
    """A proper answer. code: MSA-1, or its HTTP status."""

    code: str = "AA"


@dataclass(frozen=True)
class Status:
    """An HTTP answer of this kind."""

    code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Silence:
    """Takes the message and says nothing."""


@dataclass(frozen=True)
class Late:
    """Answers when `let_go` is called, and not before."""

    code: str = "AA"


@dataclass(frozen=True)
class Slow:
    """Answers properly after a while."""

    after_s: float


@dataclass(frozen=True)
class Reset:
    """Writes this much of a proper answer, then resets the connection."""

    after_bytes: int = 0


@dataclass(frozen=True)
class Close:
    """Writes this much of a proper answer, then closes the connection in good order."""

    after_bytes: int = 0


@dataclass(frozen=True)
class Bye:
    """A proper answer, and after a while the end of the connection, whatever else has come on it."""

    after_s: float = 0.06


@dataclass(frozen=True)
class WrongId:
    """An acknowledgement of another message. id: made from the right one."""

    id: Callable[[str], str] = lambda right: right[:-1]


@dataclass(frozen=True)
class Pieces:
    """A proper answer, `size` bytes at a time, each in a packet of its own."""

    size: int = 1


@dataclass(frozen=True)
class Twice:
    """A proper answer, and the same again: in the same packet, or when `let_go` is called."""

    later: bool = False


@dataclass(frozen=True)
class Oversized:
    """An answer of so many bytes that never ends properly."""

    size: int = 4_000_000


@dataclass(frozen=True)
class Raw:
    """Just these bytes."""

    data: bytes


Fault = Ack | Status | Silence | Late | Slow | Reset | Close | Bye | WrongId | Pieces | Twice | Oversized | Raw


@dataclass(frozen=True)
class Seen:
    """One message as it arrived. connection: number of the connection, from 1. key: Idempotency-Key, in HTTP."""

    connection: int
    body: bytes = field(repr=False)
    control_id: str = ""
    key: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Mllp:
    """How MLLP is read and answered."""

    @staticmethod
    async def read(reader: asyncio.StreamReader, connection: int) -> Seen:
        await reader.readuntil(b"\x0b")
        body = (await reader.readuntil(b"\x1c\r"))[:-2]
        header = body.split(b"\r", 1)[0].split(b"|")
        return Seen(connection, body, header[9].decode("latin-1") if len(header) > 9 else "")

    @staticmethod
    def answer(seen: Seen, code: str = "AA", control_id: str | None = None) -> bytes:
        named = seen.control_id if control_id is None else control_id
        return f"\x0bMSH|^~\\&|PEER|P|SUTURE|S|20260301||ACK|1|P|2.5.1\rMSA|{code}|{named}\r\x1c\r".encode("latin-1")

    @staticmethod
    def oversized(seen: Seen, size: int) -> bytes:
        return b"\x0bMSH|^~\\&|" + b"x" * size


class Http:
    """How HTTP is read and answered."""

    @staticmethod
    async def read(reader: asyncio.StreamReader, connection: int) -> Seen:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Seen(connection, body, "", headers.get("idempotency-key", ""), headers)

    @staticmethod
    def answer(seen: Seen, code: str = "AA", control_id: str | None = None) -> bytes:
        return Http.status(
            Status(STATUS_OF[code], {"Content-Type": "application/json"}, json.dumps({"document": f"D-{seen.key}"}).encode())
        )

    @staticmethod
    def status(status: Status) -> bytes:
        headers = {"Content-Length": str(len(status.body)), **status.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {status.code} Said\r\n{lines}\r\n".encode("latin-1") + status.body

    @staticmethod
    def oversized(seen: Seen, size: int) -> bytes:
        return f"HTTP/1.1 200 OK\r\nContent-Length: {size * 2}\r\n\r\n".encode() + b"x" * size


WIRES: Mapping[str, Any] = {"mllp": Mllp, "http": Http}


class FaultyPeer:
    """A peer on 127.0.0.1. Everything runs on the loop that `start` is awaited on.

    keep: what is kept of each message in `seen` (for long runs, less than all of it). hang_up: so many connections are
    closed as soon as they are made. tls: given, it speaks TLS.
    """

    def __init__(
        self,
        wire: str,
        script: Iterable[Fault] = (),
        usual: Fault | None = None,
        keep: Callable[[Seen], Any] = lambda seen: seen,
        hang_up: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.script, self.usual, self.hang_up = list(script), usual or Ack("AA"), hang_up
        self.seen: list[Any] = []
        self.connections = 0
        self.open = 0
        self.port = 0
        self._wire, self._keep, self._tls = WIRES[wire], keep, tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Event()
        self._go = asyncio.Event()

    async def start(self) -> FaultyPeer:
        """Listen; after a `stop`, on the same port as before."""
        self._server = await asyncio.start_server(self._met, "127.0.0.1", self.port, limit=2**26, backlog=1024, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Close the port and all connections; connections are refused from now on."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> FaultyPeer:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def until(self, true: Callable[[], bool], timeout_s: float = 10) -> None:
        """Wait until something about this peer is true."""

        async def wait() -> None:
            while not true():
                self._changed.clear()
                await self._changed.wait()

        await asyncio.wait_for(wait(), timeout_s)

    async def got(self, count: int, timeout_s: float = 10) -> list[Any]:
        """Wait for this many messages; all that have come."""
        await self.until(lambda: len(self.seen) >= count, timeout_s)
        return self.seen

    async def drop(self, reset: bool = False) -> None:
        """End all connections, and go on listening."""
        for writer in list(self._writers):
            if reset:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        await self.until(lambda: not self.open)

    async def say(self, data: bytes) -> None:
        """Write this on every connection."""
        for writer in self._writers:
            writer.write(data)
            await writer.drain()

    def let_go(self) -> None:
        """Let the late answers go."""
        self._go.set()

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        self.open += 1
        try:
            await self._serve(reader, writer, self.connections)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()
            self._changed.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        if self.hang_up:
            self.hang_up -= 1
            return
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            seen = await self._wire.read(reader, connection)
            await self._do(self._met_with(seen), seen, writer)

    def _met_with(self, seen: Seen) -> Fault:
        """Note a message that has come; what it meets with."""
        fault = self.script.pop(0) if self.script else self.usual
        self.seen.append(self._keep(seen))
        self._changed.set()
        return fault

    async def _do(self, fault: Fault, seen: Seen, writer: asyncio.StreamWriter) -> None:
        answer = self._wire.answer(seen)
        match fault:
            case Ack(code):
                writer.write(self._wire.answer(seen, code))
            case Status():
                writer.write(Http.status(fault))
            case Late(code):
                await self._go.wait()
                writer.write(self._wire.answer(seen, code))
            case Slow(after_s):
                await asyncio.sleep(after_s)
                writer.write(answer)
            case Reset(after_bytes):
                await self._end(writer, answer[:after_bytes], reset=True)
            case Close(after_bytes):
                await self._end(writer, answer[:after_bytes], reset=False)
            case Bye(after_s):
                writer.write(answer)
                await asyncio.sleep(after_s)
                await self._end(writer, b"", reset=False)
            case WrongId(other):
                writer.write(self._wire.answer(seen, "AA", other(seen.control_id)))
            case Pieces(size):
                await _in_pieces(writer, answer, size)
            case Twice(later):
                await self._twice(writer, answer, later)
            case Oversized(size):
                writer.write(self._wire.oversized(seen, size))
            case Raw(data):
                writer.write(data)
            case Silence():
                pass
        await writer.drain()

    async def _twice(self, writer: asyncio.StreamWriter, answer: bytes, later: bool) -> None:
        if not later:
            writer.write(answer * 2)
            return
        writer.write(answer)
        await self._go.wait()
        writer.write(answer)

    async def _end(self, writer: asyncio.StreamWriter, answer: bytes, reset: bool) -> None:
        writer.write(answer)
        await writer.drain()
        if reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        raise ConnectionAbortedError


async def _in_pieces(writer: asyncio.StreamWriter, answer: bytes, size: int) -> None:
    for start in range(0, len(answer), size):
        writer.write(answer[start : start + size])
        await writer.drain()
        await asyncio.sleep(0)


class Elsewhere:
    """Runs peers on a thread of their own, for tests whose own thread is busy with processes."""

    def __init__(self, *peers: FaultyPeer) -> None:
        self.peers: Sequence[FaultyPeer] = peers
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="peers", daemon=True)

    def __enter__(self) -> Elsewhere:
        self._thread.start()
        for peer in self.peers:
            self.call(peer.start())
        return self

    def __exit__(self, *_: object) -> None:
        for peer in self.peers:
            self.call(peer.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run it over there and wait for what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)
