"""What an attempt to deliver came to: a destination returns its fate, exceptions are for bugs.

reason is ours, and holds no content; words are the partner's own, cleaned and bounded by the connector, "" when it said none.
They may name a patient: the store keeps them behind the reason (`told`), and logs, metrics and pages never have them.
"""

from __future__ import annotations

from suture.model.value import Value

SAYS = "; it says: "
"""Between a reason of ours and the partner's words."""


def told(reason: str, words: str) -> str:
    """A reason with the partner's words behind it, as operators read it."""
    return f"{reason}{SAYS}{words}" if words else reason


def apart(text: str) -> tuple[str, str]:
    """The reason and the words that `told` has put together."""
    reason, _, words = text.partition(SAYS)
    return reason, words


class Accepted(Value, frozen=True, gc=False):
    """The peer said yes.

    document: the business system's own number, when the answer carried one (posted). reason: what an operator should know
    of this attempt all the same, "" as a rule.
    """

    code: str
    response: bytes = b""
    document: str | None = None
    reason: str = ""
    words: str = ""


class TryLater(Value, frozen=True, gc=False):
    """Transient: the peer is unwell or asks us to wait; the retry policy decides when.

    wait_s: seconds the peer asked us to wait (Retry-After), else None.
    """

    code: str
    reason: str
    wait_s: float | None = None
    response: bytes = b""
    words: str = ""


class Rejected(Value, frozen=True, gc=False):
    """Permanent: the peer will never take this payload. It becomes a dead letter at once."""

    code: str
    reason: str
    response: bytes = b""
    words: str = ""


class Held(Value, frozen=True, gc=False):
    """The answer table of the destination says that a person has to look (for example MSA-1 = CE)."""

    code: str
    reason: str
    response: bytes = b""
    words: str = ""


class Ambiguous(Value, frozen=True, gc=False):
    """Sent, and no answer that can be placed: the peer may or may not have taken it. wait_s: as for TryLater."""

    code: str
    reason: str
    response: bytes = b""
    wait_s: float | None = None
    words: str = ""


class Unavailable(Value, frozen=True, gc=False):
    """Not this payload's fault (connection refused, bad credential): nothing is held against it."""

    code: str
    reason: str
    wait_s: float | None = None
    response: bytes = b""
    words: str = ""


Outcome = Accepted | TryLater | Rejected | Held | Ambiguous | Unavailable
