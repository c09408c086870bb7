"""Values: made once, changed by nobody, and alike when their fields are."""

from __future__ import annotations

import pytest

from suture.model.message import Message
from suture.model.value import Value, changed


class Bin(Value, frozen=True):
    location: str
    item: str
    count: int = 0


def test_a_field_of_a_value_cannot_be_set() -> None:
    one = Bin("OR-1", "IMP-1")
    with pytest.raises(AttributeError):
        one.count = 3  # type: ignore[misc]
    assert one.count == 0


def test_a_changed_value_is_another_one_and_otherwise_alike() -> None:
    one = Bin("OR-1", "IMP-1", 2)
    assert changed(one, count=3) == Bin("OR-1", "IMP-1", 3)
    assert one == Bin("OR-1", "IMP-1", 2)


def test_a_value_has_no_field_that_it_does_not_name() -> None:
    with pytest.raises(TypeError):
        changed(Bin("OR-1", "IMP-1"), counted=3)


def test_the_text_of_a_message_holds_no_content() -> None:
    assert "DOE" not in repr(Message("adt", b"PID|1||7||DOE^JANE", 0, peer="127.0.0.1:1"))
