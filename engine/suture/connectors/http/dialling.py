"""How connections to one HTTP peer are opened, over TLS where its URL says so, and why one cannot be had."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from yarl import URL

from suture.connectors.contract import Note
from suture.connectors.net import sockets, tls, tls_asyncio
from suture.connectors.net.tls import ClientTls
from suture.model.outcome import Unavailable
from suture.ports import Clock


class Dial:
    """One peer. settings: of TLS; None where it is spoken to in plain text."""

    def __init__(self, url: URL, settings: ClientTls | None, clock: Clock, note: Note) -> None:
        self._host, self._port = url.host or "", url.port or 0
        self._name = (settings.server_name if settings else "") or self._host
        self._contexts = tls.Contexts(settings, clock, note, _context) if settings is not None else None

    async def open(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Open a connection, be it of use or not. Raises what `unavailable` has words for."""
        if self._contexts is None:
            await asyncio.get_running_loop().create_connection(protocol, self._host, self._port)
        else:
            context, name = self._contexts.get(), self._name
            await asyncio.get_running_loop().create_connection(protocol, self._host, self._port, ssl=context, server_hostname=name)

    def unavailable(self, error: BaseException | None) -> Unavailable:
        """Why there is no connection, in an operator's words."""
        why = tls_asyncio.plain(error, self._name) if self._contexts is not None else ""
        return self.refused(why, "TLS") if why else self.refused(sockets.no_connection(error))

    def refused(self, why: str, code: str = "CONNECT") -> Unavailable:
        """There is no connection, for this reason."""
        return Unavailable(code, f"cannot connect to {self._host}:{self._port}: {why}")


def _context(settings: ClientTls) -> ssl.SSLContext:
    context = tls_asyncio.context_of(settings)
    context.set_alpn_protocols(["http/1.1"])
    return context
