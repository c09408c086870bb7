"""Whether a sender is read: not while something is full that what it says would have to go into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suture.connectors.mllp.life import GONE, HEARD

if TYPE_CHECKING:
    from suture.connectors.mllp.sender import Connection


class Flow:
    """Of one connection. paused: it is not read. clogged: its sender does not read its answers. waits: there is no room for a frame.

    size_bytes: what has come of a frame that has not ended, as far as it was told to the room.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.size_bytes = 0
        self.paused = self.clogged = self.waits = False

    def pauseProducing(self) -> None:  # noqa: N802
        """The sender does not read its answers."""
        self.clogged = True
        self.balance()

    def resumeProducing(self) -> None:  # noqa: N802
        """It has read them."""
        self.clogged = False
        self.balance()

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is gone."""

    def make_wait(self, waits: bool) -> None:
        """There is no room for the rest of the frame, or there is again."""
        self.waits = waits
        self.balance()

    def measure(self) -> None:
        """Tell how much there is now of a frame that has not ended."""
        one = self._connection
        before, self.size_bytes = self.size_bytes, one.unframer.size_bytes
        if one.source.room is not None:
            one.source.room.changed(self, before, self.size_bytes)

    def balance(self) -> None:
        """Pause or resume reading, as the connection's and the engine's limits say."""
        one, source = self._connection, self._connection.source
        full = source.full or self.clogged or self.waits or one.unanswered >= source.config.unanswered
        if full != self.paused and one.state is not GONE:
            self.paused = full
            if full:
                one.transport.pauseProducing()
            elif one.state not in HEARD:
                one.silence.resumed(source.clock.seconds())
                one.transport.resumeProducing()
