"""What is odd about a peer's answers: each is counted, and said so often as helps."""

from __future__ import annotations

from collections import Counter

from suture.connectors.contract import Note
from suture.connectors.net.access import Seldom
from suture.ports import Clock
from suture.wire import mllp

EVERY_S = 60.0
"""Seconds in which the same of it is noted once."""


class Complaints:
    """Of one destination. where: its host and port. quirks: of framing; codes: of answers that completed nothing."""

    def __init__(self, where: str, note: Note, clock: Clock) -> None:
        self._where, self._note, self._seldom = where, note, Seldom(clock, EVERY_S)
        self._said: set[str] = set()
        self.quirks: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()

    def stray(self, code: str, text: str, doubt: str = "") -> None:
        """An answer that completes nothing: counted, said once in a while, and never given to a message.

        doubt: what else may have been told wrong; it is said each time.
        """
        self.codes[code] += 1
        if self._seldom.due(code) or doubt:
            count = f" ({self.codes[code]} so far)" if self.codes[code] > 1 else ""
            self._note(code, f"{text}{count}{doubt}")

    def refusal(self, delivery: int, code: str) -> None:
        """A refusal of what was accepted; each is said."""
        self.codes["REFUSED_LATER"] += 1
        self._note("REFUSED_LATER", f"delivery {delivery} was accepted by a commit acknowledgement, and is refused now ({code})")

    def once(self, code: str, text: str) -> None:
        """Something to know about the peer, said once."""
        if code not in self._said:
            self._said.add(code)
            self._note(code, f"{self._where}: {text}")

    def framing(self, code: str) -> None:
        """The framing of its answers is odd."""
        if self._seldom.due(code):
            self._note(code, f"{self._where}: {mllp.QUIRKS[code]}")
