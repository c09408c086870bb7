"""Business keys: what makes a charge the same charge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.mapping.keys import KEY_CHARACTERS_MAX
from suture.wire.hl7v2.text import er7
from tests.mapping.examples import ft1, inbound, message


def keys(*lines: str, key: tuple[str, ...] = ("MSH-3.1", "FT1-2")) -> dict[int, str]:
    return inbound(key=key).run(message(*lines)).keys


def test_the_key_is_the_channel_and_the_values_at_the_paths() -> None:
    assert keys(ft1(id="A"), ft1(id="B")) == {1: "or|POU|A", 2: "or|POU|B"}


def test_without_paths_it_is_sender_control_id_and_line() -> None:
    assert keys(ft1(), ft1(), key=()) == {1: "or|POU|MAIN|C0001|1", 2: "or|POU|MAIN|C0001|2"}


def test_paths_that_do_not_tell_lines_apart_are_followed_by_the_line() -> None:
    assert keys(ft1(), ft1(), key=("PID-18.1",)) == {1: "or|A42|1", 2: "or|A42|2"}


def test_a_line_without_a_number_of_its_own_gets_control_id_and_line_or_every_later_one_would_be_its_duplicate() -> None:
    assert keys(ft1(id=""), ft1(id="")) == {1: "or|POU||C0001|1", 2: "or|POU||C0001|2"}


def test_a_code_that_the_mapping_tests_does_not_stand_in_for_the_number() -> None:
    for code in ("FT1-6.1", "FT1-6"):
        lines = keys(ft1(id="", type="CG"), ft1(id="", type="CD"), key=("MSH-3.1", code, "FT1-2"))
        assert lines == {1: "or|POU|CG||C0001|1", 2: "or|POU|CD||C0001|2"}


def test_nor_does_what_was_used_for_the_second_use_of_an_item_is_another_charge() -> None:
    assert keys(ft1(id="", item="IMP-1"), key=("FT1-2", "FT1-7.1")) == {1: "or||IMP-1|C0001|1"}


def test_a_key_of_nothing_but_the_sender_gets_control_id_and_line() -> None:
    assert keys(ft1(), key=("MSH-3.1", "MSH-4.1")) == {1: "or|POU|MAIN|C0001|1"}


@pytest.mark.parametrize("key", [(), ("MSH-3.1", "FT1-2"), ("MSH-3.1",)])
def test_without_a_control_id_too_only_the_same_bytes_have_the_same_key(key: tuple[str, ...]) -> None:
    one, again, other = (keys_of(unnamed(item), key) for item in ("IMP-1", "IMP-1", "IMP-2"))
    assert one == again
    assert one != other


def keys_of(given: er7.Message, key: tuple[str, ...]) -> str:
    return inbound(key=key).run(given).keys[1]


def unnamed(item: str) -> er7.Message:
    """A message without MSH-10, and its line without FT1-2."""
    return er7.Message.parse(message(ft1(item, id="")).raw.replace(b"|C0001|", b"||"))


def test_an_empty_part_of_the_sender_is_no_reason_for_that() -> None:
    assert keys(ft1(id="A"), key=("MSH-8", "FT1-2")) == {1: "or||A"}


def test_a_key_that_is_too_long_for_an_index_ends_in_a_digest() -> None:
    one, other = keys(ft1(id="A" * 900), ft1(id="A" * 901)).values()
    assert len(one) < KEY_CHARACTERS_MAX
    assert one != other


def test_a_filtered_line_has_no_key() -> None:
    assert keys(ft1(type="PY")) == {}


_KEYED = inbound(key=("FT1-2", "FT1-6.1"))


@given(st.lists(st.tuples(st.text("a|\\", max_size=4), st.sampled_from(["CG", "CD"])), min_size=2, max_size=2, unique=True))
def test_different_values_never_have_one_key(pairs: list[tuple[str, str]]) -> None:
    lines = [ft1(id=er7.escape(transaction), type=kind) for transaction, kind in pairs]
    assert len(set(_KEYED.run(message(*lines)).keys.values())) == 2


def test_a_character_that_databases_refuse_is_spelled_out() -> None:
    assert keys(ft1(id="A\x00B")) == {1: "or|POU|A\\x00B"}
