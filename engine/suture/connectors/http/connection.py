"""One kept-alive HTTP/1.1 connection: a request at a time, and its answer (RFC 9112)."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import httptools

from suture.connectors.contract import Note
from suture.connectors.http.exchange import Answer, Exchange, Fault
from suture.connectors.net import tcp_info, tls, tls_asyncio
from suture.connectors.net.access import Seldom
from suture.model.outcome import TryLater, Unavailable

LARGE_BYTES = 65_536
"""A body of this size is not copied to join it with its head."""
LOST = Fault("CONNECTION_LOST", "the connection closed before the answer came")
UNSEEN = Fault("NOT_SENT", "the connection ended before the whole request was written, so that the peer cannot have taken it", TryLater)
TWO_ANSWERS = Fault("TWO_ANSWERS", "more came than one answer, on a connection with earlier requests: whose is which cannot be known")

Done = Callable[[Answer | Fault], None]
"""Called once a request."""


class Limits(Protocol):
    """What an owner allows its connections."""

    @property
    def limit_bytes(self) -> int:
        """Of an answer's body."""

    @property
    def messages_per_connection(self) -> int:
        """Requests on one connection, 0: any number."""


class Owner(Protocol):
    """Who gives a connection its requests."""

    @property
    def config(self) -> Limits:
        """What it allows."""

    def opened(self, connection: Connection) -> None:
        """It is ready for its first request."""

    def free(self, connection: Connection) -> None:
        """Its request is answered, and it can take another."""

    def lost(self, connection: Connection) -> None:
        """It takes no more requests; called before what it waited for is told."""

    def strayed(self, connection: Connection) -> None:
        """More came on it than was asked for; it is closed."""


class Connection(asyncio.Protocol):
    """at_s: when its request was sent, or when it began to rest; last: whose that was; both are kept for its owner."""

    transport: Any = None
    handle: socket.socket

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._done: Done | None = None
        self._exchange = Exchange(owner.config.limit_bytes)
        self._requests = self._read_bytes = 0
        self.at_s, self.last = 0.0, 0

    @property
    def rest_s(self) -> float:
        """How long the peer lets it rest."""
        return self._exchange.rest_s

    @property
    def requests(self) -> int:
        """How many requests were written."""
        return self._requests

    @property
    def busy(self) -> bool:
        """A request is on its way."""
        return self._done is not None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        told = transport.get_extra_info("socket")
        # The transport's descriptor, which stays the transport's: uvloop's own stand-in for a socket is copied at each question.
        self.handle = socket.socket(told.family, told.type, told.proto, fileno=told.fileno())
        self.handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._plain = transport.get_extra_info("sslcontext") is None
        if self._plain:
            transport.set_write_buffer_limits(0)  # pause_writing and resume_writing say what the socket has not taken
        self._owner.opened(self)

    def pause_writing(self) -> None:
        self._exchange.written = not self._plain

    def resume_writing(self) -> None:
        self._exchange.written = True

    def fit(self) -> bool:
        """Whether a request may be written: the peer has not ended the connection, and nothing came that nobody asked for.

        What is not written now the peer cannot have seen, and what has come before cannot be its answer. Else it is closed.
        """
        ended, received_bytes = tcp_info.look(self.handle)
        strayed = self._plain and not ended and received_bytes > self._read_bytes  # over TLS it need not be an answer
        if not (ended or strayed):
            return True
        if strayed:
            self._owner.strayed(self)
        self.close()
        return False

    def send(self, head: bytes, body: bytes, done: Done) -> None:
        """Write a request; the connection must be free and fit."""
        exchange = self._exchange
        exchange.begin()
        exchange.parser, exchange.taken_bytes = httptools.HttpResponseParser(exchange), 0
        self._requests += 1
        self._done = done
        if len(body) < LARGE_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)

    def data_received(self, data: bytes) -> None:
        self._read_bytes += len(data)
        if self._done is None:
            if self._exchange.usable:
                self._owner.strayed(self)
                self.close()
            return
        fault = self._exchange.feed(data)
        if self._exchange.complete:
            self._finish()
        elif fault is not None:
            self.fail(fault)

    def _finish(self) -> None:
        exchange = self._exchange
        if exchange.surplus:
            self._owner.strayed(self)
        if exchange.surplus and self._requests > 1:
            self.fail(TWO_ANSWERS)
            return
        done, self._done = self._done, None
        answer = Answer(exchange.status, bytes(exchange.body), exchange.retry_after, exchange.location, exchange.early)
        if exchange.usable and exchange.written and self._requests != self._owner.config.messages_per_connection:
            self._owner.free(self)
        else:
            self.close()
        if done is not None:
            done(answer)

    def fail(self, fault: Fault) -> None:
        """Give the request up, and with it the connection: its answer could still come."""
        done, self._done = self._done, None
        if not self._exchange.written and not self._exchange.status:
            fault = UNSEEN
        self.close()
        if done is not None:
            done(fault)

    def close(self) -> None:
        """Close at once; nothing may be on its way."""
        self._exchange.usable = False
        self._owner.lost(self)
        self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        exchange = self._exchange
        exchange.usable = False
        self.handle.detach()
        self._owner.lost(self)
        if self._done is None:
            return
        if exchange.status and (exchange.early or (error is None and not exchange.measured)):
            self._finish()  # an answer without a length ends with its connection, and an early one may end before its length
        else:
            self.fail(self._lost(error))

    def _lost(self, error: Exception | None) -> Fault:
        """In TLS 1.3 a peer refuses our certificate when we have long begun to send, and has read nothing of it."""
        why = "" if self._plain or self._read_bytes else tls_asyncio.plain(error, "")
        return Fault("TLS", why, Unavailable) if tls.refused_us(why) else LOST


class Strays:
    """Answers of one destination that nothing waits for: each is counted, and said so often as helps."""

    def __init__(self, note: Note, seldom: Seldom) -> None:
        self._note, self._seldom = note, seldom
        self._count = 0

    def add(self, connection: Connection) -> None:
        """One came. Where it was not the first request's, it may have come long ago, and completed what came next."""
        self._count += 1
        doubtful = connection.requests > 1
        if self._seldom.due("LATE_ACK") or doubtful:
            count = f" ({self._count} so far)" if self._count > 1 else ""
            which = f"; the last of its {connection.requests} messages was delivery {connection.last}: see whether the peer has it"
            self._note("LATE_ACK", f"an answer came that nothing waits for; its connection is closed{count}{which if doubtful else ''}")

    def codes(self) -> Counter[str]:
        """What was counted, by code."""
        return Counter({"LATE_ACK": self._count} if self._count else {})
