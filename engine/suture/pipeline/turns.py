"""Work on one message that would take too long in one turn of the reactor, done in parts; what comes behind it waits for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from suture.ports import Aside, Held

Soon = Callable[[Callable[[], None]], object]
A_TURN = 32
"""Messages that are dealt with in one turn of the reactor."""
LARGE_BYTES = 32_768
"""Bytes of messages after which a turn ends; what is larger alone is worked on beside the reactor. (A line of 70 bytes takes
some 30 µs with its event and its delivery, so these are some 15 ms.)"""

_Waiting = deque[tuple[int, Callable[[], None]]]


class Turns:
    """The large messages of a channel's senders, each in parts. held: where the bytes of what waits are counted.

    busy: senders whose message is not dealt with yet, with what came behind it.
    """

    def __init__(self, soon: Soon, aside: Aside, held: Held) -> None:
        self._soon, self._aside, self._held = soon, aside, held
        self.busy: dict[str, _Waiting] = {}
        self._stopped = False

    def wait(self, peer: str, size_bytes: int, receive: Callable[[], None]) -> None:
        """A busy sender's next message: receive() is called when those before it have been dealt with."""
        self._held.bytes += size_bytes
        self.busy[peer].append((size_bytes, receive))

    def begin(self, peer: str, size_bytes: int, prepare: Callable[[], Any], parts: Callable[[Any], Iterator[None]]) -> None:
        """Run prepare() beside the reactor, then parts(what it gave) some steps at a time."""
        self.busy.setdefault(peer, deque())
        self._held.bytes += size_bytes
        self._aside(prepare, lambda prepared: self._step(peer, size_bytes, parts(prepared)))

    def stop(self) -> None:
        """Go on with nothing: what has not been handed on was not acknowledged, and is sent again."""
        self._stopped = True
        for waiting in self.busy.values():
            self._held.bytes -= sum(size_bytes for size_bytes, _ in waiting)
        self.busy.clear()

    def _step(self, peer: str, size_bytes: int, parts: Iterator[None]) -> None:
        over = True
        try:
            over = self._stopped or any(next(parts, self) is self for _ in range(A_TURN))
        finally:
            if over:
                self._held.bytes -= size_bytes
                self._go_on(peer)
            else:
                self._soon(partial(self._step, peer, size_bytes, parts))

    def _go_on(self, peer: str) -> None:
        """Those that came behind it, one a turn; one may be large again."""
        waiting = self.busy.pop(peer, None)
        if not waiting:
            return
        size_bytes, receive = waiting.popleft()
        self._held.bytes -= size_bytes
        try:
            receive()
        finally:
            begun = peer in self.busy
            if waiting or begun:
                self.busy[peer] = waiting
            if waiting and not begun:
                self._soon(partial(self._go_on, peer))
