"""What an attempt to deliver came to: a destination returns its fate, exceptions are for bugs."""

from __future__ import annotations

from suture.model.value import Value


class Accepted(Value, frozen=True, gc=False):
    """The peer said yes.

    document: the business system's own number, when the answer carried one (posted). reason: what an operator should know
    of this attempt all the same, "" as a rule.
    """

    code: str
    response: bytes = b""
    document: str | None = None
    reason: str = ""


class TryLater(Value, frozen=True, gc=False):
    """Transient: the peer is unwell or asks us to wait; the retry policy decides when.

    wait_s: seconds the peer asked us to wait (Retry-After), else None.
    """

    code: str
    reason: str
    wait_s: float | None = None
    response: bytes = b""


class Rejected(Value, frozen=True, gc=False):
    """Permanent: the peer will never take this payload. It becomes a dead letter at once."""

    code: str
    reason: str
    response: bytes = b""


class Held(Value, frozen=True, gc=False):
    """The answer table of the destination says that a person has to look (for example MSA-1 = CE)."""

    code: str
    reason: str
    response: bytes = b""


class Ambiguous(Value, frozen=True, gc=False):
    """Sent, and no answer that can be placed: the peer may or may not have taken it. wait_s: as for TryLater."""

    code: str
    reason: str
    response: bytes = b""
    wait_s: float | None = None


class Unavailable(Value, frozen=True, gc=False):
    """Not this payload's fault (connection refused, bad credential): nothing is held against it."""

    code: str
    reason: str
    wait_s: float | None = None
    response: bytes = b""


Outcome = Accepted | TryLater | Rejected | Held | Ambiguous | Unavailable
