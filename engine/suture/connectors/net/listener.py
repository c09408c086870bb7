"""The port of a source, over TLS where that is set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import defer, error, protocol, tcp
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol

from suture.connectors.contract import Note
from suture.connectors.net import sockets, tls
from suture.connectors.net.access import is_loopback
from suture.connectors.net.door import Door
from suture.model.errors import SutureError


class Listener:
    """config: of a source, with host, port and what says how to listen there."""

    def __init__(self, config: Any, reactor: Any, note: Note) -> None:
        self._config, self.reactor, self._note = config, reactor, note
        self.contexts = tls.Contexts(config.tls, reactor, note, tls.context_of) if config.tls is not None else None
        self._port: Any = None

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

    def open(self, door: Door, build: Callable[[Any], Any]) -> None:
        """Start to listen. build: the protocol of an address. Raises SutureError where that cannot be."""
        config = self._config
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
        door.build = inner.buildProtocol
        factory: Any = protocol.ServerFactory()
        factory.buildProtocol = door.met
        kind = sockets.SharedPort if config.reuse_port else tcp.Port
        port = kind(config.port, factory, config.backlog, config.host, self.reactor)
        try:
            port.startListening()
        except error.CannotListenError as e:
            raise self._deaf(e.socketError.strerror or "not possible") from None
        self._port = port

    def _deaf(self, why: str) -> SutureError:
        return SutureError(f"cannot listen on {self._config.host}:{self._config.port}: {why}")

    async def close(self) -> None:
        """Listen no more."""
        await defer.maybeDeferred(self._port.stopListening)
        self._port = None


class _SafeProtocol(TLSMemoryBIOProtocol):
    """TLS, before which no PROXY header stands but from a listed proxy."""

    wrappedProtocol: Any  # noqa: N815

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self.wrappedProtocol.head is None or not self.wrappedProtocol.unasked(data):
            super().dataReceived(data)
