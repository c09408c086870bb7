"""TLS of connectors: settings, contexts that follow their files, and what went wrong in an operator's words."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, model_validator
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.python.failure import Failure
from zope.interface import implementer

from suture.connectors.contract import Note
from suture.model.section import Section
from suture.ports import Clock

KEY_LIMIT_BYTES = 1 << 20
DAY_S = 86_400.0
EXPIRY_S = 30 * DAY_S
"""Time before the end of our own certificate from which on it is said."""
_VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
_BROKEN_CHAIN = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "its root is not among our authorities",
    20: "its issuer is not among our authorities",
    21: "its issuer is not among our authorities",
    23: "it was revoked",
    26: "it is not for this purpose",
}
"""Results of OpenSSL's verification (x509_vfy.h) in words."""
_untrusted: WeakKeyDictionary[SSL.Connection, str] = WeakKeyDictionary()
"""Why a certificate was not trusted, while its connection lives."""
_REFUSED = "the other side refused our certificate"
ENDED = "the connection ended before TLS was agreed on"
Context = TypeVar("Context")


class TlsError(Exception):
    """TLS cannot be set up; the text names the file and what is wrong with it."""


def _in_site(path: str, info: ValidationInfo) -> str:
    directory = (info.context or {}).get("directory")
    return str(Path(directory, path)) if directory else path


SiteFile = Annotated[str, AfterValidator(_in_site)]
"""The path of a file; a relative one begins at the directory in the context of the validation (the site's)."""


class ServerTls(Section):
    """TLS for senders: the certificate we show, and whose certificates we want to see."""

    certificate: SiteFile = Field(description="PEM file with our certificate, and those of its issuers after it")
    key: SiteFile = Field(description="PEM file with its private key")
    key_password: SecretStr | None = Field(None, description="Password of the key file; write it as ${env:NAME} or ${file:path}")
    client_ca: SiteFile | None = Field(None, description="PEM file with authorities; set: senders need a certificate of one of them")
    min_version: Literal["1.2", "1.3"] = Field("1.2", description="Oldest TLS version that is spoken (default 1.2)")
    check_s: float = Field(5, ge=0, description="Seconds between looks at the files for a renewal (default 5)")


class ClientTls(Section):
    """TLS to a peer: whose certificates we trust, the name that has to be in them, and the certificate we show."""

    ca: SiteFile | None = Field(None, description="PEM file with the authorities to trust; absent: the system's")
    server_name: str = Field("", description="Name or address that the peer's certificate is for; absent: its host")
    certificate: SiteFile | None = Field(None, description="PEM file with our own certificate, and those of its issuers after it")
    key: SiteFile | None = Field(None, description="PEM file with its private key")
    key_password: SecretStr | None = Field(None, description="Password of the key file; write it as ${env:NAME} or ${file:path}")
    min_version: Literal["1.2", "1.3"] = Field("1.2", description="Oldest TLS version that is spoken (default 1.2)")
    check_s: float = Field(5, ge=0, description="Seconds between looks at the files for a renewal (default 5)")

    @model_validator(mode="after")
    def _paired(self) -> ClientTls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together; set both or none")
        return self


class Contexts(Generic[Context]):
    """The TLS context of some settings, made anew when one of their files has changed.

    A file that cannot be used is noted, and what was read before stays in use. make: reads the files, and raises TlsError.
    """

    def __init__(self, settings: ServerTls | ClientTls, clock: Clock, note: Note, make: Callable[[Any], Context]) -> None:
        self._settings, self.clock, self._note, self._make = settings, clock, note, make
        self._context: Context | None = None
        self._stamp: object = None
        self._looked_s = 0.0
        self._complaint = ""
        self._expires_s = math.inf
        self._expiry_said_s = 0.0

    def get(self) -> Context:
        """The context to use for a new connection. Raises TlsError when there never was a usable one."""
        context = self._current(self.clock.seconds())
        self._tell_expiry(time.time())
        return context

    def _current(self, now_s: float) -> Context:
        if self._context is not None and 0 <= now_s - self._looked_s < self._settings.check_s:
            return self._context
        self._looked_s = now_s
        stamp = _stamp(self._settings)
        if self._context is not None and stamp == self._stamp:
            return self._context
        try:
            made = self._make(self._settings)
        except TlsError as e:
            if self._context is None:
                raise
            if str(e) != self._complaint:
                self._complaint = str(e)
                self._note("TLS_FILES", f"a renewed file cannot be used, the old ones stay in use: {e}")
            return self._context
        if self._context is not None:
            self._note("TLS_RELOADED", "the renewed certificate files are in use for new connections")
        self._context, self._stamp, self._complaint = made, stamp, ""
        self._expires_s, self._expiry_said_s = _expires_s(self._settings.certificate), 0.0
        return made

    def _tell_expiry(self, now_s: float) -> None:
        """Say once a day that our own certificate ends soon, or has ended."""
        left_s = self._expires_s - now_s
        if left_s < EXPIRY_S and now_s - self._expiry_said_s >= DAY_S:
            self._expiry_said_s = now_s
            when = f"ends in {left_s / DAY_S:.0f} days" if left_s > 0 else "has ended"
            self._note("TLS_EXPIRES", f"{self._settings.certificate}: our certificate {when}; renew it (no restart is needed)")


def _expires_s(path: str | None) -> float:
    """When the certificate ends, in seconds since 1970; infinity without one."""
    if path is None:
        return math.inf
    try:
        with open(path, "rb") as file:
            return x509.load_pem_x509_certificate(file.read(KEY_LIMIT_BYTES)).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return math.inf


def _files(settings: ServerTls | ClientTls) -> list[str]:
    authorities = settings.client_ca if isinstance(settings, ServerTls) else settings.ca
    return [path for path in (settings.certificate, settings.key, authorities) if path is not None]


def _stamp(settings: ServerTls | ClientTls) -> object:
    """What changes when a file does; equal for a file that cannot be looked at."""
    stamps = []
    for path in _files(settings):
        try:
            found = os.stat(path)
            stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
        except OSError:
            stamps.append((0, 0, 0))
    return stamps


def context_of(settings: ServerTls | ClientTls) -> SSL.Context:
    """A context that verifies, as the settings say. Raises TlsError."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(_VERSIONS[settings.min_version])
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # a resumed session would show no certificate again
    check_readable(settings)
    own(settings, context.use_certificate_chain_file, context.use_privatekey, lambda *_: context.check_privatekey())
    if isinstance(settings, ServerTls):
        if settings.client_ca is not None:
            load(settings.client_ca, "authorities", context.load_verify_locations)
            context.load_client_ca(settings.client_ca.encode())
            context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verified)
        return context
    if settings.ca is not None:
        load(settings.ca, "authorities", context.load_verify_locations)
    else:
        context.set_default_verify_paths()
    context.set_verify(SSL.VERIFY_PEER, _verified)
    return context


def check_readable(settings: ServerTls | ClientTls) -> None:
    """Raises TlsError for a file that cannot be read."""
    for path in _files(settings):
        try:
            with open(path, "rb"):
                pass
        except OSError as e:
            raise TlsError(f"{path}: {e.strerror}") from None


def own(
    settings: ServerTls | ClientTls, chain: Callable[[str], Any], key: Callable[[Any], Any], pair: Callable[[str, str, bytes | None], Any]
) -> None:
    """Have our certificate, its key, and then both with the key's password used, where they are set. Raises TlsError."""
    certificate, file = settings.certificate, settings.key
    if certificate is None or file is None:
        return
    secret = settings.key_password.get_secret_value().encode() if settings.key_password is not None else None
    load(certificate, "certificate", chain)
    load(file, "private key, or it is locked with another password", lambda path: key(_private_key(path, secret)))
    load(file, "private key of that certificate", lambda path: pair(certificate, path, secret))


def _private_key(path: str, secret: bytes | None) -> Any:
    with open(path, "rb") as file:
        return load_pem_private_key(file.read(KEY_LIMIT_BYTES), secret)


def load(path: str, what: str, use: Callable[[str], Any]) -> None:
    """Have something of a file. Raises TlsError when it is not in it."""
    try:
        use(path)
    except (SSL.Error, ValueError, TypeError, OSError, UnsupportedAlgorithm):
        raise TlsError(f"{path}: there is no usable {what} in it") from None


def _verified(connection: SSL.Connection, certificate: Any, error: int, depth: int, fine: int) -> bool:
    """Keep the reason of a failure with the connection, for OpenSSL's own error does not tell it."""
    if not fine:
        _untrusted[connection] = untrusted(error)
    return bool(fine)


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class Creator:
    """What Twisted's TLSMemoryBIOFactory asks for a connection's OpenSSL object. name: of the server, for clients."""

    def __init__(self, contexts: Contexts, name: str = "") -> None:
        self._contexts, self._name = contexts, name

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:  # noqa: N802
        connection = SSL.Connection(self._contexts.get(), None)
        connection.set_accept_state()
        return connection

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:  # noqa: N802
        connection = SSL.Connection(self._contexts.get(), None)
        if not _is_address(self._name):
            try:
                connection.set_tlsext_host_name(self._name.encode("idna"))
            except UnicodeError:
                pass  # no name that DNS could know; the certificate will not be for it either
        connection.set_connect_state()
        return connection


def _is_address(name: str) -> bool:
    return isIPAddress(name) or isIPv6Address(name)


def is_for(connection: SSL.Connection, name: str) -> bool:
    """Whether the certificate that the server showed is for this host name or address (RFC 6125)."""
    try:
        (verify_ip_address if _is_address(name) else verify_hostname)(connection, name)
    except Exception:  # also a certificate that the library cannot read is not for it
        return False
    return True


def untrusted(error: int) -> str:
    """What a failed verification of OpenSSL says of the other side's certificate."""
    why = _BROKEN_CHAIN.get(error, f"OpenSSL's verification error {error}")
    return f"the certificate of the other side is not trusted: {why}"


def plain(reason: Failure, connection: SSL.Connection | None) -> str:
    """Why TLS failed, in an operator's words; "" when it was not TLS that failed."""
    if not isinstance(reason.value, SSL.Error):
        return ""
    words = [str(part[-1]) for part in (reason.value.args[0] if reason.value.args else ()) if isinstance(part, tuple) and part]
    return (connection is not None and _untrusted.get(connection)) or told(", ".join(words))


def told(text: str) -> str:
    """The reason that OpenSSL gives in an operator's words."""
    if "did not return a certificate" in text:
        return "the other side showed no certificate"
    if "alert" in text and any(word in text for word in ("certificate", "unknown ca", "access denied", "bad certificate")):
        return f"{_REFUSED} ({text})"
    if "wrong version number" in text or "http request" in text or "packet length" in text:
        return "the other side does not speak TLS"
    return f"no agreement on TLS ({text or 'the connection ended'})"


def refused_us(why: str) -> bool:
    """Whether the other side ended the connection because of our certificate, or because we showed none."""
    return why.startswith(_REFUSED)
