"""An analytics sink: takes batches of CloudEvents over HTTP and counts each id once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from suture.sim.faults import Script
from suture.sim.httpd import Listener, body_of, with_fault


@dataclass(slots=True)
class Analytics:
    """The stream as the sink has it: CloudEvents id to type; an id seen before is counted as repeated."""

    events: dict[str, str] = field(default_factory=dict)
    repeated: int = 0

    def take(self, batch: Any) -> bool:
        """Take a batch (a list of CloudEvents, or one); False when it is neither."""
        rows = batch if isinstance(batch, list) else [batch]
        if not all(isinstance(row, dict) and row.get("id") and row.get("type") for row in rows):
            return False
        for row in rows:
            self.repeated += row["id"] in self.events
            self.events[row["id"]] = row["type"]
        return True

    def stats(self) -> dict[str, object]:
        """Counts for checks."""
        return {"events": len(self.events), "by_type": dict(sorted(Counter(self.events.values()).items())), "repeated": self.repeated}


class AnalyticsServer:
    """The sink on a port, with its faults."""

    def __init__(self, analytics: Analytics, port: int) -> None:
        self.analytics = analytics
        self.script = Script()
        app = web.Application(client_max_size=16 << 20)
        app.router.add_post("/events", self._take)
        self.listener = Listener(app, port)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        async def take() -> web.Response:
            good = self.analytics.take(await body_of(request))
            return web.Response(status=204) if good else web.json_response({"error": "not a CloudEvents batch"}, status=400)

        return await with_fault(request, self.script, take)
