"""Deliveries by HTTP: one POST each over kept-alive connections, with the idempotency key as a header."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any, Literal

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr
from yarl import URL

from suture.model.outcome import Accepted, Ambiguous, Held, Outcome, Rejected, TryLater, Unavailable
from suture.ports import Delivery

Note = Callable[[str, str], None]
Done = Callable[[Outcome], None]

RETRY_STATUS = frozenset({408, 423, 425, 429, 500, 502, 503, 504, 507})
CREDENTIAL_STATUS = frozenset({401, 403, 407})
SWEEP_S = 0.25
RETRY_AFTER_MAX_S = 3600.0
"""A peer that asks us to stay away for longer is asked again after this."""
CONNECT_MAX_S = 10.0
"""Longest wait for a connection; shorter than the time of a request, so that it is known that nothing was sent."""


class Auth(BaseModel):
    """How to prove who we are: a bearer token, or user and password."""

    model_config = ConfigDict(extra="forbid")
    bearer: SecretStr | None = Field(None, description="Token for 'Authorization: Bearer'; write it as ${env:NAME} or ${file:path}")
    user: str | None = Field(None, description="User name for basic authentication")
    password: SecretStr | None = Field(None, description="Password for basic authentication; write it as ${env:NAME} or ${file:path}")


class Config(BaseModel):
    """POST each delivery to a URL."""

    model_config = ConfigDict(extra="forbid")
    url: HttpUrl = Field(repr=False, description="Where to POST, http or https")
    method: Literal["POST", "PUT", "PATCH"] = Field("POST", description="HTTP method (default POST)")
    timeout_s: float = Field(30, gt=0, description="Seconds for one request from connecting to the end of the answer (default 30)")
    connections: int = Field(16, ge=1, le=256, description="Kept-alive connections at a time (default 16)")
    auth: Auth | None = Field(None, description="Credentials")
    headers: dict[str, str] = Field(default_factory=dict, description="Further request headers")
    document: str | None = Field(None, description="JSON pointer to the document number in the answer (/document): it means posted")
    limit_bytes: int = Field(1_048_576, ge=256, description="Largest answer that is read, in bytes (default 1 MiB)")
    keep_response_bytes: int = Field(1024, ge=0, description="Bytes of the answer that are stored with the attempt (default 1024)")
    meaning: dict[str, Literal["accept", "reject", "retry", "hold"]] = Field(
        default_factory=dict, description="What HTTP statuses mean here, over the default: '409' to accept, reject, retry or hold"
    )


class _Pool(aiohttp.TCPConnector):
    """Never gives out a connection on which something came while it rested: it would be taken for the next answer."""

    note: Note

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        for _ in range(self.limit + 1):
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()
            self.note("LATE_ACK", "an answer came that nothing waits for; its connection is closed")
        raise aiohttp.ClientConnectionError


class Destination:
    """An HTTP peer. 2xx accepts; 408, 423, 425, 429 and 5xx retry; 401, 403, 407 stop the lane; other 4xx reject."""

    def __init__(self, config: Config, reactor: Any, note: Note) -> None:
        self.config, self.note = config, note
        self._url = URL(str(config.url))
        self._session: aiohttp.ClientSession | None = None
        self._on_the_way: dict[int, tuple[float, asyncio.Task[None]]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False
        self._headers = _headers(config)
        self._pointer = config.document.strip("/").split("/") if config.document else None

    def send(self, delivery: Delivery, done: Done) -> None:
        """POST once; must be called on a running asyncio loop."""
        loop = asyncio.get_running_loop()
        if self._sweep is None:
            self._sweep = loop.call_later(SWEEP_S, self._swept)
        self._on_the_way[delivery.id] = (loop.time() + self.config.timeout_s, loop.create_task(self._send(delivery, done)))

    async def _send(self, delivery: Delivery, done: Done) -> None:
        try:
            outcome = await self._attempt(delivery)
        except asyncio.CancelledError:
            outcome = Ambiguous("TIMEOUT", f"no answer in {self.config.timeout_s:g} s")
        except Exception as e:  # whatever the library raises, the delivery gets an outcome
            outcome = Ambiguous("HTTP_ERROR", f"the exchange broke: {type(e).__name__}")
        self._on_the_way.pop(delivery.id, None)
        done(outcome)

    def _swept(self) -> None:
        """Cancel what is over its time. One timer for all, instead of one a request."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for deadline_s, task in list(self._on_the_way.values()):
            if deadline_s <= now_s:
                task.cancel()
        self._sweep = None if self._closed else loop.call_later(SWEEP_S, self._swept)

    async def _attempt(self, delivery: Delivery) -> Outcome:
        session = self._session or self._open()
        headers = {"Content-Type": delivery.content_type or "application/octet-stream", "Idempotency-Key": delivery.idempotency_key}
        try:
            answer = await session.request(self.config.method, self._url, data=delivery.body, headers=headers, allow_redirects=False)
            try:
                body = await self._read(answer)
            finally:
                answer.release()
            return self._judge(answer.status, body, answer.headers.get("Retry-After"))
        except aiohttp.ClientConnectorError as e:
            return Unavailable("CONNECT", f"cannot connect to {self._url.host}:{self._url.port}: {_plain(e)}")
        except aiohttp.ConnectionTimeoutError:
            return Unavailable("CONNECT", f"cannot connect to {self._url.host}:{self._url.port}: no answer to the connection attempt")
        except aiohttp.ServerDisconnectedError:
            return Ambiguous("CONNECTION_LOST", "the connection closed before the answer came")

    def _open(self) -> aiohttp.ClientSession:
        pool = _Pool(limit=self.config.connections, keepalive_timeout=60)
        pool.note = self.note
        self._session = aiohttp.ClientSession(
            connector=pool,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT_MAX_S, 0.75 * self.config.timeout_s)),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding"),
            headers=self._headers,
        )
        return self._session

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        if answer.content_length is not None and answer.content_length <= self.config.limit_bytes:
            return await answer.read()
        body = b""
        while len(body) <= self.config.limit_bytes and (chunk := await answer.content.read(65536)):
            body += chunk
        return body[: self.config.limit_bytes]

    def _judge(self, status: int, body: bytes, retry_after: str | None) -> Outcome:
        code, kept = str(status), body[: self.config.keep_response_bytes]
        verdict = self.config.meaning.get(code)
        if verdict == "accept" or (verdict is None and 200 <= status < 300):
            return Accepted(code, kept, self._document(body))
        wait_s = min(RETRY_AFTER_MAX_S, float(retry_after)) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
        if verdict == "retry" or (verdict is None and status in RETRY_STATUS):
            return TryLater(code, f"the peer answered HTTP {status}", wait_s, kept)
        if verdict == "hold":
            return Held(code, f"the peer answered HTTP {status}", kept)
        if verdict is None and status in CREDENTIAL_STATUS:
            return Unavailable(code, f"the peer refused our credentials (HTTP {status}); check `auth` of the endpoint", wait_s, kept)
        return Rejected(code, f"the peer answered HTTP {status}", kept)

    def _document(self, body: bytes) -> str | None:
        if self._pointer is None:
            return None
        try:
            value = json.loads(body)
            for key in self._pointer:
                value = value[int(key)] if isinstance(value, list) else value[key]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            return None
        return str(value)[:200] if isinstance(value, (str, int)) else None

    async def _close(self) -> None:
        self._closed = True
        if self._on_the_way:
            await asyncio.wait([task for _, task in self._on_the_way.values()], timeout=self.config.timeout_s)
        if self._sweep is not None:
            self._sweep.cancel()
        if self._session is not None:
            await self._session.close()

    def close(self) -> asyncio.Future[None]:
        """Wait for what is in flight, then close the connections."""
        return asyncio.ensure_future(self._close())


def _headers(config: Config) -> dict[str, str]:
    headers = dict(config.headers)
    auth = config.auth
    if auth and auth.bearer:
        headers["Authorization"] = f"Bearer {auth.bearer.get_secret_value()}"
    elif auth and auth.user:
        headers["Authorization"] = f"Basic {_basic(auth.user, auth.password.get_secret_value() if auth.password else '')}"
    return headers


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _plain(e: aiohttp.ClientConnectorError) -> str:
    """A connection failure in an operator's words."""
    if isinstance(e, aiohttp.ClientConnectorDNSError):
        return "the host name is not known"
    if isinstance(e, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(e, aiohttp.ClientConnectorSSLError):
        return "no agreement on TLS"
    if isinstance(e.os_error, ConnectionRefusedError):
        return "connection refused"
    return type(e.os_error).__name__
