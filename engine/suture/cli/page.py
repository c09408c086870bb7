"""What a running engine says of itself on its page, asked on this machine and not waited for long."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

ANSWER_BYTES = 65_536
_REQUEST = b"GET /readyz HTTP/1.0\r\n\r\n"
"""By HTTP/1.0 the answer is what comes until the peer closes; a whole client of HTTP takes longer to load than the answer to come."""
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


class Page:
    """/readyz, asked at once on a thread of its own. Nothing is asked where port is 0."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self.place = f"{_EVERYWHERE.get(host, host)}:{port}" if port else ""
        self._host, self._port, self._timeout_s = _EVERYWHERE.get(host, host), port, timeout_s
        self._found: dict[str, Any] | None = None
        self._thread = threading.Thread(target=self._ask, daemon=True)
        if port:
            self._thread.start()

    def _ask(self) -> None:
        try:
            with socket.create_connection((_plain(self._host), self._port), self._timeout_s) as connection:
                connection.sendall(_REQUEST)
                with connection.makefile("rb") as answer:
                    _, _, body = answer.read(ANSWER_BYTES).partition(b"\r\n\r\n")
            found = json.loads(body)
            self._found = found if isinstance(found, dict) else None
        except (OSError, ValueError):
            pass

    def answer(self, store: str) -> dict[str, Any] | None:
        """What the engine of this store answered (its fingerprint; "" takes any); None for no answer, or somebody else's."""
        if self._port:
            self._thread.join(self._timeout_s)
        found = self._found
        engine = found.get("engine") if found else None
        if not isinstance(engine, dict) or (store and engine.get("store") != store):
            return None
        return found


def _plain(host: str) -> Any:
    """A name of plain letters as bytes: to make them of a text, Python would load all of international names first."""
    return host.encode() if host.isascii() else host
