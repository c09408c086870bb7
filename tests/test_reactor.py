"""The engine's reactor: what a connection is told when its peer sends and resets, in any order, and that it is told at all.

Both ends are in this thread, so what has happened to a socket when the loop looks at it is known and not a matter of luck.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet import error, protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from suture.connectors.net import sockets
from suture.reactor import Reactor, Watchdog
from tests.faults.driving import the_reactor

PATIENCE_S = 10.0


class Told(protocol.Protocol):
    """Keeps what it is told."""

    def __init__(self, paused: bool = False) -> None:
        self.data = b""
        self.ends: list[type[Any] | None] = []
        self._paused = paused

    def connectionMade(self) -> None:  # noqa: N802
        if self._paused:
            self.transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        assert not self.ends, "data after the loss"
        self.data += data

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802
        self.ends.append(reason.type)


class Stand:
    """A port of the reactor, blocking clients to it, and the protocols that met them."""

    def __init__(self, reactor: Reactor) -> None:
        self.reactor, self.met, self.paused = reactor, list[Told](), False
        factory: Any = protocol.ServerFactory()
        factory.buildProtocol = self._build
        self.port = reactor.listenTCP(0, factory, backlog=512, interface="127.0.0.1")

    def _build(self, _: Any) -> Told:
        self.met.append(Told(self.paused))
        return self.met[-1]

    def client(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port.getHost().port))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return made

    def accepted(self) -> tuple[socket.socket, Told]:
        """A client, and the protocol that has met it."""
        before, client = len(self.met), self.client()
        self.until(lambda: len(self.met) > before and self.met[-1].transport is not None)
        return client, self.met[-1]

    def until(self, true: Callable[[], bool]) -> None:
        """Let the loop turn until something is true."""
        loop = self.reactor._asyncioEventloop
        until_s = self.reactor.seconds() + PATIENCE_S
        while not true():
            assert self.reactor.seconds() < until_s, "it never happened"
            loop.call_later(0.002, loop.stop)
            loop.run_forever()

    def turns(self, count: int = 5) -> None:
        """Some turns of the loop, which are enough for what is ready."""
        at_s = self.reactor.seconds()
        self.until(lambda: self.reactor.seconds() > at_s + 0.002 * count)


@pytest.fixture
def stand() -> Iterator[Stand]:
    one = Stand(the_reactor())
    yield one
    for told in one.met:
        told.transport.abortConnection()
    one.port.stopListening()
    one.until(lambda: one.port.disconnected and all(told.ends for told in one.met))
    assert one.reactor.connections() == []


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_the_loop_is_the_fast_one() -> None:
    assert type(the_reactor()._asyncioEventloop).__module__.startswith("uvloop")


def test_data_and_a_reset_before_the_connection_is_met(stand: Stand) -> None:
    before = descriptors()
    for n in range(200):
        client = stand.client()
        client.sendall(b"message %d" % n)
        client.close()
    stand.until(lambda: len(stand.met) == 200 and all(told.ends for told in stand.met))
    assert sorted(told.data for told in stand.met) == sorted(b"message %d" % n for n in range(200))
    assert all(told.ends == [error.ConnectionLost] for told in stand.met)
    assert descriptors() == before


def test_data_and_a_reset_while_the_connection_is_read(stand: Stand) -> None:
    client, told = stand.accepted()
    client.sendall(b"message")
    client.close()
    stand.until(lambda: bool(told.ends))
    assert (told.data, told.ends) == (b"message", [error.ConnectionLost])


def test_more_data_than_one_read_takes_and_a_reset(stand: Stand) -> None:
    client, told = stand.accepted()
    client.setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += client.send(b"x" * 100_000)
    client.close()
    stand.until(lambda: bool(told.ends))
    assert sent > 200_000
    assert told.ends == [error.ConnectionLost]
    assert len(told.data) > 65_536  # what had not arrived before the reset is nowhere


def test_a_reset_alone(stand: Stand) -> None:
    client, told = stand.accepted()
    client.close()
    stand.until(lambda: bool(told.ends))
    assert (told.data, told.ends) == (b"", [error.ConnectionLost])


@pytest.mark.parametrize("data", [b"", b"message"])
def test_a_reset_while_the_connection_is_not_read(stand: Stand, data: bytes) -> None:
    stand.paused = True
    client, told = stand.accepted()
    client.sendall(data)
    stand.turns()
    client.close()
    stand.until(lambda: bool(told.ends))
    assert (told.data, told.ends) == (b"", [error.ConnectionLost])  # nobody had taken it, so nobody was told that it is safe


def test_a_reset_when_reading_is_taken_up_again(stand: Stand) -> None:
    stand.paused = True
    client, told = stand.accepted()
    stand.turns()
    client.sendall(b"message")
    client.close()
    told.transport.resumeProducing()
    stand.until(lambda: bool(told.ends))
    assert (told.data, told.ends) == (b"message", [error.ConnectionLost])


def test_an_answer_and_a_reset_while_a_message_is_being_written(stand: Stand) -> None:
    client, told = stand.accepted()
    told.transport.write(b"x" * 20_000_000)
    stand.turns()
    assert client.recv(65536)
    client.sendall(b"the answer")
    client.close()
    stand.until(lambda: bool(told.ends))
    assert (told.data, told.ends) == (b"the answer", [error.ConnectionLost])


def test_an_answer_that_is_there_when_writing_fails_is_heard_before_the_loss(stand: Stand) -> None:
    client, told = stand.accepted()
    told.transport.write(b"x" * 20_000_000)
    stand.turns()
    client.sendall(b"the answer")
    client.close()
    told.transport.doWrite()  # what it says is for the reactor, which finds it again
    stand.until(lambda: bool(told.ends))
    assert (told.data, told.ends) == (b"the answer", [error.ConnectionLost])


def test_a_reset_of_one_while_another_is_closed_and_its_descriptor_used_again(stand: Stand) -> None:
    pairs = [stand.accepted() for _ in range(20)]

    def close_all(_: bytes) -> None:
        for _, told in pairs[1:]:
            told.transport.abortConnection()

    pairs[0][1].dataReceived = close_all  # type: ignore[method-assign]
    for client, _ in pairs:
        client.sendall(b"message")
        client.close()
    others = [stand.client() for _ in range(20)]
    stand.until(lambda: all(told.ends for _, told in pairs) and len(stand.met) == 40)
    for number, client in enumerate(others):
        client.sendall(b"other %d" % number)
    stand.until(lambda: all(told.data for told in stand.met[20:]))
    assert not any(told.ends for told in stand.met[20:])
    for client in others:
        client.close()


def test_a_peer_that_says_no_more_and_listens_is_not_lost(stand: Stand) -> None:
    client, told = stand.accepted()
    stand.paused = True
    told.transport.pauseProducing()
    client.shutdown(socket.SHUT_WR)
    stand.turns()
    assert told.ends == []
    told.transport.write(b"still there")
    stand.turns()
    assert client.recv(100) == b"still there"
    client.close()


def test_a_connection_that_is_refused_is_told_so(stand: Stand) -> None:
    failed: list[type[Any] | None] = []
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        factory: Any = protocol.ClientFactory()
        factory.clientConnectionFailed = lambda connector, reason: failed.append(reason.type)
        stand.reactor.connectTCP("127.0.0.1", closed.getsockname()[1], factory)
        stand.until(lambda: bool(failed))
    assert failed == [error.ConnectionRefusedError]


def test_a_connection_out_hears_an_answer_that_comes_with_a_reset(stand: Stand) -> None:
    before = descriptors()
    made: list[Told] = []

    def build(_: Any) -> Told:
        made.append(Told())
        return made[-1]

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        for _ in range(100):
            factory: Any = protocol.ClientFactory()
            factory.buildProtocol = build
            stand.reactor.connectTCP("127.0.0.1", listener.getsockname()[1], factory)
            stand.until(lambda: bool(select.select([listener], [], [], 0)[0]))
            peer = listener.accept()[0]
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.sendall(b"the answer")
            peer.close()
        stand.until(lambda: len(made) == 100 and all(told.ends for told in made))
    assert {told.data for told in made} == {b"the answer"}
    assert descriptors() == before


def test_a_socket_that_cannot_be_watched_is_lost(stand: Stand) -> None:
    client, told = stand.accepted()
    told.transport.pauseProducing()
    stand.reactor.removeReader(told.transport)
    stand.reactor._forget(stand.reactor._watched[told.transport])  # type: ignore[attr-defined]
    told.transport.socket.close()
    told.transport.resumeProducing()
    stand.until(lambda: bool(told.ends))
    client.close()


def test_the_state_of_a_connection_is_known_before_it_is_read(stand: Stand) -> None:
    client, told = stand.accepted()
    handle = told.transport.getHandle()
    assert (sockets.tcp_info(handle)[0] in sockets.ENDED, sockets.is_dead(handle)) == (False, False)
    client.sendall(b"the last word")
    client.shutdown(socket.SHUT_WR)
    assert (sockets.tcp_info(handle)[0] in sockets.ENDED, sockets.is_dead(handle)) == (True, False)
    client.close()
    assert (sockets.tcp_info(handle)[0] in sockets.ENDED, sockets.is_dead(handle)) == (True, True)


def test_the_loop_wakes_once_for_a_timer_and_not_before_it_is_due(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    reactor, woken, called = stand.reactor, list[int](), list[int]()
    on_timer = reactor._onTimer

    def counted() -> None:
        before = len(called)
        on_timer()
        woken.append(len(called) - before)

    monkeypatch.setattr(reactor, "_onTimer", counted)
    for n in range(40):
        reactor.callLater(0.0127 * n + 0.0005, called.append, n)
    stand.until(lambda: len(called) == 40)
    assert called == list(range(40))
    assert woken.count(0) <= 4, f"found nothing due: {woken}"


def test_time_does_not_go_back(stand: Stand) -> None:
    before_s = stand.reactor.seconds()
    stand.turns()
    assert 0 < stand.reactor.seconds() - before_s < PATIENCE_S


# -- the watchdog ----------------------------------------------------------------------------------------------------


def test_only_what_stays_wrong_is_due() -> None:
    clock = Clock()
    watchdog = Watchdog(clock, lambda: (), 1, 10, lambda code, count: None)

    def due(wrong: list[Any], now_s: float) -> list[Any]:
        clock.rightNow = now_s
        return watchdog._due(wrong)

    assert due(["a", "b"], 100) == []
    assert due(["a"], 105) == []
    assert due(["a", "b"], 109.9) == []
    assert due(["a", "b"], 110) == ["a"]
    assert due(["a", "b"], 119.9) == ["b"]
    assert due(["a"], 120) == []
    assert due(["a"], 130) == ["a"]
    assert due([], 1000) == []
    assert due(["a"], 1001) == []


class Noted:
    """A watchdog that looks all the time, and what it tells."""

    def __init__(self, stand: Stand) -> None:
        self.told: list[tuple[str, int]] = []
        self.known: list[Any] = []
        self.watchdog = Watchdog(stand.reactor, self._held, 0.01, 0.3, lambda code, count: self.told.append((code, count)))
        self.watchdog.start()

    def _held(self) -> Iterator[tuple[socket.socket, Callable[[], None]]]:
        for told in self.known:
            if not told.ends:
                yield told.transport.getHandle(), told.transport.abortConnection


@pytest.fixture
def noted(stand: Stand) -> Iterator[Noted]:
    one = Noted(stand)
    yield one
    one.watchdog.stop()


@pytest.mark.parametrize("known", [True, False])
def test_dead_connections_that_nobody_was_told_of_are_ended(stand: Stand, noted: Noted, known: bool) -> None:
    before = descriptors()
    for _ in range(120):
        client, told = stand.accepted()
        noted.known.append(told)
        stand.reactor._epoll.unregister(told.transport.fileno())  # type: ignore[attr-defined]
        client.close()
    if not known:
        noted.known.clear()
    stand.until(lambda: all(told.ends for told in stand.met))
    assert noted.watchdog.ended == {"DEAD_SOCKET": 120}
    assert sum(count for _, count in noted.told) == 120
    assert descriptors() == before


def test_connections_that_were_met_and_that_no_connector_knows_are_ended_and_others_are_not(stand: Stand, noted: Noted) -> None:
    pairs = []
    for n in range(40):
        pairs.append(stand.accepted())
        if n < 20:
            noted.known.append(pairs[-1][1])
    stand.until(lambda: all(told.ends for _, told in pairs[20:]))
    assert noted.watchdog.ended == {"NO_CONNECTION": 20}
    stand.turns(250)
    assert not any(told.ends for _, told in pairs[:20])
    for client, _ in pairs:
        client.close()


def test_what_belongs_to_others_is_left_alone(stand: Stand, noted: Noted) -> None:
    made: list[Told] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        factory: Any = protocol.ClientFactory()
        factory.buildProtocol = lambda _: made.append(Told()) or made[-1]
        stand.reactor.connectTCP("127.0.0.1", listener.getsockname()[1], factory)
        stand.until(lambda: bool(made) and made[0].transport is not None)
        stand.turns(250)
        assert not made[0].ends  # it was not met: a destination that was replaced may still wait for its answer on it
        made[0].transport.abortConnection()
        stand.until(lambda: bool(made[0].ends))
    assert noted.told == []


def test_many_connections_are_looked_at_in_many_turns(stand: Stand, noted: Noted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suture.reactor.LOOKS", 3)
    pairs = []
    for _ in range(10):
        pairs.append(stand.accepted())
        noted.known.append(pairs[-1][1])
    for client, told in pairs[:9]:
        stand.reactor._epoll.unregister(told.transport.fileno())  # type: ignore[attr-defined]
        client.close()
    stand.until(lambda: all(told.ends for _, told in pairs[:9]))
    stand.turns(50)
    assert not pairs[9][1].ends
    pairs[9][0].close()
