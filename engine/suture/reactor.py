"""The reactor of the engine: Twisted's on asyncio, over uvloop where there is one; the one place that leans on their insides.

On Linux the sockets of Twisted stand in an epoll of the reactor's own, which the event loop watches as one descriptor. libuv
stops to watch a socket as soon as it sees an error on it: of a peer that sends and resets at once the data are read, the
reset is never told, and the descriptor is kept for ever. Here an error, or the end, ends a connection that has been read
to its last byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from twisted.internet import asyncioreactor, tcp
from twisted.internet.error import ConnectionLost
from twisted.internet.main import installReactor

from suture.connectors.net.sockets import is_dead

Sockets = Iterable[tuple[socket.socket, Callable[[], None]]]
"""Sockets of connections, each with what ends its connection at once."""
Ends = Mapping[socket.socket, Callable[[], None]]

A_TURN = 64
"""Sockets that are served in one turn of the loop; the others come in the next, before these come again."""
LOOKS = 500
"""Sockets that the watchdog looks at in one turn of the loop: a millisecond."""
READS = 128
"""Reads of what a dead connection still holds: a receive buffer (6 MiB unless the system is set otherwise) by Twisted's 64 KiB."""


def install() -> tuple[Any, asyncio.AbstractEventLoop]:
    """Make the reactor of this process and its loop; once."""
    loop: asyncio.AbstractEventLoop
    try:
        import uvloop
    except ImportError:
        loop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    reactor = EpollReactor(loop) if sys.platform == "linux" else Reactor(loop)
    installReactor(reactor)
    return reactor, loop


class Reactor(asyncioreactor.AsyncioSelectorReactor):
    """Its seconds measure times between things, and are no time of day.

    A clock that is set back by an hour must not hold up every timer for an hour.
    """

    seconds = staticmethod(time.monotonic)

    def _reschedule(self) -> None:
        """Have the loop call when the next timer is due.

        libuv's clock goes by milliseconds and stands still within a turn: a call that came a little early found nothing due,
        and came again and again until it was.
        """
        timeout_s = self.timeout()
        if timeout_s is not None:
            loop: Any = self._asyncioEventloop
            at_s: Any = math.ceil((self.seconds() + timeout_s) * 1000) / 1000 if timeout_s else loop.time()
            if self._timerHandle is not None:
                self._timerHandle.cancel()
            self._scheduledAt, self._timerHandle = at_s, loop.call_at(at_s, self._onTimer)

    def connections(self) -> list[tcp.Connection]:
        """The TCP connections that it watches; listening ports are none."""
        return [one for one in {*self.getReaders(), *self.getWriters()} if isinstance(one, tcp.Connection)]

    def lose(self, connection: Any) -> None:
        """Tell a connection that it is lost, and close its socket; one that is lost already is left alone."""
        if not connection.disconnected:
            self._disconnectSelectable(connection, ConnectionLost(), False)


if sys.platform == "linux":
    _READ, _WRITE, _DEAD = select.EPOLLIN, select.EPOLLOUT, select.EPOLLERR | select.EPOLLHUP

    @dataclass(slots=True, eq=False)
    class _Watch:
        """One selectable, its descriptor, and what it is watched for; over: not any more."""

        one: Any
        descriptor: int
        what: int = 0
        over: bool = False

    class EpollReactor(Reactor):
        """Watches with an epoll of its own. A connection that is not read for a while is watched all the same: for its end."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._epoll = select.epoll()
            self._watched: dict[Any, _Watch] = {}
            self._by_descriptor: dict[int, _Watch] = {}
            super().__init__(loop)
            loop.add_reader(self._epoll.fileno(), self._turn)

        # -- IReactorFDSet -----------------------------------------------------------------------------------------

        def addReader(self, reader: Any) -> None:  # noqa: N802
            self._watch(reader, _READ)

        def addWriter(self, writer: Any) -> None:  # noqa: N802
            self._watch(writer, _WRITE)

        def removeReader(self, reader: Any) -> None:  # noqa: N802
            self._unwatch(reader, _READ)

        def removeWriter(self, writer: Any) -> None:  # noqa: N802
            self._unwatch(writer, _WRITE)

        def removeAll(self) -> list[Any]:  # noqa: N802
            found = [watch for one, watch in self._watched.items() if one not in self._internalReaders]
            for watch in found:
                self._forget(watch)
            return [watch.one for watch in found]

        def getReaders(self) -> list[Any]:  # noqa: N802
            return [one for one, watch in self._watched.items() if watch.what & _READ]

        def getWriters(self) -> list[Any]:  # noqa: N802
            return [one for one, watch in self._watched.items() if watch.what & _WRITE]

        def connections(self) -> list[tcp.Connection]:
            return [one for one in self._watched if isinstance(one, tcp.Connection)]

        def _watch(self, one: Any, what: int) -> None:
            watch = self._watched.get(one)
            try:
                if watch is None:
                    self._begin(_Watch(one, one.fileno(), what))
                elif not watch.what & what:
                    self._epoll.modify(watch.descriptor, watch.what | what)
                    watch.what |= what
            except (OSError, ValueError):
                if not isinstance(one, tcp.Connection):
                    raise
                self.callLater(0, self.lose, one)

        def _begin(self, watch: _Watch) -> None:
            self._epoll.register(watch.descriptor, watch.what)
            self._watched[watch.one] = self._by_descriptor[watch.descriptor] = watch

        def _unwatch(self, one: Any, what: int) -> None:
            watch = self._watched.get(one)
            if watch is None:
                return
            left = watch.what & ~what
            if not left and not getattr(one, "connected", False):
                self._forget(watch)
            elif left != watch.what:
                watch.what = left
                with contextlib.suppress(OSError):  # one that was closed is forgotten when it says so
                    self._epoll.modify(watch.descriptor, left)

        def _forget(self, watch: _Watch) -> None:
            watch.over = True
            del self._watched[watch.one]
            if self._by_descriptor.get(watch.descriptor) is watch:
                del self._by_descriptor[watch.descriptor]
                with contextlib.suppress(OSError):  # the kernel has forgotten one that was closed
                    self._epoll.unregister(watch.descriptor)

        # -- what happens ------------------------------------------------------------------------------------------

        def _turn(self) -> None:
            """Serve the sockets that something has happened to; not one that another's turn has closed."""
            for watch, events in [(self._by_descriptor.get(number), events) for number, events in self._epoll.poll(0, A_TURN)]:
                if watch is not None and not watch.over:
                    self._serve(watch, events)

        def _serve(self, watch: _Watch, events: int) -> None:
            """Read before all else: a dead connection is read, turn by turn, to its last byte, and its end is what is read last."""
            one = watch.one
            if watch.what & _READ and events & (_READ | _DEAD):
                why = self._tried(one.doRead)
                if events & _DEAD:  # no goodbye: it is over in both directions
                    self._end(one, why and ConnectionLost(), False)
                    return
                if why is not None:
                    self._end(one, why, True)
            if events & (_WRITE | _DEAD):
                if watch.what & _WRITE:
                    self._write(watch)
                elif events & _DEAD and not watch.over:
                    self.lose(one)

        def _write(self, watch: _Watch) -> None:
            """Write what waits; a connection that takes nothing any more is read to its end before it is lost."""
            why = self._tried(watch.one.doWrite)
            if isinstance(why, ConnectionLost):
                self._read_rest(watch)
            self._end(watch.one, why, False)

        def _read_rest(self, watch: _Watch) -> None:
            for _ in range(READS):
                if watch.over or not watch.what & _READ or self._tried(watch.one.doRead) is not None:
                    return

        def _tried(self, work: Callable[[], Any]) -> Any:
            """What doRead or doWrite says: why the connection is over, None while it is not."""
            try:
                return work() or None
            except Exception as e:
                self._log.failure("a connection met an unexpected error, and is closed")
                return e

        def _end(self, one: Any, why: Any, reading: bool) -> None:
            if why is not None:
                self._disconnectSelectable(one, why, reading)


class Watchdog:
    """Holds the descriptors of connections against the connections that the connectors know, and ends what belongs to none.

    A connection whose socket is dead (DEAD_SOCKET), or that was accepted and that no connector knows (NO_CONNECTION), for
    after_s: a fault of this program or of a library, which would else cost a descriptor, and room for a sender, for ever.
    held(): what the connectors know. tell(code, count): so many were ended.
    """

    def __init__(self, reactor: Any, held: Callable[[], Sockets], every_s: float, after_s: float, tell: Callable[[str, int], None]) -> None:
        self._reactor, self._held, self._every_s, self._after_s, self._tell = reactor, held, every_s, after_s, tell
        self._since_s: dict[socket.socket, float] = {}
        self._timer: Any = None
        self.ended: Counter[str] = Counter()

    def start(self) -> None:
        """Look every every_s seconds."""
        self._timer = self._reactor.callLater(self._every_s, self._begin)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _begin(self) -> None:
        known = dict(self._held())
        watched = {one.getHandle(): one for one in self._reactor.connections() if one.connected}
        ends: Ends = {handle: partial(self._reactor.lose, one) for handle, one in watched.items()} | known
        strays = {handle for handle, one in watched.items() if isinstance(one, tcp.Server) and handle not in known}
        self._look(iter(ends), strays, {}, ends)

    def _look(self, rest: Iterator[socket.socket], strays: set[socket.socket], wrong: dict[socket.socket, str], ends: Ends) -> None:
        """Look at some, and at the rest in the next turns."""
        some = list(islice(rest, LOOKS))
        for handle in some:
            if is_dead(handle):
                wrong[handle] = "DEAD_SOCKET"
            elif handle in strays:
                wrong[handle] = "NO_CONNECTION"
        if len(some) == LOOKS:
            self._timer = self._reactor.callLater(0, self._look, rest, strays, wrong, ends)
            return
        self.start()
        self._end(wrong, ends)

    def _end(self, wrong: Mapping[socket.socket, str], ends: Ends) -> None:
        ended = Counter[str]()
        for handle in self._due(wrong):
            ended[wrong[handle]] += 1
            ends[handle]()
        self.ended += ended
        for code, count in ended.items():
            self._tell(code, count)

    def _due(self, wrong: Iterable[socket.socket]) -> list[socket.socket]:
        """What was wrong at every look for after_s, and is to be ended now; it begins anew when it is wrong again."""
        now_s = self._reactor.seconds()
        since_s = {one: self._since_s.get(one, now_s) for one in wrong}
        found = [one for one, at_s in since_s.items() if now_s - at_s >= self._after_s]
        self._since_s = {one: at_s for one, at_s in since_s.items() if now_s - at_s < self._after_s}
        return found
