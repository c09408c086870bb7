"""Acknowledgements that arrive as messages: what is one, and what may be answered to it.

An acknowledgement is never acknowledged by another one (HL7 2.9.1 sections 2.9.2 and 2.9.3): two systems that do would not
stop. Only its acceptance may be told, where its own MSH-15 asks for that. Pure; cheap enough for every message.
"""

from __future__ import annotations

import re
from functools import lru_cache

from suture.wire.hl7v2.exchange import ack
from suture.wire.hl7v2.exchange.due import asking
from suture.wire.hl7v2.text import widths
from suture.wire.hl7v2.text.header import Header

CODES = frozenset({"ACK", "MCF", "MFK"})
"""Message codes of general, delayed and master file acknowledgements (HL7 table 0076)."""
_RESPONSES = (
    "ADR ARD BRP BRT CCI CQU DOC DSR EDR EHC ERP MFR NMR OPR ORA ORB ORD ORF ORG ORI ORL ORN ORP ORR "
    "ORS ORX OSR OSU PPT PPV PRR PTR QBP QCK RAR RCI RCL RDR RDY RER RGR ROR RPA RPI RPL RPR RRA RRD "
    "RRE RRG RRI RRO RSP RTB SQR SRR TBR VXR VXX"
)
RESPONSES = frozenset(_RESPONSES.split(" "))
"""Message codes of which a structure of some version has an MSA among the data that it answers with: messages like any other."""
_SHAPE = frozenset({b"MSH", b"SFT", b"UAC", b"MSA", b"ERR"})
"""The segments of the structure ACK."""
_OPENING = frozenset({b"MSA", b"SFT", b"UAC", b"ERR", b"\nMS", b"\nSF", b"\nUA", b"\nER"})
"""How the second of them may begin, behind a CR."""
_LARGEST_BYTES = 65_536
"""What is larger is not looked through for a shape: nothing acknowledges so much."""
_CODE = re.compile(r"\s*([A-Za-z][A-Za-z0-9]{2})(?![A-Za-z0-9])")
_LINE = re.compile(rb"[\r\n]+")
_COMMITS = ("CA", "CE", "CR")
_OWN = re.compile(r"SUT[A-Z]?\d+(?:\.\d+)?A?")
"""MSH-10 of our own answers, which nobody was asked to acknowledge."""


def is_one(kind: str, raw: bytes) -> bool:
    """Whether a message acknowledges another one. kind: its MSH-9, as ACK^P03, as it is written.

    It does when its message code is one of CODES, in any case and between blanks; or when it has an MSA and no segment that
    the structure ACK has not, under a code whose messages have no MSA: some senders answer under the type of what they answer.
    """
    if _code(kind) in CODES:
        return True
    if raw[:3] != b"MSH":
        raw = _plain(raw)
    end = raw.find(b"\r")
    if end < 0:
        end = raw.find(b"\n")
    return raw[end + 1 : end + 4] in _OPENING and _shaped(kind, raw)


def quiet(header: Header, raw: bytes) -> Header:
    """The header of an acknowledgement as far as anything may be answered to it: MSH-16 says NE, and MSH-15 too unless it asks.

    What accepts or refuses (CA, CE, CR), and what answers an answer of ours, is not answered whatever its MSH-15 says.
    """
    fields = [*header.fields[:16], *[b""] * (16 - len(header.fields)), *header.fields[16:]]
    fields[14], fields[15] = asking(fields[14]) or b"NE", b"NE"
    said = ack.read(raw)
    if said.code in _COMMITS or _OWN.fullmatch(said.control_id.strip()):
        fields[14] = b"NE"
    return Header(header.separator, fields, header.width)


@lru_cache(maxsize=256)
def _code(kind: str) -> str:
    found = _CODE.match(kind)
    return found[1].upper() if found else ""


def _plain(raw: bytes) -> bytes:
    """The message in single bytes, from its MSH on."""
    raw = widths.width_of(raw).narrow(raw[: 4 * _LARGEST_BYTES])
    at = raw.find(b"MSH")
    return raw[at:] if at > 0 else raw


def _shaped(kind: str, raw: bytes) -> bool:
    if _code(kind) in RESPONSES or len(raw) > _LARGEST_BYTES:
        return False
    names = {line[:3] for line in _LINE.split(raw) if line.strip()}
    return b"MSA" in names and names <= _SHAPE
