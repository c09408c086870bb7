"""The PROXY protocol's headers: any chunking gives the same origin and the same rest, and what is no header is refused in words."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.wire import proxy
from suture.wire.proxy import UNTOLD, V2, HeaderReader, Origin, ProxyError, begins

TLV = b"\x20\x00\x05\x01\x00\x00\x00\x00" + b"\x02\x00\x0bengine.test"
sizes = st.lists(st.integers(1, 40), min_size=1, max_size=20)
rests = st.sampled_from([b"", b"\x0bMSH|1\x1c\r", b"\x16\x03\x01", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n", V2]) | st.binary(max_size=300)


def binary(host: str, port: int, tlvs: bytes = b"", command: int = 0x21, kind: int | None = None) -> bytes:
    """A binary header of a TCP connection from there to here."""
    address = ipaddress.ip_address(host)
    here = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    block = address.packed + here.packed + struct.pack("!HH", port, 2575) + tlvs
    kind = (0x11 if address.version == 4 else 0x21) if kind is None else kind
    return V2 + bytes([command, kind]) + struct.pack("!H", len(block)) + block


def text(host: str, port: int) -> bytes:
    """The same in text."""
    six = ":" in host
    return f"PROXY TCP{6 if six else 4} {host} {'::1' if six else '127.0.0.1'} {port} 2575\r\n".encode()


GOOD = [
    (text("10.1.2.3", 40_000), Origin("10.1.2.3", 40_000)),
    (text("255.255.255.255", 0), Origin("255.255.255.255", 0)),
    (text("2001:db8::7", 65_535), Origin("2001:db8::7", 65_535)),
    (text("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65_535), Origin("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65_535)),
    (text("::ffff:10.1.2.3", 1), Origin("10.1.2.3", 1)),
    (b"PROXY UNKNOWN\r\n", UNTOLD),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", UNTOLD),
    (binary("10.1.2.3", 40_000), Origin("10.1.2.3", 40_000)),
    (binary("10.1.2.3", 40_000, TLV * 20), Origin("10.1.2.3", 40_000)),
    (binary("2001:db8::7", 443, TLV), Origin("2001:db8::7", 443)),
    (binary("10.1.2.3", 1, command=0x20), UNTOLD),
    (V2 + b"\x20\x00\x00\x00", UNTOLD),
    (V2 + b"\x21\x00\x00\x03abc", UNTOLD),
    (V2 + b"\x21\x31\x00\xd8" + b"/run/a\0".ljust(108, b"\0") + b"/run/b\0".ljust(108, b"\0"), UNTOLD),
    (V2 + b"\x21\x11" + struct.pack("!H", proxy.V2_BYTES) + bytes([10, 1, 2, 3]).ljust(proxy.V2_BYTES, b"\0"), Origin("10.1.2.3", 0)),
]


def fed(stream: bytes, sizes: list[int], required: bool = True) -> tuple[Origin | None, bytes] | None:
    """What a reader says of a stream that comes in pieces of these sizes; the rest is what was not fed, too."""
    reader, at, turn = HeaderReader(required), 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        found = reader.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
        if found is not None:
            return found[0], found[1] + stream[at:]
    return None


@given(st.sampled_from(GOOD), rests, sizes)
def test_a_header_in_any_chunks_tells_the_origin_and_leaves_the_rest(good, rest, sizes):
    header, origin = good
    assert len(header) <= proxy.V1_BYTES or header.startswith(V2)
    assert fed(header + rest, sizes) == (origin, rest)
    assert fed(header + rest, sizes, required=False) == (origin, rest)
    assert begins(header) is True


@given(st.sampled_from(GOOD))
def test_half_a_header_is_waited_for(good):
    header, _ = good
    for end in range(len(header)):
        assert HeaderReader().feed(header[:end]) is None
        assert begins(header[:end]) is not False


BAD = [
    (b"\x0bMSH|", "no header"),
    (b"\x16\x03\x01", "no header"),
    (b"GET / HTTP", "no header"),
    (b"PROXX ", "no header"),
    (b"proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "no header"),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n", "carriage return"),
    (b"PROXY " + b"x" * 101, "without an end in 107"),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "not as the protocol"),
    (b"PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n", "not as the protocol"),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n", "not as the protocol"),
    (b"PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n", "not as the protocol"),
    (b"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n", "not as the protocol"),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n", "not as the protocol"),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n", "a port that is none"),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 01\r\n", "a port that is none"),
    (b"PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n", "an address that is none"),
    (b"PROXY TCP4 1.2.3.4 1.2.3 1 1\r\n", "an address that is none"),
    (b"PROXY TCP4 010.2.3.4 1.2.3.4 1 1\r\n", "an address that is none"),
    (b"PROXY TCP4 ::1 ::1 1 1\r\n", "an address that is none"),
    (b"PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n", "an address that is none"),
    (V2 + b"\x11\x11\x00\x00", "unknown version or command"),
    (V2 + b"\x22\x11\x00\x00", "unknown version or command"),
    (V2 + b"\x21\x11\xff\xff", "more than 4096"),
    (V2 + b"\x21\x12\x00\x0c" + b"\0" * 12, "not TCP"),
    (V2 + b"\x21\x41\x00\x0c" + b"\0" * 12, "not TCP"),
    (V2 + b"\x21\x10\x00\x0c" + b"\0" * 12, "not TCP"),
    (V2 + b"\x21\x11\x00\x0b" + b"\0" * 11, "shorter than its addresses"),
    (V2 + b"\x21\x21\x00\x0c" + b"\0" * 12, "shorter than its addresses"),
    (V2 + b"\x21\x31\x00\x0c" + b"\0" * 12, "shorter than its addresses"),
]


@pytest.mark.parametrize(("stream", "says"), BAD)
@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_what_is_no_header_is_refused_in_words(stream: bytes, says: str, size: int):
    with pytest.raises(ProxyError, match=says):
        fed(stream, [size])


@given(rests.filter(lambda rest: begins(rest) is False), sizes)
def test_where_it_need_not_be_what_is_no_header_is_all_rest(rest, sizes):
    assert fed(rest, sizes, required=False) == (None, rest)


@given(st.binary(max_size=600) | st.binary(max_size=60).map(lambda b: b"PROXY " + b) | st.binary(max_size=600).map(lambda b: V2 + b), sizes)
def test_whatever_comes_is_read_or_refused_alike_in_any_chunks_and_never_kept_without_a_limit(stream, sizes):
    def outcome(sizes: list[int]) -> object:
        try:
            return fed(stream, sizes)
        except ProxyError as e:
            return str(e)

    assert outcome(sizes) == outcome([len(stream) or 1])


def test_nothing_grows_without_a_limit():
    for stream in (b"PROXY " + b"x" * 10_000, V2 + b"\x21\x11\xff\xff" + b"x" * 70_000):
        reader = HeaderReader()
        with pytest.raises(ProxyError):
            for at in range(0, len(stream), 10):
                reader.feed(stream[at : at + 10])
        assert len(reader._buffer) < 200
