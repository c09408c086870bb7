"""A peer that follows the sequence number protocol as a receiver, written from the standard (HL7 2.9.1 section 2.9.1).

It knows nothing of the engine's own rules for it, so that the two are held against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.faults.peer import Fault, FaultyPeer, Mllp, Seen


class CountingMllp(Mllp):
    """MLLP whose acknowledgements carry MSA-4. last: the number that was taken last, None for no count.

    taken: control ids of the messages that were taken, with their numbers. refused: messages that came out of sequence.
    """

    def __init__(self) -> None:
        self.last: int | None = None
        self.taken: list[tuple[int, str]] = []
        self.starts = 0
        self.refused = 0

    def answer(self, seen: Seen, code: str = "AA", control_id: str | None = None) -> bytes:  # type: ignore[override]
        """Take the message or not, and say so: what is on its way back may still be lost."""
        fields = seen.body.split(b"\r", 1)[0].decode("latin-1").split("|")
        number = int(fields[12])
        code, expected = self._judged(number, seen.control_id, code)
        answer = f"MSH|^~\\&|PEER|P|SUTURE|S|20260301||ACK|1|P|2.5.1\rMSA|{code}|{seen.control_id}||{expected}\r"
        return f"\x0b{answer}\x1c\r".encode("latin-1")

    def _judged(self, number: int, control_id: str, code: str) -> tuple[str, int]:
        if number == -1:
            self.last = None
            return "AA", -1
        if number == 0:
            self.starts += 1
            return "AA", -1 if self.last is None else self.last + 1
        if self.last is not None and number == self.last:
            return "AA", self.last + 1
        if self.last is not None and number != self.last + 1:
            self.refused += 1
            return "AE", self.last + 1
        self.last = number
        self.taken.append((number, control_id))
        return code, number


class CountingPeer(FaultyPeer):
    """A faulty peer that counts."""

    def __init__(self, script: Iterable[Fault] = (), keep: Callable[[Seen], Any] = lambda seen: seen, **more: Any) -> None:
        super().__init__("mllp", script, keep=keep, **more)
        self.count = CountingMllp()
        self._wire = self.count
