"""A connection that a proxy passes on: its header is read first, and says who the sender is."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet import protocol
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.python.failure import Failure

from suture.connectors.net import sockets
from suture.ports import Clock
from suture.wire.proxy import HeaderReader, Origin, ProxyError

Address = IPv4Address | IPv6Address


class Listener(Protocol):
    """Who has accepted the connection."""

    config: Any
    clock: Clock

    def expects(self, gate: Gate) -> bool:
        """Whether there is room for one more connection."""

    def forget(self, gate: Gate) -> None:
        """The header is read, or the connection is over."""

    def begun(self, address: Address) -> Any:
        """The protocol of a sender at this address; None where it may not connect."""

    def turned_away(self, code: str, host: str, text: str) -> None:
        """A connection is closed for this reason."""


class Gate(protocol.Protocol):
    """The connection until its header is whole; then the protocol of its sender takes its place, also one that speaks TLS."""

    transport: Any

    def __init__(self, listener: Listener, address: Address) -> None:
        self._listener, self._address = listener, address
        self._reader = HeaderReader(listener.config.proxy_header == "required")
        self._timer: Any = None

    def connectionMade(self) -> None:  # noqa: N802
        if not self._listener.expects(self):
            self.transport.abortConnection()
            return
        sockets.prepare(self.transport, self._listener.config.keepalive_s)
        self._timer = self._listener.clock.callLater(self._listener.config.proxy_timeout_s, self._late)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        try:
            found = self._reader.feed(data)
        except ProxyError as e:
            self._refuse("PROXY_HEADER", str(e))
            return
        if found is not None:
            self._begin(*found)

    def _begin(self, origin: Origin | None, rest: bytes) -> None:
        """What was sent behind the header is the sender's."""
        self._leave()
        inner = self._listener.begun(_address(origin) if origin and origin.host else self._address)
        if inner is None:
            self.transport.abortConnection()
            return
        self.transport.protocol = inner
        inner.makeConnection(self.transport)
        getattr(inner, "wrappedProtocol", inner).head = None  # there is one header, and it was read
        if rest:
            inner.dataReceived(rest)

    def _late(self) -> None:
        self._timer = None
        self._refuse("PROXY_TIMEOUT", f"no whole PROXY header within {self._listener.config.proxy_timeout_s:g} s")

    def _refuse(self, code: str, why: str) -> None:
        self._listener.turned_away(code, self._address.host, f"a listed proxy: {why}; connection closed")
        self.end()

    def end(self) -> None:
        """Close the connection."""
        self._leave()
        self.transport.abortConnection()

    def _leave(self) -> None:
        self._listener.forget(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802
        self._leave()


def _address(origin: Origin) -> Address:
    kind = IPv6Address if ":" in origin.host else IPv4Address
    return kind("TCP", origin.host, origin.port)
