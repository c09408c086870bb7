"""Leave to send: what a destination asks for right before bytes leave the house, and what it says when there is none."""

from __future__ import annotations

from suture.model.outcome import Unavailable

CODE = "STORE_LOST"
NOT_SENT = Unavailable(CODE, "not sent: it is not sure that the store is still this engine's")


def always() -> bool:
    """For whoever shares its deliveries with nobody."""
    return True
