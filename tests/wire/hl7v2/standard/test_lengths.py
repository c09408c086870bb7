"""Lengths by the standard: what is too long is told at its place, each repetition and part for itself, and nothing else is."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suture.model.finding import TOO_LONG
from suture.wire.hl7v2.standard import corrections, dictionary
from suture.wire.hl7v2.standard.dictionary import VERSIONS, FieldSpec
from suture.wire.hl7v2.standard.validate import STANDARD, Rules, validate

TEXTS = ("ST", "IS", "TX", "FT")


def length(version: str, segment: str, number: int) -> int:
    found = dictionary.field(version, segment, number)
    assert found is not None
    return found.length


def component(version: str, datatype: str, number: int) -> int:
    return dictionary.components(version, datatype)[number - 1].length


def too_long(line: str, version: str, rules: Rules = STANDARD) -> list[str]:
    """The findings about length in a message that has this segment beside its header."""
    message = f"MSH|^~\\&|A|B|C|D|20260302101500||ADT^A01|1|P|{version}\r{line}\r"
    return [str(one) for one in validate(message.encode(), rules) if one.code == TOO_LONG]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (("MSH", 10), {"2.1": 20, "2.3.1": 20, "2.5.1": 20, "2.6": 199, "2.7": 199, "2.8.2": 199}),
        (("EVN", 1), {"2.1": 3, "2.3": 3, "2.5.1": 3}),
        (("EVN", 2), {"2.1": 19, "2.2": 26, "2.5.1": 26, "2.6": 24, "2.7": 24}),
        (("PID", 3), {"2.1": 16, "2.2": 20, "2.3": 20, "2.4": 250, "2.6": 250, "2.7": 0}),
        (("PID", 5), {"2.1": 48, "2.2": 48, "2.3.1": 48, "2.4": 250, "2.6": 250, "2.7": 0, "2.8.2": 0}),
        (("PV1", 19), {"2.2": 15, "2.3": 15, "2.3.1": 20, "2.4": 250}),
        (("OBR", 3), {"2.2": 75, "2.3": 22, "2.5.1": 22, "2.6": 427}),
        (("FT1", 2), {"2.1": 12, "2.3": 12, "2.5.1": 12, "2.7": 12}),
        (("FT1", 7), {"2.2": 20, "2.3": 80, "2.4": 250, "2.6": 250, "2.7": 0}),
        (("FT1", 10), {"2.2": 4, "2.3": 6, "2.5.1": 6, "2.6": 6, "2.7": 16}),
        (("FT1", 11), {"2.3": 12, "2.5.1": 12, "2.7": 0}),
        (("FT1", 31), {"2.5": 4, "2.6": 4, "2.7": 4}),
    ],
)
def test_fields_have_the_length_that_their_version_prints(place: tuple[str, int], expected: dict[str, int]):
    assert {version: length(version, *place) for version in expected} == expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (("CE", 1), {"2.4": 199, "2.5": 20, "2.5.1": 20}),
        (("CX", 1), {"2.4": 199, "2.5": 15, "2.6": 15, "2.7": 0}),
        (("CX", 5), {"2.5.1": 5, "2.7": 5, "2.8.2": 5}),
        (("HD", 2), {"2.5.1": 199, "2.6": 999, "2.7": 0}),
        (("XPN", 1), {"2.5.1": 194, "2.6": 194, "2.7": 0}),
        (("XAD", 3), {"2.5.1": 50, "2.7": 0}),
    ],
)
def test_components_have_lengths_from_2_5_on(place: tuple[str, int], expected: dict[str, int]):
    assert {version: component(version, *place) for version in expected} == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_an_observation_an_embedded_document_and_long_text_have_no_length(version: str):
    assert length(version, "OBX", 5) == 0
    assert all(part.length == 0 for part in dictionary.components(version, "ED")[4:])
    assert version == "2.1" or length(version, "NTE", 3) == 0


def test_a_type_that_says_what_a_value_looks_like_is_not_stretched_by_its_field():
    assert corrections.printed("2.6", "ABS", 4) == 26  # DTM, of 24 characters at most
    assert length("2.6", "ABS", 4) == 24
    assert corrections.printed("2.6", "IVC", 24) == 1024  # NM
    assert length("2.6", "IVC", 24) == 16


def test_a_string_may_be_as_long_as_its_own_field_says():
    assert length("2.5.1", "PID", 23) == 250  # longer than an ST without a length of its own
    assert length("2.5.1", "ADD", 1) == 0  # 65536 stands for any length
    assert component("2.4", "XAD", 3) == 199  # an ST without one


def test_withdrawn_fields_have_no_length():
    for version in ("2.6", "2.7", "2.8.2"):
        assert length(version, "FT1", 8) == 0


@pytest.mark.parametrize(
    ("version", "segment", "number"),
    [("2.5.1", "OBX", 2), ("2.3", "FT1", 14), ("2.3", "PD1", 10), ("2.5.1", "SPM", 17), ("2.6", "PSL", 6), ("2.4", "TXA", 3)],
)
def test_a_length_that_the_standards_own_values_break_is_left_out(version: str, segment: str, number: int):
    assert corrections.printed(version, segment, number) == 0


def test_an_unknown_version_has_the_lengths_of_the_one_that_serves_it():
    assert length("2.5.9", "MSH", 10) == 20
    assert length("2.9", "MSH", 10) == 199
    assert length("", "PID", 5) == length("2.5.1", "PID", 5)
    assert dictionary.field("2.5.1", "ZZZ", 1) is None
    assert corrections.printed("2.5.1", "ZZZ", 1) == 0
    assert [corrections.printed("2.5.1", "MSH", number) for number in (-1, 0, 99)] == [0, 0, 0]


def test_a_value_of_exactly_its_length_is_not_too_long():
    assert too_long("FT1|1|" + "T" * 12, "2.5.1") == []
    assert too_long("FT1|1|" + "T" * 13, "2.5.1") == ["FT1-2: Transaction ID is longer than 12 characters"]


def test_a_composite_counts_its_separators():
    name = "FAMILY" * 4 + "^" + "GIVEN" * 4
    assert len(name) == 45
    assert too_long(f"PID|||1||{name}^^", "2.3.1") == []
    assert too_long(f"PID|||1||{name}^JR", "2.3.1") == []
    assert too_long(f"PID|||1||{name}^JRS", "2.3.1") == ["PID-5: Patient Name is longer than 48 characters"]


def test_each_repetition_is_as_long_as_it_is_by_itself():
    whole, over = "1" * 10 + "^^^SITE^MR", "1" * 15 + "^^^SITE^MR"
    assert too_long(f"PID|||{whole}~{whole}~{whole}", "2.3.1") == []
    assert too_long(f"PID|||{whole}~{over}~{whole}", "2.3.1") == ["PID-3[2]: Patient Identifier List is longer than 20 characters"]


def test_a_component_and_a_subcomponent_are_named():
    assert too_long("PID|||" + "1" * 16 + "^^^SITE^MR", "2.5.1") == [
        "PID-3.1: Patient Identifier List, ID Number is longer than 15 characters"
    ]
    assert too_long("PID|||1^^^" + "S" * 21 + "&1.2.3&ISO^MR", "2.5.1") == [
        "PID-3.4.1: Patient Identifier List, Assigning Authority, Namespace ID is longer than 20 characters"
    ]


def test_a_composite_component_counts_its_subcomponents():
    family = "A" * 50 + "&" + "B" * 20 + "&" + "C" * 50 + "&" + "D" * 20 + "&" + "E" * 50
    assert len(family) == 194
    assert too_long(f"PID|||1||{family}^ADA", "2.5.1") == []
    assert "PID-5.1: Patient Name, Family Name is longer than 194 characters" in too_long(f"PID|||1||{family}E^ADA", "2.5.1")


def test_an_escape_is_as_long_as_what_it_stands_for():
    assert too_long("FT1|1|" + "\\T\\" * 12, "2.5.1") == []
    assert too_long("FT1|1|" + "\\T\\" * 13, "2.5.1") == ["FT1-2: Transaction ID is longer than 12 characters"]
    assert too_long("PID|||1||" + "\\T\\" * 47 + "^", "2.3.1") == []


def test_a_field_whose_type_has_no_parts_here_is_measured_whole():
    assert dictionary.field("2.1", "OBR", 15) == FieldSpec(15, "Specimen Source", "CM", "", 0, 1, 300)
    assert too_long("OBR" + "|" * 15 + "x^" * 150, "2.1") == []
    assert too_long("OBR" + "|" * 15 + "x^" * 151, "2.1") == ["OBR-15: Specimen Source is longer than 300 characters"]


def test_null_has_no_length():
    assert too_long('PV1||""|""', "2.3") == []


def test_the_wrong_value_of_a_table_is_told_as_that_and_not_as_too_long():
    message = "MSH|^~\\&|A|B|C|D|20260302101500||ACK|1|P|2.5.1|||ALWAYS\rMSA|AA|1\r"
    assert [one.code for one in validate(message.encode())] == [103]


def test_lengths_can_be_errors_or_left_out():
    line = "FT1|1|" + "T" * 13
    message = f"MSH|^~\\&|A|B|C|D|20260302101500||DFT^P03|1|P|2.5.1\r{line}\r".encode()
    assert [one.severity for one in validate(message) if one.code == TOO_LONG] == ["W"]
    assert [one.severity for one in validate(message, Rules(severities={"length": "E"})) if one.code == TOO_LONG] == ["E"]
    assert too_long(line, "2.5.1", Rules(severities={"length": ""})) == []


def test_conformance_lengths_of_2_7_and_later_bind_nobody():
    for version in ("2.7", "2.8.2"):
        assert too_long("PID|||" + "1" * 500 + "^^^" + "S" * 300 + "^MR||" + "F" * 500, version) == []


@cache
def texts() -> list[tuple[str, str, int]]:
    """Fields of any text that have a length, of every version."""
    return [
        (version, segment, spec.number)
        for version in VERSIONS
        for segment in sorted(dictionary.known_segments(version) - {"MSH", "DSC", "ADD", "BHS", "FHS"})
        for spec in dictionary.fields(version, segment)
        if spec.datatype in TEXTS and 0 < spec.length <= 300
    ]


@settings(deadline=None)  # the first one reads every version
@given(st.data())
def test_what_is_within_its_length_is_never_too_long_and_what_is_over_always(data: st.DataObject):
    version, segment, number = data.draw(st.sampled_from(texts()))
    longest = length(version, segment, number)
    sizes = data.draw(st.lists(st.integers(1, longest + 3), min_size=1, max_size=4))
    piece = data.draw(st.sampled_from(["x", "é", "語", "\\T\\", "\\S\\"]))
    found = too_long(segment + "|" * number + "~".join(piece * size for size in sizes), version)
    places = [f"{segment}-{number}" + (f"[{n}]" if n > 1 else "") for n, size in enumerate(sizes, 1) if size > longest]
    assert [one.partition(":")[0] for one in found] == places


@pytest.mark.parametrize("version", VERSIONS)
def test_no_value_of_an_hl7_table_is_too_long_for_its_field(version: str):
    specs = [(name, spec) for name in dictionary.known_segments(version) for spec in dictionary.fields(version, name)]
    assert [
        (name, spec.number, value)
        for name, spec in specs
        if spec.datatype == "ID" and spec.length and spec.table
        for value in dictionary.table(version, spec.table) or ()
        if len(value) > spec.length and value.isalnum() and value.lower() != "varies"
    ] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_every_length_belongs_to_a_field_or_component_that_the_version_has(version: str):
    for name, printed in corrections._printed(version).items():
        parts = dictionary.fields(version, name) or dictionary.components(version, name)
        assert len(printed) <= len(parts), name
        assert not any(size and part.withdrawn for size, part in zip(printed, parts, strict=False)), name
