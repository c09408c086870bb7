"""What an engine says on its page, and peers on its port that are no engine."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from suture.cli.page import ANSWER_BYTES, Page
from suture.observe import http
from suture.observe.facts import Facts, OwnerFact
from suture.observe.metrics import Metrics

STORE = "0123456789abcdef"
ENGINE = {"node": "srv1", "pid": 7, "epoch": 3, "store": STORE}
SAID = b'{"state": "ready", "reasons": [], "engine": {"store": "%s"}}' % STORE.encode()


def of_an_engine(facts: Callable[[], Facts], store: str) -> dict[str, Any] | None:
    """The answer of an engine's own page."""

    async def main() -> dict[str, Any] | None:
        pages = await http.serve("127.0.0.1", 0, Metrics(), facts)
        try:
            return await asyncio.to_thread(lambda: Page("0.0.0.0", pages.port, 30).answer(store))
        finally:
            await pages.cleanup()

    return asyncio.run(main())


@pytest.mark.parametrize(("stopping", "state"), [(False, "ready"), (True, "not ready")])
def test_an_engine_says_how_it_is_ready_or_not(stopping: bool, state: str) -> None:
    said = of_an_engine(lambda: Facts(stopping=stopping, owner=OwnerFact(**ENGINE)), STORE)
    assert said is not None and (said["state"], said["engine"]) == (state, ENGINE)


def test_the_engine_of_another_store_is_not_heard() -> None:
    assert of_an_engine(lambda: Facts(owner=OwnerFact(**ENGINE)), "another") is None


def of_a_peer(answer: bytes, timeout_s: float = 30) -> dict[str, Any] | None:
    """The answer of a peer that reads the question, sends these bytes and closes; of none, it waits for the other side."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(30)
                connection.recv(4096)
                try:
                    connection.sendall(answer)
                    if not answer:
                        connection.recv(1)
                except OSError:
                    pass  # it has read enough

        peer = threading.Thread(target=serve, daemon=True)
        peer.start()
        found = Page("127.0.0.1", server.getsockname()[1], timeout_s).answer(STORE)
        peer.join(30)
        return found


def test_the_answer_is_what_stands_below_the_head() -> None:
    said = of_a_peer(b"HTTP/1.1 503 Service Unavailable\r\nServer: x\r\n\r\n" + SAID)
    assert said is not None and said["state"] == "ready"


@pytest.mark.parametrize(
    "answer",
    [b"220 mail.example ESMTP\r\n", b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n[]", b"HTTP/1.0 200 OK\r\n\r\n\xff{", SAID],
    ids=["no HTTP", "nothing", "a list", "no text", "no head"],
)
def test_what_is_no_page_of_an_engine_is_no_answer(answer: bytes) -> None:
    assert of_a_peer(answer) is None


def test_of_an_answer_without_end_a_part_is_read() -> None:
    assert of_a_peer(b"HTTP/1.0 200 OK\r\n\r\n" + SAID + b" " * 100 * ANSWER_BYTES) is not None


def test_a_silent_peer_is_not_waited_for_without_end() -> None:
    assert of_a_peer(b"", timeout_s=0.2) is None


def test_nobody_there_is_no_answer_and_port_0_is_not_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert Page("127.0.0.1", port, 30).answer(STORE) is None
    assert Page("127.0.0.1", 0, 30).answer(STORE) is None
