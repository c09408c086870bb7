"""What hl7apy's tables have wrong is right in the dictionary, and a message that the standard allows has no finding for it."""

from __future__ import annotations

import pytest

from suture.wire.hl7v2.standard import corrections, dictionary
from suture.wire.hl7v2.standard.dictionary import ANY_SEGMENT, VERSIONS, Group, SegmentRef
from suture.wire.hl7v2.standard.validate import Rules, validate
from suture.wire.hl7v2.text.er7 import Message
from suture.wire.hl7v2.tools.parts import leaves, name_of

LATE = ("2.6", "2.7", "2.8", "2.8.1", "2.8.2")


def field(version: str, segment: str, number: int) -> dictionary.FieldSpec:
    found = dictionary.field(version, segment, number)
    assert found is not None
    return found


def findings(type_: str, version: str, *lines: str) -> list[str]:
    head = f"MSH|^~\\&|A|B|C|D|20260302101500||{type_}|1|P|{version}"
    return [str(one) for one in validate("\r".join([head, *lines, ""]).encode(), Rules(limit=1000))]


def test_a_telephone_of_2_6_has_its_number_withdrawn_and_everything_else_where_it_belongs() -> None:
    assert [part.name for part in dictionary.components("2.6", "XTN")] == [part.name for part in dictionary.components("2.7", "XTN")]
    number, use, equipment, address = dictionary.components("2.6", "XTN")[:4]
    assert (number.withdrawn, use.table, equipment.table, address.datatype) == (True, "0201", "0202", "ST")
    assert findings("ADT^A01", "2.6", "PID|||1||A^B||||||||^PRN^PH^^1^555^5551234") == findings("ADT^A01", "2.6", "PID|||1||A^B")
    assert any("PID-13.2" in each and "0201" in each for each in findings("ADT^A01", "2.6", "PID|||1||A^B||||||||^ZZZ^PH"))
    segment = Message.parse(b"MSH|^~\\&|A\rPID|||||||||||||^PRN^PH^^1^555^5551234\r").named("PID")[0]
    assert [name_of("2.6", segment, leaf).split(" / ")[1] for leaf in leaves(segment)] == [
        *("Telecommunication Use Code", "Telecommunication Equipment Type", "Country Code", "Area City Code", "Local Number"),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_part_of_an_observation_is_required_where_the_standard_requires_it(version: str) -> None:
    assert field(version, "OBX", 4).min == 0
    assert field(version, "OBX", 2).min == int(version in ("2.2", "2.3"))
    said = findings("ORU^R01", version, "OBX|1||X^Y^L||||||||F")
    assert not any("OBX-4" in each or ("OBX-2" in each and version not in ("2.2", "2.3")) for each in said)


def test_what_one_version_alone_would_require_is_not_required() -> None:
    assert field("2.3", "OBR", 27).min == 0
    assert field("2.1", "FT1", 14).min == 0


@pytest.mark.parametrize("version", ["2.5", "2.5.1"])
def test_components_are_required_in_2_5_as_in_2_6(version: str) -> None:
    for name in ("CX", "FN", "ED", "PLN", "MOP", "OCD", "ERL", "QSC", "DIN", "RMC"):
        later = {part.number for part in dictionary.components("2.6", name) if part.min}
        assert {part.number for part in dictionary.components(version, name) if part.min} == later != set(), name
    assert dictionary.components(version, "TS")[0].min == 1
    assert [part.min for part in dictionary.components(version, "MSG")] == [1, 0, 0]
    assert any(each.startswith("PID-3.1") and "required" in each for each in findings("ADT^A01", version, "PID|||^^^HOSP^MR||A^B"))


@pytest.mark.parametrize(
    ("segment", "numbers", "since"),
    [
        ("OBX", (23, 24, 25), "2.6"),
        ("PRD", (10, 14), "2.6"),
        ("OBX", (26,), "2.7"),
        ("PAC", (1, 2, 3, 4, 5), "2.7"),
        ("SHP", (1, 3, 4, 5, 6, 8), "2.7"),
        ("PRT", (1,), "2.7"),
        ("SPM", (32,), "2.7"),
        ("AUT", tuple(range(13, 30)), "2.8"),
        ("RF1", tuple(range(13, 26)), "2.8"),
        ("DON", (1, 16, 20, 30, 32), "2.8"),
        ("BUI", tuple(range(1, 13)), "2.8"),
        ("OBX", (29,), "2.8.1"),
        ("OBX", (30,), "2.8.2"),
    ],
)
def test_a_field_that_stands_once_does_not_repeat(segment: str, numbers: tuple[int, ...], since: str) -> None:
    for version in LATE[LATE.index(since) :]:
        assert {field(version, segment, number).max for number in numbers} == {1}


def test_what_does_repeat_still_does() -> None:
    assert field("2.8", "OBX", 4).max == field("2.8", "OBX", 13).max == 1
    assert field("2.8", "OBX", 5).max == field("2.8", "SHP", 2).max == field("2.8", "PID", 3).max == field("2.8", "ADJ", 7).max == 0
    assert any("OBX-23" in each for each in findings("ORU^R01", "2.7", "OBX|1|ST|X||a||||||F||||||||||||LAB~OTHER"))


@pytest.mark.parametrize(("segment", "number", "datatype"), [("OBR", 26, "CE"), ("PV1", 31, "ST"), ("RX1", 25, "TS"), ("UB1", 16, "ID")])
def test_a_field_of_2_1_has_its_type(segment: str, number: int, datatype: str) -> None:
    assert field("2.1", segment, number).datatype == datatype


@pytest.mark.parametrize("version", ["2.7", "2.8", "2.8.1", "2.8.2"])
def test_a_field_that_was_withdrawn_at_the_end_of_a_segment_keeps_its_place(version: str) -> None:
    assert (field(version, "AL1", 6).withdrawn, field(version, "AL1", 6).name) == (True, "Identification Date")
    assert dictionary.field("2.6", "AL1", 7) is dictionary.field(version, "AL1", 7) is None


@pytest.mark.parametrize("version", LATE)
def test_components_have_their_tables_in_late_versions_too(version: str) -> None:
    tables = {
        "CX": {5: "0203", 4: "0363"},
        "XPN": {7: "0200"},
        "XAD": {6: "0399", 7: "0190", 16: "0136"},
        "HD": {3: "0301"},
        "ED": {2: "0834"},
    }
    for name, expected in tables.items():
        parts = dictionary.components(version, name)
        assert {number: parts[number - 1].table for number in expected} == expected
    assert dictionary.components(version, "XPN")[0].table == ""


@pytest.mark.parametrize("version", VERSIONS)
def test_a_field_without_a_table_has_none(version: str) -> None:
    assert not [
        (name, spec.number)
        for name in dictionary.known_segments(version)
        for spec in dictionary.fields(version, name)
        if spec.table == "9999"
    ]


def test_the_structures_of_three_messages_are_whole() -> None:
    discharge = dictionary.structure("2.1", "ADT^A03")
    assert discharge and [child.name for child in discharge.children] == ["MSH", "EVN", "PID", "PV1"] and discharge.name == "ADT_A03"
    table = dictionary.structure("2.6", "RTB^K13")
    assert table and [child.name for child in table.children][-2:] == ["ROW_DEFINITION", "DSC"]
    rows = table.children[-2]
    assert isinstance(rows, Group) and [child.name for child in rows.children] == ["RDF", "RDT"]
    assert not [
        each for each in findings("ADT^A03", "2.1", "EVN|A03|20260302", "PID|||1||A^B", "PV1|1|I|W1") if "PV1" in each.split("-")[0]
    ]


@pytest.mark.parametrize(
    ("version", "name"), [(v, n) for v in VERSIONS for n in dictionary.structures(v) if "entries" in corrections.corrected(v, n, 0)]
)
def test_an_entry_of_a_master_file_goes_on_with_any_segments(version: str, name: str) -> None:
    found = dictionary.structure(version, name)
    assert found is not None
    entries = next(child for child in found.children if isinstance(child, Group))
    assert entries.children == (SegmentRef("MFE", 1, 1), SegmentRef(ANY_SEGMENT, 0, 0))


def test_the_staff_of_a_master_file_of_2_2_is_expected() -> None:
    lines = ("MFI|STF||UPD|||AL", "MFE|MAD|||7", "STF|7||A^B", "PRA|7", "MFE|MAD|||8", "STF|8||C^D")
    assert not [each for each in findings("MFN^M02", "2.2", *lines) if "not expected" in each or "unexpected" in each]
    assert not [each for each in findings("MFN^M01", "2.4", *lines) if each.startswith(("STF:", "PRA:"))]


@pytest.mark.parametrize("version", VERSIONS)
def test_no_message_requires_a_segment_that_its_version_does_not_have(version: str) -> None:
    known = dictionary.known_segments(version)

    def required(group: Group) -> list[str]:
        inner = [
            required(child) if isinstance(child, Group) else [child.name] for child in group.children if child.min and not group.choice
        ]
        return [name for names in inner for name in names]

    groups = {name: dictionary.structure(version, name) for name in dictionary.structures(version)}
    assert [
        (name, segment) for name, group in groups.items() if group for segment in required(group) if segment not in known | {ANY_SEGMENT}
    ] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_every_correction_is_of_a_part_that_is_there_and_changes_it(version: str) -> None:
    facts = [(name, number, fact) for name, numbers in corrections._facts(version).items() for number, fact in numbers.items()]
    for name, number in [(name, number) for name, number, fact in facts if "withdrawn" not in fact]:
        if number == 0:
            assert name in dictionary.structures(version) or dictionary.table(version, name)
            continue
        parts = dictionary.fields(version, name) or dictionary.components(version, name)
        assert 0 < number <= len(parts) and not parts[number - 1].withdrawn, (name, number)
