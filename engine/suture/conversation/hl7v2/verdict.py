"""What a message came to, told to its sender: a fate and findings. Pure; nothing of the content goes into them.

This module is a suture.pipeline.waiting.Judge.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from suture.model import states
from suture.model.fault import Fault
from suture.model.finding import (
    APPLICATION_ERROR,
    CARDINALITY,
    DATA_TYPE,
    DUPLICATE_KEY,
    ERROR,
    OTHER,
    REQUIRED_FIELD_MISSING,
    SEGMENT_SEQUENCE,
    TABLE_VALUE,
    UNSUPPORTED_EVENT,
    WARNING,
    Finding,
    Location,
)
from suture.model.value import Value, changed
from suture.ports import Past, Settled
from suture.wire.hl7v2.exchange.due import Fate

_PLACE = re.compile(r"([A-Z][A-Z0-9]{2})(?:\((\d+)\))?(?:-(\d+)(?:\[([^\]]+)\])?(?:\.(\d+)(?:\.(\d+))?)?)?")
VALIDATION = "VALIDATION"
CONTINUATION = "CONTINUATION_"
"""Our codes of messages parked by validation and of broken fragments; their reasons hold no content, so a sender may read them."""
_CANNOT = "the message cannot be processed"
_SAYS = {
    "NOT_HL7": (SEGMENT_SEQUENCE, "the message is not HL7 v2"),
    "BAD_DELIMITER": (SEGMENT_SEQUENCE, "MSH-1 or MSH-2 cannot be separators"),
    "TOO_MANY_LINES": (SEGMENT_SEQUENCE, "more lines than one message can have here"),
    "BAD_SEGMENT": (SEGMENT_SEQUENCE, "a line that is no segment"),
    "AMBIGUOUS_CONTEXT": (SEGMENT_SEQUENCE, "more than one segment where one is meant"),
    "CHARSET": (DATA_TYPE, "bytes that are not of the character set"),
    "MALFORMED_VALUE": (DATA_TYPE, _CANNOT),
    "MISSING_VALUE": (REQUIRED_FIELD_MISSING, _CANNOT),
    "UNKNOWN_CODE": (TABLE_VALUE, "a code that is not known here"),
    "BAD_VALUE": (REQUIRED_FIELD_MISSING, "a required value is missing or malformed"),
    "AMBIGUOUS_VALUE": (CARDINALITY, "several values where one is meant"),
    "OUT_OF_BOUNDS": (OTHER, "a value that is too large, too small, too old or too far ahead"),
    "NO_LINES": (SEGMENT_SEQUENCE, "the message has no line that comes to anything here"),
    "NO_EVENT": (TABLE_VALUE, "a line that nothing here takes"),
    "KEY_CONFLICT": (DUPLICATE_KEY, "a number that stands for something else already"),
    "UNREADABLE_TYPE": (UNSUPPORTED_EVENT, "the trigger event cannot be read"),
}
"""Our codes (docs/errors.md) to those of HL7 table 0357 and what is said of them; any other is an application error."""
ONCE = ("MSH", "EVN", "PID", "PD1", "PV1", "PV2", "MFI")
"""Segments that stand once in a message (or whose first is meant): their places have no line."""


class Verdict(Value, frozen=True):
    """A fate, and what the answer says of it. findings: errors, or warnings beside a good fate."""

    fate: Fate
    findings: Sequence[Finding] = ()
    text: str = ""

    @property
    def accepted(self) -> bool:
        """Does it say yes?"""
        return self.fate == "accepted"

    @property
    def reason(self) -> str:
        """The text of MSA-3: the first error, or what was said."""
        if self.fate != "error" or not self.findings:
            return self.text
        return str(next((one for one in self.findings if one.severity == ERROR), self.findings[0]))


GOOD = Verdict("accepted")


def of_settled(settled: Settled) -> Verdict:
    """The verdict on a processed message.

    Parked: an error, with the place. Gaps beside lines that went through: accepted, with warnings, because what waits is
    kept and a repetition would change nothing. Errors that were only reported are warnings to the sender too, because an
    error says that the message did not succeed (HL7 table 0516).
    """
    gaps = [Fault(gap.code, "map", gap.path, gap.reason, gap.line) for gap in settled.gaps]
    return _told(settled.state, settled.findings or [_finding(fault) for fault in ([settled.fault] if settled.fault else gaps)])


def of_past(past: Past) -> Verdict:
    """The verdict on a message that was processed before, from what the store says of it."""
    return _told(past.state, [_finding(fault) for fault in past.faults])


def _told(state: str, findings: Sequence[Finding]) -> Verdict:
    if state == states.PARKED:
        return Verdict("error", findings)
    return Verdict("accepted", [changed(one, severity=WARNING) if one.severity == ERROR else one for one in findings])


def _finding(fault: Fault) -> Finding:
    code, text = _SAYS.get(fault.code, (APPLICATION_ERROR, _CANNOT))
    if fault.code == VALIDATION or fault.code.startswith(CONTINUATION):
        code = OTHER if fault.code == VALIDATION else SEGMENT_SEQUENCE
        text = fault.reason.removeprefix(f"{fault.place}: ").partition("; ")[0]
    return Finding(code, ERROR, location(fault.place, fault.line), text)


def location(path: str, line: int) -> Location | None:
    """The first place that a path names (FT1-34.1 or FT1-7.1), in that line."""
    match = _PLACE.search(path)
    if match is None:
        return None
    segment, sequence, field, repetition, component, sub = match.groups()
    at = int(sequence or 0) or (line if line and segment not in ONCE else 1)
    chosen = int(repetition) if repetition and repetition.isdigit() else 0
    return Location(segment, at, int(field or 0), chosen, int(component or 0), int(sub or 0))


def of_delivery(state: str, destination: str) -> Verdict | None:
    """What the end of one delivery says of its message; None while it says nothing bad."""
    if state in (states.DEAD, states.REFUSED):
        return Verdict("error", [Finding(APPLICATION_ERROR, ERROR, None, f"{destination} does not take it")])
    if state == states.HELD:
        return undelivered(f"kept, but its delivery to {destination} waits for a person")
    return None


def undelivered(text: str) -> Verdict:
    """Nothing is wrong with the message, and it is kept."""
    return Verdict("undelivered", text=text)
