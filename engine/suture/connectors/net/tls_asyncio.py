"""TLS of connectors that asyncio connects: the same settings and the same words as of those that Twisted does (tls.py)."""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography import x509

from suture.connectors.net import tls
from suture.connectors.net.tls import ClientTls, TlsError

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_OTHER_NAME = (62, 64)
"""Results of OpenSSL's verification (x509_vfy.h): the certificate is for another host name, or address."""


def context_of(settings: ClientTls) -> ssl.SSLContext:
    """A client's context, as the settings say. Raises TlsError."""
    tls.check_readable(settings)
    context = ssl.create_default_context() if settings.ca is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS[settings.min_version]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    if settings.ca is not None:
        tls.load(settings.ca, "authorities", context.load_verify_locations)
    if settings.certificate is not None and settings.key is not None:
        _own(context, settings.certificate, settings.key, tls.secret_of(settings))
    return context


def _own(context: ssl.SSLContext, certificate: str, key: str, secret: bytes | None) -> None:
    tls.load(certificate, "certificate", lambda path: x509.load_pem_x509_certificates(Path(path).read_bytes()))
    tls.load(key, tls.LOCKED, lambda path: tls.private_key(path, secret))
    # With a password, be it empty, OpenSSL never asks for one on a terminal.
    tls.load(key, tls.OTHERS, lambda path: context.load_cert_chain(certificate, path, secret or b""))


def plain(error: BaseException | None, name: str) -> str:
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
