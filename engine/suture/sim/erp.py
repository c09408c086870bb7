"""An ERP that speaks REST: inventory transactions and requisitions, each taken once, each with a document number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from suture.sim.faults import Script
from suture.sim.httpd import Listener, body_of, with_fault

FIRST_DOCUMENT = {"inventory": 4_900_000_001, "requisitions": 1_000_000_001}
QUANTITY = {"inventory": "TransactionQuantity", "requisitions": "RequestedQuantity"}


@dataclass(frozen=True, slots=True)
class Document:
    """One posting. key: what the sender calls it (event id, else Idempotency-Key)."""

    number: str
    kind: str
    key: str
    item: str
    quantity: Decimal


@dataclass(slots=True)
class Erp:
    """The ERP's books. items: the item numbers it knows; empty = it takes any.

    A request under a key it has seen is answered with the first document and posts nothing.
    """

    items: Collection[str] = ()
    documents: dict[tuple[str, str], Document] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)

    def take(self, kind: str, body: Any, idempotency_key: str) -> tuple[int, dict[str, Any]]:
        """Post one body. Returns the HTTP status and the answer."""
        refusal = self._refusal(kind, body)
        if refusal:
            self.requests["rejected"] += 1
            return 422, {"error": refusal}
        key = str(body.get("SourceHeaderId") or idempotency_key)
        known = self.documents.get((kind, key))
        if known:
            self.requests["repeated"] += 1
            return 200, {"document": known.number, "repeated": True}
        document = self._post(kind, key, body)
        return 201, {"document": document.number}

    def _post(self, kind: str, key: str, body: Mapping[str, Any]) -> Document:
        number = str(FIRST_DOCUMENT[kind] + self.requests[kind])
        document = Document(number, kind, key, str(body["ItemNumber"]), Decimal(str(body[QUANTITY[kind]])))
        self.documents[kind, key] = document
        self.requests[kind] += 1
        return document

    def _refusal(self, kind: str, body: Any) -> str:
        """Why this body cannot be posted, or ""."""
        if not isinstance(body, Mapping) or not body.get("ItemNumber"):
            return "ItemNumber is missing"
        if self.items and body["ItemNumber"] not in self.items:
            return f"item {body['ItemNumber']} does not exist in organization {body.get('OrganizationName', '')}"
        try:
            quantity = Decimal(str(body.get(QUANTITY[kind])))
        except InvalidOperation:
            return f"{QUANTITY[kind]} is not a number"
        return "" if quantity else f"{QUANTITY[kind]} is zero"

    def stats(self) -> dict[str, int]:
        """Counts for checks: documents of each kind, repeated, rejected and refused requests."""
        return {name: self.requests[name] for name in ("inventory", "requisitions", "repeated", "rejected", "unavailable")}


class ErpServer:
    """The ERP on a port, with its faults."""

    def __init__(self, erp: Erp, port: int) -> None:
        self.erp = erp
        self.script = Script()
        self.busy = False
        app = web.Application()
        app.router.add_post("/inventory", self._take)
        app.router.add_post("/requisitions", self._take)
        app.router.add_get("/documents", self._documents)
        app.router.add_get("/stats", self._stats)
        self.listener = Listener(app, port)

    async def down(self, mode: str) -> None:
        """Go down: `refuse` closes the port, `503` answers every request with 503. Raises ValueError."""
        if mode not in ("refuse", "503"):
            raise ValueError("mode is refuse or 503")
        self.busy = mode == "503"
        if mode == "refuse":
            await self.listener.down()

    async def up(self) -> None:
        """Work again."""
        self.busy = False
        await self.listener.up()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        if self.busy:
            self.erp.requests["unavailable"] += 1
            return web.json_response({"error": "down for maintenance"}, status=503)

        async def take() -> web.Response:
            status, answer = self.erp.take(request.path.strip("/"), await body_of(request), request.headers.get("Idempotency-Key", ""))
            return web.json_response(answer, status=status)

        return await with_fault(request, self.script, take)

    async def _documents(self, request: web.Request) -> web.Response:
        rows = [
            {"document": d.number, "kind": d.kind, "key": d.key, "item": d.item, "quantity": str(d.quantity)}
            for d in self.erp.documents.values()
        ]
        return web.json_response(rows)

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response(self.erp.stats())
