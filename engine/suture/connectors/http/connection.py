"""One kept-alive HTTP/1.1 connection: a request at a time, and its answer, read by httptools as it comes (RFC 9112)."""

from __future__ import annotations

import asyncio
import math
import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httptools

from suture.connectors.http.dialling import no_tls
from suture.connectors.net import sockets, tls
from suture.model.outcome import Ambiguous, Outcome, TryLater, Unavailable
from suture.model.value import Value

if TYPE_CHECKING:
    from suture.connectors.http_out import Destination

HEAD_LIMIT_BYTES = 65_536
"""Largest head of an answer."""
OVERHEAD = 8
"""Bytes on the wire for a byte of the body, when a peer sends it in the smallest chunks."""
LARGE_BYTES = 65_536
"""A body of this size is not copied to join it with its head."""
LOST = Ambiguous("CONNECTION_LOST", "the connection closed before the answer came")
UNSEEN = TryLater("NOT_SENT", "the connection ended before the whole request was written, so that the peer cannot have taken it")
TWO_ANSWERS = Ambiguous("TWO_ANSWERS", "more came than one answer, on a connection with earlier requests: whose is which cannot be known")
NOT_HTTP = Ambiguous("HTTP_ERROR", "what the peer answered is not HTTP")
TOO_LONG = Ambiguous("HTTP_ERROR", "the answer has more headers than can be read")
_KEEP_ALIVE_S = re.compile(rb"timeout\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


class Answer(Value, frozen=True, gc=False):
    """What a peer answered. body: its beginning, when it is longer than the limit. early: before it had the whole request.

    retry_after, location: these headers as written, "" when absent.
    """

    status: int
    body: bytes
    retry_after: str = ""
    location: str = ""
    early: bool = False


Done = Callable[[Answer | Outcome], None]
"""Called once a request: with its answer, or with what it came to without one that can be judged."""


class Exchange:
    """A request of a connection and its answer, one after another. complete: the answer is whole; surplus: more came than it.

    usable: another request may follow. written: the socket has taken the request. measured: the answer has a length.
    rest_s: how long the peer lets the connection rest. A new request gets a new parser, and takes taken_bytes from 0.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._keep_alive = b""
        self.usable = self.written = True
        self.surplus = False
        self.rest_s = math.inf
        self.parser: Any = None
        self.taken_bytes = 0
        self.begin()

    def begin(self) -> None:
        """A request goes out."""
        self.status = 0
        self.body = bytearray()
        self.retry_after = self.location = ""
        self.measured = self.early = self.complete = False

    def feed(self, data: bytes) -> Ambiguous | None:
        """Read what has come; what the request came to where it cannot be an answer."""
        self.taken_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.complete, self.usable = True, False
        except httptools.HttpParserError:
            self.usable, self.surplus = False, self.complete
            return NOT_HTTP
        limit_bytes = HEAD_LIMIT_BYTES + (OVERHEAD * self._limit_bytes if self.status else 0)
        return TOO_LONG if self.taken_bytes > limit_bytes else None

    # -- called by the parser, within feed_data ----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.complete:
            self.usable, self.surplus = False, True

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self.measured = True
        elif name == b"keep-alive":
            self._keep(value)
        elif self.complete:
            return
        elif name == b"retry-after":
            self.retry_after = value.decode("latin-1").strip()
        elif name == b"location":
            self.location = value.decode("latin-1").strip()

    def _keep(self, value: bytes) -> None:
        """Keep-Alive says how long the peer lets the connection rest: half of that, or a second less, is safe."""
        if value != self._keep_alive:
            self._keep_alive = value
            said = _KEEP_ALIVE_S.search(value)
            self.rest_s = max(float(said[1]) / 2, float(said[1]) - 1) if said else math.inf

    def on_headers_complete(self) -> None:
        if not self.complete:
            self.status = self.parser.get_status_code()
            self.early = not self.written

    def on_body(self, body: bytes) -> None:
        if self.complete:
            return
        self.body += body[: self._limit_bytes - len(self.body) + 1]
        if len(self.body) > self._limit_bytes:
            del self.body[self._limit_bytes :]
            self.complete, self.usable = True, False

    def on_message_complete(self) -> None:
        if self.complete:
            return
        if 100 <= self.status < 200 and self.status != 101:
            self.begin()  # an interim answer (RFC 9110 section 15.2): the real one follows
            return
        self.complete = True
        self.usable = self.usable and self.parser.should_keep_alive()


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
        state, received_bytes = sockets.tcp_info(self.handle)
        ended = state in sockets.ENDED
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
