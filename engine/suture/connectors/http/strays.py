"""Answers of an HTTP peer that nothing waits for: each is counted, and said so often as helps."""

from __future__ import annotations

from collections import Counter

from suture.connectors.contract import Note
from suture.connectors.http.connection import Connection
from suture.connectors.net.access import Seldom


class Strays:
    """Of one destination."""

    def __init__(self, note: Note, seldom: Seldom) -> None:
        self._note, self._seldom = note, seldom
        self._count = 0

    def add(self, connection: Connection) -> None:
        """One came. Where it was not the first request's, it may have come long ago, and completed what came next."""
        self._count += 1
        doubtful = connection.requests > 1
        if self._seldom.due("LATE_ACK") or doubtful:
            count = f" ({self._count} so far)" if self._count > 1 else ""
            which = f"; the last of its {connection.requests} messages was delivery {connection.last}: see whether the peer has it"
            self._note("LATE_ACK", f"an answer came that nothing waits for; its connection is closed{count}{which if doubtful else ''}")

    def codes(self) -> Counter[str]:
        """What was counted, by code."""
        return Counter({"LATE_ACK": self._count} if self._count else {})
