"""The HL7 dictionary: positions, names, tables and structures of every version, and no exception for any name."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.standard.dictionary import VERSIONS, Group, SegmentRef


def test_hl7apy_is_not_read_before_it_is_asked_for():
    code = "import sys, suture.wire.hl7v2.standard.dictionary; sys.exit(any(m.startswith('hl7apy') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_every_field_of_every_segment_stands_at_its_number(version: str):
    for segment in dictionary.known_segments(version):
        assert [f.number for f in dictionary.fields(version, segment)] == list(range(1, len(dictionary.fields(version, segment)) + 1))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_structure_of_every_version_can_be_read(version: str):
    for name in dictionary.structures(version):
        found = dictionary.structure(version, name)
        assert found is not None
        assert found.children[0] == SegmentRef("MSH", 1, 1)


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_the_charge_segment_keeps_its_positions_from_2_2_on(version: str):
    names = [f.name for f in dictionary.fields(version, "FT1")]
    assert names[5:8] == ["Transaction Type", "Transaction Code", "Transaction Description"]
    assert names[9] == "Transaction Quantity"
    assert [f.number for f in dictionary.fields(version, "FT1") if f.min][:3] == [4, 6, 7]


@pytest.mark.parametrize("version", ["2.6", "2.7", "2.8", "2.8.2"])
def test_a_withdrawn_field_keeps_its_place_and_its_last_type(version: str):
    field = dictionary.field(version, "FT1", 8)
    assert field is not None
    assert (field.name, field.datatype, field.min, field.withdrawn) == ("Transaction Description", "ST", 0, True)


def test_fields_have_the_names_of_the_standard():
    pid = {f.number: f.name for f in dictionary.fields("2.5.1", "PID")}
    assert (pid[1], pid[3], pid[6], pid[7]) == ("Set ID - PID", "Patient Identifier List", "Mother's Maiden Name", "Date/Time of Birth")
    assert dictionary.segment_name("2.5.1", "FT1") == "Financial Transaction"
    assert dictionary.segment_name("2.5.1", "ZZZ") == ""


def test_a_field_says_whether_it_is_required_and_repeats():
    identifiers = dictionary.field("2.5.1", "PID", 3)
    assert identifiers is not None
    assert (identifiers.datatype, identifiers.min, identifiers.max) == ("CX", 1, 0)
    assert dictionary.field("2.5.1", "PID", 900) is None
    assert dictionary.field("2.5.1", "ZIT", 1) is None


def test_components_are_those_of_the_data_type():
    assert [c.datatype for c in dictionary.components("2.5.1", "MO")] == ["NM", "ID"]
    assert dictionary.components("2.5.1", "NM") == ()
    assert dictionary.components("2.5.1", "varies") == ()


@pytest.mark.parametrize(
    ("declared", "served"),
    [
        *((v, v) for v in VERSIONS),
        ("2.9", "2.8.2"),
        ("2.5.1^USA", "2.5.1"),
        ("2.3.2", "2.3.1"),
        ("2.0", "2.1"),
        ("", "2.5.1"),
        ("three", "2.5.1"),
        ("3.0", "2.5.1"),
    ],
)
def test_a_declared_version_is_served_by_the_nearest(declared: str, served: str):
    assert dictionary.nearest(declared) == served


@pytest.mark.parametrize(
    ("version", "type_", "name"),
    [
        ("2.5.1", "DFT^P03", "DFT_P03"),
        ("2.5.1", "DFT_P03", "DFT_P03"),
        ("2.5.1", "DFT^P03^DFT_P03", "DFT_P03"),
        ("2.5.1", "ADT^A08", "ADT_A01"),
        ("2.5.1", "ADT^A08^ADT_A08", "ADT_A01"),
        ("2.8", "ACK^P03^ACK", "ACK"),
        ("2.5.1", "ZZZ^Z01", ""),
        ("2.5.1", "ZZZ^Z01^ORU_R01", "ORU_R01"),
        ("2.5.1", "", ""),
    ],
)
def test_a_message_type_finds_its_structure(version: str, type_: str, name: str):
    found = dictionary.structure(version, type_)
    assert (found.name if found else "") == name


def test_groups_are_nested():
    dft = dictionary.structure("2.5.1", "DFT^P03")
    assert dft is not None
    financial = next(child for child in dft.children if child.name == "FINANCIAL")
    assert isinstance(financial, Group)
    assert (financial.min, financial.max, financial.choice) == (1, 0, False)
    assert financial.children[0] == SegmentRef("FT1", 1, 1)


def test_only_tables_that_hl7_defines_are_binding():
    assert dictionary.table("2.5.1", "0008") == {"AA", "AE", "AR", "CA", "CE", "CR"}
    assert dictionary.table("2.5.1", "0017") is None
    assert "CG" in dictionary.suggested("2.5.1", "0017")
    assert dictionary.table("2.1", "0008") is None
    assert dictionary.table("2.5.1", "9999") is None


@given(st.text(max_size=30), st.text(max_size=30), st.integers())
def test_no_name_makes_the_dictionary_raise(version: str, name: str, number: int):
    dictionary.field(version, name, number)
    dictionary.components(version, name)
    dictionary.structure(version, name)
    dictionary.table(version, name)
    dictionary.segment_name(version, name)
