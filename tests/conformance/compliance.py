"""What docs/spec/connector.md says of every connector, looked at whatever a test is about.

The stands of sources (stand.py) and of destinations (kits.py) have a witness, and let it close the connector: so every test
that uses one of them holds its connector to the specification.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections import Counter
from collections.abc import Coroutine
from functools import cache
from pathlib import Path
from typing import Any

from twisted.internet import defer

MARKER = "ZZMARKER"
"""A patient's name that is in payloads and may be nowhere else."""
CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
KINDS = {"framing", "refused", "quarantined"}
"""What can be counted: each kind is a metric (see test_sources.py)."""
SLACK_S = 20.0
"""Seconds of a busy machine beyond the time that something may take."""


@cache
def explained() -> str:
    """The page of codes."""
    return (Path(__file__).parents[2] / "docs" / "errors.md").read_text()


class Witness:
    """Hears what one connector says: give it `note`."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str]] = []
        self._counted: Counter[tuple[str, str]] = Counter()

    def note(self, code: str, text: str) -> None:
        self.notes.append((code, text))

    @property
    def codes(self) -> list[str]:
        return [code for code, _ in self.notes]

    async def end(self, connector: Any, closing: Coroutine[Any, Any, None], within_s: float) -> None:
        """Wait until the connector is closed, which may take so long, and check what it said and counted."""
        await asyncio.wait_for(defer.Deferred.fromCoroutine(closing).asFuture(asyncio.get_running_loop()), within_s + SLACK_S)
        self.check(connector)

    def check(self, connector: Any) -> None:
        """Logs, metrics and sockets, as they are now."""
        for code, text in self.notes:
            assert CODE.fullmatch(code) and f"`{code}`" in explained(), f"{code} is not explained in docs/errors.md"
            assert text and text.isprintable() and MARKER not in text, f"{code}: a note is one line for an operator, without content"
            assert self.notes.count((code, text)) == 1, f"{code} is told more than once: {text}"
        counts = connector.counts()
        assert set(counts) <= KINDS, "no metric shows another kind"
        counted = Counter({(kind, code): count for kind, codes in counts.items() for code, count in codes.items()})
        assert all(CODE.fullmatch(code) for _, code in counted)
        assert counted >= self._counted, "what was counted is no less later"
        self._counted = counted
        assert MARKER not in repr(counts)
        assert all(isinstance(handle, socket.socket) and callable(end) for handle, end in connector.held())
