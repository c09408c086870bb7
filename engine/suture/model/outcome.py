"""What an attempt to deliver came to: a destination returns its fate, exceptions are for bugs.

reason is ours, and holds no content; words are the partner's own, cleaned and bounded by the connector, "" when it said none.
They may name a patient: the store keeps them behind the reason (`told`), and logs, metrics and pages never have them.
"""

from __future__ import annotations

from typing import ClassVar

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


UNSTORABLE = "OUTCOME_UNSTORABLE"
"""Code of an attempt, and of its exception, whose outcome the store did not take as it was."""


class Accepted(Value, frozen=True, gc=False):
    """The peer said yes.

    document: the business system's own number, when the answer carried one (posted). reason: what an operator should know
    of this attempt all the same, "" as a rule.
    """

    name: ClassVar[str] = "accepted"
    code: str
    response: bytes = b""
    document: str | None = None
    reason: str = ""
    words: str = ""


class _Failed(Value, frozen=True, gc=False):
    """wait_s: seconds that the peer asks us to wait (Retry-After), None where it does not. Each kind has a name, for the store."""

    code: str
    reason: str
    response: bytes = b""
    words: str = ""
    wait_s: float | None = None


class TryLater(_Failed, frozen=True, gc=False):
    """Transient: the peer is unwell or asks us to wait; the retry policy decides when."""

    name: ClassVar[str] = "try_later"


class Rejected(_Failed, frozen=True, gc=False):
    """Permanent: the peer will never take this payload. It becomes a dead letter at once."""

    name: ClassVar[str] = "rejected"


class Held(_Failed, frozen=True, gc=False):
    """The answer table of the destination says that a person has to look (for example MSA-1 = CE)."""

    name: ClassVar[str] = "held"


class Ambiguous(_Failed, frozen=True, gc=False):
    """Sent, and no answer that can be placed: the peer may or may not have taken it."""

    name: ClassVar[str] = "ambiguous"


class Unavailable(_Failed, frozen=True, gc=False):
    """Not this payload's fault (connection refused, bad credential): nothing is held against it."""

    name: ClassVar[str] = "unavailable"


Outcome = Accepted | TryLater | Rejected | Held | Ambiguous | Unavailable
