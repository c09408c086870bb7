"""Segments as the groups of a message structure; none is dropped or moved."""

from hypothesis import given
from hypothesis import strategies as st

from suture.wire.er7 import Message
from suture.wire.groups import Found, Group, Leaf, group

OBSERVATION = Group("OBSERVATION", ("OBX", Leaf("NTE", 0, None)), 0, None)
ORDER = Group("ORDER", ("ORC", "OBR", Leaf("NTE", 0, None), OBSERVATION, Leaf("FT1", 0, None)), 1, None)
PATIENT = Group("PATIENT", ("PID", Leaf("NTE", 0, None), Group("VISIT", ("PV1", "PV2"), 0, 1)), 0, 1)
ORU = Group("ORU_R01", (Leaf("MSH", 1, 1), Leaf("SFT", 0, None), Group("RESULT", (PATIENT, ORDER), 1, None), "DSC"))


def read(names: str) -> Found:
    return group(Message.parse(("MSH|^~\\&|A\r" + "".join(f"{name}|x\r" for name in names.split())).encode()), ORU)


def shape(found: Found) -> str:
    return f"{found.name}({' '.join(shape(i) if isinstance(i, Found) else i.name for i in found.items)})"


def test_segments_stand_in_their_groups():
    assert shape(read("PID PV1 ORC OBR NTE OBX NTE OBX DSC")) == (
        "ORU_R01(MSH RESULT(PATIENT(PID VISIT(PV1)) ORDER(ORC OBR NTE OBSERVATION(OBX NTE) OBSERVATION(OBX))) DSC)"
    )


def test_a_group_begins_again():
    assert shape(read("PID ORC OBR OBX ORC OBR FT1 FT1 PID OBR OBX")) == (
        "ORU_R01(MSH RESULT(PATIENT(PID) ORDER(ORC OBR OBSERVATION(OBX)) ORDER(ORC OBR FT1 FT1))"
        " RESULT(PATIENT(PID) ORDER(OBR OBSERVATION(OBX))))"
    )


def test_what_is_not_expected_stays_where_it_stands():
    found = read("PID ZPI OBR OBX ZOB NTE QQQ SFT")
    assert shape(found) == "ORU_R01(MSH RESULT(PATIENT(PID ZPI) ORDER(OBR OBSERVATION(OBX ZOB NTE QQQ SFT))))"
    observation = found.groups("RESULT")[0].groups("ORDER")[0].groups("OBSERVATION")[0]
    assert [segment.name for segment in observation.unexpected] == ["ZOB", "QQQ", "SFT"]


def test_a_required_segment_that_is_missing_does_no_harm():
    assert shape(read("OBX OBX")) == "ORU_R01(MSH RESULT(ORDER(OBSERVATION(OBX) OBSERVATION(OBX))))"


@given(st.lists(st.sampled_from(["PID", "PV1", "NTE", "ORC", "OBR", "OBX", "FT1", "DSC", "ZZZ", "MSH", "SFT"]), max_size=30))
def test_no_segment_is_dropped_or_moved(names):
    message = Message.parse(("MSH|^~\\&|A\r" + "".join(f"{name}|^~\\&|x\r" for name in names)).encode())
    assert group(message, ORU).segments() == message.segments
