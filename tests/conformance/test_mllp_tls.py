"""MLLP over TLS, both ways: who is let in, who is trusted, and how certificates are renewed without a restart."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL

from suture.connectors import mllp_in
from suture.connectors.mllp_out import Destination
from suture.model.errors import SutureError
from suture.model.outcome import Accepted, Ambiguous, Outcome, Unavailable
from suture.model.value import changed
from suture.wire.mllp import frame
from tests.conformance.kits import KITS, sender
from tests.conformance.stand import FRAME_TIMEOUT_S, LIMIT_BYTES, Sender, Stand, stand, until
from tests.faults.certificates import Authority, Pair, server
from tests.faults.peer import Ack, Silence

KIT = KITS["mllp_out"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Destination, "SWEEP_S", 0.05)


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    """The hospital's authority."""
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """An authority that nobody knows."""
    (tmp_path / "elsewhere").mkdir()
    return Authority(tmp_path / "elsewhere", "stranger")


def served(pair: Pair, **more: Any) -> dict[str, Any]:
    """The `tls` of a source."""
    return {"certificate": pair.certificate, "key": pair.key, "check_s": 0, **more}


def client(ca: Authority, own: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca.path)
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    return context


async def connect(s: Stand, context: ssl.SSLContext) -> Sender:
    s.senders.append(Sender(*await asyncio.open_connection("127.0.0.1", s.source.port, ssl=context)))
    return s.senders[-1]


async def is_refused(s: Stand, context: ssl.SSLContext) -> bool:
    """Whether a message of this client is not taken."""
    try:
        one = await connect(s, context)
        one.say(frame(b"MSH|refused"))
        return await one.reader.read() == b""
    except (ssl.SSLError, ConnectionError):
        return True


async def test_messages_come_over_tls_as_over_plain_tcp(reactor: Any, ca: Authority) -> None:
    async with stand(reactor, tls=served(ca.sign("engine"))) as s:
        one = await connect(s, client(ca))
        big = b"MSH|" + b"x" * (LIMIT_BYTES - 10)
        one.say(frame(b"MSH|1") + frame(big))
        assert await one.answers(2) == [b"ACK MSH|1", b"ACK " + big]
        assert one.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert s.engine.notes == []


async def test_answers_never_leave_in_plain_text(reactor: Any, ca: Authority) -> None:
    async with stand(reactor, tls=served(ca.sign("engine"))) as s:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = client(ca).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        reader, writer = await asyncio.open_connection("127.0.0.1", s.source.port)
        s.senders.append(Sender(reader, writer))
        wire = b""

        async def step(what: Callable[[], Any]) -> Any:
            nonlocal wire
            while True:
                try:
                    return what()
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    wire += (part := await reader.read(65536))
                    incoming.write(part)

        await step(secure.do_handshake)
        secure.write(frame(b"MSH|SECRET"))
        assert await step(lambda: secure.read(1000)) == frame(b"ACK MSH|SECRET")
        assert b"SECRET" not in wire


async def test_a_full_engine_reads_nothing_over_tls_either(reactor: Any, ca: Authority) -> None:
    async with stand(reactor, tls=served(ca.sign("engine"))) as s:
        one = await connect(s, client(ca))
        one.say(frame(b"MSH|0"))
        await one.answer()
        s.source.set_full(True)
        one.say(frame(b"MSH|1"))
        for _ in range(50):
            await asyncio.sleep(0)
        assert s.engine.bodies == [b"MSH|0"]
        s.source.set_full(False)
        assert await one.answer() == b"ACK MSH|1"


async def test_answers_that_are_not_read_do_not_pile_up_over_tls_either(reactor: Any, ca: Authority) -> None:
    count = 3000
    messages = [b"MSH|%d|" % n + b"x" * 1500 for n in range(count)]
    async with stand(reactor, tls=served(ca.sign("engine"))) as s:
        s.source.receive = lambda raw, peer, answer, say: s.engine.receive(raw, peer, lambda ack: answer(b"ACK" * 7000))
        one = await connect(s, client(ca))
        one.writer.transport.pause_reading()
        one.say(b"".join(map(frame, messages)))
        seen = -1
        while seen < len(s.engine.received):  # until it stands still
            seen = len(s.engine.received)
            await asyncio.sleep(0.2)
        assert seen < count / 2
        one.writer.transport.resume_reading()
        for _ in range(count):
            await one.answer()
        assert s.engine.bodies == messages


async def test_closing_over_tls_answers_what_was_read(reactor: Any, ca: Authority) -> None:
    async with stand(reactor, tls=served(ca.sign("engine"))) as s:
        s.engine.at_once = False
        one = await connect(s, client(ca))
        one.say(frame(b"MSH|1"))
        await s.engine.until(lambda: len(s.engine.received) == 1)
        closing = asyncio.ensure_future(s.close(10))
        await asyncio.sleep(0)
        one.say(frame(b"MSH|2"))
        s.engine.received[0][2](b"ACK 1")
        assert await one.answer() == b"ACK 1"
        await closing
        assert await one.is_closed()
        assert s.engine.bodies == [b"MSH|1"]


async def test_a_client_without_tls_is_told_nothing_and_does_not_stay(reactor: Any, ca: Authority) -> None:
    async with stand(reactor, tls=served(ca.sign("engine"))) as s:
        plain, silent = await s.sender(), await s.sender()
        plain.say(frame(b"MSH|1"))
        assert await plain.is_closed()
        await s.engine.until(lambda: s.engine.codes == ["TLS_REFUSED"])
        assert "does not speak TLS" in s.engine.notes[0][1]
        await until(lambda: len(s.source.connections) == 1)
        s.pass_time(FRAME_TIMEOUT_S + 6)
        assert await silent.is_closed()
        assert s.engine.codes == ["TLS_REFUSED", "TLS_TIMEOUT"]
        assert s.engine.received == []


async def test_with_a_client_ca_only_its_certificates_get_in(reactor: Any, ca: Authority, stranger: Authority) -> None:
    cases = [
        (client(ca, ca.sign("cabinet")), None),
        (client(ca), "showed no certificate"),
        (client(ca, stranger.sign("cabinet")), "its issuer is not among our authorities"),
        (client(ca, ca.sign("old", days=-1)), "it has expired"),
    ]
    for context, why in cases:
        async with stand(reactor, tls=served(ca.sign("engine"), client_ca=ca.path)) as s:
            if why is None:
                one = await connect(s, context)
                one.say(frame(b"MSH|1"))
                assert await one.answer() == b"ACK MSH|1"
                continue
            assert await is_refused(s, context)
            await s.engine.until(lambda s=s: s.engine.codes == ["TLS_REFUSED"])
            assert why in s.engine.notes[0][1]
            assert await is_refused(s, context)
            assert s.engine.codes == ["TLS_REFUSED"]  # said once in a while for each address
            assert s.engine.received == []


async def test_limits_and_lists_hold_before_a_handshake(reactor: Any, ca: Authority) -> None:
    async with stand(reactor, tls=served(ca.sign("engine")), connections=1, allow=["127.0.0.1"]) as s:
        one = await connect(s, client(ca))
        one.say(frame(b"MSH|1"))
        assert await one.answer() == b"ACK MSH|1"
        for _ in range(3):
            assert await is_refused(s, client(ca))
            assert await (await s.sender(local_addr=("127.0.0.5", 0))).is_closed()
        one.say(frame(b"MSH|2"))
        assert await one.answer() == b"ACK MSH|2"
        assert sorted(s.engine.codes) == ["NOT_ALLOWED", "TOO_MANY_CONNECTIONS"]


async def test_old_tls_is_refused(reactor: Any, ca: Authority) -> None:
    async with stand(reactor, tls=served(ca.sign("engine"), min_version="1.3")) as s:
        context = client(ca)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert await is_refused(s, context)
        await s.engine.until(lambda: s.engine.codes == ["TLS_REFUSED"])


async def test_a_renewed_certificate_is_used_for_new_connections_and_old_ones_stay(reactor: Any, ca: Authority) -> None:
    pair = ca.sign("engine")
    async with stand(reactor, tls=served(pair)) as s:
        first = await connect(s, client(ca))
        before = first.writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
        ca.sign("engine")
        second = await connect(s, client(ca))
        assert second.writer.get_extra_info("ssl_object").getpeercert()["serialNumber"] != before
        for one in (first, second):
            one.say(frame(b"MSH|1"))
            assert await one.answer() == b"ACK MSH|1"
        assert s.engine.codes == ["TLS_RELOADED"]


async def test_a_bad_renewal_is_noted_once_and_the_old_certificate_stays(reactor: Any, ca: Authority) -> None:
    pair = ca.sign("engine")
    async with stand(reactor, tls=served(pair)) as s:
        other = ca.sign("other")
        for spoil in (
            lambda: shutil.copy(other.key, pair.key),  # the key of another certificate, as in the middle of a renewal
            lambda: Path(pair.certificate).write_bytes(b"nonsense"),
            lambda: Path(pair.certificate).unlink(),
        ):
            s.engine.notes.clear()
            spoil()
            for _ in range(2):
                one = await connect(s, client(ca))
                one.say(frame(b"MSH|1"))
                assert await one.answer() == b"ACK MSH|1"
            assert s.engine.codes == ["TLS_FILES"]
        s.engine.notes.clear()
        ca.sign("engine")
        await connect(s, client(ca))
        assert s.engine.codes == ["TLS_RELOADED"]


async def test_the_end_of_our_own_certificate_is_said_once_a_day(reactor: Any, ca: Authority) -> None:
    async with stand(reactor, tls=served(ca.sign("engine", days=10))) as s:
        for _ in range(3):
            await connect(s, client(ca))
        assert s.engine.codes == ["TLS_EXPIRES"]
        assert "ends in 10 days" in s.engine.notes[0][1]
        ca.sign("engine")
        await connect(s, client(ca))
        assert s.engine.codes == ["TLS_EXPIRES", "TLS_RELOADED"]


async def test_files_are_looked_at_no_more_often_than_configured(reactor: Any, ca: Authority) -> None:
    async with stand(reactor, tls=served(ca.sign("engine"), check_s=60), frame_timeout_s=1000) as s:
        s.source.door.contexts.clock = s.clock
        await connect(s, client(ca))
        ca.sign("engine")
        await connect(s, client(ca))
        assert s.engine.codes == []
        s.pass_time(61)
        await connect(s, client(ca))
        assert s.engine.codes == ["TLS_RELOADED"]


@pytest.mark.parametrize("missing", ["certificate", "key", "client_ca"])
async def test_a_file_that_cannot_be_used_is_named_at_the_start(reactor: Any, ca: Authority, missing: str, tmp_path: Path) -> None:
    for path in (tmp_path / "none.pem", tmp_path / "empty.pem"):
        (tmp_path / "empty.pem").write_bytes(b"")
        config = {"port": 0, "tls": {**served(ca.sign("engine"), client_ca=ca.path), missing: str(path)}}
        source = mllp_in.Source(mllp_in.Config(**config), reactor, *[lambda *args: None] * 3)
        with pytest.raises(SutureError) as raised:
            source.open()
        assert f"tls: {path}" in str(raised.value)


async def test_a_key_with_a_password(reactor: Any, ca: Authority) -> None:
    pair = ca.sign("engine", password="s3cret")
    async with stand(reactor, tls=served(pair, key_password="s3cret")) as s:
        await connect(s, client(ca))
    for wrong in ({"key_password": "other"}, {}):
        source = mllp_in.Source(mllp_in.Config(port=0, tls=served(pair, **wrong)), reactor, *[lambda *args: None] * 3)
        with pytest.raises(SutureError, match="tls: "):
            source.open()


async def test_messages_go_out_over_tls(reactor: Any, ca: Authority) -> None:
    async with (
        KIT.peer([Ack("AA"), Ack("AE")], tls=server(ca, ca.sign("peer"))) as peer,
        sender(KIT, reactor, peer.port, tls={"ca": ca.path}) as s,
    ):
        big = KIT.delivery(1)
        big = changed(big, body=big.body + b"x" * 3_000_000)
        assert isinstance(await s.send(big).outcome(), Accepted)
        assert peer.seen[0].body == big.body
        assert not isinstance(await s.send(2).outcome(), Accepted | Ambiguous | Unavailable)
        assert peer.connections == 1


async def said(reactor: Any, context: ssl.SSLContext, settings: dict[str, Any]) -> Outcome:
    """What a delivery over TLS comes to; nothing may have arrived."""
    async with KIT.peer(tls=context) as peer, sender(KIT, reactor, peer.port, tls=settings) as s:
        outcome = await s.send(1).outcome()
        assert peer.seen == []
        return outcome


async def test_a_server_that_is_not_trusted_is_sent_nothing(reactor: Any, ca: Authority, stranger: Authority) -> None:
    for context, settings, why in [
        (server(ca, stranger.sign("peer")), {"ca": ca.path}, "not among our authorities"),
        (server(ca, ca.sign("old", days=-1)), {"ca": ca.path}, "it has expired"),
        (server(ca, ca.sign("peer", ("lab.example",))), {"ca": ca.path}, "its certificate is not for 127.0.0.1"),
        (server(ca, ca.sign("peer")), {"ca": ca.path, "server_name": "lab.example"}, "its certificate is not for lab.example"),
        (server(ca, ca.sign("peer")), {}, "not among our authorities"),
        (server(ca, ca.sign("peer")), {"ca": "/nowhere.pem"}, "/nowhere.pem"),
    ]:
        outcome = await said(reactor, context, settings)
        assert isinstance(outcome, Unavailable)
        assert outcome.code == "TLS"
        assert why in outcome.reason


async def test_a_server_is_known_by_another_name_than_its_address(reactor: Any, ca: Authority) -> None:
    context = server(ca, ca.sign("peer", ("lab.example",)))
    async with KIT.peer(tls=context) as peer, sender(KIT, reactor, peer.port, tls={"ca": ca.path, "server_name": "lab.example"}) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)


async def test_our_own_certificate_is_shown_and_followed_when_it_is_renewed(reactor: Any, ca: Authority, stranger: Authority) -> None:
    context = server(ca, ca.sign("peer"), clients=True)
    ours = ca.sign("ours")
    settings = {"ca": ca.path, "certificate": ours.certificate, "key": ours.key, "check_s": 0}
    async with KIT.peer(tls=context) as peer, sender(KIT, reactor, peer.port, tls=settings) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        await peer.stop()
        await peer.start()
        ca.sign("ours")
        while not isinstance(await s.send(2).outcome(), Accepted):
            pass
        assert "TLS_RELOADED" in [code for code, _ in s.notes]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
async def test_a_peer_that_refuses_our_certificate_takes_nothing(reactor: Any, ca: Authority, stranger: Authority, version: str) -> None:
    bad = stranger.sign("ours")
    for settings in ({"ca": ca.path}, {"ca": ca.path, "certificate": bad.certificate, "key": bad.key}):
        async with stand(reactor, tls=served(ca.sign("engine"), client_ca=ca.path)) as s:
            if version == "1.2":
                s.source.door.contexts.get().set_max_proto_version(SSL.TLS1_2_VERSION)
            async with sender(KIT, reactor, s.source.port, tls=settings) as out:
                outcome = await out.send(1).outcome()
                assert isinstance(outcome, Unavailable)
                assert outcome.code == "TLS"
                assert "refused our certificate" in outcome.reason or "alert" in outcome.reason
            assert s.engine.received == []


async def test_a_peer_that_does_not_speak_tls_is_nobodys_fault(reactor: Any, ca: Authority) -> None:
    async with KIT.peer(usual=Silence()) as peer, sender(KIT, reactor, peer.port, tls={"ca": ca.path}, connect_timeout_s=0.2) as s:
        outcome = await s.send(1).outcome()
        assert isinstance(outcome, Unavailable)
        assert "no agreement on TLS in time" in outcome.reason


async def test_closing_in_the_middle_of_a_handshake_tells_what_waits(reactor: Any, ca: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        async with sender(KIT, reactor, deaf.getsockname()[1], tls={"ca": ca.path}) as s:
            one = s.send(1)
            await until(lambda: s.destination.dialling.shaking)
            await s.close()
            assert isinstance(await one.outcome(), Unavailable)


async def test_a_message_without_an_end_is_answered_over_tls_before_its_connection_is_closed(reactor: Any, ca: Authority) -> None:
    async with stand(reactor, tls=served(ca.sign("engine")), skip_bytes=100_000) as s:
        one = await connect(s, client(ca))
        one.say(b"\x0bMSH|" + b"x" * 1_000_000)
        assert await one.answer() == b"AR"
        assert await one.is_closed()
        one.writer.close()
        await until(lambda: not s.source.connections)
