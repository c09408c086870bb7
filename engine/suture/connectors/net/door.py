"""The port of a source, over TLS where that is set, and who may come in: by address, by the proxies, and by how many are in already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sized
from typing import Any

from twisted.internet import defer, error, protocol, tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from suture.connectors.contract import Note
from suture.connectors.net import sockets, tls
from suture.connectors.net.access import AllowList, is_loopback
from suture.connectors.net.complaints import Seldom
from suture.model.errors import SutureError
from suture.ports import Clock
from suture.wire.proxy import HeaderReader, Origin, ProxyError

REFUSALS_S = 600.0
"""Seconds in which the same address is complained about once."""
Address = IPv4Address | IPv6Address


class Door:
    """Of one source. config: its settings, with what says how to listen there. inside: its connections. clock: of what waits at it.

    gates: connections whose PROXY header is still to come. refused: connections that were closed, by code.
    """

    _build: Callable[[Address], Any]

    def __init__(self, config: Any, reactor: Any, note: Note, inside: Sized) -> None:
        self.config, self.reactor, self._note, self._inside = config, reactor, note, inside
        self.clock: Clock = reactor
        self.contexts = tls.Contexts(config.tls, reactor, note, tls.context_of) if config.tls is not None else None
        self._port: Any = None
        self.gates: set[Gate] = set()
        self.refused: Counter[str] = Counter()
        self.seldom = Seldom(reactor, REFUSALS_S)
        self._allow, self._proxies = AllowList(config.allow), AllowList(config.proxies)
        self._over = False

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._port.getHost().port)

    @property
    def is_open(self) -> bool:
        """Whether it was opened, and not closed."""
        return self._port is not None

    @property
    def listens(self) -> bool:
        """Whether anybody can connect."""
        return self._port is not None and bool(self._port.connected)

    def open(self, build: Callable[[Address], Any]) -> None:
        """Start to listen. build: the protocol of an address. Raises SutureError where that cannot be."""
        config = self.config
        inner: Any = protocol.ServerFactory()
        inner.buildProtocol = build
        if self.contexts is not None:
            try:
                self.contexts.get()
            except tls.TlsError as e:
                raise self._deaf(f"tls: {e}") from None
            creator: Any = tls.Creator(self.contexts)
            inner = TLSMemoryBIOFactory(creator, False, inner, self.reactor)
            inner.protocol = _SafeProtocol
        elif not config.allow and not is_loopback(config.host):
            self._note("OPEN_TO_ALL", f"{config.host} can be reached from other machines, without TLS and without `allow`; set one of them")
        self._build = inner.buildProtocol
        factory: Any = protocol.ServerFactory()
        factory.buildProtocol = self._met
        kind = sockets.SharedPort if config.reuse_port else tcp.Port
        port = kind(config.port, factory, config.backlog, config.host, self.reactor)
        try:
            port.startListening()
        except error.CannotListenError as e:
            raise self._deaf(e.socketError.strerror or "not possible") from None
        self._port = port

    def _deaf(self, why: str) -> SutureError:
        return SutureError(f"cannot listen on {self.config.host}:{self.config.port}: {why}")

    async def close(self) -> None:
        """Listen no more."""
        await defer.maybeDeferred(self._port.stopListening)
        self._port = None

    def _met(self, address: Address) -> Any:
        """The protocol of a new connection; None where it is closed at once."""
        return Gate(self, address) if self._proxies and self._proxies.admits(address.host) else self.begun(address)

    def begun(self, address: Address) -> Any:
        """The protocol of a sender at this address; None where it may not connect: nobody else gets as far as a handshake."""
        if self._allow.admits(address.host):
            return self._build(address)
        self.turned_away("NOT_ALLOWED", address.host, "it may not connect; its connections are closed (see `allow`)")
        return None

    def turned_away(self, code: str, host: str, text: str) -> None:
        """Count a connection that is closed, and say so once in a while for an address."""
        self.refused[code] += 1
        if self.seldom.due(f"{code} {host}"):
            self._note(code, f"{host}: {text}")

    def has_room(self) -> bool:
        """Whether there is room for one more connection."""
        if len(self._inside) + len(self.gates) >= self.config.connections:
            self.refused["TOO_MANY_CONNECTIONS"] += 1
            if not self._over:
                self._over = True
                self._note("TOO_MANY_CONNECTIONS", f"more than {self.config.connections} connections; new ones are closed")
            return False
        self._over = False
        return True


class _SafeProtocol(TLSMemoryBIOProtocol):
    """TLS, before which no PROXY header stands but from a listed proxy."""

    wrappedProtocol: Any  # noqa: N815

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self.wrappedProtocol.head is None or not self.wrappedProtocol.unasked(data):
            super().dataReceived(data)


class Gate(protocol.Protocol):
    """A connection that a proxy passes on, until its header is whole; then the protocol of its sender takes its place, be it of TLS."""

    transport: Any

    def __init__(self, door: Door, address: Address) -> None:
        self._door, self._address = door, address
        self._reader = HeaderReader(door.config.proxy_header == "required")
        self._timer: Any = None

    def connectionMade(self) -> None:  # noqa: N802
        if not self._door.has_room():
            self.transport.abortConnection()
            return
        self._door.gates.add(self)
        sockets.prepare(self.transport, self._door.config.keepalive_s)
        self._timer = self._door.clock.callLater(self._door.config.proxy_timeout_s, self._late)

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
        inner = self._door.begun(_address(origin) if origin and origin.host else self._address)
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
        self._refuse("PROXY_TIMEOUT", f"no whole PROXY header within {self._door.config.proxy_timeout_s:g} s")

    def _refuse(self, code: str, why: str) -> None:
        self._door.turned_away(code, self._address.host, f"a listed proxy: {why}; connection closed")
        self.end()

    def end(self) -> None:
        """Close the connection."""
        self._leave()
        self.transport.abortConnection()

    def _leave(self) -> None:
        self._door.gates.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802
        self._leave()


def _address(origin: Origin) -> Address:
    kind = IPv6Address if ":" in origin.host else IPv4Address
    return kind("TCP", origin.host, origin.port)
