"""Senders behind a proxy: who they are is what the proxy's header says, from listed proxies only, before TLS too."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from suture.connectors import mllp_in
from suture.wire.mllp import frame
from suture.wire.proxy import V2
from tests.conformance.stand import MARKER, Sender, Stand, stand, until
from tests.conformance.test_mllp_tls import client, served
from tests.faults.certificates import Authority
from tests.wire.test_proxy import binary, text

PROXY_TIMEOUT_S = 5.0
HERE = ["127.0.0.0/8"]

Header = Callable[[str, int], bytes]
headers = pytest.mark.parametrize("header", [text, binary], ids=["v1", "v2"])


@pytest.fixture
def ca(tmp_path: Any) -> Authority:
    return Authority(tmp_path)


async def closed(s: Stand) -> None:
    await until(lambda: not (s.source.connections or s.source.door.gates))


@headers
async def test_the_sender_is_whom_the_proxy_names(reactor: Any, header: Header) -> None:
    async with stand(reactor, proxies=HERE) as s:
        for host in ("10.1.2.3", "2001:db8::7"):
            one = await s.sender()
            one.say(header(host, 40_000) + frame(b"MSH|1"))
            assert await one.answer() == b"ACK MSH|1"
            one.say(frame(b"MSH|2"))
            assert await one.answer() == b"ACK MSH|2"
        assert [peer for _, peer, _ in s.engine.received] == ["10.1.2.3:40000"] * 2 + ["2001:db8::7:40000"] * 2
        assert s.engine.codes == []


@headers
async def test_a_header_in_pieces_and_a_message_behind_it(reactor: Any, header: Header) -> None:
    async with stand(reactor, proxies=HERE) as s:
        one = await s.sender()
        for byte in header("10.1.2.3", 1) + frame(b"MSH|1"):
            one.say(bytes([byte]))
            await one.writer.drain()
            await asyncio.sleep(0)
        assert await one.answer() == b"ACK MSH|1"
        assert s.engine.received[0][1] == "10.1.2.3:1"


@headers
async def test_who_may_connect_is_asked_of_the_sender_and_not_of_the_proxy(reactor: Any, header: Header) -> None:
    async with stand(reactor, proxies=HERE, allow=["10.0.0.0/8"]) as s:
        good, bad = await s.sender(), await s.sender()
        good.say(header("10.1.2.3", 1) + frame(b"MSH|1"))
        bad.say(header("11.1.2.3", 1) + frame(b"MSH|" + MARKER))
        assert await good.answer() == b"ACK MSH|1"
        assert await bad.is_closed()
        assert s.source.counts()["refused"] == {"NOT_ALLOWED": 1}
        assert s.engine.notes == [("NOT_ALLOWED", "11.1.2.3: it may not connect; its connections are closed (see `allow`)")]


async def test_what_a_sender_does_oddly_is_said_of_the_sender(reactor: Any) -> None:
    async with stand(reactor, proxies=HERE) as s:
        one = await s.sender()
        one.say(text("10.1.2.3", 1) + b"junk" + frame(b"MSH|1"))
        assert await one.answer() == b"ACK MSH|1"
        ((code, said),) = s.engine.notes
        assert code == "STRAY_BYTES" and said.startswith("10.1.2.3:1: ")


@headers
async def test_a_header_from_somebody_else_closes_the_connection(reactor: Any, header: Header) -> None:
    async with stand(reactor, proxies=["127.0.0.2"]) as s:
        for pieces in (1, 1000):
            bad = await s.sender()
            stream = header("10.1.2.3", 1) + frame(b"MSH|" + MARKER)
            for at in range(0, len(stream), pieces):
                bad.say(stream[at : at + pieces])
            assert await bad.is_closed()
        proxied, plain = await s.sender(local_addr=("127.0.0.2", 0)), await s.sender()
        proxied.say(header("10.1.2.3", 1) + frame(b"MSH|1"))
        plain.say(frame(b"MSH|2"))
        assert await proxied.answer() == b"ACK MSH|1"
        assert await plain.answer() == b"ACK MSH|2"
        assert s.engine.bodies == [b"MSH|1", b"MSH|2"]
        assert s.source.counts()["refused"] == {"PROXY_NOT_LISTED": 2}
        assert s.engine.codes == ["PROXY_NOT_LISTED"]


@headers
async def test_where_no_proxy_is_listed_a_header_closes_the_connection_too(reactor: Any, header: Header) -> None:
    async with stand(reactor) as s:
        bad = await s.sender()
        bad.say(header("10.1.2.3", 1) + frame(b"MSH|" + MARKER))
        assert await bad.is_closed()
        assert s.source.counts()["refused"] == {"PROXY_NOT_LISTED": 1}
        assert s.engine.bodies == []


async def test_a_listed_proxy_without_a_header_is_closed_where_one_is_required(reactor: Any) -> None:
    async with stand(reactor, proxies=HERE) as s:
        for _ in range(3):
            bad = await s.sender()
            bad.say(frame(b"MSH|" + MARKER))
            assert await bad.is_closed()
        assert s.source.counts()["refused"] == {"PROXY_HEADER": 3}
        assert s.engine.notes == [("PROXY_HEADER", "127.0.0.1: a listed proxy: no header of the PROXY protocol; connection closed")]
        assert s.engine.bodies == []


async def test_a_listed_proxy_without_a_header_is_itself_where_none_is_required(reactor: Any) -> None:
    async with stand(reactor, proxies=HERE, proxy_header="optional") as s:
        one, two = await s.sender(), await s.sender()
        one.say(frame(b"MSH|1"))
        two.say(text("10.1.2.3", 1) + frame(b"MSH|2"))
        assert await one.answer() == b"ACK MSH|1"
        assert await two.answer() == b"ACK MSH|2"
        assert [peer.partition(":")[0] for _, peer, _ in s.engine.received] == ["127.0.0.1", "10.1.2.3"]


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", V2 + b"\x20\x00\x00\x00", V2 + b"\x21\x31\x00\xd8" + b"\0" * 216])
async def test_a_proxy_that_names_nobody_is_itself_the_sender(reactor: Any, header: bytes) -> None:
    async with stand(reactor, proxies=HERE, allow=["127.0.0.1"]) as s, stand(reactor, proxies=HERE, allow=["10.0.0.0/8"]) as other:
        one, bad = await s.sender(), await other.sender()
        one.say(header + frame(b"MSH|1"))
        bad.say(header + frame(b"MSH|1"))
        assert await one.answer() == b"ACK MSH|1"
        assert await bad.is_closed()
        assert s.engine.received[0][1].startswith("127.0.0.1:")


async def test_one_header_is_one_too_few_to_hide_behind(reactor: Any) -> None:
    async with stand(reactor, proxies=HERE) as s:
        one = await s.sender()
        one.say(text("10.1.2.3", 1) + text("10.9.9.9", 1) + frame(b"MSH|1"))
        assert await one.answer() == b"ACK MSH|1"
        assert s.engine.received[0][1] == "10.1.2.3:1"
        assert s.engine.codes == ["STRAY_BYTES"]


@pytest.mark.parametrize("begin", [b"", b"PROXY TCP4 10.1", V2 + b"\x21\x11\x00\x0c\x01"])
async def test_a_header_that_never_comes_whole_is_waited_for_only_so_long(reactor: Any, begin: bytes) -> None:
    async with stand(reactor, proxies=HERE, proxy_timeout_s=PROXY_TIMEOUT_S) as s:
        one = await s.sender()
        one.say(begin)
        await until(lambda: s.source.door.gates)
        s.pass_time(PROXY_TIMEOUT_S - 1)
        assert s.source.door.gates
        s.pass_time(1)
        assert await one.is_closed()
        await closed(s)
        assert s.source.counts()["refused"] == {"PROXY_TIMEOUT": 1}


async def test_a_proxy_that_only_looks_whether_we_are_there_is_no_trouble(reactor: Any) -> None:
    async with stand(reactor, proxies=HERE) as s:
        for last in (b"", V2 + b"\x20\x00\x00\x00"):
            one = await s.sender()
            one.say(last)
            one.writer.write_eof()
            assert await one.is_closed()
        await closed(s)
        assert s.engine.codes == []


async def test_connections_whose_header_is_still_to_come_count_too(reactor: Any) -> None:
    async with stand(reactor, proxies=HERE, connections=2) as s:
        one, two = await s.sender(), await s.sender()
        one.say(text("10.1.2.3", 1) + frame(b"MSH|1"))
        await one.answer()
        await until(lambda: s.source.door.gates)
        three = await s.sender()
        assert await three.is_closed()
        assert s.source.counts()["refused"] == {"TOO_MANY_CONNECTIONS": 1}
        two.say(text("10.1.2.4", 1) + frame(b"MSH|2"))
        assert await two.answer() == b"ACK MSH|2"
        assert len(list(s.source.held())) == 2


async def test_a_stop_closes_connections_whose_header_is_still_to_come(reactor: Any) -> None:
    async with stand(reactor, proxies=HERE) as s:
        one = await s.sender()
        await until(lambda: s.source.door.gates)
        await s.close()
        assert await one.is_closed()


@headers
@pytest.mark.parametrize("size", [1, 10_000])
async def test_the_header_comes_before_tls(reactor: Any, ca: Authority, header: Header, size: int) -> None:
    async with stand(reactor, proxies=HERE, allow=["10.0.0.0/8"], tls=served(ca.sign("engine"))) as s:
        one = await behind_a_proxy(s, header("10.1.2.3", 7), client(ca), size)
        one.say(frame(b"MSH|1") + frame(b"MSH|2"))
        assert await one.answers(2) == [b"ACK MSH|1", b"ACK MSH|2"]
        assert s.engine.received[0][1] == "10.1.2.3:7"
        assert one.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await behind_a_proxy(s, header("11.1.2.3", 7), client(ca), size)
        assert s.source.counts()["refused"] == {"NOT_ALLOWED": 1}


@headers
async def test_over_tls_a_header_from_somebody_else_is_named_as_such(reactor: Any, ca: Authority, header: Header) -> None:
    async with stand(reactor, tls=served(ca.sign("engine"))) as s:
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await behind_a_proxy(s, header("10.1.2.3", 7), client(ca), 10_000)
        await closed(s)
        assert s.source.counts()["refused"] == {"PROXY_NOT_LISTED": 1}
        plain = Sender(*await asyncio.open_connection("127.0.0.1", s.source.port, ssl=client(ca)))
        s.senders.append(plain)
        plain.say(frame(b"MSH|1"))
        assert await plain.answer() == b"ACK MSH|1"


async def behind_a_proxy(s: Stand, header: bytes, context: ssl.SSLContext, size: int) -> Sender:
    """A sender that speaks TLS through a proxy, which writes the header first, and sends what it passes on in such pieces."""

    async def passing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to = await asyncio.open_connection("127.0.0.1", s.source.port)
        to.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, size: int) -> None:
            try:
                while data := await source.read(65_536):
                    for at in range(0, len(data), size):
                        sink.write(data[at : at + size])
                        await sink.drain()
            except (ConnectionError, OSError):
                pass
            finally:
                sink.close()

        to.write(header)
        await asyncio.gather(carry(reader, to, size), carry(there, writer, 65_536))

    proxy = await asyncio.start_server(passing, "127.0.0.1", 0)
    try:
        port = proxy.sockets[0].getsockname()[1]
        s.senders.append(Sender(*await asyncio.open_connection("127.0.0.1", port, ssl=context)))
    finally:
        proxy.close()
    return s.senders[-1]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"proxy_header": "optional"}, "proxy_header has no effect without `proxies`"),
        ({"proxy_timeout_s": 3}, "proxy_timeout_s has no effect without `proxies`"),
        ({"proxies": ["10.0.0.1/8"]}, "write 10.0.0.0/8"),
        ({"proxies": ["10.0.0.1"], "proxy_header": "maybe"}, "required"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_words(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        mllp_in.Config(port=0, **settings)
