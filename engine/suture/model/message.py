"""A message: the bytes that came in, and what the engine says about them."""

from __future__ import annotations

from suture.model.fault import Fault
from suture.model.value import Value


class Message(Value, frozen=True, gc=False):
    """One received message; a value, which nobody changes. raw is the truth; the rest is taken from it once, at the edge.

    id: given by the journal, 0 until stored. received_at_us: UTC, microseconds since 1970.
    peer: where it came from (host:port or file name), never content. duplicate_of: the id of a stored message that has
    these very bytes, 0 when there is none. fault: why it waits for a person as soon as it is stored.
    """

    channel: str
    raw: bytes
    received_at_us: int
    control_id: str = ""
    type: str = ""
    sender: str = ""
    peer: str = ""
    id: int = 0
    fault: Fault | None = None
    duplicate_of: int = 0

    def __repr__(self) -> str:
        return f"Message(id={self.id}, {self.channel}, {len(self.raw)} bytes)"


class Gap(Value, frozen=True):
    """A code no table knows, or a required value that is missing: the line waits for a person.

    line: number of the repeated segment (0 for the whole message). path: where the value came from (FT1-7.1).
    table and value are empty when the value itself was missing or malformed. A value of a table is a code, not PHI.
    kind: the code of its exception as in docs/errors.md, "" where that follows from table.
    """

    line: int
    field: str
    path: str
    reason: str
    table: str = ""
    value: str = ""
    kind: str = ""

    @property
    def code(self) -> str:
        """The code of its exception."""
        return self.kind or ("UNKNOWN_CODE" if self.table else "BAD_VALUE")


class Note(Value, frozen=True):
    """A remark about a message or one of its lines (0: the whole message), for which nothing waits.

    code: as in docs/errors.md. place: a path, or an event's type. reason: says what was done and why; it holds no content.
    """

    line: int
    code: str
    place: str
    reason: str
