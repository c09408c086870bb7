"""One kept-alive HTTP/1.1 connection: a request at a time, and its answer read by httptools (RFC 9112)."""

from __future__ import annotations

import asyncio
import math
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import httptools

from suture.connectors.net import tcp_info
from suture.model.value import Value

HEAD_LIMIT_BYTES = 65_536
"""Largest head of an answer."""
OVERHEAD = 8
"""Bytes on the wire for a byte of the body, when a peer sends it in the smallest chunks."""
LARGE_BYTES = 65_536
"""A body of this size is not copied to join it with its head."""


class Answer(Value, frozen=True, gc=False):
    """What a peer answered. body: its beginning, when it is longer than the limit. early: before it had the whole request.

    retry_after, location: these headers as written, "" when absent.
    """

    status: int
    body: bytes
    retry_after: str = ""
    location: str = ""
    early: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """Why no answer came that can be judged. code: as in docs/errors.md. unseen: the peer cannot have the whole request."""

    code: str
    reason: str
    unseen: bool = False


LOST = Fault("CONNECTION_LOST", "the connection closed before the answer came")
UNSEEN = Fault("NOT_SENT", "the connection ended before the whole request was written, so that the peer cannot have taken it", unseen=True)
TWO_ANSWERS = Fault("TWO_ANSWERS", "more came than one answer, on a connection with earlier requests: whose is which cannot be known")
NOT_HTTP = Fault("HTTP_ERROR", "what the peer answered is not HTTP")
TOO_LONG = Fault("HTTP_ERROR", "the answer has more headers than can be read")

Done = Callable[[Answer | Fault], None]
"""Called once a request."""

_KEEP_ALIVE_S = re.compile(rb"timeout\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


class Owner(Protocol):
    """Who gives a connection its requests."""

    limit_bytes: int
    messages_per_connection: int

    def opened(self, connection: Connection) -> None:
        """It is ready for its first request."""

    def free(self, connection: Connection) -> None:
        """Its request is answered, and it can take another."""

    def lost(self, connection: Connection) -> None:
        """It takes no more requests; called before what it waited for is told."""

    def strayed(self, connection: Connection) -> None:
        """More came on it than was asked for; it is closed."""


class Connection(asyncio.Protocol):
    """at_s: when its request was sent, or when it began to rest; last: whose that was; both are kept for its owner.

    rest_s: how long the peer lets it rest.
    """

    transport: Any = None
    handle: socket.socket

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._done: Done | None = None
        self._parser: Any = None
        self._usable = self._written = True
        self._requests = self._read_bytes = self._taken_bytes = 0
        self._keep_alive = b""
        self._surplus = False
        self.at_s, self.rest_s, self.last = 0.0, math.inf, 0
        self._begin()

    def _begin(self) -> None:
        self._status = 0
        self._body = bytearray()
        self._retry_after = self._location = ""
        self._measured = self._early = self._complete = False

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
        self._written = not self._plain

    def resume_writing(self) -> None:
        self._written = True

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
        self._begin()
        self._requests += 1
        self._taken_bytes = 0
        self._done = done
        self._parser = httptools.HttpResponseParser(self)
        if len(body) < LARGE_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)

    def data_received(self, data: bytes) -> None:
        self._read_bytes += len(data)
        if self._done is None:
            if self._usable:
                self._owner.strayed(self)
                self.close()
            return
        fault = self._feed(data)
        if self._complete:
            self._finish()
        elif fault is not None:
            self.fail(fault)

    def _feed(self, data: bytes) -> Fault | None:
        self._taken_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._complete, self._usable = True, False
        except httptools.HttpParserError:
            self._usable, self._surplus = False, self._complete
            return NOT_HTTP
        limit_bytes = HEAD_LIMIT_BYTES + (OVERHEAD * self._owner.limit_bytes if self._status else 0)
        return TOO_LONG if self._taken_bytes > limit_bytes else None

    # -- called by the parser, within feed_data ----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:
            self._usable, self._surplus = False, True

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self._measured = True
        elif name == b"keep-alive":
            self._keep(value)
        elif self._complete:
            return
        elif name == b"retry-after":
            self._retry_after = value.decode("latin-1").strip()
        elif name == b"location":
            self._location = value.decode("latin-1").strip()

    def _keep(self, value: bytes) -> None:
        """Keep-Alive says how long the peer lets the connection rest: half of that, or a second less, is safe."""
        if value != self._keep_alive:
            self._keep_alive = value
            said = _KEEP_ALIVE_S.search(value)
            self.rest_s = max(float(said[1]) / 2, float(said[1]) - 1) if said else math.inf

    def on_headers_complete(self) -> None:
        if not self._complete:
            self._status = self._parser.get_status_code()
            self._early = not self._written

    def on_body(self, body: bytes) -> None:
        if self._complete:
            return
        self._body += body[: self._owner.limit_bytes - len(self._body) + 1]
        if len(self._body) > self._owner.limit_bytes:
            del self._body[self._owner.limit_bytes :]
            self._complete, self._usable = True, False

    def on_message_complete(self) -> None:
        if self._complete:
            return
        if 100 <= self._status < 200 and self._status != 101:
            self._begin()  # an interim answer (RFC 9110 section 15.2): the real one follows
            return
        self._complete = True
        self._usable = self._usable and self._parser.should_keep_alive()

    # -- the end of a request ----------------------------------------------------------------------------------------

    def _finish(self) -> None:
        if self._surplus:
            self._owner.strayed(self)
        if self._surplus and self._requests > 1:
            self.fail(TWO_ANSWERS)
            return
        done, self._done = self._done, None
        answer = Answer(self._status, bytes(self._body), self._retry_after, self._location, self._early)
        if self._usable and self._written and self._requests != self._owner.messages_per_connection:
            self._owner.free(self)
        else:
            self.close()
        if done is not None:
            done(answer)

    def fail(self, fault: Fault) -> None:
        """Give the request up, and with it the connection: its answer could still come."""
        done, self._done = self._done, None
        if not self._written and not self._status:
            fault = UNSEEN
        self.close()
        if done is not None:
            done(fault)

    def close(self) -> None:
        """Close at once; nothing may be on its way."""
        self._usable = False
        self._owner.lost(self)
        self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._usable = False
        self.handle.detach()
        self._owner.lost(self)
        if self._done is None:
            return
        if self._status and (self._early or (error is None and not self._measured)):
            self._finish()  # an answer without a length ends with its connection, and an early one may end before its length
        else:
            self.fail(LOST)
