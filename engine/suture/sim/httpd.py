"""An HTTP listener of a simulator, which can go away and come back on its port."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from suture.sim.faults import Answer, Reset, Script, Silence, Wait


class Listener:
    """One aiohttp application on one port of the loopback. port: 0 takes a free one, which `port` then says."""

    def __init__(self, app: web.Application, port: int) -> None:
        self.port = port
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        self._site: web.TCPSite | None = None

    async def open(self) -> None:
        """Listen for the first time."""
        await self._runner.setup()
        await self.up()

    async def up(self) -> None:
        """Listen (again); nothing happens when it does already."""
        if self._site is None:
            self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
            await self._site.start()
            self.port = self._runner.addresses[0][1]

    async def down(self) -> None:
        """Refuse connections, and drop those that are open."""
        if self._site is not None:
            site, self._site = self._site, None
            await site.stop()
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            connection.force_close()

    async def close(self) -> None:
        """Stop for good."""
        await self._runner.cleanup()


async def with_fault(request: web.Request, script: Script, take: Callable[[], Awaitable[web.Response]]) -> web.StreamResponse:
    """Answer with `take`, unless the script has a fault for this request."""
    fault = script.next()
    if isinstance(fault, Answer):
        return web.json_response({"error": "simulated fault"}, status=int(fault.code))
    if isinstance(fault, Silence | Reset):
        if fault.taken:
            await take()
        return await _vanish(request, silent=isinstance(fault, Silence))
    if isinstance(fault, Wait):
        await asyncio.sleep(fault.seconds)
    return await take()


async def _vanish(request: web.Request, silent: bool) -> web.StreamResponse:
    while silent and request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(0.1)
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=500)


async def body_of(request: web.Request) -> Any:
    """The request's JSON. Raises HTTPBadRequest when it is none."""
    try:
        return await request.json()
    except ValueError as e:
        raise web.HTTPBadRequest(text="the body is not JSON") from e
