"""HTTP out: what statuses, headers and answers mean, credentials, and TLS."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from twisted.internet.task import Clock

from suture.connectors import http_out
from suture.model.outcome import Accepted, Ambiguous, Held, Outcome, Rejected, TryLater, Unavailable
from suture.ports import Delivery
from tests.conformance.kits import KITS, LIMIT_BYTES, sender
from tests.faults.peer import Raw, Silence, Status

KIT = KITS["http_out"]


async def judged(reactor: Any, status: Status, **more: Any) -> Outcome:
    """What an answer comes to."""
    async with KIT.peer([status]) as peer, sender(KIT, reactor, peer.port, **more) as s:
        return await s.send(1).outcome()


KINDS = {
    Accepted: (200, 201, 202, 204, 206, 299),
    TryLater: (423, 425, 429, 500, 503, 507, 508, 521, 599),
    Ambiguous: (303, 408, 502, 504, 520, 524, 598),
    Unavailable: (300, 301, 302, 307, 308, 401, 403, 404, 405, 407, 410, 421, 426, 501, 505, 511),
    Rejected: (400, 406, 409, 412, 413, 415, 422, 451),
}


@pytest.mark.parametrize(("status", "kind"), [(status, kind) for kind, statuses in KINDS.items() for status in statuses])
async def test_what_a_status_means(reactor: Any, status: int, kind: type[Outcome]) -> None:
    outcome = await judged(reactor, Status(status))
    assert type(outcome) is kind
    assert outcome.code == str(status)
    if not isinstance(outcome, Accepted):
        assert str(status) in outcome.reason


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (409, "accept", Accepted),
        (500, "reject", Rejected),
        (200, "retry", TryLater),
        (422, "hold", Held),
        (401, "reject", Rejected),
        (404, "reject", Rejected),
        (404, "retry", TryLater),
        (301, "hold", Held),
        (303, "accept", Accepted),
        (504, "retry", TryLater),
        (400, "unavailable", Unavailable),
        (500, "ambiguous", Ambiguous),
    ],
)
async def test_a_table_of_the_destination_goes_before_the_usual_meaning(reactor: Any, status: int, word: str, kind: type[Outcome]) -> None:
    assert type(await judged(reactor, Status(status), meaning={str(status): word})) is kind


NOW_S = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("status", [429, 503, 401, 404, 504])
@pytest.mark.parametrize(
    ("asked", "wait_s"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("²", None),
        ("9" * 30, 3600.0),
        ("Sun, 01 Mar 2026 12:02:30 GMT", 150.0),
        ("Sunday, 01-Mar-26 12:02:30 GMT", 150.0),
        ("Sun Mar  1 12:02:30 2026", 150.0),
        ("Sun, 01 Mar 2026 11:59:59 GMT", 0.0),
        ("Mon, 02 Mar 2026 12:00:00 GMT", 3600.0),
        ("Sun, 99 Mar 2026 12:00:00 GMT", None),
        ("Sun, 01 Mar", None),
    ],
)
async def test_how_long_the_peer_asks_us_to_wait(reactor: Any, status: int, asked: str, wait_s: float | None) -> None:
    clock = Clock()
    clock.advance(NOW_S)
    async with KIT.peer([Status(status, {"Retry-After": asked})]) as peer, sender(KIT, reactor, peer.port) as s:
        s.destination.time_of_day = clock.seconds
        outcome = await s.send(1).outcome()
        assert isinstance(outcome, TryLater | Unavailable | Ambiguous)
        assert outcome.wait_s == wait_s


async def test_a_date_is_counted_from_the_time_of_day(reactor: Any) -> None:
    """With the clock that the engine gives its connectors, whose seconds are no time of day."""
    outcome = await judged(reactor, Status(503, {"Retry-After": formatdate(time.time() + 60, usegmt=True)}))
    assert isinstance(outcome, TryLater)
    assert outcome.wait_s is not None
    assert 30 < outcome.wait_s <= 60


async def test_a_longest_wait_of_ones_own(reactor: Any) -> None:
    outcome = await judged(reactor, Status(503, {"Retry-After": "500"}), retry_after_max_s=90)
    assert isinstance(outcome, TryLater)
    assert outcome.wait_s == 90


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://u:s3cret@new.example:8443/v2/ZZMARKER?patient=ZZMARKER#ZZMARKER", "https://new.example:8443"),
        ("/v2/ZZMARKER?patient=ZZMARKER", ""),
        ("http://[", ""),
        ("x" * 300, ""),
        ("", ""),
    ],
)
async def test_a_new_address_is_told_without_what_may_be_of_a_patient(reactor: Any, location: str, told: str) -> None:
    outcome = await judged(reactor, Status(301, {"Location": location}))
    assert isinstance(outcome, Unavailable)
    assert outcome.reason == f"the address has moved{' to ' if told else ''}{told} (HTTP 301); check `url` of the endpoint"


@pytest.mark.parametrize(
    ("pointer", "body", "document"),
    [
        ("/document", b'{"document": "INV-1"}', "INV-1"),
        ("/document", b'{"document": 17}', "17"),
        ("/items/0/number", b'{"items": [{"number": "A"}]}', "A"),
        ("/items/7/number", b'{"items": [{"number": "A"}]}', None),
        ("/items/x", b'{"items": [1]}', None),
        ("/document", b'{"document": null}', None),
        ("/document", b'{"document": true}', None),
        ("/document", b'{"document": ""}', None),
        ("/document", b'{"document": {"a": 1}}', None),
        ("/document", b'{"document": "IN\\ud800V\\u0000-1"}', "IN?V-1"),  # no character, and NUL: no database takes them
        ("/document", b"not json", None),
        ("/document", b"\xff\xfe\x00", None),
        ("/document", b'"text"', None),
        ("/document", b"[" * 100_000, None),
        ("/document", b"", None),
        (None, b'{"document": "INV-1"}', None),
    ],
)
async def test_the_document_number_is_found_or_the_delivery_is_only_accepted(
    reactor: Any, pointer: str, body: bytes, document: str | None
) -> None:
    outcome = await judged(reactor, Status(200, {}, body), document=pointer, limit_bytes=1_000_000, keep_response_bytes=100)
    assert isinstance(outcome, Accepted)
    assert outcome.document == document


async def test_a_part_of_the_answer_is_kept(reactor: Any) -> None:
    outcome = await judged(reactor, Status(422, {}, b"x" * 3000), keep_response_bytes=10)
    assert outcome.response == b"x" * 10


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"auth": {}}, "needs a bearer token or a user"),
        ({"auth": {"password": "s3cret"}}, "needs a bearer token or a user"),
        ({"auth": {"bearer": ""}}, "needs a bearer token or a user"),
        ({"auth": {"bearer": "s3cret", "user": "u"}}, "needs a bearer token or a user"),
        ({"auth": {"bearer": "s3cret", "password": "s3cret"}}, "a bearer token stands alone"),
        ({"auth": {"user": "u:s3cret"}}, "holds a colon"),
        ({"auth": {"bearer": "s3cret"}, "headers": {"authorization": "x"}}, "the header Authorization is made of `auth`"),
        ({"headers": {"X-Site": "a", "x-site": "b"}}, "is written twice"),
        ({"meaning": {"4O9": "hold"}}, "'4O9' is not an HTTP status"),
        ({"meaning": {"5xx": "hold"}}, "'5xx' is not an HTTP status"),
    ],
)
def test_settings_that_would_not_do_what_they_say(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        http_out.Config.model_validate({"url": "http://erp.example/", **settings})
    (error,) = refused.value.errors(include_input=False, include_url=False)
    assert said in error["msg"]
    assert "s3cret" not in error["msg"]


def test_a_host_of_ones_own_takes_the_place_of_that_of_the_url() -> None:
    config = http_out.Config.model_validate({"url": "http://10.0.0.7/", "headers": {"host": "erp.example", "user-agent": "x"}})
    lines = http_out.request_head(config).lower().split(b"\r\n")
    assert [line for line in lines if line.startswith((b"host:", b"user-agent:"))] == [b"host: erp.example", b"user-agent: x"]


async def test_a_redirect_is_not_followed(reactor: Any) -> None:
    async with KIT.peer() as elsewhere:
        outcome = await judged(reactor, Status(302, {"Location": f"http://127.0.0.1:{elsewhere.port}/"}))
        assert isinstance(outcome, Unavailable)
        assert elsewhere.seen == []


@pytest.mark.parametrize(
    ("auth", "header"),
    [({"bearer": "s3cret"}, "Bearer s3cret"), ({"user": "u", "password": "s3cret"}, "Basic dTpzM2NyZXQ="), ({"user": "u"}, "Basic dTo=")],
)
async def test_credentials_go_to_the_peer_and_nowhere_else(reactor: Any, auth: dict[str, str], header: str) -> None:
    async with KIT.peer([Status(401)]) as peer, sender(KIT, reactor, peer.port, auth=auth, headers={"X-Site": "general"}) as s:
        outcome = await s.send(1).outcome()
        assert isinstance(outcome, Unavailable)
        assert "auth" in outcome.reason
        assert peer.seen[0].headers["authorization"] == header
        assert peer.seen[0].headers["x-site"] == "general"
        assert "s3cret" not in repr(s.destination.config) + outcome.reason


async def test_an_answer_without_a_length_that_never_ends_is_cut_at_the_limit(reactor: Any) -> None:
    endless = Raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"x" * 0x1000 + b"\r\n" + b"8000\r\n" + b"x" * 0x7000
    )
    async with KIT.peer([endless, Status(200)]) as peer, sender(KIT, reactor, peer.port) as s:
        assert len((await s.send(1).outcome()).response) == LIMIT_BYTES
        assert isinstance(await s.send(2).outcome(), Accepted)
        assert peer.connections == 2


async def test_an_answer_that_stops_in_its_middle_is_ambiguous(reactor: Any) -> None:
    half = Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    async with KIT.peer([half, Status(200)]) as peer, sender(KIT, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Ambiguous)
        assert isinstance(await s.send(2).outcome(), Accepted)


async def test_an_interim_answer_is_not_the_answer(reactor: Any) -> None:
    both = Raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 409 No\r\nContent-Length: 0\r\n\r\n")
    async with KIT.peer([both, Status(200)]) as peer, sender(KIT, reactor, peer.port) as s:
        assert (await s.send(1).outcome()).code == "409"
        assert isinstance(await s.send(2).outcome(), Accepted)
        assert peer.connections == 1


async def test_an_answer_without_a_length_ends_with_its_connection(reactor: Any) -> None:
    async with KIT.peer([Silence()]) as peer, sender(KIT, reactor, peer.port, timeout_s=5) as s:
        one = s.send(1)
        await peer.got(1)
        await peer.stop()
        assert isinstance(await one.outcome(), Ambiguous)
    server = await asyncio.start_server(_says(b"HTTP/1.0 200 OK\r\n\r\n{}"), "127.0.0.1", 0)
    async with sender(KIT, reactor, server.sockets[0].getsockname()[1], timeout_s=5) as s:
        outcome = await s.send(1).outcome()
        assert (outcome.code, outcome.response) == ("200", b"{}")
    server.close()


def _says(answer: bytes) -> Any:
    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    return met


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 20_000,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + b"HTTP/1.1 100 Continue\r\n" + b"X: y\r\n" * 20_000,
    ],
)
async def test_headers_without_an_end_are_given_up(reactor: Any, endless: bytes) -> None:
    async with KIT.peer([Raw(endless), Status(200)]) as peer, sender(KIT, reactor, peer.port, timeout_s=5) as s:
        outcome = await s.send(1).outcome()
        assert isinstance(outcome, Ambiguous)
        assert outcome.code == "HTTP_ERROR"
        assert isinstance(await s.send(2).outcome(), Accepted)


async def test_a_change_of_protocol_is_no_acceptance(reactor: Any) -> None:
    upgrade = Raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\x00\x01")
    async with KIT.peer([upgrade, Status(200)]) as peer, sender(KIT, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Rejected)
        assert isinstance(await s.send(2).outcome(), Accepted)


async def test_a_peer_that_asks_for_it_gets_a_new_connection(reactor: Any) -> None:
    async with KIT.peer([Status(200, {"Connection": "close"})]) as peer, sender(KIT, reactor, peer.port) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        assert isinstance(await s.send(2).outcome(), Accepted)
        assert peer.connections == 2


async def test_a_connection_that_rested_too_long_is_closed(reactor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_out, "SWEEP_S", 0.02)
    async with KIT.peer() as peer, sender(KIT, reactor, peer.port, idle_s=0.05) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        await peer.until(lambda: peer.open == 0)
        assert isinstance(await s.send(2).outcome(), Accepted)


async def test_nothing_in_a_delivery_can_add_a_header(reactor: Any) -> None:
    one = Delivery(1, "c", "d", "lane", b"body", "key\n\nbody", "", "text/plain\r\nX-Evil: 1", id=1)
    async with KIT.peer() as peer, sender(KIT, reactor, peer.port) as s:
        assert isinstance(await s.send(one).outcome(), Accepted)
        assert "x-evil" not in peer.seen[0].headers
        assert peer.seen[0].body == one.body


@pytest.mark.parametrize("headers", [{"X-A": "1\r\nX-B: 2"}, {"X A": "1"}, {"": "1"}, {"Content-Length": "5"}, {"transfer-encoding": "x"}])
def test_headers_that_cannot_be_sent_are_refused_when_the_files_are_read(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        http_out.Config(url="http://127.0.0.1/", headers=headers)


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("http://erp.example", b"POST / ", b"Host: erp.example\r\n"),
        ("http://erp.example:8080/a%20b/?x=100%25", b"POST /a%20b/?x=100%25 ", b"Host: erp.example:8080\r\n"),
        ("https://[::1]:8443/in#part", b"POST /in ", b"Host: [::1]:8443\r\n"),
        ("http://u:s3cret@erp.example/in", b"POST /in ", b"Authorization: Basic dTpzM2NyZXQ=\r\n"),
    ],
)
def test_the_first_lines_of_a_request_say_where_it_goes(url: str, target: bytes, host: bytes) -> None:
    head = http_out.request_head(http_out.Config(url=url)) % (b"a/b", b"key", 7)
    assert head.startswith(target)
    assert host in head
    assert head.endswith(b"\r\nContent-Type: a/b\r\nIdempotency-Key: key\r\nContent-Length: 7\r\n\r\n")


async def test_a_certificate_that_nobody_signed_is_nobodys_fault(reactor: Any, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -keyout"
    try:
        subprocess.run([*request.split(), str(key), "-out", str(certificate)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl command")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with sender(KIT, reactor, port, url=f"https://127.0.0.1:{port}/", timeout_s=5) as s:
        outcome = await s.send(1).outcome()
    server.close()
    assert isinstance(outcome, Unavailable)
    assert "certificate" in outcome.reason


async def test_a_port_that_does_not_speak_tls_is_nobodys_fault(reactor: Any) -> None:
    async with KIT.peer([Status(200)]) as peer, sender(KIT, reactor, peer.port, url=f"https://127.0.0.1:{peer.port}/", timeout_s=1) as s:
        assert isinstance(await s.send(1).outcome(), Unavailable)


# -- whose answer it is ------------------------------------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NO = b"HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n"
BYE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("surplus", [OK, NO, b"HTTP/1.1 2", b"more of the body than its length says"])
@pytest.mark.parametrize("first", [OK, BYE])
async def test_more_than_one_answer_leaves_it_open_whose_is_which(reactor: Any, first: bytes, surplus: bytes) -> None:
    """Nothing came before the first request of a connection: the first answer is its own. Later ones may answer another."""
    script = [Raw(first + surplus), Status(200), Raw(first + surplus), Status(422)]
    async with KIT.peer(script) as peer, sender(KIT, reactor, peer.port, connections=1) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        assert isinstance(await s.send(2).outcome(), Accepted)
        outcome = await s.send(3).outcome()
        assert (type(outcome), outcome.code) == (Ambiguous, "TWO_ANSWERS")
        assert isinstance(await s.send(4).outcome(), Rejected)
        assert [seen.connection for seen in peer.seen] == [1, 2, 2, 3]
        assert s.destination.counts() == {"quarantined": {"LATE_ACK": 2}}
        assert [code for code, _ in s.notes] == ["LATE_ACK"] * 2
        assert ["was delivery" in text for _, text in s.notes] == [False, True]


async def test_an_answer_too_many_names_the_delivery_that_may_have_had_another_ones(reactor: Any) -> None:
    """It cannot be told apart from the next request's own; when the own one comes, nothing waits for it."""
    more = asyncio.Event()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0]))
            writer.write(OK)
        await more.wait()
        writer.write(NO)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    async with server, sender(KIT, reactor, server.sockets[0].getsockname()[1], connections=1) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)
        assert isinstance(await s.send(2).outcome(), Accepted)
        more.set()
        while not s.notes:
            await asyncio.sleep(0.001)
        ((code, text),) = s.notes
        assert code == "LATE_ACK"
        assert "the last of its 2 messages was delivery 2" in text


@asynccontextmanager
async def in_two_steps(first: bytes, then: bytes) -> AsyncIterator[int]:
    """A peer that says the first when it has the head of a request, and the other when it has all of it."""

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        await writer.drain()
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0]))
        writer.write(then)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(met, "127.0.0.1", 0, limit=2**26)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def test_an_interim_answer_may_come_before_the_request_is_written(reactor: Any) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
    async with in_two_steps(interim, OK) as port, sender(KIT, reactor, port, timeout_s=15) as s:
        assert isinstance(await s.send(KIT.large()).outcome(15), Accepted)


async def test_an_answer_that_begins_before_the_request_is_written_accepts_nothing(reactor: Any) -> None:
    async with in_two_steps(OK[:20], OK[20:]) as port, sender(KIT, reactor, port, timeout_s=15) as s:
        assert isinstance(await s.send(1).outcome(), Accepted)  # small enough to be written at once
    async with in_two_steps(OK[:-2] + b"A: b\r\n\r\n", b"") as port, sender(KIT, reactor, port, timeout_s=15) as s:
        outcome = await s.send(KIT.large()).outcome(15)
        assert (type(outcome), outcome.code) == (Ambiguous, "EARLY_ANSWER")


async def test_a_refusal_that_is_cut_off_because_the_request_was_too_large_is_a_refusal(reactor: Any) -> None:
    """A server that will not read the body answers and closes; the reset may overtake the rest of its answer."""

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(100)
        writer.transport.pause_reading()
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 1000\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(met, "127.0.0.1", 0, limit=1024)
    async with sender(KIT, reactor, server.sockets[0].getsockname()[1], timeout_s=15) as s:
        outcome = await s.send(KIT.large()).outcome(15)
        assert isinstance(outcome, Rejected) or outcome.code == "NOT_SENT"  # the reset may overtake all of it
    server.close()


@pytest.mark.parametrize(
    ("said", "rests_s"),
    [("timeout=5", 4.0), ("timeout=1, max=100", 0.5), ('max=3, Timeout = "20"', 19.0), ("max=3", 30.0), ("timeout=900", 30.0)],
)
async def test_a_connection_rests_no_longer_than_the_peer_says(reactor: Any, said: str, rests_s: float) -> None:
    clock = Clock()
    async with KIT.peer([Status(200, {"Keep-Alive": said})]) as peer, sender(KIT, reactor, peer.port, idle_s=30) as s:
        s.destination._clock = clock
        assert isinstance(await s.send(1).outcome(), Accepted)
        clock.advance(rests_s - 0.1)
        assert len(s.destination._idle) == 1
        clock.pump([http_out.SWEEP_S] * 3)
        assert not s.destination._idle
        await peer.until(lambda: peer.open == 0)


@pytest.mark.parametrize("word", ["reject", "hold", "retry", "unavailable", "ambiguous", "accept"])
async def test_what_the_peer_says_of_a_refusal_is_kept_apart_from_our_reason(reactor: Any, word: str) -> None:
    body = b'{"error": {"message": "account 7 is closed"}}'
    outcome = await judged(reactor, Status(409, {"Content-Type": "application/json"}, body), meaning={"409": word}, keep_response_bytes=0)
    assert outcome.words == ("" if word == "accept" else "account 7 is closed")
    assert "account" not in outcome.reason
