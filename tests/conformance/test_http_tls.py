"""HTTP over TLS: who is trusted, the certificate that we show, and how files are renewed without a restart."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from suture.connectors import http_out
from suture.model.outcome import Accepted, Outcome, Rejected, Unavailable
from suture.model.value import changed
from tests.conformance.kits import KITS, Sender, sender
from tests.faults.certificates import Authority, server
from tests.faults.peer import Ack, FaultyPeer, Silence

KIT = KITS["http_out"]
PATIENCE_S = 20.0
"""Seconds that a handshake may take on a busy machine."""


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    """The hospital's authority."""
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """An authority that nobody knows."""
    (tmp_path / "elsewhere").mkdir()
    return Authority(tmp_path / "elsewhere", "stranger")


@asynccontextmanager
async def safely(reactor: Any, peer: FaultyPeer, settings: dict[str, Any] | None, **more: Any) -> AsyncIterator[Sender]:
    """A destination to that peer over TLS, with these settings of it."""
    more = {"url": f"https://127.0.0.1:{peer.port}/in", "timeout_s": PATIENCE_S, "limit_bytes": 4096, **more}
    async with sender(KIT, reactor, peer.port, **more, **({} if settings is None else {"tls": settings})) as s:
        yield s


async def test_requests_go_out_over_tls(reactor: Any, ca: Authority) -> None:
    async with KIT.peer([Ack("AA"), Ack("AE")], tls=server(ca, ca.sign("peer"))) as peer, safely(reactor, peer, {"ca": ca.path}) as s:
        big = KIT.delivery(1)
        big = changed(big, body=big.body + b"x" * 3_000_000)
        assert isinstance(await s.send(big).outcome(PATIENCE_S), Accepted)
        assert peer.seen[0].body == big.body
        assert isinstance(await s.send(2).outcome(PATIENCE_S), Rejected)
        assert peer.connections == 1


async def said(reactor: Any, context: ssl.SSLContext, settings: dict[str, Any] | None) -> Outcome:
    """What a delivery over TLS comes to; nothing may have arrived."""
    async with KIT.peer(tls=context) as peer, safely(reactor, peer, settings) as s:
        outcome = await s.send(1).outcome(PATIENCE_S)
        assert peer.seen == []
        return outcome


async def test_a_server_that_is_not_trusted_is_sent_nothing(reactor: Any, ca: Authority, stranger: Authority, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_bytes(b"")
    empty = str(tmp_path / "empty.pem")
    ours, locked = ca.sign("ours"), ca.sign("locked", password="s3cret")
    for context, settings, why in [
        (server(ca, stranger.sign("peer")), {"ca": ca.path}, "not among our authorities"),
        (server(ca, ca.sign("old", days=-1)), {"ca": ca.path}, "the certificate of the other side is not trusted: it has expired"),
        (server(ca, ca.sign("peer", ("lab.example",))), {"ca": ca.path}, "its certificate is not for 127.0.0.1"),
        (server(ca, ca.sign("peer")), {"ca": ca.path, "server_name": "lab.example"}, "its certificate is not for lab.example"),
        (server(ca, ca.sign("peer")), {"ca": ca.path, "server_name": "x" * 80}, "its certificate is not for xxx"),
        (server(ca, ca.sign("peer")), {}, "not among our authorities"),
        (server(ca, ca.sign("peer")), None, "not among our authorities"),
        (server(ca, ca.sign("peer")), {"ca": "/nowhere.pem"}, "/nowhere.pem: No such file"),
        (server(ca, ca.sign("peer")), {"ca": empty}, f"{empty}: there is no usable authorities in it"),
        (server(ca, ca.sign("peer")), {"certificate": empty, "key": ours.key}, f"{empty}: there is no usable certificate in it"),
        (server(ca, ca.sign("peer")), {"certificate": ours.certificate, "key": empty}, f"{empty}: there is no usable private key, or"),
        (
            server(ca, ca.sign("peer")),
            {"certificate": ours.certificate, "key": locked.key, "key_password": "other"},
            "there is no usable private key, or it is locked with another password in it",
        ),
        (
            server(ca, ca.sign("peer")),
            {"certificate": ours.certificate, "key": locked.key, "key_password": "s3cret"},
            "there is no usable private key of that certificate in it",
        ),
    ]:
        outcome = await said(reactor, context, settings)
        assert isinstance(outcome, Unavailable)
        assert (outcome.code, why in outcome.reason) == ("TLS", True), outcome.reason


async def test_a_server_is_known_by_another_name_than_its_address(reactor: Any, ca: Authority) -> None:
    settings = {"ca": ca.path, "server_name": "lab.example"}
    async with KIT.peer(tls=server(ca, ca.sign("peer", ("lab.example",)))) as peer, safely(reactor, peer, settings) as s:
        assert isinstance(await s.send(1).outcome(PATIENCE_S), Accepted)


@contextmanager
def refusing(context: ssl.SSLContext) -> Iterator[tuple[int, list[bytes]]]:
    """A server that says why it refuses a handshake, as most do: its port, and what it took of requests."""
    taken: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        while True:
            try:
                plain = listening.accept()[0]
            except OSError:
                return
            with context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as safe:
                safe.settimeout(PATIENCE_S)
                try:
                    safe.do_handshake()
                    taken.append(safe.recv(1))
                except ssl.SSLError:
                    socket.socket.shutdown(safe, socket.SHUT_WR)
                    while socket.socket.recv(safe, 65536):
                        pass  # closing with something unread would reset the connection, and lose what was said

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        yield listening.getsockname()[1], taken
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE_S)


async def refused(reactor: Any, context: ssl.SSLContext, settings: dict[str, Any]) -> str:
    """What is said of a delivery to a server that refuses the handshake."""
    with refusing(context) as (port, taken):
        async with sender(KIT, reactor, port, url=f"https://127.0.0.1:{port}/", timeout_s=PATIENCE_S, tls=settings) as s:
            outcome = await s.send(1).outcome(PATIENCE_S)
    assert isinstance(outcome, Unavailable), outcome
    assert (outcome.code, taken) == ("TLS", [])
    return outcome.reason


async def test_no_tls_older_than_configured_is_spoken(reactor: Any, ca: Authority) -> None:
    context = server(ca, ca.sign("peer"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert "no agreement on TLS (" in await refused(reactor, context, {"ca": ca.path, "min_version": "1.3"})


async def test_our_own_certificate_is_shown_and_followed_when_it_is_renewed(reactor: Any, ca: Authority) -> None:
    ours = ca.sign("ours", password="s3cret")
    settings = {"ca": ca.path, "certificate": ours.certificate, "key": ours.key, "key_password": "s3cret", "check_s": 0}
    async with (
        KIT.peer(tls=server(ca, ca.sign("peer"), clients=True)) as peer,
        safely(reactor, peer, settings, messages_per_connection=1) as s,
    ):
        assert isinstance(await s.send(1).outcome(PATIENCE_S), Accepted)
        ca.sign("ours", password="s3cret")
        assert isinstance(await s.send(2).outcome(PATIENCE_S), Accepted)
        assert s.witness.codes == ["TLS_RELOADED"]
        shutil.copy(ca.sign("other").key, ours.key)
        for number in (3, 4):
            assert isinstance(await s.send(number).outcome(PATIENCE_S), Accepted)
        assert s.witness.codes == ["TLS_RELOADED", "TLS_FILES"]


async def test_the_end_of_our_own_certificate_is_said(reactor: Any, ca: Authority) -> None:
    ours = ca.sign("ours", days=10)
    settings = {"ca": ca.path, "certificate": ours.certificate, "key": ours.key}
    async with KIT.peer(tls=server(ca, ca.sign("peer"), clients=True)) as peer, safely(reactor, peer, settings) as s:
        assert isinstance(await s.send(1).outcome(PATIENCE_S), Accepted)
        assert s.witness.codes == ["TLS_EXPIRES"]
        assert "ends in 10 days" in s.notes[0][1]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("shown", ["none", "of a stranger"])
async def test_a_peer_that_refuses_our_certificate_takes_nothing(
    reactor: Any, ca: Authority, stranger: Authority, version: str, shown: str
) -> None:
    bad = stranger.sign("ours")
    context = server(ca, ca.sign("peer"), clients=True)
    if version == "1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    own = {} if shown == "none" else {"certificate": bad.certificate, "key": bad.key}
    reason = await refused(reactor, context, {"ca": ca.path, **own})
    assert "refused our certificate" in reason or "alert" in reason


async def test_a_peer_that_does_not_speak_tls_is_nobodys_fault(reactor: Any, ca: Authority) -> None:
    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(met, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening, sender(KIT, reactor, port, url=f"https://127.0.0.1:{port}/", timeout_s=PATIENCE_S) as s:
        outcome = await s.send(1).outcome(PATIENCE_S)
    assert isinstance(outcome, Unavailable)
    assert (outcome.code, outcome.reason) == ("TLS", f"cannot connect to 127.0.0.1:{port}: the other side does not speak TLS")


async def test_a_peer_that_ends_the_handshake_is_nobodys_fault(reactor: Any) -> None:
    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    listening = await asyncio.start_server(met, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening, sender(KIT, reactor, port, url=f"https://127.0.0.1:{port}/", timeout_s=PATIENCE_S) as s:
        outcome = await s.send(1).outcome(PATIENCE_S)
    assert isinstance(outcome, Unavailable)
    assert (outcome.code, outcome.reason) == ("TLS", f"cannot connect to 127.0.0.1:{port}: the connection ended before TLS was agreed on")


async def test_a_peer_that_never_answers_the_handshake_is_given_up(reactor: Any, ca: Authority) -> None:
    async with KIT.peer(usual=Silence()) as peer, safely(reactor, peer, {"ca": ca.path}, timeout_s=0.5) as s:
        assert isinstance(await s.send(1).outcome(PATIENCE_S), Unavailable)


def test_tls_of_a_plain_url_is_refused_when_it_is_read() -> None:
    with pytest.raises(ValidationError, match="tls has no effect with an http `url`; write https, or leave it out"):
        http_out.Config(url="http://erp.example/in", tls={"ca": "x.pem"})
    with pytest.raises(ValidationError, match="certificate and key go together"):
        http_out.Config(url="https://erp.example/in", tls={"certificate": "x.pem"})
