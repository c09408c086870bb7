"""How connections to one HTTP peer are opened, over TLS where its URL says so, and why one cannot be had."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from yarl import URL

from suture.connectors.contract import Note
from suture.connectors.net import sockets, tls
from suture.connectors.net.tls import ClientTls, TlsError
from suture.model.outcome import Unavailable
from suture.ports import Clock

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_OTHER_NAME = (62, 64)
"""Results of OpenSSL's verification (x509_vfy.h): the certificate is for another host name, or address."""


class Dial:
    """One peer. settings: of TLS; None where it is spoken to in plain text."""

    def __init__(self, url: URL, settings: ClientTls | None, clock: Clock, note: Note) -> None:
        self._host, self._port = url.host or "", url.port or 0
        self._name = (settings.server_name if settings else "") or self._host
        self._contexts = tls.Contexts(settings, clock, note, _context) if settings is not None else None

    async def open(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Open a connection, be it of use or not. Raises what `unavailable` has words for."""
        context, name = (self._contexts.get(), self._name) if self._contexts is not None else (None, None)
        await asyncio.get_running_loop().create_connection(protocol, self._host, self._port, ssl=context, server_hostname=name)

    def unavailable(self, error: BaseException | None) -> Unavailable:
        """Why there is no connection, in an operator's words."""
        why = no_tls(error, self._name) if self._contexts is not None else ""
        return self.refused(why, "TLS") if why else self.refused(sockets.no_connection(error))

    def refused(self, why: str, code: str = "CONNECT") -> Unavailable:
        """There is no connection, for this reason."""
        return Unavailable(code, f"cannot connect to {self._host}:{self._port}: {why}")


def _context(settings: ClientTls) -> ssl.SSLContext:
    """A client's context, as the settings say. Raises TlsError."""
    tls.check_readable(settings)
    context = ssl.create_default_context() if settings.ca is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS[settings.min_version]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    if settings.ca is not None:
        tls.load(settings.ca, "authorities", context.load_verify_locations)
    tls.own(
        settings,
        chain=lambda path: x509.load_pem_x509_certificates(Path(path).read_bytes()),
        key=lambda key: None,
        # With a password, be it empty, OpenSSL never asks for one on a terminal.
        pair=lambda certificate, key, secret: context.load_cert_chain(certificate, key, secret or b""),
    )
    return context


def no_tls(error: BaseException | None, name: str) -> str:
    """Why TLS to the peer of this name failed, in an operator's words; "" when it was not TLS that failed."""
    if isinstance(error, TlsError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code not in _OTHER_NAME:
        return tls.untrusted(error.verify_code)
    if isinstance(error, ValueError):  # also a name that no certificate could be for
        return f"its certificate is not for {name}"
    if isinstance(error, ssl.SSLError):
        return tls.told((error.reason or "").replace("_", " ").lower())
    return tls.ENDED if isinstance(error, ConnectionResetError | ConnectionAbortedError) else ""
