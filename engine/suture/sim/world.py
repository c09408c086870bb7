"""All simulated systems in one process, and the control port that steers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from aiohttp import web

from suture.sim import faults
from suture.sim.analytics import Analytics, AnalyticsServer
from suture.sim.billing import Billing, BillingServer
from suture.sim.erp import Erp, ErpServer
from suture.sim.httpd import Listener, body_of

Steer = Callable[[Any], Awaitable[None]]


class World:
    """The systems around the engine. Ports: 0 takes a free one; `ports` says which.

    The control port: GET /stats; POST /erp/down {"mode": "refuse"|"503"}, /erp/up, /billing/nack {"code": "AE",
    "transactions": [...]}, and /erp/faults, /billing/faults, /analytics/faults with a list as `faults.read` has it.
    """

    def __init__(self, erp_port: int, billing_port: int, analytics_port: int, control_port: int, items: Collection[str] = ()) -> None:
        self.erp = ErpServer(Erp(items), erp_port)
        self.billing = BillingServer(Billing(), billing_port)
        self.analytics = AnalyticsServer(Analytics(), analytics_port)
        self.control = Listener(self._control(), control_port)

    @property
    def ports(self) -> dict[str, int]:
        """System to port."""
        return {
            "erp": self.erp.listener.port,
            "billing": self.billing.port,
            "analytics": self.analytics.listener.port,
            "control": self.control.port,
        }

    async def open(self) -> None:
        """Start every system, the control port last. Raises OSError when a port is taken."""
        await self.erp.listener.open()
        await self.billing.open()
        await self.analytics.listener.open()
        await self.control.open()

    async def close(self) -> None:
        """Stop every system."""
        await self.control.close()
        await self.analytics.listener.close()
        await self.billing.close()
        await self.erp.listener.close()

    def stats(self) -> dict[str, Any]:
        """What every system has counted."""
        return {"erp": self.erp.erp.stats(), "billing": self.billing.billing.stats(), "analytics": self.analytics.analytics.stats()}

    def _control(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/stats", self._stats)
        for path, steer in self._verbs().items():
            app.router.add_post(path, _handler(steer))
        return app

    def _verbs(self) -> dict[str, Steer]:
        scripts = {"erp": self.erp.script, "billing": self.billing.script, "analytics": self.analytics.script}
        verbs: dict[str, Steer] = {"/erp/down": self._erp_down, "/erp/up": self._erp_up, "/billing/nack": self._nack}
        return verbs | {f"/{name}/faults": _adder(script) for name, script in scripts.items()}

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response(self.stats())

    async def _erp_down(self, body: Any) -> None:
        await self.erp.down(str((body or {}).get("mode", "refuse")))

    async def _erp_up(self, body: Any) -> None:
        await self.erp.up()

    async def _nack(self, body: Any) -> None:
        code = str(body.get("code", "AE"))
        self.billing.billing.nack = {str(number): code for number in body["transactions"]}


def _adder(script: faults.Script) -> Steer:
    async def add(body: Any) -> None:
        script.add(faults.read(body))

    return add


def _handler(steer: Steer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        body = await body_of(request) if request.can_read_body else None
        try:
            await steer(body)
        except (ValueError, KeyError, AttributeError, TypeError) as e:
            return web.json_response({"error": str(e)}, status=400)
        return web.json_response({"ok": True})

    return handle
