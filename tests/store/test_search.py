"""Finding messages by patient, account and item."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Engine

from suture.model.message import Message
from suture.model.search import selective_first, wrong_kind
from suture.ports import Processed, Settled
from suture.store import claims, dialect, rows, tables, write_processed
from suture.store.codec import Codec
from suture.store.queries import MessageFilter, messages
from suture.store.search import search_hash
from suture.store.sequences import BLOCK, LAG, Sequences
from tests.filling import NOW_US, SECOND_US, Store


@pytest.fixture
def store(engine_db: Engine) -> Store:
    return Store(engine_db)


def found(store: Store, *keys: tuple[str, str], **wanted: Any) -> list[int]:
    with dialect.reading(store.engine) as connection:
        return [row.id for row in messages(connection, MessageFilter(find=keys, **wanted))]


def test_a_hash_is_stable_and_64_bits() -> None:
    assert search_hash("patient", "4471001") == (-8_773_269_897_295_892_819).to_bytes(8, "big", signed=True)
    assert len(search_hash("item", "IMP-4471")) == 8
    assert search_hash("patient", "1") != search_hash("account", "1")


def test_undecodable_values_have_a_hash() -> None:
    assert isinstance(search_hash("patient", "J\udce9r\udcf4me"), bytes)


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


class Filed:
    """Messages of a store, and what each is found by."""

    def __init__(self, engine: Engine, chance: random.Random) -> None:
        self.engine, self.chance, self.numbers = engine, chance, Sequences()
        self.keys: dict[int, set[tuple[str, str]]] = {}
        self.revisions: dict[int, int] = {}
        with dialect.writing(engine) as connection:
            self.numbers.load(connection)

    def receive(self) -> int:
        """A message with the next number but some."""
        with dialect.writing(self.engine) as connection:
            for _ in range(self.chance.randrange(700)):
                number = self.numbers.next_message(connection)
            number = self.numbers.next_message(connection)
            names = ("id", "channel", "received_at_us", "state", "control_id", "type", "sender", "peer", "size_bytes")
            rows.insert(connection, tables.received, names, [(number, "c", 1, "received", "M", "T", "S", "p", 3)])
            self.numbers.follow(connection)
        return number

    def process(self, number: int) -> None:
        """It is found by other values from now on."""
        self.keys[number] = {(kind, self.chance.choice("AB")) for kind in self.chance.sample(("patient", "account", "item"), 2)}
        revision = self.revisions[number] = self.revisions.get(number, -1) + 1
        message = Message("c", b"MSH", 1, "M", "T", "S", "p", number)
        settled = Settled("processed", "")
        one = Processed(message, 2, 0, (), settled, lambda c, s: settled, (), [*self.keys[number]], revision, print, print)
        with dialect.writing(self.engine) as connection:
            asked = claims.ask(connection, [one])
            write_processed.write(connection, [one], self.numbers, {}, Codec(lambda: 0), asked)
            self.numbers.follow(connection)

    def check(self, store: Store) -> None:
        for wanted in ((("patient", "A"),), (("item", "B"),), (("account", "A"), ("item", "A"))):
            expected = sorted((n for n, keys in self.keys.items() if keys.issuperset(wanted)), reverse=True)
            assert found(store, *wanted, limit=1000) == expected


@pytest.mark.parametrize("seed", range(3))
def test_a_message_is_found_by_what_it_was_last_processed_to_whether_it_is_in_the_index_or_not(store: Store, seed: int) -> None:
    """Some are processed long after others, when their run is in the index already, and some again."""
    filed = Filed(store.engine, random.Random(seed))
    late = []
    for step in range(60):
        number = filed.receive()
        late.append(number)
        if step % 5:
            filed.process(late.pop(filed.chance.randrange(len(late))))
        if step % 7 == 0 and filed.keys:
            filed.process(filed.chance.choice([*filed.keys]))
        if step % 10 == 0:
            filed.check(store)
    for number in late:
        filed.process(number)
    filed.check(store)
    assert filed.numbers.open_from["message"] > LAG + BLOCK and filed.numbers.is_behind(1)
