"""Where a source is tested: the engine behind it, its clock, and senders to it. What is particular to a transport is in its kit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from twisted.internet.task import Clock

from suture.connectors.registry import SOURCES, SourceModule
from suture.wire import mllp
from tests.conformance import compliance
from tests.conformance.compliance import Witness

LIMIT_BYTES = 2048
FRAME_TIMEOUT_S = 30.0
IDLE_S = 300.0
MARKER = compliance.MARKER.encode()

Answer = Callable[[bytes | None], None]


async def until(true: Callable[[], bool], within_s: float = 15) -> None:
    """Wait for something that no answer and no note tells of, such as how many connections a source has."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.001)


class Engine(Witness):
    """What stands behind the source: it keeps what it is given and answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[tuple[bytes, str, Answer]] = []
        self.refused: list[mllp.TooLarge] = []
        self.at_once = True
        self.changed = asyncio.Event()

    def receive(self, raw: bytes, peer: str, answer: Answer, say: Any = None) -> None:
        self.received.append((raw, peer, answer))
        if self.at_once:
            answer(b"ACK " + raw)
        self.changed.set()

    def refuse(self, large: mllp.TooLarge, limit_bytes: int, peer: str, answer: Callable[..., None]) -> None:
        self.refused.append(large)
        answer(b"AR", False)
        self.changed.set()

    def note(self, code: str, text: str) -> None:
        super().note(code, text)
        self.changed.set()

    @property
    def bodies(self) -> list[bytes]:
        return [raw for raw, _, _ in self.received]

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not true():
                self.changed.clear()
                await self.changed.wait()


class Sender:
    """A client of the source that speaks MLLP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> bytes:
        """The next answer."""
        async with asyncio.timeout(5):
            return (await self.reader.readuntil(b"\x1c\r"))[1:-2]

    async def answers(self, count: int) -> list[bytes]:
        return [await self.answer() for _ in range(count)]

    async def is_closed(self) -> bool:
        """Wait for the other side to close."""
        try:
            async with asyncio.timeout(5):
                await self.reader.read()
                return True
        except ConnectionError:
            return True


async def _mllp_sender(source: Any, host: str = "127.0.0.1", **more: Any) -> Sender:
    return Sender(*await asyncio.open_connection(host, source.port, **more))


@dataclass(frozen=True)
class SourceKit:
    """What the suite has to know of a transport. can: what a source of it does, of what not every source does.

    listens: it takes a port. answers: a sender hears what becomes of its message. limits: what the settings of its limits are
    called (bytes of a message, senders at a time, messages of one sender in work). written: a message as a sender writes it.
    place: the settings of another source that takes the place of this one.
    """

    name: str
    settings: Mapping[str, Any]
    sender: Callable[..., Awaitable[Sender]]
    written: Callable[[bytes], bytes]
    place: Callable[[Any], dict[str, Any]]
    limits: Mapping[str, str]
    can: frozenset[str]

    @property
    def module(self) -> SourceModule:
        """The connector."""
        return SOURCES[self.name]

    def having(self, **limits: int) -> dict[str, int]:
        """Settings with these limits."""
        return {self.limits[limit]: value for limit, value in limits.items()}


MLLP_IN = SourceKit(
    "mllp_in",
    {"port": 0, "limit_bytes": LIMIT_BYTES, "frame_timeout_s": FRAME_TIMEOUT_S, "idle_s": IDLE_S},
    _mllp_sender,
    mllp.frame,
    lambda source: {"port": source.port},
    {"bytes": "limit_bytes", "senders": "connections", "unanswered": "unanswered"},
    frozenset({"listens", "answers", "bytes", "senders", "unanswered"}),
)
SOURCE_KITS = {kit.name: kit for kit in (MLLP_IN,)}


class Stand:
    """A source, the engine behind it, its clock, and senders to it."""

    def __init__(self, reactor: Any, kit: SourceKit = MLLP_IN, **settings: Any) -> None:
        self.kit, self.engine, self.clock = kit, Engine(), Clock()
        config, engine = kit.module.Config(**{**kit.settings, **settings}), self.engine
        self.source: Any = kit.module.Source(config, reactor, engine.receive, engine.refuse, engine.note)
        self.source.clock = self.clock
        self.senders: list[Sender] = []

    async def sender(self, host: str = "127.0.0.1", **more: Any) -> Sender:
        self.senders.append(await self.kit.sender(self.source, host, **more))
        return self.senders[-1]

    async def close(self, drain_s: float = 1.0) -> None:
        """Close the source, as a channel does, and hold it to what every connector has to keep."""
        await self.engine.end(self.source, self.source.close(drain_s), drain_s)
        assert not self.source.listening, "it is closed"

    def pass_time(self, seconds: float) -> None:
        """Let time pass, a second at a time."""
        for _ in range(int(seconds)):
            self.clock.advance(1)


@asynccontextmanager
async def stand(reactor: Any, kit: SourceKit = MLLP_IN, **settings: Any) -> AsyncIterator[Stand]:
    one = Stand(reactor, kit, **settings)
    one.source.open()
    try:
        yield one
    finally:
        for sender in one.senders:
            sender.writer.close()
        await one.close(0)
        assert one.clock.getDelayedCalls() == [], "a timer outlives its source"
