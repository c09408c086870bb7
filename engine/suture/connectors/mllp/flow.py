"""Whether a sender is read: not while something is full that what it says would have to go into. And how long it may say nothing:
in all, in the middle of a message, before TLS is agreed on, and of answers not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suture.connectors.mllp.life import GONE, HEARD

if TYPE_CHECKING:
    from suture.connectors.mllp.sender import Connection


class Flow:
    """Of one connection. paused: it is not read. clogged: its sender does not read its answers. waits: there is no room for a frame.

    size_bytes: what has come of a frame that has not ended, as far as it was told to the room. last_at_s: when the sender said
    something. frame_since_s: when a message began that has not ended. safe: TLS stands.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.size_bytes = 0
        self.paused = self.clogged = self.waits = False
        self.last_at_s = connection.source.clock.seconds()
        self.frame_since_s: float | None = None
        self.safe = connection.source.config.tls is None

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
                self.last_at_s = source.clock.seconds()  # being held back is not the sender's silence
                self.frame_since_s = None if self.frame_since_s is None else self.last_at_s
                one.transport.resumeProducing()

    def too_long(self, now_s: float) -> tuple[str, str] | None:
        """What takes too long, as a code and in words; None: nothing."""
        config, silent_s = self._connection.source.config, now_s - self.last_at_s
        if self.clogged:
            return ("IDLE", f"answers not read for {config.idle_s:g} s") if silent_s > config.idle_s else None
        if self.paused:
            return None
        if not self.safe and silent_s > config.frame_timeout_s:
            return "TLS_TIMEOUT", f"no agreement on TLS within {config.frame_timeout_s:g} s"
        if self.frame_since_s is not None and now_s - self.frame_since_s > config.frame_timeout_s:
            return "FRAME_TIMEOUT", f"no whole message within {config.frame_timeout_s:g} s of its first byte"
        if not self._connection.unanswered and silent_s > config.idle_s:
            return "IDLE", f"nothing said for {config.idle_s:g} s"
        return None
