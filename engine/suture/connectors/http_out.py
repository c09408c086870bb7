"""Deliveries by HTTP: one POST each over kept-alive connections, with the idempotency key as a header."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from pydantic import Field, HttpUrl, SecretStr, field_validator, model_validator
from twisted.internet import task
from yarl import URL

from suture import __version__
from suture.connectors.contract import NOT_SENT, DestinationSettings, Note, Refused
from suture.connectors.http.connection import LOST, Answer, Connection
from suture.connectors.http.dialling import Dial
from suture.connectors.http.status import Word, outcome_of
from suture.connectors.net import sockets
from suture.connectors.net.complaints import Complaints
from suture.connectors.net.tls import ClientTls
from suture.model.outcome import Ambiguous, Outcome, Unavailable
from suture.model.section import Section
from suture.model.value import Value
from suture.ports import Delivery, Done

SWEEP_S = 0.25
CLOSE_CHECK_S = 0.02
CONNECT_MAX_S = 10.0
"""Longest wait for a connection; shorter than the time of a request, so that it is known that nothing was sent."""


OWN_HEADERS = frozenset(
    {"connection", "content-length", "content-type", "expect", "idempotency-key", "te", "trailer", "transfer-encoding", "upgrade"}
)
_STATUS = re.compile(r"[2-5][0-9][0-9]")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$&'*+.^_`|~-]+")


class Auth(Section):
    """How to prove who we are: a bearer token, or user and password."""

    bearer: SecretStr | None = Field(None, description="Token for 'Authorization: Bearer'; write it as ${env:NAME} or ${file:path}")
    user: str | None = Field(None, description="User name for basic authentication")
    password: SecretStr | None = Field(None, description="Password for basic authentication; write it as ${env:NAME} or ${file:path}")

    @model_validator(mode="after")
    def _one_way(self) -> Auth:
        if bool(self.bearer) == bool(self.user):
            raise ValueError("needs a bearer token or a user, one of them and not empty, or nothing would prove who we are")
        if self.bearer and self.password is not None:
            raise ValueError("a password goes with a user, and a bearer token stands alone; keep one of them")
        if ":" in (self.user or ""):
            raise ValueError("the user holds a colon, where basic authentication begins the password (RFC 7617)")
        return self


class Config(DestinationSettings):
    """POST each delivery to a URL."""

    url: HttpUrl = Field(repr=False, description="Where to POST, http or https")
    method: Literal["POST", "PUT", "PATCH"] = Field("POST", description="HTTP method (default POST)")
    timeout_s: float = Field(30, gt=0, description="Seconds for one request from connecting to the end of the answer (default 30)")
    connections: int = Field(16, ge=1, le=256, description="Kept-alive connections at a time (default 16)")
    idle_s: float = Field(
        4, gt=0, description="Seconds a connection may rest before it is closed; less than the peer lets it rest (default 4)"
    )
    messages_per_connection: int = Field(
        0,
        ge=0,
        description="Messages on one connection, then it is closed: 1 for a peer that answers more than it is asked (default 0: no limit)",
    )
    retry_after_max_s: float = Field(
        3600.0,
        gt=0,
        description="Seconds after which a peer that asks us to stay away for longer (Retry-After) is asked again (default 3600)",
    )
    tls: ClientTls | None = Field(None, description="TLS of an https `url`; absent: the system's authorities, and no certificate of ours")
    auth: Auth | None = Field(None, description="Credentials")
    headers: dict[str, str] = Field(default_factory=dict, description="Further request headers")
    document: str | None = Field(None, description="JSON pointer to the document number in the answer (/document): it means posted")
    limit_bytes: int = Field(1_048_576, ge=256, description="Largest answer that is read, in bytes (default 1 MiB)")
    keep_response_bytes: int = Field(1024, ge=0, description="Bytes of the answer that are stored with the attempt (default 1024)")
    meaning: dict[str, Word] = Field(
        default_factory=dict,
        description="What HTTP statuses mean here, over the default: '409' to accept, reject, retry, hold, unavailable or ambiguous",
    )

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if name.lower() in OWN_HEADERS:
                raise ValueError(f"the header {name} is set by Suture; leave it out")
            if sum(other.lower() == name.lower() for other in headers) > 1:
                raise ValueError(f"the header {name} is written twice, for capitals make no difference; keep one")
            if not _HEADER_NAME.fullmatch(name) or not value.isprintable():
                raise ValueError(f"the header {name!r} cannot be sent: a name is letters, digits and dashes, a value one line of text")
        return headers

    @field_validator("meaning")
    @classmethod
    def _statuses(cls, meaning: dict[str, str]) -> dict[str, str]:
        for code in meaning:
            if not _STATUS.fullmatch(code):
                raise ValueError(f"{code!r} is not an HTTP status of an answer, e.g. '409'")
        return meaning

    @model_validator(mode="after")
    def _fitting(self) -> Config:
        written = any(name.lower() == "authorization" for name in self.headers)
        if written and (self.auth is not None or self.url.username):
            raise ValueError("the header Authorization is made of `auth`, or of the user in the URL; keep one of them")
        if self.tls is not None and self.url.scheme != "https":
            raise ValueError("tls has no effect with an http `url`; write https, or leave it out")
        return self


class _Waiting(Value, frozen=True):
    """A delivery that was handed over at since_s."""

    delivery: Delivery
    done: Done
    since_s: float


class Destination:
    """An HTTP peer; what its answers mean is in status.py. may_send: asked right before a request is written."""

    def __init__(self, config: Config, reactor: Any, note: Note) -> None:
        self.config, self._clock = config, reactor
        self.time_of_day: Callable[[], float] = time.time
        url = URL(str(config.url))
        self._dial = Dial(url, (config.tls or ClientTls.model_validate({})) if url.scheme == "https" else None, reactor, note)
        self._complaints = Complaints(f"{url.host}:{url.port}", note, reactor)
        self._head = request_head(config)
        self._pointer = config.document.strip("/").split("/") if config.document else None
        self._connections: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        self._queue: deque[_Waiting] = deque()
        self._connecting = 0
        self._sweep: Any = None
        self._closed = False
        self.may_send: Callable[[], bool] = lambda: True
        self.refused: Refused = lambda delivery, outcome: None

    def send(self, delivery: Delivery, done: Done) -> None:
        """POST once over an idle connection, or open one, or wait for one; must be called on a running asyncio loop."""
        if self._sweep is None:
            self._sweep = self._clock.callLater(SWEEP_S, self._swept)
        if not self.may_send():
            self._clock.callLater(0, done, NOT_SENT)
            return
        waiting = _Waiting(delivery, done, self._clock.seconds())
        while self._idle:
            connection = self._idle.pop()
            if connection.fit():
                self._give(connection, waiting)
                return
        self._queue.append(waiting)
        if len(self._connections) + self._connecting < self.config.connections:
            self._connect()

    def _give(self, connection: Connection, waiting: _Waiting) -> None:
        delivery = waiting.delivery
        head = self._head % (
            _value(delivery.content_type or "application/octet-stream"),
            _value(delivery.idempotency_key),
            len(delivery.body),
        )
        connection.at_s, connection.last = waiting.since_s, delivery.id
        connection.send(head, delivery.body, partial(self._answered, waiting.done))

    def _answered(self, done: Done, answer: Answer | Outcome) -> None:
        if isinstance(answer, Answer):
            answer = outcome_of(answer, self.config, self._pointer, self.time_of_day)
        done(answer)

    # -- connections -------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._connecting += 1
        opening = self._dial.open(partial(Connection, self))
        attempt = asyncio.ensure_future(asyncio.wait_for(opening, min(CONNECT_MAX_S, 0.75 * self.config.timeout_s)))
        attempt.add_done_callback(self._opened)

    def _opened(self, attempt: asyncio.Future[None]) -> None:
        self._connecting -= 1
        error = None if attempt.cancelled() else attempt.exception()
        if error is None:
            self._more()  # what was opened may be lost already
        elif not self._connections:
            self._refuse(self._dial.unavailable(error))

    def _refuse(self, outcome: Outcome) -> None:
        """What waits for a connection is told that there is none."""
        queue, self._queue = self._queue, deque()
        for waiting in queue:
            waiting.done(outcome)

    def opened(self, connection: Connection) -> None:
        """A connection was made: it takes the first of the queue."""
        if not connection.fit():
            if not self._connections:
                self._refuse(self._dial.refused("it ends connections, or speaks on them, before it is asked anything"))
            return
        self._connections.add(connection)
        self.free(connection)

    def free(self, connection: Connection) -> None:
        """A connection takes the next of the queue, or rests."""
        if self._queue and not self.may_send():
            self._refuse(NOT_SENT)
        if self._queue:
            if connection.fit():
                self._give(connection, self._queue.popleft())
        elif self._closed:
            connection.close()
        else:
            connection.at_s = self._clock.seconds()
            self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """A connection is no more."""
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._more()

    def _more(self) -> None:
        """Open a connection for what waits, where one more is allowed."""
        if self._queue and not self._closed and len(self._connections) + self._connecting < self.config.connections:
            self._connect()

    def held(self) -> sockets.Held:
        for connection in self._connections:
            yield connection.handle, partial(connection.fail, LOST)

    def strayed(self, connection: Connection) -> None:
        """More came on a connection than was asked for; it is closed, or it would be taken for the next answer.

        Where it was not the first request's, it may have come long ago, and completed what came next.
        """
        which = f"; the last of its {connection.requests} messages was delivery {connection.last}: see whether the peer has it"
        text = "an answer came that nothing waits for; its connection is closed"
        self._complaints.stray("LATE_ACK", text, which if connection.requests > 1 else "")

    def counts(self) -> dict[str, Counter[str]]:
        """What was counted since the channel started: answers that completed nothing."""
        return {"quarantined": self._complaints.codes}

    def _swept(self) -> None:
        """Give up what is over its time. One timer for all, instead of one a request."""
        config, now_s = self.config, self._clock.seconds()
        for connection in list(self._connections):
            if connection.busy and now_s - connection.at_s >= config.timeout_s:
                connection.fail(Ambiguous("TIMEOUT", f"no answer in {config.timeout_s:g} s"))
            elif not connection.busy and now_s - connection.at_s >= min(config.idle_s, connection.exchange.rest_s):
                connection.close()
        while self._queue and now_s - self._queue[0].since_s >= config.timeout_s:
            self._queue.popleft().done(Unavailable("CONNECT", f"no connection was free in {config.timeout_s:g} s"))
        self._sweep = None if self._closed and not self._connections else self._clock.callLater(SWEEP_S, self._swept)

    def cut(self, code: str, reason: str) -> None:
        """Abort what is in flight, which may have arrived, and refuse what waits for a connection."""
        self._refuse(Unavailable(code, reason))
        for connection in [c for c in self._connections if c.busy]:
            connection.fail(Ambiguous(code, reason))

    async def close(self) -> None:
        """Wait for what is in flight (at most its time), then close the connections."""
        self._closed = True
        for connection in [c for c in self._connections if not c.busy]:
            connection.close()
        self._refuse(Unavailable("CONNECT", "the destination was closed before a connection was free"))
        while self._connections or self._connecting:
            await task.deferLater(self._clock, CLOSE_CHECK_S)
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None


def request_head(config: Config) -> bytes:
    """The head of a request, but for its %-places: content type, idempotency key and length."""
    url = URL(str(config.url))
    lines = [f"{config.method} {url.raw_path_qs} HTTP/1.1"]
    written = {name.lower() for name in config.headers}
    ours = {"Host": url.host_port_subcomponent or "", "User-Agent": f"suture/{__version__}"}
    headers = {**{name: value for name, value in ours.items() if name.lower() not in written}, **config.headers}
    if credentials := _credentials(config, url):
        headers["Authorization"] = credentials
    lines += [f"{name}: {value.strip()}" for name, value in headers.items()]
    fixed = b"\r\n".join(map(_value, lines)).replace(b"%", b"%%")
    return fixed + b"\r\nContent-Type: %b\r\nIdempotency-Key: %b\r\nContent-Length: %d\r\n\r\n"


def _credentials(config: Config, url: URL) -> str:
    auth = config.auth
    if auth and auth.bearer:
        return f"Bearer {auth.bearer.get_secret_value()}"
    if auth:
        user, password = auth.user, auth.password.get_secret_value() if auth.password else ""
    else:
        user, password = url.user, url.password or ""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}" if user else ""


def _value(text: str) -> bytes:
    """A header's value: one line, whatever the text holds."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return text.encode("utf-8")
