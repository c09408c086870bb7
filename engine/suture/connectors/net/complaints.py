"""What is odd about peers, said so often as helps."""

from __future__ import annotations

from collections import Counter, OrderedDict

from suture.connectors.contract import Note
from suture.ports import Clock
from suture.wire import mllp

REMEMBERED = 1000
"""Addresses (or other keys) of which it is known when something was last said about them."""
EVERY_S = 60.0
"""Seconds in which the same of it is noted once."""


class Seldom:
    """Says of each key at most once in every_s seconds that it is time to speak; remembers REMEMBERED keys."""

    def __init__(self, clock: Clock, every_s: float) -> None:
        self.clock, self.every_s = clock, every_s
        self._said: OrderedDict[str, float] = OrderedDict()

    def due(self, key: str) -> bool:
        """Whether nothing was said of this key for so long; it counts as said now."""
        now_s = self.clock.seconds()
        said_s = self._said.get(key)
        if said_s is not None and now_s - said_s < self.every_s:
            return False
        self._said[key] = now_s
        self._said.move_to_end(key)
        if len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        return True


class Complaints:
    """Of one destination: its odd answers are counted. where: its host and port. quirks: of framing; codes: of those for nothing."""

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
