"""One HTTP request and its answer, read by httptools as it comes (RFC 9112)."""

from __future__ import annotations

import math
import re
from typing import Any

import httptools

from suture.model.outcome import Ambiguous
from suture.model.value import Value

HEAD_LIMIT_BYTES = 65_536
"""Largest head of an answer."""
OVERHEAD = 8
"""Bytes on the wire for a byte of the body, when a peer sends it in the smallest chunks."""


class Answer(Value, frozen=True, gc=False):
    """What a peer answered. body: its beginning, when it is longer than the limit. early: before it had the whole request.

    retry_after, location: these headers as written, "" when absent.
    """

    status: int
    body: bytes
    retry_after: str = ""
    location: str = ""
    early: bool = False


NOT_HTTP = Ambiguous("HTTP_ERROR", "what the peer answered is not HTTP")
TOO_LONG = Ambiguous("HTTP_ERROR", "the answer has more headers than can be read")

_KEEP_ALIVE_S = re.compile(rb"timeout\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


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
