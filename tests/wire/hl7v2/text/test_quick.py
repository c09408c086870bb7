"""The quick way to a few values gives what the message gives, whatever the message is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from suture.model.errors import MessageError
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.quick import reader
from tests.fuzz.mutation import SEEDS, TOKENS

PLACES = ["MSH-10", "PID-3.1", "PID-3", "PID-18.1", "FT1-2", "FT1-7.1", "FT1(2)-7.1", "MSH-1", "PID-3[MR].1", "ZZZ-1"]
SIMPLE = ["MSH-10", "MSH-9", "PID-3.1", "PID-5", "PID-5.1", "FT1-2", "FT1-7.1", "OBX-5", "ZCH-2.1", "MSA-1"]
HEAD = b"MSH|^~\\&|A|B|C|D|20260301||DFT^P03|M1|P|2.5.1\r"


def both(raw: bytes, places: list[str]) -> tuple[object, object]:
    paths = [er7.path(place) for place in places]
    found: list[object] = []
    for read in (reader(paths), lambda raw: [er7.getter(one)(er7.Message.parse(raw), None) for one in paths]):
        try:
            found.append(read(raw))
        except MessageError as e:
            found.append(e.code)
    return found[0], found[1]


@pytest.mark.parametrize("places", [PLACES, SIMPLE])
@given(
    begin=st.sampled_from([HEAD, *SEEDS]),
    parts=st.lists(st.one_of(st.sampled_from([*TOKENS, HEAD, *SEEDS]), st.binary(max_size=8)), max_size=12),
)
@example(begin=HEAD, parts=[b"PID|1||a&b^c~d\rFT1|1|\\F\\\r"])
@example(begin=HEAD, parts=[b"\rPID|1||17^x\rPID|2||18\r"])
@example(begin=HEAD, parts=[b"PID\nPID|1||17\r"])
def test_it_reads_what_the_message_reads(places: list[str], begin: bytes, parts: list[bytes]) -> None:
    quick, careful = both(begin + b"".join(parts), places)
    assert quick == careful


def test_a_path_to_several_values_is_refused() -> None:
    with pytest.raises(ValueError, match="several"):
        reader([er7.path_to_many("FT1(*)-2")])
