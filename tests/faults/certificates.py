"""Certificates for tests: an authority, and what it signs, as PEM files in a directory."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Pair:
    """Paths of a certificate and its key."""

    certificate: str
    key: str


class Authority:
    """Signs certificates and writes them into `directory`; `path` is its own certificate."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory, self._name = directory, _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        own = self._builder(self._name, self._key, days=90).add_extension(x509.BasicConstraints(True, None), True)
        self.path = str(directory / f"{name}.pem")
        Path(self.path).write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def sign(self, name: str, hosts: tuple[str, ...] = ("127.0.0.1",), days: int = 60, password: str = "") -> Pair:
        """A certificate for these addresses and host names; days below 0: it ended so long ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_host(host) for host in hosts]
        made = self._builder(_name(name), key, days).add_extension(x509.SubjectAlternativeName(names), False)
        pair = Pair(str(self._directory / f"{name}.pem"), str(self._directory / f"{name}.key"))
        Path(pair.certificate).write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        locked = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        Path(pair.key).write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
        return pair

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(NOW - dt.timedelta(days=30))
        return builder.not_valid_after(NOW + dt.timedelta(days=days))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def server(ca: Authority, pair: Pair, clients: bool = False) -> ssl.SSLContext:
    """A server's context; clients: it wants a certificate of that authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca.path)
    context.load_cert_chain(pair.certificate, pair.key)
    context.verify_mode = ssl.CERT_REQUIRED if clients else ssl.CERT_NONE
    return context
