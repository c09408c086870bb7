"""Senders and sinks: a closed loop over MLLP, what they count, and what they do with a peer that misbehaves."""

import asyncio
from collections.abc import Callable

import pytest

from bench import load
from bench.figures import Sent, judge
from bench.load import Crew, Order, Run
from bench.sinks import Book, HttpPeer, MllpPeer
from bench.template import ACCOUNTS, Template, control_id

TEMPLATE = Template(b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|{ID}|P|2.5.1\rPID|1|||||||||||||||||3{ACCOUNT}\r")


def against(peer: Callable[[], asyncio.Protocol], count: int, connections: int) -> Sent:
    """Send to a listener of these peers."""

    async def exchange() -> Sent:
        server = await asyncio.get_running_loop().create_server(peer, "127.0.0.1", 0)
        crew = Crew(TEMPLATE, server.sockets[0].getsockname()[1], connections)
        sent = await crew.obey(Order(0, count))
        for sender in crew.senders:
            if sender.transport is not None:
                sender.transport.close()
        server.close()
        await server.wait_closed()
        return sent

    return asyncio.run(asyncio.wait_for(exchange(), 20))


class TestSenders:
    def test_send_every_message_once_and_count_the_answers(self):
        book = Book()
        sent = against(lambda: MllpPeer(book), 200, 3)
        assert sorted(sent.acked) == list(range(200))
        assert (sent.codes, sent.errors, sent.mismatched, len(sent.latencies_us)) == ({"AA": 200}, 0, 0, 200)
        assert judge(sent, book.take()).good

    def test_do_not_count_a_refusal_as_acknowledged(self):
        sent = against(lambda: Answering(b"AE", None), 3, 1)
        assert (len(sent.acked), sent.codes) == (0, {"AE": 3})

    def test_notice_an_answer_to_another_message(self):
        sent = against(lambda: Answering(b"AA", b"BENCH000000001"), 2, 1)
        assert (list(sent.acked), sent.mismatched) == ([1], 1)

    def test_connect_again_when_the_peer_hangs_up(self, monkeypatch):
        monkeypatch.setattr(load, "PAUSE_S", 0)
        hung_up: list[int] = []
        sent = against(lambda: HangsUpOnce(hung_up), 5, 1)
        assert sent.errors == 1
        assert sorted(sent.acked) == [1, 2, 3, 4]

    def test_give_up_on_a_peer_that_never_answers(self, monkeypatch):
        monkeypatch.setattr(load, "PAUSE_S", 0)
        monkeypatch.setattr(load, "ERRORS_MAX", 3)
        sent = against(HangsUp, 10, 1)
        assert (len(sent.acked), sent.errors) == (0, 4)


def test_a_message_sent_before_its_predecessors_answer_is_noted():
    run = Run(Order(0, ACCOUNTS + 2), TEMPLATE)
    for _ in range(ACCOUNTS):
        run.take()
    run.answered(1, 0.0, b"\x0bMSH|\rMSA|AA|" + control_id(1))
    assert [run.take(), run.take(), run.take()] == [ACCOUNTS, ACCOUNTS + 1, None]
    assert run.sent.early == {ACCOUNTS}


class Answering(asyncio.Protocol):
    """Answers every message with one code, under its own control id or another."""

    def __init__(self, code: bytes, control: bytes | None) -> None:
        self.code, self.control = code, control

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        control = self.control or data.split(b"|")[9]
        self.transport.write(b"\x0bMSH|^~\\&|\rMSA|" + self.code + b"|" + control + b"\r\x1c\r")


class HangsUp(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.close()


class HangsUpOnce(Answering):
    def __init__(self, hung_up: list[int]) -> None:
        super().__init__(b"AA", None)
        self.hung_up = hung_up

    def data_received(self, data):
        if self.hung_up:
            super().data_received(data)
        else:
            self.hung_up.append(1)
            self.transport.close()


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written, self.closed = b"", False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True


def post(number: int) -> bytes:
    body = b'{"id": "' + control_id(number) + b'"}'
    return b"POST /erp HTTP/1.1\r\nHost: x\r\nCONTENT-LENGTH: %d\r\n\r\n" % len(body) + body


class TestTheHttpSink:
    @pytest.mark.parametrize("step", [1, 7, 1000])
    def test_reads_requests_however_they_are_cut(self, step):
        peer, wire = HttpPeer(Book()), Wire()
        peer.connection_made(wire)
        data = post(3) + post(4)
        for begin in range(0, len(data), step):
            peer.data_received(data[begin : begin + step])
        assert list(peer.book.arrived.numbers) == [3, 4]
        assert wire.written.count(b"HTTP/1.1 200 OK") == 2

    def test_refuses_what_it_cannot_read(self):
        peer, wire = HttpPeer(Book()), Wire()
        peer.connection_made(wire)
        peer.data_received(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert wire.written.startswith(b"HTTP/1.1 411")
        assert wire.closed


class TestTheBook:
    def test_keeps_the_order_and_the_repetitions(self):
        book = Book()
        for number in (5, 3, 5):
            book.note(control_id(number))
        assert (list(book.arrived.numbers), book.seen) == ([5, 3, 5], {3, 5})

    def test_counts_bodies_that_name_no_message(self):
        book = Book()
        book.note(b"hello")
        assert book.arrived.nameless == 1

    def test_begins_anew_when_it_was_taken(self):
        book = Book()
        book.note(control_id(5))
        assert list(book.take().numbers) == [5]
        assert (list(book.take().numbers), book.seen) == ([], set())
