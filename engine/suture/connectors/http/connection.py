"""One kept-alive HTTP/1.1 connection: a request at a time, and its answer (RFC 9112)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httptools

from suture.connectors.http.dialling import no_tls
from suture.connectors.http.exchange import Answer, Exchange
from suture.connectors.net import tcp_info, tls
from suture.model.outcome import Ambiguous, Outcome, TryLater, Unavailable

if TYPE_CHECKING:
    from suture.connectors.http_out import Destination

LARGE_BYTES = 65_536
"""A body of this size is not copied to join it with its head."""
LOST = Ambiguous("CONNECTION_LOST", "the connection closed before the answer came")
UNSEEN = TryLater("NOT_SENT", "the connection ended before the whole request was written, so that the peer cannot have taken it")
TWO_ANSWERS = Ambiguous("TWO_ANSWERS", "more came than one answer, on a connection with earlier requests: whose is which cannot be known")

Done = Callable[[Answer | Outcome], None]
"""Called once a request: with its answer, or with what it came to without one that can be judged."""


class Connection(asyncio.Protocol):
    """at_s: when its request was sent, or when it began to rest; last: whose that was; both are kept for its destination.

    requests: how many were written.
    """

    transport: Any = None
    handle: socket.socket

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._done: Done | None = None
        self.exchange = Exchange(destination.config.limit_bytes)
        self.requests = self._read_bytes = 0
        self.at_s, self.last = 0.0, 0

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
        self._destination.opened(self)

    def pause_writing(self) -> None:
        self.exchange.written = not self._plain

    def resume_writing(self) -> None:
        self.exchange.written = True

    def fit(self) -> bool:
        """Whether a request may be written: the peer has not ended the connection, and nothing came that nobody asked for.

        What is not written now the peer cannot have seen, and what has come before cannot be its answer. Else it is closed.
        """
        state, received_bytes = tcp_info.look(self.handle)
        ended = state in tcp_info.ENDED
        strayed = self._plain and not ended and received_bytes > self._read_bytes  # over TLS it need not be an answer
        if not (ended or strayed):
            return True
        if strayed:
            self._destination.strayed(self)
        self.close()
        return False

    def send(self, head: bytes, body: bytes, done: Done) -> None:
        """Write a request; the connection must be free and fit."""
        exchange = self.exchange
        exchange.begin()
        exchange.parser, exchange.taken_bytes = httptools.HttpResponseParser(exchange), 0
        self.requests += 1
        self._done = done
        if len(body) < LARGE_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)

    def data_received(self, data: bytes) -> None:
        self._read_bytes += len(data)
        if self._done is None:
            if self.exchange.usable:
                self._destination.strayed(self)
                self.close()
            return
        fault = self.exchange.feed(data)
        if self.exchange.complete:
            self._finish()
        elif fault is not None:
            self.fail(fault)

    def _finish(self) -> None:
        exchange = self.exchange
        if exchange.surplus:
            self._destination.strayed(self)
        if exchange.surplus and self.requests > 1:
            self.fail(TWO_ANSWERS)
            return
        done, self._done = self._done, None
        answer = Answer(exchange.status, bytes(exchange.body), exchange.retry_after, exchange.location, exchange.early)
        if exchange.usable and exchange.written and self.requests != self._destination.config.messages_per_connection:
            self._destination.free(self)
        else:
            self.close()
        if done is not None:
            done(answer)

    def fail(self, fault: Outcome) -> None:
        """Give the request up, and with it the connection: its answer could still come."""
        done, self._done = self._done, None
        if not self.exchange.written and not self.exchange.status:
            fault = UNSEEN
        self.close()
        if done is not None:
            done(fault)

    def close(self) -> None:
        """Close at once; nothing may be on its way."""
        self.exchange.usable = False
        self._destination.lost(self)
        self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        exchange = self.exchange
        exchange.usable = False
        self.handle.detach()
        self._destination.lost(self)
        if self._done is None:
            return
        if exchange.status and (exchange.early or (error is None and not exchange.measured)):
            self._finish()  # an answer without a length ends with its connection, and an early one may end before its length
        else:
            self.fail(self._lost(error))

    def _lost(self, error: Exception | None) -> Outcome:
        """In TLS 1.3 a peer refuses our certificate when we have long begun to send, and has read nothing of it."""
        why = "" if self._plain or self._read_bytes else no_tls(error, "")
        return Unavailable("TLS", why) if tls.refused_us(why) else LOST
