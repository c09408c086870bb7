"""Segments as the groups of a message structure; none is dropped or moved."""

from hypothesis import given
from hypothesis import strategies as st

from suture.wire.hl7v2.standard.dictionary import Group, SegmentRef
from suture.wire.hl7v2.text.er7 import Message, Segment
from suture.wire.hl7v2.tools.xml import Node, grouped


def one(name: str) -> SegmentRef:
    return SegmentRef(name, 0, 1)


def many(name: str) -> SegmentRef:
    return SegmentRef(name, 0, 0)


OBSERVATION = Group("OBSERVATION", (one("OBX"), many("NTE")), 0, 0)
ORDER = Group("ORDER", (one("ORC"), one("OBR"), many("NTE"), OBSERVATION, many("FT1")), 1, 0)
VISIT = Group("VISIT", (one("PV1"), one("PV2")), 0, 1)
PATIENT = Group("PATIENT", (one("PID"), many("NTE"), VISIT), 0, 1)
ORU = Group("ORU_R01", (one("MSH"), many("SFT"), Group("RESULT", (PATIENT, ORDER), 1, 0), one("DSC")), 1, 1)


def message(names: list[str]) -> Message:
    return Message.parse(("MSH|^~\\&|A\r" + "".join(f"{name}|^~\\&|x\r" for name in names)).encode())


def shape(names: str) -> str:
    return shape_of(grouped(ORU, list(message(names.split()).segments)))


def shape_of(item: Node | Segment) -> str:
    return f"{item.group.name}({' '.join(map(shape_of, item.children))})" if isinstance(item, Node) else item.name


def segments_of(item: Node | Segment) -> list[Segment]:
    return [segment for child in item.children for segment in segments_of(child)] if isinstance(item, Node) else [item]


def test_segments_stand_in_their_groups():
    assert shape("PID PV1 ORC OBR NTE OBX NTE OBX DSC") == (
        "ORU_R01(MSH RESULT(PATIENT(PID VISIT(PV1)) ORDER(ORC OBR NTE OBSERVATION(OBX NTE) OBSERVATION(OBX))) DSC)"
    )


def test_a_group_begins_again():
    assert shape("PID ORC OBR OBX ORC OBR FT1 FT1 PID OBR OBX") == (
        "ORU_R01(MSH RESULT(PATIENT(PID) ORDER(ORC OBR OBSERVATION(OBX)) ORDER(ORC OBR FT1 FT1))"
        " RESULT(PATIENT(PID) ORDER(OBR OBSERVATION(OBX))))"
    )


def test_what_is_not_expected_stays_where_it_stands():
    assert shape("PID ZPI OBR OBX ZOB NTE QQQ SFT") == "ORU_R01(MSH RESULT(PATIENT(PID ZPI) ORDER(OBR OBSERVATION(OBX ZOB NTE QQQ SFT))))"


def test_a_required_segment_that_is_missing_does_no_harm():
    assert shape("OBX OBX") == "ORU_R01(MSH RESULT(ORDER(OBSERVATION(OBX) OBSERVATION(OBX))))"


@given(st.lists(st.sampled_from(["PID", "PV1", "NTE", "ORC", "OBR", "OBX", "FT1", "DSC", "ZZZ", "MSH", "SFT"]), max_size=30))
def test_no_segment_is_dropped_or_moved(names):
    segments = list(message(names).segments)
    assert segments_of(grouped(ORU, segments)) == segments
