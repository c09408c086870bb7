"""Operations on their way to the writer, and what they keep in memory."""

from __future__ import annotations

import traceback

from suture.ports import Operation

GROUP_BYTES = 8_388_608
"""Messages and payloads of one transaction, about: the drivers copy them, and the database's log keeps them until its end."""


class Piece(list[Operation]):
    """Operations that go to the writer together. size_bytes: what they keep in memory."""

    size_bytes = 0

    def join(self, other: Piece) -> None:
        """Take the others behind these."""
        self.extend(other)
        self.size_bytes += other.size_bytes

    def cut(self) -> list[Piece]:
        """Each for itself; the first bears the size of all."""
        pieces = [Piece((operation,)) for operation in self]
        pieces[0].size_bytes = self.size_bytes
        return pieces


def forget_frames(error: BaseException | None) -> None:
    """Let go of what an error's frames hold: the values of a statement are messages, and whoever is told may keep the error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = getattr(error, "orig", None) or error.__cause__ or error.__context__
