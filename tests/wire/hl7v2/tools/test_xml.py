"""HL7's XML encoding: named by structure, group and data type, and well-formed whatever comes."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.model.errors import MessageError
from suture.wire.hl7v2.text.er7 import Delimiters, Message
from suture.wire.hl7v2.tools import xml

NS = {"h": xml.NAMESPACE}


def element(raw: bytes, version: str = "") -> ElementTree.Element:
    return ElementTree.fromstring("\n".join(xml.lines(Message.parse(raw), version)))


def outline(node: ElementTree.Element) -> object:
    """Groups and segments: a segment's name, or a group's with what is in it."""
    name = node.tag.partition("}")[2]
    return (name.partition(".")[2], [outline(child) for child in node]) if "." in name else name


ORU = (
    b"MSH|^~\\&|A|B|||20260304||ORU^R01^ORU_R01|1|P|2.5.1\rPID|1||77^^^G&1.2&ISO^MR~88||DOE^JANE\rNTE|1||n\rPV1|1|I\r"
    b"ORC|RE\rOBR|1|||X\rNTE|1||o\rOBX|1|NM|A||1\rNTE|1||p\rOBX|2|NM|B||2\rZZZ|z\rOBR|2|||Y\rOBX|1|CE|C||a^b\r"
)


def test_segments_stand_in_the_groups_of_the_structure() -> None:
    root = element(ORU)
    assert root.tag == f"{{{xml.NAMESPACE}}}ORU_R01"
    header, result = root
    assert outline(header) == "MSH"
    assert outline(result) == (
        "PATIENT_RESULT",
        [
            ("PATIENT", ["PID", "NTE", ("VISIT", ["PV1"])]),
            ("ORDER_OBSERVATION", ["ORC", "OBR", "NTE", ("OBSERVATION", ["OBX", "NTE"]), ("OBSERVATION", ["OBX", "ZZZ"])]),
            ("ORDER_OBSERVATION", ["OBR", ("OBSERVATION", ["OBX"])]),
        ],
    )


def test_fields_and_components_are_named_by_their_data_types() -> None:
    root = element(ORU)
    ids = root.findall(".//h:PID.3", NS)
    assert [each.findtext("h:CX.1", None, NS) for each in ids] == ["77", "88"]
    assert ids[0].findtext("h:CX.4/h:HD.2", None, NS) == "1.2"
    assert root.findtext(".//h:PID.5/h:XPN.1/h:FN.1", None, NS) == "DOE"
    assert root.findtext("h:MSH/h:MSH.2", None, NS) == "^~\\&" and root.findtext("h:MSH/h:MSH.1", None, NS) == "|"
    assert root.findtext(".//h:OBX.5/h:CE.2", None, NS) == "b"
    assert root.findtext(".//h:ZZZ.1", None, NS) == "z"


def test_no_segment_is_lost_or_moved() -> None:
    raw = ORU + b"PID|2\rEVN|x\r123|bad\rOBX|9\r"
    found = [node.tag.partition("}")[2] for node in element(raw).iter() if "." not in node.tag.partition("}")[2]][1:]
    expected = [line[:3].decode() for line in raw.split(b"\r") if line]
    assert [name for name in found if name != "escape"] == [xml.UNKNOWN if name == "123" else name for name in expected]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("a\\F\\b\\S\\c\\E\\d", "a|b^c\\d"),
        ("a<b>&", "a&lt;b&gt;&amp;"),
        ("\\H\\x\\N\\", '<escape V="H"/>x<escape V="N"/>'),
        ("\\.br\\\\X0D\\", '<escape V=".br"/><escape V="X0D"/>'),
        ("a\x0cb", 'a<escape V="X0C"/>b'),
        ("a\udce9", 'a<escape V="XE9"/>'),
        ("lone \\ one", "lone \\ one"),
        ("\\not an\x01 escape\\", '\\not an<escape V="X01"/> escape\\'),
        ("\ufffe", "\ufffd"),
    ],
)
def test_escape_sequences_and_what_xml_cannot_hold_are_escape_elements(raw: str, text: str) -> None:
    assert xml.text_of(raw, Delimiters()) == text


@pytest.mark.parametrize(
    ("head", "root"),
    [
        ("ADT^A04", "ADT_A01"),
        ("ADT^A04^ADT_A01", "ADT_A01"),
        ("ZZZ^Z01", "ZZZ_Z01"),
        ("ACK", "ACK"),
        ("", "UNKNOWN"),
        ("<x>^1", "UNKNOWN"),
        ("1^2", "UNKNOWN"),
    ],
)
def test_the_root_is_the_structure(head: str, root: str) -> None:
    assert element(f"MSH|^~\\&|A||||||{head}|1|P|2.5.1\rPID|1\r".encode()).tag == f"{{{xml.NAMESPACE}}}{root}"


@given(st.binary(max_size=120), st.sampled_from([b"ADT^A01", b"ORU^R01", b"ZZZ", b"DFT^P03"]))
def test_any_message_is_well_formed(tail: bytes, kind: bytes) -> None:
    try:
        element(b"MSH|^~\\&|A|||||" + b"|" + kind + b"|1|P|2.5.1\rPID|1\rOBX|1|XPN|" + tail)
    except MessageError:
        pass


@given(st.lists(st.sampled_from(["MSH", "PID", "PV1", "OBX", "NTE", "OBR", "ORC", "FT1", "ZZZ", "DG1", "IN1"]), max_size=30))
def test_any_order_of_segments_keeps_all_of_them_in_it(names: list[str]) -> None:
    for kind in ("ORU^R01", "DFT^P03", "ADT^A01"):
        raw = f"MSH|^~\\&|A||||||{kind}|1|P|2.5.1\r" + "".join(f"{name}|x\r" for name in names)
        found = [node.tag.partition("}")[2] for node in element(raw.encode()).iter()]
        assert [name for name in found if len(name) == 3] == ["MSH", *names]
