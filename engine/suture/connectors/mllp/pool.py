"""The open connections of an MLLP destination: which of them carry messages, which rest, and which are listened to."""

from __future__ import annotations

from suture.connectors.mllp.answers import Early
from suture.connectors.mllp.peer import Peer

CUT_SHORT = 2
"""Connections in a row that a peer ended after its first answer, with another message on its way, until each gets one message."""


class Habit:
    """How many messages a peer takes on one connection, as configured or as it turns out; 0: any number."""

    def __init__(self, messages_per_connection: int) -> None:
        self.messages_per_connection = messages_per_connection
        self._cut_short = 0

    def full(self, messages: int) -> bool:
        """Whether a connection has had all the messages that one gets."""
        return 0 < self.messages_per_connection <= messages

    def learned(self, answers: int, cut_short: bool) -> bool:
        """One that ends its connections after each answer gets one message on each: the next one it would never read.

        A connection is over, after so many answers; cut_short: after its first, with another message on its way. Whether
        that has just been found out.
        """
        self._cut_short = self._cut_short + 1 if cut_short else 0 if answers > 1 else self._cut_short
        found = self._cut_short == CUT_SHORT and not self.messages_per_connection
        if found:
            self.messages_per_connection = 1
        return found


class Pool:
    """carrying: those that messages may go out on. resting: those of them with nothing in flight, the last one the newest.

    listening: those that carry no more, and are open for what an application may say, `limit` of them. early: what those of any
    kind know.
    """

    def __init__(self, limit: int) -> None:
        self.carrying: set[Peer] = set()
        self.resting: dict[Peer, None] = {}
        self.listening: dict[Peer, None] = {}
        self._limit = limit
        self.early = Early()

    @property
    def all(self) -> set[Peer]:
        """Each of them."""
        return self.carrying.union(self.listening)

    def elsewhere(self, control_id: str) -> set[int]:
        """The deliveries that went out under this control id on the connections that are open."""
        return {number for peer in self.all if (number := peer.used.delivery(control_id)) is not None}

    def busy(self) -> bool:
        """Whether something is waited for on one of them."""
        return bool(self.listening) or any(peer.waiting for peer in self.carrying)

    def listen(self, peer: Peer) -> Peer | None:
        """It carries no more, and is listened to; the one that has to make room for it, the oldest, which may be itself."""
        self.drop(peer)
        self.listening[peer] = None
        if len(self.listening) <= self._limit:
            return None
        oldest = next(iter(self.listening))
        self.drop(oldest)
        return oldest

    def drop(self, peer: Peer) -> None:
        """It is gone, or carries no more."""
        self.carrying.discard(peer)
        self.listening.pop(peer, None)
        self.resting.pop(peer, None)
