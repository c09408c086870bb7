"""Acknowledgements that arrive as messages: which messages are some, and what may be answered to one."""

from __future__ import annotations

import pytest

from suture.wire.hl7v2.exchange import acknowledgement, due
from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.standard.dictionary import Group, SegmentRef
from suture.wire.hl7v2.text.header import Header


def message(kind: str, *lines: str, modes: str = "|", end: str = "\r") -> bytes:
    head = rf"MSH|^~\&|LAB|WEST|SUTURE|GENERAL|20260401101530||{kind}|R77|P|2.5.1|||{modes}"
    return (end.join([head, *lines]) + end).encode()


def is_one(raw: bytes) -> bool:
    header = Header.read(raw)
    assert header is not None
    return acknowledgement.is_one(header.type, raw)


ANSWER = "MSA|AA|Q1"
ONES = [
    message("ACK", ANSWER),
    message("ACK^P03^ACK", ANSWER),
    message("ACK^P03^ACK"),  # with nothing in it, it still is none that wants an answer
    message("ack^P03", ANSWER),
    message(" ACK ", ANSWER),
    message(" Ack ^P03", ANSWER),
    message("ACK_P03", ANSWER),
    message("ACK^P03", ANSWER, "PID|1||700^^^WEST^MR"),
    message("MCF", ANSWER),
    message("MCF^Q02", ANSWER),
    message("MFK^M01^MFK_M01", ANSWER, "MFI|CDM||UPD", "MFA|MAD|1||S"),
    message("DFT^P03", ANSWER),  # answered under the type of what it answers
    message("DFT^P03^DFT_P03", "SFT|WEST|1", ANSWER, "ERR||PID^1^3|101^Required field missing^HL70357|E"),
    message("", ANSWER),
    message("ADT^A01", ANSWER, end="\n"),
    message("ADT^A01", ANSWER, end="\r\n"),
    b"\xef\xbb\xbf" + message("ADT^A01", ANSWER),
    message("ADT^A01", ANSWER).decode().encode("utf-16"),
    message("ACK", ANSWER).decode().encode("utf-16-be"),
]
OTHERS = [
    message("DFT^P03", "EVN|P03", "PID|1||700^^^WEST^MR", "FT1|1"),
    message("DFT^P03", "SFT|WEST|1", "EVN|P03", "FT1|1"),
    message("DFT^P03", ANSWER, "PID|1||700^^^WEST^MR", "FT1|1"),  # it has something to say
    message("ORR^O02", ANSWER),
    message("ORR^O02", ANSWER, "PID|1||700^^^WEST^MR", "ORC|OK|1"),
    message("RSP^K11^RSP_K11", ANSWER, "QAK|1|OK"),
    message("ORG^O20^ORG_O20", ANSWER),
    message("RRD^O14", ANSWER),
    message("ACKX^P03", "PID|1"),
    message("ZCK^P03", "PID|1"),
    message("DFT^ACK", "FT1|1"),
    message("DFT^P03"),
]


@pytest.mark.parametrize("raw", ONES, ids=range(len(ONES)))
def test_what_acknowledges_another_message_is_known(raw: bytes) -> None:
    assert is_one(raw)


@pytest.mark.parametrize("raw", OTHERS, ids=range(len(OTHERS)))
def test_what_has_something_of_its_own_to_say_is_a_message(raw: bytes) -> None:
    assert not is_one(raw)


def test_what_is_large_is_not_looked_through() -> None:
    assert not is_one(message("DFT^P03", ANSWER, *["ERR|" + "x" * 200] * 400))


def test_the_responses_are_those_of_the_dictionary() -> None:
    found = set()
    for version in dictionary.VERSIONS:
        for name in dictionary.structures(version):
            structure = dictionary.structure(version, name)
            if structure is not None and "MSA" in set(segments(structure)):
                found.add(name.split("_")[0])
    assert found - acknowledgement.CODES == acknowledgement.RESPONSES
    assert found >= acknowledgement.CODES


def segments(group: Group) -> list[str]:
    return [name for child in group.children for name in ([child.name] if isinstance(child, SegmentRef) else segments(child))]


@pytest.mark.parametrize(
    ("modes", "answer", "expected"),
    [
        # MSH-15|MSH-16, MSA, what is answered when it is kept
        ("|", "MSA|AA|Q1", None),
        ("AL|", "MSA|AA|Q1", "CA"),
        ("al|NE", "MSA|AE|Q1", "CA"),
        ("SU|NE", "MSA|AR|Q1", "CA"),
        ("ER|NE", "MSA|AA|Q1", None),
        ("NE|NE", "MSA|AA|Q1", None),
        ("|AL", "MSA|AA|Q1", None),
        ("NE|AL", "MSA|AA|Q1", None),
        ("|NE", "MSA|AA|Q1", None),
        ("AL|AL", "MSA|AA|Q1", "CA"),
        ('""|AL', "MSA|AA|Q1", None),
        ("AL|NE", "MSA|CA|Q1", None),
        ("AL|NE", "MSA| ca |Q1", None),
        ("AL|NE", "MSA|CE|Q1", None),
        ("AL|NE", "MSA|CR|Q1", None),
        ("AL|NE", "MSA|AA|SUT4711", None),  # of an answer of ours, to which no answer is due
        ("AL|NE", "MSA|AA|SUT4711A", None),
        ("AL|NE", "MSA|AA|SUTB1772640000.3", None),
        ("AL|NE", "MSA|AA|SUTURE1", "CA"),
        ("AL|NE", "NTE|1", "CA"),
    ],
)
def test_no_more_than_its_acceptance_is_told_and_only_where_it_asks(modes: str, answer: str, expected: str | None) -> None:
    raw = message("ACK^P03^ACK", answer, modes=modes)
    header = Header.read(raw)
    assert header is not None
    quiet = acknowledgement.quiet(header, raw)
    assert due.replies(quiet, "accepted") == (expected, None)
    assert all(due.replies(quiet, fate).application is None for fate in ("error", "rejected", "unstorable", "undelivered"))
    assert quiet.get(10) == b"R77" and quiet.separator == header.separator


def test_a_short_header_is_quiet_too() -> None:
    raw = b"MSH|^~\\&|LAB|WEST|||||ACK\rMSA|AA|1\r"
    header = Header.read(raw)
    assert header is not None
    assert due.replies(acknowledgement.quiet(header, raw), "accepted") == (None, None)
