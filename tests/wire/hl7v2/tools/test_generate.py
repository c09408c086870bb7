"""Samples fit the standard by our own validation, and the same seed gives the same samples."""

from __future__ import annotations

import pytest

from suture.wire.hl7v2.standard import dictionary
from suture.wire.hl7v2.standard.validate import validate
from suture.wire.hl7v2.text.er7 import Message
from suture.wire.hl7v2.tools import generate


@pytest.mark.parametrize("version", dictionary.VERSIONS)
def test_every_message_type_of_every_version_fits_the_standard(version: str) -> None:
    wrong = {}
    for name in dictionary.structures(version):
        for number in (1, 2):
            if found := [str(each) for each in validate(generate.message(name, version, 1, number))]:
                wrong[name] = found
    assert wrong == {}


@pytest.mark.parametrize("version", dictionary.VERSIONS)
def test_many_samples_of_a_type_stay_within_the_lengths_of_their_version(version: str) -> None:
    for number in range(1, 40):
        for name in ("DFT_P03", "ADT_A01", "ORU_R01"):
            assert [str(each) for each in validate(generate.message(name, version, 2, number))] == []


def test_a_charge_message_has_several_lines_with_set_ids_in_order() -> None:
    for number in range(1, 20):
        message = Message.parse(generate.message("DFT^P03", "2.5.1", 1, number))
        lines = message.named("FT1")
        assert 2 <= len(lines) <= 3 and [line.get(1) for line in lines] == [str(n) for n in range(1, len(lines) + 1)]
        assert all(line.get(7) and line.get(10) for line in lines)


def test_the_seed_decides_and_nothing_else() -> None:
    made = [generate.message("ORU^R01", "2.5.1", seed, number) for seed in (1, 2) for number in (1, 2)]
    assert len(set(made)) == 4
    assert made[0] == generate.message("ORU_R01", "2.5.1", 1, 1)
    ids = {Message.parse(generate.message("ADT^A01", "2.5.1", 1, number)).get("MSH-10") for number in range(500)}
    assert len(ids) == 500


def test_a_type_that_the_version_does_not_have() -> None:
    with pytest.raises(generate.UnknownType, match=r"2\.8\.2 has no message 'XYZ\^A01'"):
        generate.message("XYZ^A01", "2.8.2", 1, 1)
