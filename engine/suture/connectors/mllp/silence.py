"""How long a sender may say nothing: in all, in the middle of a message, before TLS is agreed on, and of answers not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from suture.connectors.mllp.flow import Flow
    from suture.connectors.mllp_in import Config


class Silence:
    """Of one connection. last_at_s: when it said something. frame_since_s: when a message began that has not ended. safe: TLS stands."""

    def __init__(self, config: Config, now_s: float) -> None:
        self._config = config
        self.last_at_s = now_s
        self.frame_since_s: float | None = None
        self.safe = config.tls is None

    def resumed(self, now_s: float) -> None:
        """It is read again: being held back is not the sender's silence."""
        self.last_at_s = now_s
        self.frame_since_s = None if self.frame_since_s is None else now_s

    def too_long(self, now_s: float, flow: Flow, unanswered: int) -> tuple[str, str] | None:
        """What takes too long, as a code and in words; None: nothing."""
        config, silent_s = self._config, now_s - self.last_at_s
        if flow.clogged:
            return ("IDLE", f"answers not read for {config.idle_s:g} s") if silent_s > config.idle_s else None
        if flow.paused:
            return None
        if not self.safe and silent_s > config.frame_timeout_s:
            return "TLS_TIMEOUT", f"no agreement on TLS within {config.frame_timeout_s:g} s"
        if self.frame_since_s is not None and now_s - self.frame_since_s > config.frame_timeout_s:
            return "FRAME_TIMEOUT", f"no whole message within {config.frame_timeout_s:g} s of its first byte"
        if not unanswered and silent_s > config.idle_s:
            return "IDLE", f"nothing said for {config.idle_s:g} s"
        return None
