"""What is odd about an MLLP peer's answers: each is counted, and said so often as helps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from suture.connectors.net.access import Seldom
from suture.wire import mllp


class Complaints:
    """Of one destination. where: its host and port. quirks: of framing; codes: of answers that completed nothing."""

    def __init__(self, where: str, note: Callable[[str, str], None], seldom: Seldom) -> None:
        self._where, self._note, self._seldom = where, note, seldom
        self._said: set[str] = set()
        self.quirks: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()

    def stray(self, code: str, text: str) -> None:
        """An answer that completes nothing: counted, said once in a while, and never given to a message."""
        self.codes[code] += 1
        if self._seldom.due(code):
            count = self.codes[code]
            self._note(code, f"{text} ({count} so far)" if count > 1 else text)

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
