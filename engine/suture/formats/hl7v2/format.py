"""HL7 v2 as one channel reads and writes it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from suture.formats.hl7v2 import accepting, characters, passing
from suture.model.fault import Fault
from suture.model.finding import Finding
from suture.model.message import Message, Note
from suture.model.value import Value
from suture.ports.format import Envelope, Look, Passing
from suture.wire.hl7v2.exchange import acknowledgement
from suture.wire.hl7v2.standard.context import CONTEXT, require_one, require_own_header
from suture.wire.hl7v2.standard.validate import Rules, validate
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.header import Header
from suture.wire.hl7v2.text.lines import NOTHING
from suture.wire.hl7v2.text.recode import Target

NOT_HL7 = Fault("NOT_HL7", "parse", "MSH", "not an HL7 v2 message: it does not begin with MSH and a separator")


class HL7v2(Value, frozen=True):
    """A suture.ports.format.Format. encoding: of messages that declare none; override: of all, whatever they declare.

    join_lines: lines that are no segments are joined to the fields before them.
    """

    encoding: str = "utf-8"
    override: str = ""
    join_lines: bool = False

    def envelope(self, raw: bytes) -> Envelope | Fault:
        """What its MSH says."""
        header = Header.read(raw)
        if header is None:
            return NOT_HL7
        return Envelope(header.text(10), header.type, f"{header.text(3)}|{header.text(4)}", header.text(7))

    def unprocessed(self, message: Message) -> str:
        """Why an acknowledgement is never processed."""
        if message.fault or not acknowledgement.is_one(message.type, message.raw):
            return ""
        return f"an acknowledgement ({message.type or 'without a type'}) that came as a message: it is kept, and never processed"

    def look(self, accept: Collection[str], message: Message) -> Look:
        """As `accepting.look`."""
        return accepting.look(accept, message)

    def parse(self, raw: bytes) -> er7.Message:
        """Read a message, lazily. Raises MessageError."""
        return er7.Message.parse(raw, self.encoding, self.override, self.join_lines)

    def remarks(self, record: er7.Message, reporting: bool) -> Sequence[Note]:
        """What is odd about its lines, then its characters and separators. Raises MessageError (BAD_SEGMENT)."""
        notes = characters.notes_of(record)
        return notes if record.odd is NOTHING else [*characters.line_notes(record, reporting), *notes]

    def check(self, record: er7.Message, reporting: bool) -> None:
        """Raise MessageError for bytes of no character, separators that cannot be told apart, and NUL."""
        characters.check_values(record, reporting)

    def whole(self, order_by: str) -> Callable[[er7.Message], None]:
        """What raises MessageError for a second MSH, and for a second segment of the context that the order is taken from."""
        place = er7.path(order_by) if order_by else None
        return partial(_require_whole, place.segment if place is not None and place.own and place.segment in CONTEXT else "")

    def judge(self, raw: bytes, standard: Rules) -> Sequence[Finding]:
        """What breaks the HL7 standard."""
        return validate(raw, standard, self.encoding, self.override)

    def getter(self, place: str) -> Callable[[er7.Message, None], str]:
        """What gives the value at a path."""
        return er7.getter(er7.path(place))

    def passing(self, changes: Mapping[str, str], answered: bool, to: Target | None) -> Passing:
        """How a destination gets the received message."""
        return partial(passing.passed, {er7.path(place): text for place, text in changes.items()}, answered, to)


def _require_whole(context: str, record: er7.Message) -> None:
    require_own_header(record)
    if context and len(record.named(context)) > 1:
        require_one(record, (context,))
