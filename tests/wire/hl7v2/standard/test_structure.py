"""The order of segments against a message structure: one mistake, one finding, at its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.standard.dictionary import Group, SegmentRef
from suture.wire.hl7v2.standard.structure import misplaced


def structure(name: str = "DFT_P03", version: str = "2.5.1") -> Group:
    found = dictionary.structure(version, name)
    assert found is not None
    return found


def judge(segments: str, name: str = "DFT_P03") -> list[str]:
    return [f"{one.kind} {one.name} {one.index}" for one in misplaced(structure(name), segments.split())]


@pytest.mark.parametrize(
    ("name", "segments"),
    [
        ("DFT_P03", "MSH EVN PID FT1"),
        ("DFT_P03", "MSH SFT SFT EVN PID PD1 ROL PV1 PV2 ROL FT1 NTE PR1 ROL PR1 FT1 FT1 DG1 DG1 GT1 IN1 IN2 IN1 ACC"),
        ("DFT_P03", "MSH EVN PID ORC OBR NTE OBX NTE OBX FT1 ORC TQ1 OBR OBX FT1"),
        ("DFT_P03", "MSH ZBX EVN PID ZPD FT1 ZFT FT1 ZFT"),
        ("DFT_P03", "MSH EVN PID FT1 DSC"),
        ("ORM_O01", "MSH PID PV1 ORC RQD NTE ORC RQ1"),
        ("ADT_A01", "MSH EVN PID PV1 AL1 DG1 PR1 ROL IN1 IN2 ACC"),
        ("ORU_R01", "MSH PID PV1 ORC OBR OBX NTE OBX OBR OBX SPM"),
        ("MFN_M01", "MSH MFI MFE LOC MFE LOC"),
        ("OML_O21", "MSH PID ORC OBR DG1 OBX SPM SPM ORC OBR DG1 OBX SPM"),
        ("OML_O21", "MSH PID ORC OBR PID PV1 ORC OBR OBX ORC OBR OBX"),
        ("RAS_O17", "MSH PID ORC RXA RXR OBX ORC RXA RXA RXR"),
        ("CSU_C09", "MSH PID CSR OBR OBX ORC OBR OBX OBX ORC RXA RXR ORC RXA RXR CSS ORC OBR OBX RXA RXR"),
        ("CSU_C09", "MSH PID CSR OBR OBX ORC ZRX RXA RXR"),
        ("SUR_P09", "MSH FAC PSH PDC PSH PDC PSH FAC PDC NTE FAC PDC NTE FAC PSH PDC PSH FAC PDC NTE"),
        ("RSP_Z88", "MSH MSA QAK QPD RCP PID ORC RXD RXR OBX DSC"),
    ],
)
def test_a_message_in_order_has_no_finding(name: str, segments: str):
    assert judge(segments, name) == []


@pytest.mark.parametrize(
    ("name", "segments", "found"),
    [
        ("CSU_C09", "MSH PID CSR OBR OBX ORC", ["segment_missing OBR 6", "segment_missing OBX 6", "segment_missing RXA 6"]),
        ("CSU_C09", "MSH PID CSR OBR OBX ORC AL1 RXA RXR", ["segment_unexpected AL1 6"]),
        ("SUR_P09", "MSH FAC PSH PDC PSH FAC PDC", ["segment_missing NTE 7"]),
        ("RSP_Z88", "MSH MSA QAK QPD RCP PID ORC RXD RXR OBX", ["segment_missing DSC 10"]),
        ("RSP_Z88", "MSH MSA QAK QPD RCP PID ORC DSC", ["segment_missing RXD 8", "segment_missing RXR 8"]),
    ],
)
def test_two_groups_that_begin_alike_are_told_apart_by_the_next_segment(name: str, segments: str, found: list[str]):
    assert sorted(judge(segments, name)) == sorted(found)


@pytest.mark.parametrize(
    ("segments", "found"),
    [
        ("MSH PID FT1", ["segment_missing EVN 1"]),
        ("MSH EVN FT1", ["segment_missing PID 2"]),
        ("MSH EVN PID", ["segment_missing FT1 3"]),
        ("MSH", ["segment_missing EVN 1", "segment_missing PID 1", "segment_missing FT1 1"]),
        ("MSH EVN PV1 PID FT1", ["segment_unexpected PID 3"]),
        ("MSH EVN PID FT1 PV1", ["segment_unexpected PV1 4"]),
        ("MSH EVN PID PID FT1", ["segment_repeats PID 3"]),
        ("MSH EVN PID OBR FT1", []),
        ("MSH EVN PID RXA FT1 RXA", ["segment_unexpected RXA 3", "segment_unexpected RXA 5"]),
        ("MSH EVN PID FT1 ACC ACC", ["segment_repeats ACC 5"]),
        ("MSH EVN PID IN2 FT1", ["segment_unexpected FT1 4", "segment_missing IN1 3"]),
    ],
)
def test_one_mistake_is_one_finding_at_its_place(segments: str, found: list[str]):
    assert sorted(judge(segments)) == sorted(found)


names = st.lists(
    st.sampled_from(["MSH", "EVN", "PID", "PV1", "ROL", "FT1", "NTE", "PR1", "ORC", "OBR", "OBX", "DG1", "IN1", "ZZZ", "X"]), max_size=40
)


@given(names, st.sampled_from(["2.2", "2.3", "2.5.1", "2.8.2"]), st.data())
def test_no_order_of_segments_makes_it_raise(segments: list[str], version: str, data: st.DataObject):
    name = data.draw(st.sampled_from(dictionary.structures(version)))
    found = misplaced(structure(name, version), segments)
    assert all(0 <= one.index <= len(segments) for one in found)
    assert len(found) <= len(segments) + len(structure(name, version).names)


def sample(node: Group | SegmentRef, data: st.DataObject) -> list[str]:
    """Segments in an order that the structure allows."""
    if not node.children:
        return [node.name]
    children = [data.draw(st.sampled_from(node.children))] if node.choice else node.children
    found: list[str] = []
    for child in children:
        least = 0 if child.optional else 1
        for _ in range(data.draw(st.integers(least, max(least, min(child.max or 2, 2))))):
            found += sample(child, data)
    return found


@pytest.mark.parametrize("name", ["DFT_P03", "BAR_P01", "ADT_A01", "ORU_R01", "MFN_M15", "RDS_O13"])
@given(data=st.data())
def test_what_the_structure_allows_has_no_missing_segment(name: str, data: st.DataObject):
    segments = sample(structure(name), data)
    assert [one for one in misplaced(structure(name), segments) if one.kind == "segment_missing"] == []
