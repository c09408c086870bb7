"""The pages for machines: /metrics for Prometheus, /healthz and /readyz for whoever restarts or routes.

They hold names and numbers, never content, and so need no login; what a caller can take is bounded: few connections,
one request each, ten seconds at most.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial

from aiohttp import web

from suture.model.errors import SutureError
from suture.observe.facts import Ask
from suture.observe.health import Health, judge
from suture.observe.metrics import CONTENT_TYPE, Metrics

CONNECTIONS_MAX = 32
"""Connections at one time; one more is closed at once."""
CONNECTION_S = 10.0
"""Longest life of a connection."""
HEAD_BYTES = 4096
"""Longest request line, and longest header."""


class Pages:
    """The listening server. port: where it listens, known also when 0 was asked for."""

    def __init__(self, runner: web.AppRunner, server: asyncio.Server) -> None:
        self._runner, self._server = runner, server
        self.port: int = server.sockets[0].getsockname()[1]

    async def cleanup(self) -> None:
        """Stop listening and close what is open."""
        self._server.close()
        await self._runner.cleanup()


async def serve(host: str, port: int, metrics: Metrics, ask: Ask) -> Pages:
    """Listen on host and port, on the running asyncio loop; the state of the engine is asked on every look.

    Raises SutureError when the address cannot be had.
    """
    application = web.Application()
    application.router.add_get("/metrics", partial(_metrics_page, metrics))
    application.router.add_get("/healthz", partial(_health_page, ask, lambda found: found.alive))
    application.router.add_get("/readyz", partial(_health_page, ask, lambda found: found.ready))
    runner = web.AppRunner(application, access_log=None, max_line_size=HEAD_BYTES, max_field_size=HEAD_BYTES, shutdown_timeout=1.0)
    await runner.setup()
    assert runner.server is not None
    try:
        server = await asyncio.get_running_loop().create_server(partial(_door, runner.server), host, port, backlog=CONNECTIONS_MAX)
    except OSError as error:
        await runner.cleanup()
        reason = error.strerror or type(error).__name__
        raise SutureError(f"http: cannot listen on {host}:{port}: {reason}; choose another http.port, or 0 for none") from None
    return Pages(runner, server)


async def _metrics_page(metrics: Metrics, _request: web.Request) -> web.StreamResponse:
    body = await asyncio.to_thread(metrics.page())
    return _once(web.Response(body=body, headers={"Content-Type": CONTENT_TYPE}))


async def _health_page(ask: Ask, well: Callable[[Health], bool], _request: web.Request) -> web.StreamResponse:
    facts = ask()
    found, owner = judge(facts), facts.owner
    engine = {"node": owner.node, "pid": owner.pid, "epoch": owner.epoch, "store": owner.store}
    text = json.dumps({"state": found.state, "reasons": found.reasons, "engine": engine}, ensure_ascii=False) + "\n"
    return _once(web.Response(text=text, status=200 if well(found) else 503, content_type="application/json"))


def _once(response: web.Response) -> web.Response:
    response.force_close()
    return response


def _door(server: web.Server) -> asyncio.BaseProtocol:
    """Makes the protocol of each new connection, and sees to it that there are few and that they end."""
    if len(server.connections) >= CONNECTIONS_MAX:
        return _Closed()
    visitor = server()
    asyncio.get_running_loop().call_later(CONNECTION_S, _end, visitor)
    return visitor


class _Closed(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _end(visitor: asyncio.BaseProtocol) -> None:
    transport = getattr(visitor, "transport", None)
    if transport is not None:
        transport.abort()
