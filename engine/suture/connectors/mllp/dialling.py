"""How connections of an MLLP destination come about: when one may be tried, over what, and why there is none."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet import protocol
from twisted.protocols.tls import TLSMemoryBIOFactory

from suture.connectors.contract import Note
from suture.connectors.mllp.peer import Peer
from suture.connectors.net import sockets, tls
from suture.ports import Clock

if TYPE_CHECKING:
    from suture.connectors.mllp_out import Destination


class Backoff:
    """When to try again to connect: after 0.2 s, then twice as long each time up to max_s, less up to a fifth by chance."""

    FIRST_S = 0.2

    def __init__(self, max_s: float, chance: Callable[[], float] = random.random) -> None:
        self.max_s, self._chance = max_s, chance
        self._failures = 0
        self._next_s = 0.0

    def failed(self, now_s: float) -> None:
        """An attempt came to nothing, or a connection ended before it was of use."""
        wait_s = min(self.max_s, self.FIRST_S * 2 ** min(self._failures, 30))
        self._failures += 1
        self._next_s = now_s + wait_s * (1 - 0.2 * self._chance())

    def worked(self) -> None:
        """The peer has answered."""
        self._failures, self._next_s = 0, 0.0

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next attempt may be made; never more than max_s, whatever the clock did."""
        return min(self.max_s, max(0.0, self._next_s - now_s))


class Dialling:
    """Of one destination. under_way: how many connections are being made; shaking: those of them that agree on TLS."""

    def __init__(self, destination: Destination, reactor: Any, note: Note) -> None:
        config = self._config = destination.config
        self._destination, self._reactor = destination, reactor
        self.clock: Clock = reactor
        self._contexts = tls.Contexts(config.tls, reactor, note, tls.context_of) if config.tls is not None else None
        self.server_name = (config.tls.server_name if config.tls else "") or config.host
        self.backoff = Backoff(config.reconnect_max_s)
        self.shaking: set[Peer] = set()
        self.under_way = 0
        self._again: Any = None

    def open(self, count: int) -> None:
        """Begin so many connections; where that may not be tried yet, the destination asks again when it may."""
        for _ in range(count if self._again is None else 0):
            wait_s = self.backoff.wait_s(self.clock.seconds())
            if wait_s > 0:
                self._again = self.clock.callLater(wait_s, self._try_again)
                break
            self.under_way += 1
            self.connect()

    def _try_again(self) -> None:
        self._again = None
        self._destination.pump()

    def connect(self) -> None:
        """Begin a connection; the destination's `connected` or `failed` is called, once and later."""
        config, destination = self._config, self._destination
        factory: Any = protocol.ClientFactory()
        factory.noisy = False
        factory.buildProtocol = lambda address: Peer(destination)
        factory.clientConnectionFailed = lambda connector, reason: destination.failed("CONNECT", sockets.no_connection(reason.value))
        if self._contexts is not None:
            try:
                self._contexts.get()
            except tls.TlsError as e:
                self.clock.callLater(0, destination.failed, "TLS", str(e))
                return
            creator: Any = tls.Creator(self._contexts, self.server_name)
            factory = TLSMemoryBIOFactory(creator, True, factory, self._reactor)
        own = (config.source_host, 0) if config.source_host else None
        self._reactor.connectTCP(config.host, config.port, factory, timeout=config.connect_timeout_s, bindAddress=own)

    def look(self, now_s: float) -> None:
        """Give up what takes too long to agree on TLS."""
        for peer in [p for p in self.shaking if now_s - p.written.at_s > self._config.connect_timeout_s]:
            peer.cut("no agreement on TLS in time")

    def close(self) -> None:
        """Try no more."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        for peer in list(self.shaking):
            peer.cut("the destination was closed")
