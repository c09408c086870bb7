"""One kept-alive HTTP/1.1 connection: a request at a time, and its answer read by httptools (RFC 9112)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import httptools

HEAD_LIMIT_BYTES = 65_536
"""Largest head of an answer."""
OVERHEAD = 8
"""Bytes on the wire for a byte of the body, when a peer sends it in the smallest chunks."""
LARGE_BYTES = 65_536
"""A body of this size is not copied to join it with its head."""


@dataclass(slots=True)
class Answer:
    """What a peer answered. body: its beginning, when it is longer than the limit. retry_after: as written, or None."""

    status: int
    body: bytes
    retry_after: str | None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why no answer came that can be judged. code: as in docs/errors.md."""

    code: str
    reason: str


LOST = Fault("CONNECTION_LOST", "the connection closed before the answer came")
NOT_HTTP = Fault("HTTP_ERROR", "what the peer answered is not HTTP")
TOO_LONG = Fault("HTTP_ERROR", "the answer has more headers than can be read")

Done = Callable[[Answer | Fault], None]
"""Called once a request."""


class Owner(Protocol):
    """Who gives a connection its requests."""

    limit_bytes: int

    def opened(self, connection: Connection) -> None:
        """It is ready for its first request."""

    def free(self, connection: Connection) -> None:
        """Its request is answered, and it can take another."""

    def lost(self, connection: Connection) -> None:
        """It takes no more requests; called before what it waited for is told."""

    def strayed(self) -> None:
        """An answer came that nothing waits for; the connection is closed."""


class Connection(asyncio.Protocol):
    """at_s: when its request was sent, or when it began to rest; kept for its owner."""

    transport: Any = None

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._done: Done | None = None
        self._parser: Any = None
        self._usable = True
        self._taken_bytes = 0
        self.at_s = 0.0
        self._begin()

    def _begin(self) -> None:
        self._status = 0
        self._body = bytearray()
        self._retry_after: str | None = None
        self._measured = False
        self._complete = False

    @property
    def busy(self) -> bool:
        """A request is on its way."""
        return self._done is not None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._owner.opened(self)

    def send(self, head: bytes, body: bytes, done: Done) -> None:
        """Write a request; the connection must be free."""
        self._begin()
        self._taken_bytes = 0
        self._done = done
        self._parser = httptools.HttpResponseParser(self)
        if len(body) < LARGE_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)

    def data_received(self, data: bytes) -> None:
        if self._done is None:
            if self._usable:
                self._owner.strayed()
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
            self._usable = False
            return NOT_HTTP
        limit_bytes = HEAD_LIMIT_BYTES + (OVERHEAD * self._owner.limit_bytes if self._status else 0)
        return TOO_LONG if self._taken_bytes > limit_bytes else None

    # -- called by the parser, within feed_data ----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:
            self._usable = False  # a second answer to one request

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"retry-after":
            self._retry_after = value.decode("latin-1")
        elif name in (b"content-length", b"transfer-encoding"):
            self._measured = True

    def on_headers_complete(self) -> None:
        if not self._complete:
            self._status = self._parser.get_status_code()

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
        done, self._done = self._done, None
        answer = Answer(self._status, bytes(self._body), self._retry_after)
        if self._usable:
            self._owner.free(self)
        else:
            self.close()
        if done is not None:
            done(answer)

    def fail(self, fault: Fault) -> None:
        """Give the request up, and with it the connection: its answer could still come."""
        done, self._done = self._done, None
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
        self._owner.lost(self)
        if self._done is None:
            return
        if error is None and self._status and not self._measured:
            self._finish()  # an answer without a length ends with its connection
        else:
            self.fail(LOST)
