"""What differs between two messages, and what does not count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.wire.hl7v2.text.er7 import Message
from suture.wire.hl7v2.tools.diff import PAIRS_MAX, Ignored, compare

HEAD = "MSH|^~\\&|A|B|C|D|20260304||DFT^P03|ID1|P|2.5.1\r"


def differences(a: str, b: str, *ignored: str) -> list[tuple[str, str | None, str | None]]:
    one, other = (Message.parse((HEAD + text).encode()) for text in (a, b))
    return [(each.place, each.a, each.b) for each in compare(one, other, [Ignored.read(text) for text in ignored])]


def test_the_same_is_the_same_also_with_other_times_ids_separators_and_ends() -> None:
    one = Message.parse((HEAD + "PID|1||77^^^G||DOE^JANE\r").encode())
    other = Message.parse(b"MSH|^~\\&|A|B|C|D|20990101||DFT^P03|ID99|P|2.5.1|||\r\nPID|1||77^^^G^^||DOE^JANE^||||\r\n")
    assert list(compare(one, other)) == []
    odd = Message.parse(b"MSH#*~\\&#A#B#C#D#1##DFT*P03#2#P#2.5.1\rPID#1##77***G##DOE*JANE\r")
    assert [each.place for each in compare(one, odd)] == ["MSH-1", "MSH-2"]


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ("PID|1||77", "PID|1||78", [("PID-3", "77", "78")]),
        ("PID|1||77^^^G", "PID|1||77^^^H", [("PID-3.4", "G", "H")]),
        ("PID|1||77", "PID|1||77^^^H", [("PID-3.4", None, "H")]),
        ("PID|1||a~b", "PID|1||a~c", [("PID-3[2]", "b", "c")]),
        ("PID|1||a&b", "PID|1||a&c", [("PID-3.1.2", "b", "c")]),
        ('PID|1|""', "PID|1|", [("PID-2", '""', None)]),
        ("NTE|1||a\\T\\b", "NTE|1||a\\X26\\b", []),
    ],
)
def test_a_difference_is_at_the_finest_place(a: str, b: str, found: list[object]) -> None:
    assert differences(a, b) == found


def test_an_inserted_segment_does_not_move_the_others() -> None:
    a = "FT1|1|||1||CG|AAA\rFT1|2|||1||CG|BBB\rFT1|3|||1||CG|CCC\r"
    b = "FT1|1|||1||CG|AAA\rFT1|2|||1||CG|NEW\rFT1|3|||1||CG|BBB\rFT1|4|||1||CG|CCC\r"
    assert differences(a, b, "FT1-1") == [("FT1(2)", None, "FT1|2|||1||CG|NEW")]


def test_segments_that_changed_are_found_by_what_they_are_about() -> None:
    a = "OBX|1|NM|GLU||5\rOBX|2|NM|HGB||7\rOBX|3|NM|NA||140\r"
    b = "OBX|1|NM|HGB||8\rOBX|2|NM|NA||141\r"
    assert differences(a, b, "OBX-1") == [
        ("OBX(1)", "OBX|1|NM|GLU||5", None),
        ("OBX(2)-5", "7", "8"),
        ("OBX(3)-5", "140", "141"),
    ]


def test_what_is_ignored_does_not_count() -> None:
    a, b = "EVN|P03\rPID|1||77||DOE^JANE\rFT1|1\rFT1|2\r", "PID|1||77||ROE^JANE^X\rFT1|1\rFT1|9\r"
    assert len(differences(a, b)) == 4
    assert [place for place, _, _ in differences(a, b, "EVN", "PID-5.1", "FT1(2)-1")] == ["PID-5.3"]
    assert differences(a, b, "EVN", "PID-5", "FT1") == []


@pytest.mark.parametrize("text", ["", "pid-3", "PID-", "PID-3.", "PID-0", "PID-3[1]", "PIDX"])
def test_what_is_no_place_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"PID-5\.2"):
        Ignored.read(text)


def test_many_segments_are_compared_in_order() -> None:
    count = int(PAIRS_MAX**0.5) + 1
    a = "".join(f"NTE|{i}||same {i % 3}\r" for i in range(count))
    b = a.replace("NTE|7||same 1", "NTE|7||other")
    assert differences(a, b) == [("NTE(8)-3", "same 1", "other")]


segments = st.lists(st.builds("{}|{}|{}^{}".format, st.sampled_from(["PID", "OBX", "FT1"]), *[st.sampled_from("ab")] * 3), max_size=8)


@given(segments, segments)
def test_nothing_differs_from_itself_and_both_ways_differ_alike(a: list[str], b: list[str]) -> None:
    one, other = "\r".join(a), "\r".join(b)
    assert differences(one, one) == []
    assert bool(differences(one, other)) == bool(differences(other, one)) == (a != b)
