"""What an application may still say of a delivery that a commit acknowledgement has accepted: who is listened to, and how long.

Both are of one destination. A connection that has no more to carry stays open beside the others for an answer that may follow,
and an answer that comes over another connection than its message went by is found by its control id.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from suture.connectors.mllp.control_ids import REMEMBERED

if TYPE_CHECKING:
    from suture.connectors.mllp.answers import Answers
    from suture.connectors.mllp.peer import Peer


class Early:
    """Whose answers know the deliveries that were accepted so, by control id, the newest; also when the connection is gone."""

    def __init__(self) -> None:
        self._whose: dict[str, Answers | None] = {}

    def add(self, name: str, answers: Answers) -> None:
        """It was accepted under this control id. Where two connections know one of this name, nobody can say which is meant."""
        earlier = self._whose.pop(name, answers)
        self._whose[name] = answers if earlier is answers else None
        if len(self._whose) > REMEMBERED:
            del self._whose[next(iter(self._whose))]

    def drop(self, name: str, answers: Answers) -> None:
        """It has its last answer."""
        if self._whose.get(name) is answers:
            del self._whose[name]

    def whose(self, name: str) -> Answers | None:
        """The answers that know it, None where there are none, or more than one."""
        return self._whose.get(name)


class Listening:
    """Connections that carry no new message and are open for what follows; limit: so many, the oldest is closed first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._peers: dict[Peer, None] = {}

    def __iter__(self) -> Iterator[Peer]:
        return iter(tuple(self._peers))

    def __len__(self) -> int:
        return len(self._peers)

    def add(self, peer: Peer) -> Peer | None:
        """Listen to this one too; the one that has to make room for it, which may be itself."""
        self._peers[peer] = None
        if len(self._peers) <= self._limit:
            return None
        oldest = next(iter(self._peers))
        del self._peers[oldest]
        return oldest

    def discard(self, peer: Peer) -> None:
        """It is gone, or is listened to no more."""
        self._peers.pop(peer, None)
