"""Business keys: each is taken once, by whoever puts its row in first, in one group, in another, and with two writers at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, select

from suture.model.message import Message
from suture.ports import Claim, Processed, Settled
from suture.store import claims, dialect, tables
from suture.store.claims import Claims

DAY_US = 86_400_000_000


def operation(number: int, keys: tuple[str, ...], ready: bool = True, use: Callable[[Any], list[str]] | None = None) -> Processed:
    """A message that wants these keys, and uses those that are free; with use, those that it names."""
    message = Message("c", b"MSH", 1, f"M{number}", "DFT^P03", "A|B", "peer", number)

    def settle(taken: Any, stock: Any) -> Settled:
        used = use(taken) if use else [key for key in keys if key not in taken]
        return Settled("processed", "", claims=[(key, 0, number) for key in used])

    asis = Settled("processed", "", claims=[(key, 0, number) for key in keys]) if ready else None
    return Processed(message, 5, DAY_US, keys, asis, settle, (), (), 0, lambda s: None, lambda e: None)


def settled(connection: Connection, operations: list[Processed]) -> list[dict[str, Claim]]:
    """Settle a group as the writer does; what was taken for each."""
    asked = claims.ask(connection, operations)
    taking = Claims(connection, operations, asked)
    found = []
    for one in operations:
        found.append(taking.against(one))
        taking.take(one, one.ready if one.ready and not found[-1] else one.settle(found[-1], {}))
    taking.write()
    return found


@pytest.fixture
def two(engine_db: Engine) -> Iterator[list[Connection]]:
    with ExitStack() as open_:
        yield [open_.enter_context(closing(dialect.writer(engine_db))) for _ in range(2)]


def holders(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {row.key: row.message_id for row in connection.execute(select(tables.claim))}


def test_of_two_writers_at_once_one_has_the_key_and_the_other_sees_it(engine_db: Engine, two: list[Connection]) -> None:
    first, second = two
    found: list[dict[str, Claim]] = []

    def other() -> None:
        with dialect.transaction(second, mixed=False):
            found.extend(settled(second, [operation(2, ("K1", "K2"))]))

    thread = threading.Thread(target=other)
    with dialect.transaction(first, mixed=False):
        assert settled(first, [operation(1, ("K1",))]) == [{}]
        thread.start()
        thread.join(0.3)
        assert thread.is_alive(), "it waits for what becomes of the key"
    thread.join(10)
    assert [{key: claim.message_id for key, claim in one.items()} for one in found] == [{"K1": 1}]
    assert holders(engine_db) == {"K1": 1, "K2": 2}


def test_a_writer_that_waited_for_one_that_came_to_nothing_has_the_key(engine_db: Engine, two: list[Connection]) -> None:
    first, second = two
    found: list[dict[str, Claim]] = []

    def other() -> None:
        with dialect.transaction(second, mixed=False):
            found.extend(settled(second, [operation(2, ("K1",))]))

    thread = threading.Thread(target=other)
    with pytest.raises(TimeoutError), dialect.transaction(first, mixed=False):
        settled(first, [operation(1, ("K1",))])
        thread.start()
        thread.join(0.3)
        raise TimeoutError
    thread.join(10)
    assert (found, holders(engine_db)) == ([{}], {"K1": 2})


def test_a_key_that_is_not_used_after_all_is_let_go_and_another_of_the_group_has_it(engine_db: Engine, two: list[Connection]) -> None:
    (connection, _) = two
    with dialect.transaction(connection, mixed=False):
        settled(connection, [operation(1, ("K1",))])
        parked = operation(2, ("K1", "K2", "K3"), use=lambda taken: [])
        assert [set(one) for one in settled(connection, [parked, operation(3, ("K2",))])] == [{"K1"}, set()]
    assert holders(engine_db) == {"K1": 1, "K2": 3}


_WANTED = st.lists(st.tuples(st.lists(st.sampled_from("ABCD"), unique=True, max_size=3), st.booleans(), st.booleans()), max_size=6)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=st.lists(_WANTED, max_size=3))
def test_it_comes_to_the_same_as_one_message_after_another(engine_db: Engine, groups: list[Any]) -> None:
    expected: dict[str, int] = {}
    number = 0
    with engine_db.connect() as connection, connection.begin() as whole:
        for group in groups:
            operations = []
            for keys, ready, modest in group:
                number += 1
                use = (lambda taken, keys=tuple(keys): [k for k in keys if not taken]) if modest else None
                operations.append(operation(number, tuple(keys), ready, use))
                free = [k for k in keys if k not in expected]
                expected |= dict.fromkeys(free if not modest or len(free) == len(keys) else [], number)
            settled(connection, operations)
            now = {row.key: row.message_id for row in connection.execute(select(tables.claim))}
            assert now == expected
        whole.rollback()
