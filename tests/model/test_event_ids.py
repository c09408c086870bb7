"""Ids are UUIDv5 of what they stand for: the same input gives the same id for ever, on any machine."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from suture.model.events import NAMESPACE, event_id, idempotency_key

texts = st.text(st.characters(codec="utf-8"), max_size=40)


@given(texts, texts)
def test_an_event_id_is_the_uuidv5_of_type_and_key(event_type: str, key: str) -> None:
    assert event_id(event_type, key) == str(uuid.uuid5(NAMESPACE, f"{event_type}\x1f{key}"))


@given(texts, texts, st.integers(1, 9))
def test_a_key_that_is_used_again_later_gets_an_id_of_its_own(event_type: str, key: str, generation: int) -> None:
    assert event_id(event_type, key, generation) == str(uuid.uuid5(NAMESPACE, f"{event_type}\x1f{key}\x1f{generation}"))


@given(texts, st.lists(texts, max_size=4))
def test_an_idempotency_key_is_the_uuidv5_of_the_destination_and_its_events(destination: str, parts: list[str]) -> None:
    assert idempotency_key(destination, parts) == str(uuid.uuid5(NAMESPACE, "\x1f".join([destination, *parts])))


def test_ids_never_change() -> None:
    assert event_id("supply.used", "or|POU|T1|CG") == "36f0ff73-0d1b-5785-a420-156e1ef63893"
