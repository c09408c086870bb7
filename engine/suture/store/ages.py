"""How long the oldest of many things that are done in about the order they came has been waiting, without a note of each."""

from __future__ import annotations

from collections import deque

APART_S = 0.25
MARKS = 256


class Ages:
    """Of a queue: now and then a mark is made of how many had come by then, and it is passed when so many are done.

    Marks are APART_S apart; when MARKS wait, every second one is left out, but never the oldest.
    """

    def __init__(self) -> None:
        self._done = 0
        self._marks: deque[tuple[int, float]] = deque()

    def handed(self, pending: int, now_s: float) -> None:
        """Something has come; pending: with it, so many wait."""
        if not self._marks or now_s - self._marks[-1][1] >= APART_S:
            if len(self._marks) >= MARKS:
                self._marks = deque(list(self._marks)[::2])
            self._marks.append((self._done + pending, now_s))

    def done(self, count: int) -> None:
        """So many are done."""
        self._done += count
        while self._marks and self._marks[0][0] <= self._done:
            self._marks.popleft()

    def oldest_s(self, now_s: float) -> float:
        """Seconds that the oldest has been waiting; 0 when nothing waits that came before the last mark."""
        return now_s - self._marks[0][1] if self._marks else 0.0
