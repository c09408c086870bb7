"""The PROXY protocol, sans-I/O: the header that a proxy writes before a connection it passes on, in text (1) and binary (2).

What is read is the protocol's text of 2020 (haproxy.org, proxy-protocol.txt), sections 2.1 and 2.2.
"""

from __future__ import annotations

import ipaddress
import re

from suture.model.value import Value

V1 = b"PROXY "
V2 = b"\r\n\r\n\x00\r\nQUIT\n"
LONGEST_MARK = len(V2)
V1_BYTES = 107
"""Longest header in text, with its line end (section 2.1)."""
V2_BYTES = 4096
"""Longest rest of a binary header that is taken; addresses are at most 216 bytes of it, the others are passed over."""

_LINE = re.compile(rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP([46]) ([0-9A-Fa-f:.]{1,45}) ([0-9A-Fa-f:.]{1,45}) (\d{1,5}) (\d{1,5}))")
_LOCAL, _PROXY = 0, 1
_STREAM = 1
_UNSPECIFIED = 0
_ADDRESS_BYTES = {1: 4, 2: 16, 3: 108}
"""Length of one address, by family: IPv4, IPv6, UNIX (of which nothing is used)."""


class ProxyError(Exception):
    """What came is no header of the PROXY protocol; the text says why and holds nothing of it."""


class Origin(Value, frozen=True):
    """Who has connected to the proxy; host is "" when the proxy does not say (its own check, or no IP connection)."""

    host: str = ""
    port: int = 0


UNTOLD = Origin()


def begins(data: bytes) -> bool | None:
    """Whether a connection that begins with these bytes begins with a header; None while that cannot be known."""
    if data.startswith((V1, V2)):
        return True
    return None if V1.startswith(data) or V2.startswith(data) else False


class HeaderReader:
    """Reads the header of one connection, in any chunks. required: anything else is an error; else it is no header."""

    def __init__(self, required: bool = True) -> None:
        self._required = required
        self._buffer = bytearray()

    def feed(self, data: bytes) -> tuple[Origin | None, bytes] | None:
        """None while more has to come; then the origin (None: there is no header) and what came after it.

        Raises ProxyError.
        """
        self._buffer += data
        kind = begins(bytes(self._buffer[:LONGEST_MARK]))
        if kind is None:
            return None
        if not kind:
            if self._required:
                raise ProxyError("no header of the PROXY protocol")
            return None, bytes(self._buffer)
        return self._text() if self._buffer.startswith(V1) else self._binary()

    def _text(self) -> tuple[Origin, bytes] | None:
        end = self._buffer.find(b"\n", 0, V1_BYTES)
        if end < 0:
            if len(self._buffer) >= V1_BYTES:
                raise ProxyError(f"a text header without an end in {V1_BYTES} bytes")
            return None
        if self._buffer[end - 1 : end] != b"\r":
            raise ProxyError("a text header that does not end with a carriage return and a line feed")
        return _line(bytes(self._buffer[: end - 1])), bytes(self._buffer[end + 1 :])

    def _binary(self) -> tuple[Origin, bytes] | None:
        fixed = len(V2) + 4
        if len(self._buffer) < fixed:
            return None
        version, family, length = self._buffer[len(V2)], self._buffer[len(V2) + 1], int.from_bytes(self._buffer[fixed - 2 : fixed], "big")
        if version >> 4 != 2 or version & 15 not in (_LOCAL, _PROXY):
            raise ProxyError("a binary header of an unknown version or command")
        if length > V2_BYTES:
            raise ProxyError(f"a binary header of more than {V2_BYTES} bytes")
        if len(self._buffer) < fixed + length:
            return None
        rest = bytes(self._buffer[fixed + length :])
        return (UNTOLD if version & 15 == _LOCAL else _addresses(family, bytes(self._buffer[fixed : fixed + length]))), rest


def _line(line: bytes) -> Origin:
    """The origin that a text header without its line end names."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise ProxyError("a text header that is not as the protocol has it")
    if match[1] is None:
        return UNTOLD
    ports = [_port(match[4]), _port(match[5])]
    hosts = [_host(match[2].decode(), match[1] == b"6"), _host(match[3].decode(), match[1] == b"6")]
    return Origin(hosts[0], ports[0])


def _port(digits: bytes) -> int:
    if int(digits) > 65_535 or (digits[:1] == b"0" and len(digits) > 1):
        raise ProxyError("a text header with a port that is none")
    return int(digits)


def _host(text: str, six: bool) -> str:
    try:
        return _written(ipaddress.IPv6Address(text) if six else ipaddress.IPv4Address(text))
    except ValueError:
        raise ProxyError("a text header with an address that is none") from None


def _addresses(kind: int, data: bytes) -> Origin:
    """The origin in the address block of a binary header; what follows the addresses (TLVs) is passed over."""
    family, transport = kind >> 4, kind & 15
    if family == _UNSPECIFIED:
        return UNTOLD
    size = _ADDRESS_BYTES.get(family)
    if size is None or transport != _STREAM:
        raise ProxyError("a binary header of a connection that is not TCP")
    if len(data) < 2 * size + (4 if family != 3 else 0):
        raise ProxyError("a binary header that is shorter than its addresses")
    if family == 3:
        return UNTOLD
    return Origin(_written(ipaddress.ip_address(data[:size])), int.from_bytes(data[2 * size : 2 * size + 2], "big"))


def _written(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An IPv4 address that came in the clothes of an IPv6 one is itself."""
    return str((address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address)
