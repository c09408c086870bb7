"""Finding messages by patient, account and item."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from suture.model.search import selective_first, wrong_kind
from suture.store import dialect
from suture.store.queries import MessageFilter, messages
from suture.store.search import search_hash
from tests.filling import NOW_US, SECOND_US, Store


@pytest.fixture
def store(engine_db: Engine) -> Store:
    return Store(engine_db)


def found(store: Store, *keys: tuple[str, str], **wanted: Any) -> list[int]:
    with dialect.reading(store.engine) as connection:
        return [row.id for row in messages(connection, MessageFilter(find=keys, **wanted))]


def test_a_hash_is_stable_signed_and_64_bits() -> None:
    assert search_hash("patient", "4471001") == -8_773_269_897_295_892_819
    assert -(1 << 63) <= search_hash("item", "IMP-4471") < 1 << 63
    assert search_hash("patient", "1") != search_hash("account", "1")


def test_undecodable_values_have_a_hash() -> None:
    assert isinstance(search_hash("patient", "J\udce9r\udcf4me"), int)


def test_messages_are_found_across_runs_newest_first(store: Store) -> None:
    for number in (1, 1023, 1024, 5000, 900_000):
        store.message(id=number, received_at_us=NOW_US + number * SECOND_US, search={"patient": "P1"})
    store.message(id=2000, received_at_us=NOW_US + 2000 * SECOND_US, search={"patient": "P2"})
    assert found(store, ("patient", "P1")) == [900_000, 5000, 1024, 1023, 1]
    assert found(store, ("patient", "P1"), limit=2) == [900_000, 5000]
    assert found(store, ("patient", "P1"), before_id=5000) == [1024, 1023, 1]
    assert found(store, ("patient", "nobody")) == []


def test_several_keys_must_all_fit(store: Store) -> None:
    both = store.message(search={"patient": "P1", "item": "I1", "account": "A1"})
    store.message(search={"patient": "P1", "item": "I2"})
    store.message(search={"patient": "P2", "item": "I1"})
    assert found(store, ("patient", "P1"), ("item", "I1")) == [both]
    assert found(store, ("item", "I1"), ("account", "A1")) == [both]


def test_a_key_of_another_kind_does_not_fit(store: Store) -> None:
    store.message(search={"patient": "123"})
    assert found(store, ("account", "123")) == []


def test_search_is_narrowed_by_the_other_filters(store: Store) -> None:
    parked = store.message("parked", search={"item": "I1"})
    store.message("processed", search={"item": "I1"})
    elsewhere = store.message("processed", search={"item": "I1"}, channel="adt")
    assert found(store, ("item", "I1"), state="parked") == [parked]
    assert found(store, ("item", "I1"), channel="adt") == [elsewhere]
    assert found(store, ("item", "I1"), since_us=NOW_US + 3 * SECOND_US) == [elsewhere]


def test_an_empty_store_has_no_answers(store: Store) -> None:
    assert found(store, ("patient", "P1")) == []


def test_a_kind_of_the_sites_own_is_found_like_any_other(store: Store) -> None:
    one = store.message(search={"encounter": "E1", "item": "I1"})
    store.message(search={"encounter": "E2", "item": "I1"})
    assert found(store, ("encounter", "E1")) == [one]
    assert found(store, ("item", "I1"), ("encounter", "E1")) == [one]


def test_what_fewer_messages_have_is_looked_up_first() -> None:
    keys = [("item", "I"), ("encounter", "E"), ("account", "A"), ("patient", "P")]
    assert [kind for kind, _ in selective_first(keys)] == ["patient", "account", "encounter", "item"]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("patient", ""),
        ("encounter", ""),
        ("order_2", ""),
        ("patinet", "unknown kind 'patinet'; did you mean 'patient'?"),
        ("items", "unknown kind 'items'; did you mean 'item'?"),
        ("Encounter", "'Encounter' is no kind of value; a kind is a word of small letters, digits and _ (encounter)"),
    ],
)
def test_a_slip_of_the_pen_is_no_kind(kind: str, says: str) -> None:
    assert wrong_kind(kind) == says
