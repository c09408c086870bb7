"""Sinks that keep a ledger, and lie when they are told to."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.campaign.ledger import ANSWER_AND_RESET, Arrival
from tests.campaign.schedule import ANSWER_S
from tests.faults.peer import Ack, Close, Fault, FaultyPeer, Raw, Reset, Seen, Silence, Slow, Status, Twice, WrongId

WHOLE = 1_000_000
"""More than an answer is long: all of it."""
MUTE = (Silence, WrongId, Raw)
"""After these a peer still owes its answer."""
ENDING = (Reset, Close)
"""With these a peer is done with the connection: it reads no more of it."""
LATE = Slow(ANSWER_S + 0.7)
_ORIGIN = re.compile(rb"\rNTE\|1\|\|([CA]\d+)\r")
_ACCOUNT = re.compile(rb"\rPID(?:\|[^|\r]*){17}\|([^|\r]*)")


@dataclass(frozen=True, slots=True)
class Lie:
    """What a sink does instead of a plain answer. took: it took the message all the same. denied: it says that it did not."""

    name: str
    fault: Fault
    took: bool = True
    denied: bool = False


OF_BOTH = (
    Lie("late", LATE),
    Lie("silent", Silence()),
    Lie("silent, not taken", Silence(), took=False),
    Lie("reset before the answer", Reset()),
    Lie("reset before the answer, not taken", Reset(), took=False),
    Lie("reset in the answer", Reset(9)),
    Lie(ANSWER_AND_RESET, Reset(WHOLE)),
    Lie("answer and close", Close(WHOLE)),
    Lie("closed before the answer", Close()),
    Lie("two answers", Twice()),
    Lie("busy", Ack("AR"), took=False, denied=True),
)
LIES: Mapping[str, tuple[Lie, ...]] = {
    "mllp": (
        *OF_BOTH,
        Lie("answer to another", WrongId()),
        Lie("answer to another, not taken", WrongId(), took=False),
        Lie("unreadable answer", Raw(b"\x0bMSH|^~\\&|PEER\rZZZ|1\r\x1c\r")),
    ),
    "http": (
        *OF_BOTH,
        Lie("408", Status(408)),
        Lie("504", Status(504)),
        Lie("429", Status(429, {"Retry-After": "1"}), took=False, denied=True),
        Lie("answer is no HTTP", Raw(b"HTTQ/9 so what\r\n\r\n")),
    ),
}
BUSY = {"mllp": Lie("never taken", Ack("AR"), took=False, denied=True), "http": Lie("never taken", Status(503), took=False, denied=True)}


@dataclass(frozen=True, slots=True)
class Read:
    """Whose message it is, and under which key the sink would know it again."""

    origin: str
    account: str
    key: str


def read_events(seen: Seen) -> Read:
    """A POST of events: known by its idempotency key. It has to hold both lines of the charge."""
    body = json.loads(seen.body)
    data = [event["data"] for event in body["events"]]
    origin = body["message"]["control_id"]
    assert [each["transaction"] for each in data] == [f"{origin}-1", f"{origin}-2"], f"the lines of {origin} are others"
    return Read(origin, data[0]["account"], seen.key)


def read_message(seen: Seen) -> Read:
    """A message passed on: known by its MSH-10."""
    origin, account = _ORIGIN.search(seen.body), _ACCOUNT.search(seen.body)
    assert origin and account, "a message without its last segments"
    return Read(origin[1].decode(), account[1].decode(), seen.control_id)


class Sink(FaultyPeer):
    """One sink. It reads what comes as it comes, and answers in order.

    lying: the share of messages that meet with a lie. slow_s: how long it takes with every answer. never: accounts of
    which it takes nothing.
    """

    def __init__(self, name: str, wire: str, read: Callable[[Seen], Read], ledger: list[Arrival], seed: str) -> None:
        super().__init__(wire)
        self.name, self.wire, self.arrivals, self._read = name, wire, ledger, read
        self.lying, self.slow_s, self.never = 0.0, 0.0, set[str]()
        self.taken, self.wrong = 0, list[str]()
        self._chance, self._latest = random.Random(seed), ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        waiting: asyncio.Queue[tuple[Fault, Seen, Arrival]] = asyncio.Queue()
        answering = asyncio.ensure_future(self._answer(waiting, writer))
        try:
            while True:
                seen = await self._wire.read(reader, connection)
                noted = self._noted(seen, _life(seen, writer))
                if noted is None:
                    continue
                waiting.put_nowait(noted)
                if isinstance(noted[0], ENDING):
                    await answering
                    return
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    async def _answer(self, waiting: asyncio.Queue[tuple[Fault, Seen, Arrival]], writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                fault, seen, arrival = await waiting.get()
                try:
                    await self._do(fault, seen, writer)
                finally:
                    if not isinstance(fault, MUTE):
                        arrival.known_s = time.time()
        writer.close()

    def _noted(self, seen: Seen, life: int) -> tuple[Fault, Seen, Arrival] | None:
        try:
            read = self._read(seen)
        except (AssertionError, LookupError, TypeError, ValueError) as e:
            self.wrong.append(f"{self.name} cannot read what came: {e if isinstance(e, AssertionError) else type(e).__name__}")
            return None
        lie = self._lie(read)
        digest = hashlib.sha256(seen.body).hexdigest()[:16]
        now_s = time.time()
        arrival = Arrival(
            self.name, read.origin, read.account, read.key, digest, life, now_s, lie.name, lie.took, lie.denied, now_s + ANSWER_S
        )
        self.arrivals.append(arrival)
        if lie.took:
            self.taken += 1
            self._latest = seen.control_id
        return lie.fault, seen, arrival

    def _lie(self, read: Read) -> Lie:
        if read.account in self.never:
            return BUSY[self.wire]
        if self._chance.random() >= self.lying:
            return Lie(f"slow {self.slow_s:g} s", Slow(self.slow_s)) if self.slow_s else Lie("answer", Ack())
        lie = self._chance.choice(LIES[self.wire])
        if isinstance(lie.fault, WrongId):
            # Only of a message that it has taken: it would else say, of that one, what is not so.
            latest = self._latest
            return Lie(lie.name, WrongId(lambda _: latest or "NONE"), lie.took)
        return lie


def _life(seen: Seen, writer: asyncio.StreamWriter) -> int:
    """Which run of the engine sent it: its header says so or, over MLLP, the address that it connects from."""
    if "x-engine" in seen.headers:
        return int(seen.headers["x-engine"])
    return life_of(writer.get_extra_info("peername")[0])


def host_of(life: int) -> str:
    """The loopback address of a run of the engine."""
    return f"127.0.{life // 250 + 1}.{life % 250 + 1}"


def life_of(host: str) -> int:
    """The run of the engine that has this address."""
    _, _, high, low = map(int, host.split("."))
    return (high - 1) * 250 + low - 1


def sinks(ledger: list[Arrival], seed: int) -> dict[str, Any]:
    """The campaign's sinks, by name."""
    return {
        name: Sink(name, wire, read, ledger, f"{seed}/{name}")
        for name, wire, read in (
            ("erp", "http", read_events),
            ("billing", "http", read_events),
            ("lab", "mllp", read_message),
            ("registry", "mllp", read_message),
        )
    }
