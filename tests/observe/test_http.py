"""The pages for machines answer, and a rude visitor takes nothing from them."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from suture.model.errors import SutureError
from suture.observe import http
from suture.observe.facts import Facts, OwnerFact
from suture.observe.metrics import CONTENT_TYPE, Metrics

ENGINE = {"node": "srv1", "pid": 7, "epoch": 3, "store": "0123456789abcdef"}


def visit(use: Callable[[str, int], Awaitable[None]], ask: Callable[[], Facts] = Facts) -> None:
    async def main() -> None:
        metrics = Metrics()
        metrics.message("or-supply", "received")
        pages = await http.serve("127.0.0.1", 0, metrics, ask)
        try:
            await use(f"http://127.0.0.1:{pages.port}", pages.port)
        finally:
            await pages.cleanup()

    asyncio.run(main())


async def get(url: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, answer.headers["Content-Type"], await answer.text()


def test_metrics_are_served_as_prometheus_reads_them():
    async def use(url: str, _port: int) -> None:
        status, kind, text = await get(url + "/metrics")
        assert (status, kind) == (200, CONTENT_TYPE)
        assert 'suture_messages_total{channel="or-supply",state="received"} 1.0' in text

    visit(use)


def test_a_ready_engine_says_so():
    async def use(url: str, _port: int) -> None:
        for page in ("/healthz", "/readyz"):
            status, _, text = await get(url + page)
            assert (status, json.loads(text)) == (200, {"state": "ready", "reasons": [], "engine": ENGINE})

    visit(use, lambda: Facts(owner=OwnerFact(**ENGINE)))


def test_a_stopping_engine_is_alive_but_not_ready():
    async def use(url: str, _port: int) -> None:
        assert (await get(url + "/healthz"))[0] == 200
        status, _, text = await get(url + "/readyz")
        assert (status, json.loads(text)) == (503, {"state": "not ready", "reasons": ["the engine is stopping"], "engine": ENGINE})

    visit(use, lambda: Facts(stopping=True, owner=OwnerFact(**ENGINE)))


def test_there_are_no_other_pages():
    async def use(url: str, _port: int) -> None:
        assert (await get(url + "/"))[0] == 404

    visit(use)


def test_one_visitor_too_many_is_turned_away_and_the_next_is_welcome_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "CONNECTIONS_MAX", 2)

    async def use(url: str, port: int) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 2) == b""
        for _, other in (*silent, (reader, writer)):
            other.close()
        await asyncio.sleep(0.05)
        assert (await get(url + "/healthz"))[0] == 200

    visit(use)


def test_a_silent_visitor_is_shown_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "CONNECTION_S", 0.1)

    async def use(_url: str, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metr")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 2)
        writer.close()

    visit(use)


def test_an_endless_header_is_refused():
    async def use(_url: str, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(12), 2)) == b"HTTP/1.0 400"
        writer.close()

    visit(use)


def test_a_taken_port_is_said_in_plain_words():
    async def use(_url: str, port: int) -> None:
        with pytest.raises(SutureError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*choose another http\.port"):
            await http.serve("127.0.0.1", port, Metrics(), Facts)

    visit(use)
