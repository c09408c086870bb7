"""Text that any database takes."""

import pytest

from suture.model.storable import keepable, storable


@pytest.mark.parametrize(
    ("text", "kept", "spelled"),
    [
        ("plain", "plain", "plain"),
        ("Müller 😀", "Müller 😀", "Müller 😀"),
        ("a\x00b", "ab", "a\\x00b"),
        ("a\ud83d", "a?", "a\\ud83d"),
        ("ü\x00\udcff", "ü?", "ü\\x00\\udcff"),
        ("", "", ""),
    ],
)
def test_what_cannot_be_kept_is_left_out_or_spelled_out(text: str, kept: str, spelled: str) -> None:
    assert (storable(text), keepable(text)) == (kept, spelled)
