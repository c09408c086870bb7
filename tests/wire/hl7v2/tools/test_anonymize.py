"""Nobody is left in an anonymized message, and everything else is."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.wire import mllp
from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.text import cut
from suture.wire.hl7v2.text.er7 import Message
from suture.wire.hl7v2.tools import identifying
from suture.wire.hl7v2.tools.anonymize import Anonymizer
from suture.wire.hl7v2.tools.pseudonym import FAMILY, GIVEN, Pseudonyms

KEY = b"a key for tests, of 32 bytes ..."
MARKER = "Qzxmarker7"
LEFT = {("XAD", 4), ("AD", 4), ("FN", 2), ("FN", 4)}
"""The state of an address and the particle of a surname stay."""


def anonymized(raw: bytes, **given: object) -> bytes:
    return Anonymizer(Pseudonyms(KEY), **given).unit(raw)  # type: ignore[arg-type]


def planted(version: str, datatype: str, depth: int = 0) -> str:
    """A value of the data type with a marker in every part that is no code, number, date or place."""
    known = dictionary.components(version, datatype)
    if datatype in identifying.CODED or datatype in identifying.DATES | identifying.NUMBERS:
        return ""
    if not known or depth == 2:
        return MARKER
    parts = [
        "" if (datatype, spec.number) in LEFT or (depth == 1 and len(dictionary.components(version, spec.datatype))) else spec.datatype
        for spec in known
    ]
    return "^&"[depth].join(planted(version, part, depth + 1) if part else "" for part in parts)


def fields_of(version: str, segment: str) -> list[int]:
    known = dictionary.fields(version, segment)
    if segment in identifying.PEOPLE:
        return [spec.number for spec in known if spec.datatype != "varies"]
    return [spec.number for spec in known if spec.number in identifying.FIELDS[segment] or spec.datatype in identifying.ALWAYS]


@pytest.mark.parametrize("version", dictionary.VERSIONS)
@pytest.mark.parametrize("segment", sorted((identifying.PEOPLE | identifying.FIELDS.keys()) - {"MSH"}))
def test_a_marker_planted_in_every_identifying_field_is_gone(version: str, segment: str) -> None:
    numbers = fields_of(version, segment)
    fields = [""] * (max(numbers, default=0) + 1)
    for number in numbers:
        spec = dictionary.field(version, segment, number)
        assert spec
        fields[number] = "~".join([planted(version, spec.datatype)] * 2)
    raw = f"MSH|^~\\&|A|B|C|D|20260304||ADT^A01|1|P|{version}\rPID|1||77\r{segment}{'|'.join(fields)}\r".encode()
    assert raw.count(MARKER.encode()) > 10 or segment != "PID"
    assert MARKER.encode() not in anonymized(raw)


@pytest.mark.parametrize("version", dictionary.VERSIONS)
@pytest.mark.parametrize("kind", ["ST", "TX", "FT", "", "ED", "RP", "XPN", "CX", "XTN", "ZZ"])
def test_a_marker_in_a_result_or_a_note_is_gone(version: str, kind: str) -> None:
    value = {"ED": f"^TEXT^PLAIN^A^{MARKER}", "XPN": f"{MARKER}^{MARKER}", "RP": f"http://{MARKER}^A"}.get(kind, MARKER)
    raw = f"MSH|^~\\&|A|||||||1|P|{version}\rOBX|1|{kind}|X^Y||{value}~{value}\rNTE|1||{MARKER}\\.br\\{MARKER}\r"
    raw += f"ZPI|{MARKER}^{MARKER}&{MARKER}\r"
    found = anonymized(raw.encode())
    assert MARKER.encode() not in found
    assert b"\\.br\\" in found and b"OBX|1|" + kind.encode() + b"|X^Y||" in found


def test_lines_that_are_no_segment_and_files_that_are_no_hl7_are_replaced() -> None:
    head = b"MSH|^~\\&|A|||||||1|P|2.5.1\rNTE|1||one\n"
    for bad in (f"{MARKER} of a broken note", f"pid|{MARKER}", f"PID {MARKER}", f"PRC {MARKER}", f"ZIT{MARKER}"):
        assert MARKER.encode() not in anonymized(head + bad.encode() + b"\r", keep=["ZIT"])
    assert MARKER.encode() not in anonymized(f"{MARKER} and so on\n\n{MARKER}".encode())
    assert anonymized(b"FHS|^~\\&|A|B||||||comment here\r") == b"FHS|^~\\&|A|B||||||text removed\r"
    for codec in ("utf-16-le", "utf-32-be"):
        wide, told = ("\ufeffBHS|^~\\&|A|B||||||" + end for end in ("comment here\r", "text removed\r"))
        assert anonymized(wide.encode(codec)) == told.encode(codec)
        message = "MSH|^~\\&|A|B|C|D|20260304||ADT^A01|1|P|2.5.1\rPID|1||||Ågren\r"
        framed = anonymized(b"\x0b" + message.encode(codec) + b"\x1c\r")
        assert framed == b"\x0b" + anonymized(message.encode(codec)) + b"\x1c\r"


DFT = (
    b"MSH|^~\\&|CAB|GENERAL|SUTURE|GENERAL|20260310081530||DFT^P03^DFT_P03|C1|P|2.5.1\r\n"
    b"PID|1||1204471^^^GENERAL^MR||WHITLOCK^Imani^^^DR||19620417|F|||12 Real St^^Realtown^TX^77001^USA||(555)123-4567\r\n"
    b"PV1|1|I|OR2^^^GENERAL||||4102^Real^Anna\r\n"
    b'FT1|1|||20260310081530||CG|IMP-4471^HIP STEM^L|||1|1250.00&USD||SURG|""||||||4102^Real^Anna\r\n'
    b"ZIT|LOT77|PRICE\r\n"
)


def test_codes_prices_items_separators_and_line_ends_stay() -> None:
    found = anonymized(DFT, keep=["ZIT"])
    assert found.count(b"\r\n") == 5 and found.endswith(b"ZIT|LOT77|PRICE\r\n")
    message = Message.parse(found)
    assert message.get("FT1-7") == "IMP-4471^HIP STEM^L" and message.get("FT1-11") == "1250.00&USD" and message.get("FT1-14") == '""'
    assert message.get("PV1-3") == "OR2^^^GENERAL" and message.get("PID-8") == "F" and len(message.get("MSH-10")) == 2
    assert message.get("PID-11.4") == "TX" and message.get("PID-11.6") == "USA" and message.get("PID-5.5") == "DR"
    assert message.get("PID-3.4") == "GENERAL"


def test_identifiers_are_replaced_where_they_do_not_belong_too() -> None:
    raw = b"MSH|^~\\&|A|||||||1204471-9|P|2.5.1\rPID|1||1204471||DOE^JANE\rNK1|1|X|1204471^DOE\rPV1|1|I|1204471\rFT1|1||||||ABC^1204471\r"
    found = anonymized(raw)
    assert b"1204471" not in found and b"DOE" not in found and b"ABC" in found
    message = Message.parse(found)
    assert message.get("PID-3.1") == message.get("PV1-3.1") == message.get("FT1-7.2") == message.get("NK1-3.1")


def test_reasons_keep_their_codes_and_lose_their_words() -> None:
    found = anonymized(b"MSH|^~\\&|A|||||||1|P|2.5.1\rPV2|||R10^pain says John^L\rOBR|1" + b"|" * 30 + b"fell at home~X1^fell\rORC|NW\r")
    assert b"PV2|||R10^text removed t^L\r" in found
    assert b"fell" not in found and b"John" not in found and b"~X1^text\r" in found


def test_what_is_replaced_keeps_its_format() -> None:
    message = Message.parse(anonymized(DFT))
    assert len(message.get("PID-3.1")) == 7 and message.get("PID-3.1").isdigit() and message.get("PID-3.1") != "1204471"
    assert message.get("PID-5.1").capitalize() in FAMILY and message.get("PID-5.1").isupper() and message.get("PID-5.2") in GIVEN
    assert message.get("PID-13.1")[0] == "(" and message.get("PID-13.1")[4] == ")" and message.get("PID-13.1")[8] == "-"
    assert len(message.get("PID-11.5")) == 5


def test_the_same_person_is_the_same_across_messages_fields_and_files_of_one_key() -> None:
    one, other = Message.parse(anonymized(DFT)), Message.parse(anonymized(DFT.replace(b"C1", b"C2").replace(b"OR2", b"OR3")))
    assert [one.get(p) for p in ("PID-3", "PID-5", "PID-7", "PID-13", "FT1-4")] == [
        other.get(p) for p in ("PID-3", "PID-5", "PID-7", "PID-13", "FT1-4")
    ]
    assert one.get("PV1-7") == one.get("FT1-20")
    merged = Message.parse(anonymized(b"MSH|^~\\&|A|||||||1|P|2.5.1\rPID|||99^^^G\rMRG|1204471^^^GENERAL^MR\r"))
    assert merged.get("MRG-1.1") == one.get("PID-3.1")
    assert Anonymizer(Pseudonyms(KEY + b"2")).unit(DFT) != anonymized(DFT)


def test_dates_of_a_person_move_together_by_whole_weeks_and_keep_their_precision() -> None:
    pseudonyms = Pseudonyms(KEY)
    days = -pseudonyms.days("77")
    assert days % 7 == 0 and 7 <= days <= 728
    for value, like in (("20260304", 8), ("202603041530", 12), ("20260304153000.1234-0600", 24), ("2026", 4), ("202603", 6)):
        assert len(pseudonyms.moved(value, "77")) == like
    assert pseudonyms.moved("20260304153012+0100", "77").endswith("153012+0100")
    assert pseudonyms.moved("00000000", "77") == "00000000" and pseudonyms.moved("0001", "77").isdigit()
    assert MARKER not in pseudonyms.moved(MARKER, "77")


@given(st.lists(st.text("0123456789ABCab-", min_size=1, max_size=12), unique=True, max_size=40))
def test_two_identifiers_never_become_one(values: list[str]) -> None:
    pseudonyms = Pseudonyms(KEY)
    found = [pseudonyms.identifier(value) for value in values]
    assert len(set(found)) == len(values)
    for value, other in zip(values, found, strict=True):
        assert [c.isdigit() for c in value] == [c.isdigit() for c in other] and [c.isupper() for c in value] == [c.isupper() for c in other]


def test_a_document_is_replaced_also_where_it_stands_wrongly() -> None:
    secret = base64.b64encode(MARKER.encode() * 30)
    for value in (b"^^^Base64^" + secret, secret, b"A^" + secret):
        assert secret not in anonymized(b"MSH|^~\\&|A|||||||1|P|2.5.1\rOBX|1|ED|X||" + value + b"\r")


@given(st.binary(max_size=80), st.sampled_from([b"", b"MSH|^~\\&|A\r", b"MSH|^~\\&|A\rPID|", b"\x0bMSH|^~\\&|A\rOBX|1|", b"BHS|^~\\&|"]))
def test_any_input_is_taken_and_what_is_only_separators_stays(tail: bytes, head: bytes) -> None:
    anonymized(head + tail)
    only = b"MSH|^~\\&|A|" + bytes(c for c in tail if c in b"|^~&\r\n") + b"\r"
    assert anonymized(only) == only


def test_a_frame_stays_and_other_character_sets_are_read() -> None:
    framed = mllp.frame(DFT)
    found = anonymized(framed)
    assert found[:1] == b"\x0b" and found.endswith(b"\r\n\x1c\r") and cut.message_of(found) == anonymized(DFT)
    text = "MSH|^~\\&|A|||||||1|P|2.5.1||||||GB 18030-2000\rPID|1||77||王^小明\rFT1|1||||||髓内钉\r"
    read = Message.parse(anonymized(text.encode("gb18030")))
    assert read.get("PID-5.1") in FAMILY and read.get("FT1-7") == "髓内钉"


@pytest.mark.parametrize("version", ["2.3", "2.5.1", "2.6", "2.7", "2.8.2"])
def test_the_type_of_an_identifier_is_kept_in_every_version(version):
    raw = f"MSH|^~\\&|A|B|C|D|||ADT^A01|M1|P|{version}\rPID|1||123456^^^GENERAL^MR~7788^^^GENERAL^PI||DOE^JANE^^^^^L\r".encode()
    done = Anonymizer(Pseudonyms(b"a key of sixteen.")).unit(raw)
    message = Message.parse(done)
    assert message.get("PID-3[MR].1") not in ("", "123456")
    assert message.get("PID-3[PI].1") not in ("", "7788")
    assert message.get("PID-3.4") == "GENERAL"
