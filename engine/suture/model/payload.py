"""What goes to a destination: bytes, and what they are."""

from __future__ import annotations

from suture.model.message import Note
from suture.model.value import Value


class Payload(Value, frozen=True, gc=False):
    """The bytes for a destination. control_id: MSH-10 of an HL7 payload, else "". notes: what was written otherwise than asked."""

    body: bytes
    content_type: str
    control_id: str = ""
    notes: tuple[Note, ...] = ()

    def __repr__(self) -> str:
        return f"Payload({len(self.body)} bytes, {self.content_type})"
