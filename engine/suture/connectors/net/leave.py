"""Leave to send: what a destination asks for right before bytes leave the house, and what it says when there is none.

And whom it tells of a refusal that comes after its delivery was accepted.
"""

from __future__ import annotations

from suture.model.outcome import Outcome, Unavailable
from suture.ports import Delivery

CODE = "STORE_LOST"
NOT_SENT = Unavailable(CODE, "not sent: it is not sure that the store is still this engine's")


def always() -> bool:
    """For whoever shares its deliveries with nobody."""
    return True


def nobody(delivery: Delivery, outcome: Outcome) -> None:
    """Where nobody keeps what a peer says after it has accepted."""
