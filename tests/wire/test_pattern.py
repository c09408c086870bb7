"""Patterns of profiles: what they match, what is refused with a remedy, and time that is linear whatever the pattern."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suture.wire.pattern import Pattern

atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "\\d", "(a|b)", "(?:ab)", "(a|)", "[a-c1-3]", "()", "\\."])
repetitions = st.sampled_from(["", "", "", "?", "*", "+", "{2}", "{1,}", "{0,2}", "{0}", "{0,}", "{2,3}"])
sequences = st.lists(st.tuples(atoms, repetitions).map("".join), max_size=6).map("".join)
patterns = st.lists(sequences, min_size=1, max_size=3).map("|".join)


@settings(max_examples=500)
@given(patterns, st.text("abc12.", max_size=8))
def test_it_matches_what_pythons_own_expressions_match(pattern: str, value: str):
    assert Pattern(pattern)(value) == bool(re.fullmatch(pattern, value, re.DOTALL))


def test_the_whole_value_must_match():
    pattern = Pattern("[A-Z]{2}[0-9]{6}")
    assert pattern("AB123456")
    assert not pattern("AB1234567")
    assert not pattern(" AB123456")


def test_a_pattern_that_would_backtrack_for_ever_takes_a_long_value():
    assert not Pattern("(a*)*(a|aa)+b")("a" * 100_000)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(", "a ( is not closed"),
        ("a)", "a ) is not opened"),
        ("[a", "a [ is not closed"),
        ("a**", "two repetitions in a row"),
        ("(?=a)", "(? begins something"),
        ("\\1", "\\1 has no meaning here"),
        ("^a$", "^ is not needed"),
        ("*", "write \\* for the character"),
        ("a{x}", "after { stands a number"),
        ("a{2,1}", "the wrong way round"),
        ("[b-a]", "the wrong way round"),
        ("a{9999}", "too large"),
        ("(((a{99}){99}))", "too large"),
        ("a\\", "single backslash"),
        ("(" * 50 + ")" * 50, "groups inside each other"),
    ],
)
def test_what_is_not_of_the_subset_is_refused_with_a_remedy(pattern: str, said: str):
    with pytest.raises(ValueError, match=re.escape(said)):
        Pattern(pattern)


@given(st.text(max_size=60), st.text(max_size=20))
def test_no_pattern_raises_anything_else(pattern: str, value: str):
    try:
        Pattern(pattern)(value)
    except ValueError:
        pass
