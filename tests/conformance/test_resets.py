"""Peers that send and reset at once, to every connector, plain and over TLS: nothing answered is lost, no descriptor is kept."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from suture.connectors.mllp.life import State
from suture.connectors.mllp_out import Destination
from suture.model.outcome import Accepted, Ambiguous, Rejected, TryLater
from suture.model.value import changed
from suture.reactor import Watchdog
from suture.wire.mllp import frame
from tests.conformance.kits import KITS, Kit, sender
from tests.conformance.stand import stand, until
from tests.faults.certificates import Authority

RESETS = 120
RESET = struct.pack("ii", 1, 0)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Destination, "SWEEP_S", 0.05)


@pytest.fixture
def ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The hospital's authority, which the machine trusts."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", made.path)
    return made


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# -- in --------------------------------------------------------------------------------------------------------------


def say_and_reset(port: int, data: bytes, context: ssl.SSLContext | None = None) -> None:
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        if context is None:
            plain.sendall(data)
            return
        with context.wrap_socket(plain) as safe:
            safe.sendall(data)
            safe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("data", [frame(b"MSH|1"), b"\x0bMSH|half", frame(b"MSH|1") + b"\x0bMSH|2", b"junk"])
async def test_senders_that_send_and_reset_before_they_are_met(reactor: Any, data: bytes, answers: bool) -> None:
    async with stand(reactor, frame_timeout_s=3600) as s:
        first = await s.sender()
        first.say(frame(b"MSH|first"))
        await first.answer()
        s.engine.at_once = answers
        before = descriptors()
        for _ in range(RESETS):  # the loop does not turn meanwhile: all of it is there when it looks
            say_and_reset(s.source.port, data)
        last = await s.sender()
        last.say(frame(b"MSH|last"))
        await s.engine.until(lambda: b"MSH|last" in s.engine.bodies)  # connections are met in their order
        await until(lambda: descriptors() == before + 2 and len(s.source.connections) == 2)
        assert len(s.engine.received) == RESETS * data.count(b"\x1c\r") + 2
        for _, _, answer in [] if answers else s.engine.received[1:]:
            answer(None)


@pytest.mark.parametrize("data", [frame(b"MSH|1"), b"\x0bMSH|half"])
async def test_senders_that_send_and_reset_over_tls(reactor: Any, ca: Authority, data: bytes) -> None:
    pair = ca.sign("engine")
    context = ssl.create_default_context(cafile=ca.path)
    context.check_hostname = False
    async with stand(reactor, frame_timeout_s=3600, tls={"certificate": pair.certificate, "key": pair.key}) as s:
        s.engine.at_once = False
        elsewhere = asyncio.get_running_loop().run_in_executor
        await elsewhere(None, say_and_reset, s.source.port, data, context)
        before = descriptors()
        for _ in range(RESETS):
            await elsewhere(None, say_and_reset, s.source.port, data, context)
        await until(lambda: descriptors() <= before and not s.source.connections)


async def test_a_sender_that_resets_while_it_is_not_read_makes_room_for_others(reactor: Any) -> None:
    async with stand(reactor, connections=20, unanswered=1) as s:
        s.engine.at_once = False
        before = descriptors()
        for _ in range(20):
            client = socket.create_connection(("127.0.0.1", s.source.port))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.sendall(frame(b"MSH|1") * 3)
            taken = len(s.engine.received)
            await s.engine.until(lambda taken=taken: len(s.engine.received) > taken)
            client.close()
        await until(lambda: descriptors() == before and not s.source.connections)
        s.engine.at_once = True
        one = await s.sender()
        one.say(frame(b"MSH|2"))
        assert await one.answer() == b"ACK MSH|2"


async def test_a_sender_that_has_said_all_and_then_resets_is_not_waited_for(reactor: Any) -> None:
    async with stand(reactor) as s:
        s.engine.at_once = False
        client = socket.create_connection(("127.0.0.1", s.source.port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.sendall(frame(b"MSH|1"))
        client.shutdown(socket.SHUT_WR)
        await s.engine.until(lambda: len(s.engine.received) == 1)
        await until(lambda: any(c.state is State.DEAF for c in s.source.connections))
        client.close()
        await until(lambda: not s.source.connections)
        s.engine.received[0][2](b"too late")


async def test_a_proxy_that_resets_in_the_middle_of_its_header(reactor: Any) -> None:
    async with stand(reactor, proxies=["127.0.0.0/8"], proxy_timeout_s=3600) as s:
        first = await s.sender()
        first.say(b"PROXY TCP4 10.1.2.3 10.1.2.4 1 2\r\n" + frame(b"MSH|1"))
        await first.answer()
        before = descriptors()
        for _ in range(RESETS):
            say_and_reset(s.source.port, b"PROXY TCP4 10.1")
            say_and_reset(s.source.port, b"PROXY TCP4 10.1.2.3 10.1.2.4 1 2\r\n\x0bMSH|half")
        last = await s.sender()
        last.say(b"PROXY TCP4 10.1.2.3 10.1.2.4 1 2\r\n" + frame(b"MSH|2"))
        await last.answer()
        await until(lambda: descriptors() == before + 2 and len(s.source.connections) == 2 and not s.source.door.gates)


# -- out -------------------------------------------------------------------------------------------------------------


class Resetting:
    """A peer that answers each connection's first message and resets it together with the answer: the loop sees both or neither.

    head_bytes: it reads so much of a message, and not the rest.
    """

    def __init__(self, answer: Callable[[bytes], bytes], end: bytes, context: ssl.SSLContext | None, head_bytes: int = 0) -> None:
        self._answer, self._end, self._context, self._head_bytes = answer, end, context, head_bytes
        self.answered = 0
        self._loop = asyncio.get_running_loop()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain = self._listener.accept()[0]
            except OSError:
                return
            with contextlib.suppress(OSError):
                self._one(plain)

    def _one(self, plain: socket.socket) -> None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what the kernel has not sent yet dies with the connection
        with plain if self._context is None else self._context.wrap_socket(plain, server_side=True) as connection:
            data = b""
            while not (self._head_bytes and len(data) >= self._head_bytes) and not (not self._head_bytes and self._end in data):
                more = connection.recv(65536)
                if not more:
                    return
                data += more
            answer = self._answer(data)
            stands, done = threading.Event(), threading.Event()

            def stand_still() -> None:
                stands.set()
                done.wait(10)

            self._loop.call_soon_threadsafe(stand_still)
            stands.wait(10)
            self.answered += 1
            try:
                connection.sendall(answer)
                connection.close()
            finally:
                done.set()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


def acknowledged(data: bytes) -> bytes:
    control_id = data.split(b"|")[9]
    return frame(b"MSH|^~\\&|P|P|S|S|20260301||ACK|1|P|2.5.1\rMSA|AA|" + control_id + b"\r")


def created(_: bytes) -> bytes:
    return b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"


ANSWERS = {"mllp": (acknowledged, b"\x1c\r"), "http": (created, b"\rPID|1||7||ZZMARKER^ANNA\r")}


@pytest.fixture(params=["plain", "tls"])
def way(request: pytest.FixtureRequest) -> Iterator[Callable[[Kit], tuple[ssl.SSLContext | None, Callable[[int], dict[str, Any]]]]]:
    """For a kit: how its peer listens, and the settings of the destination."""
    if request.param == "plain":
        yield lambda kit: (None, lambda port: {})
        return
    ca: Authority = request.getfixturevalue("ca")
    pair = ca.sign("peer")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    yield lambda kit: (
        context,
        lambda port: {"tls": {"ca": ca.path}} if kit.wire == "mllp" else {"url": f"https://127.0.0.1:{port}/in"},
    )


@asynccontextmanager
async def resetting(kit: Kit, way: Any, **more: Any) -> AsyncIterator[tuple[Resetting, dict[str, Any]]]:
    answer, end = ANSWERS[kit.wire]
    context, settings = way(kit)
    peer = Resetting(more.pop("answer", answer), end, context, **more)
    try:
        yield peer, settings(peer.port)
    finally:
        await asyncio.get_running_loop().run_in_executor(None, peer.close)


@pytest.mark.parametrize("kit", KITS.values(), ids=lambda kit: kit.name)
@pytest.mark.parametrize("connections", [1, 3])
async def test_answers_that_come_with_a_reset_are_taken_and_nothing_else_is_sent_behind_them(
    reactor: Any, kit: Kit, way: Any, connections: int
) -> None:
    patient = {"ack_timeout_s": 10, "reconnect_max_s": 0} if kit.wire == "mllp" else {"timeout_s": 10}
    async with resetting(kit, way) as (peer, settings):
        async with sender(kit, reactor, peer.port, **{**settings, **patient, "connections": connections}) as s:
            await s.send(1).outcome()
            before = descriptors()
            outcomes: Counter[tuple[type[Any], str]] = Counter()
            for first in range(0, RESETS, 4):
                for outcome in await s.outcomes(*range(first + 1, first + 5)):
                    outcomes[type(outcome), outcome.code] += 1
            assert outcomes == {(Accepted, "AA" if kit.wire == "mllp" else "201"): RESETS}
            assert peer.answered == RESETS + 1
            await until(lambda: descriptors() <= before + connections)
        await until(lambda: descriptors() <= before)


@pytest.mark.parametrize("kit", KITS.values(), ids=lambda kit: kit.name)
async def test_an_answer_before_a_large_message_is_read_is_heard_though_writing_it_fails(reactor: Any, kit: Kit, way: Any) -> None:
    answers = {
        "mllp": lambda data: acknowledged(data).replace(b"MSA|AA", b"MSA|AR"),
        "http": lambda data: b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n",
    }
    patient = {"ack_timeout_s": 10, "reconnect_max_s": 0} if kit.wire == "mllp" else {"timeout_s": 10}
    async with (
        resetting(kit, way, answer=answers[kit.wire], head_bytes=200) as (peer, settings),
        sender(kit, reactor, peer.port, **{**settings, **patient}) as s,
    ):
        for n in range(20):
            delivery = changed(kit.delivery(n + 1), body=kit.delivery(n + 1).body + b"x" * 3_000_000)
            outcome = await s.send(delivery).outcome(10)
            assert isinstance(outcome, TryLater | Rejected)


async def test_a_connection_that_is_lost_while_it_is_made_does_not_hold_up_what_waits(reactor: Any) -> None:
    kit = KITS["http_out"]
    async with (
        resetting(kit, lambda kit: (None, lambda port: {})) as (peer, _),
        sender(kit, reactor, peer.port, connections=1, timeout_s=600) as s,
    ):
        for outcome in await s.outcomes(*range(1, 101)):
            assert isinstance(outcome, Accepted)


@pytest.mark.parametrize("kit", KITS.values(), ids=lambda kit: kit.name)
async def test_the_watchdog_ends_what_nobody_was_told_of(reactor: Any, kit: Kit, way: Any) -> None:
    if kit.wire == "http" and way(kit)[0] is not None:
        pytest.skip("reading below TLS cannot be stopped from outside")
    patient = {"ack_timeout_s": 3600} if kit.wire == "mllp" else {"timeout_s": 3600}
    asked, go = threading.Event(), threading.Event()

    def answer(_: bytes) -> bytes:
        asked.set()
        go.wait(10)
        return b""

    async with (
        resetting(kit, way, answer=answer) as (peer, settings),
        sender(kit, reactor, peer.port, **{**settings, **patient}) as s,
    ):
        watchdog = Watchdog(reactor, s.destination.held, 0.01, 0.05, lambda code, count: None)
        watchdog.start()
        sent = s.send(1)
        await until(asked.is_set)
        ((handle, _),) = s.destination.held()
        be_blind(reactor, s.destination, handle)
        go.set()
        outcome = await sent.outcome(10)
        assert (type(outcome), outcome.code) == (Ambiguous, "CONNECTION_LOST")
        assert watchdog.ended == {"DEAD_SOCKET": 1}
        assert list(s.destination.held()) == []
        watchdog.stop()


def be_blind(reactor: Any, destination: Any, handle: socket.socket) -> None:
    """As if the loop had been told nothing more of a socket."""
    if isinstance(destination, Destination):
        reactor._epoll.unregister(handle.fileno())
        return
    for connection in destination._connections:
        connection.transport.pause_reading()
