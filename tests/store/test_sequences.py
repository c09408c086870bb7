"""Numbers of messages and deliveries: several writers share one store, none is given twice, and each writer's own grow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from sqlalchemy import Connection, Engine, select

from suture.model.message import Message
from suture.ports import Received
from suture.store import dialect, rows, views, write_messages
from suture.store.codec import Codec
from suture.store.sequences import BLOCK, Sequences
from tests.filling import Store


class Writer:
    """Writes messages over a connection of its own, as many as are asked for in each transaction."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.name, self.numbers, self.given = name, Sequences(), list[int]()
        self.connection = dialect.writer(engine)
        with self.connection.begin():
            self.numbers.load(self.connection)

    def write(self, count: int, fails: bool = False) -> list[int]:
        """One transaction; the numbers of its messages. fails: it is not committed after all."""
        told: list[int] = []
        before = len(self.given)
        made = [Message(self.name, b"MSH", 1, f"{before + n}", "DFT^P03", self.name, "peer") for n in range(count)]
        operations = [Received(one, 0, lambda state, m: told.append(m.id), lambda error: None) for one in made]
        results: dict[int, object] = {}
        try:
            with dialect.transaction(self.connection, mixed=False):
                asked = write_messages.ask(self.connection, operations)  # type: ignore[arg-type]
                write_messages.write(self.connection, operations, self.numbers, results, Codec(lambda: 0), asked)  # type: ignore[arg-type]
                if fails:
                    raise TimeoutError
            self.numbers.fresh = False
        except TimeoutError:
            self.numbers.undone()
            return []
        for operation in operations:
            results[id(operation)]()  # type: ignore[operator]
        self.given += told
        return told

    def leave(self) -> None:
        with self.connection.begin():
            self.numbers.give_back(self.connection)


@pytest.fixture
def writers(engine_db: Engine) -> Iterator[list[Writer]]:
    with ExitStack() as open_:
        two = [Writer(engine_db, name) for name in ("a", "b")]
        for one in two:
            open_.enter_context(closing(one.connection))
        yield two


def given(one: Writer) -> int:
    with one.connection.begin():
        return one.numbers.next_delivery(one.connection)


def stored(engine: Engine, channel: str) -> list[int]:
    with engine.connect() as connection:
        m = views.message.c
        return list(connection.execute(select(m.id).where(m.channel == channel).order_by(m.id)).scalars())


def test_two_that_write_at_once_give_no_number_twice_and_each_keeps_its_order(engine_db: Engine, writers: list[Writer]) -> None:
    both = threading.Barrier(2)
    failed: list[Exception] = []

    def work(one: Writer) -> None:
        try:
            both.wait(30)
            for count in (1, 7, 400, 90, 600, 3, 1200):
                one.write(count)
        except Exception as e:
            failed.append(e)

    threads = [threading.Thread(target=work, args=(one,)) for one in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    for one in writers:
        assert len(one.given) == 2301
        assert one.given == sorted(set(one.given)) == stored(engine_db, one.name)
    assert not set(writers[0].given) & set(writers[1].given)


def test_a_block_of_a_transaction_that_failed_is_another_writer_s(engine_db: Engine, writers: list[Writer]) -> None:
    a, b = writers
    a.write(5, fails=True)
    assert b.write(5) == [1, 2, 3, 4, 5]
    assert a.write(2) == [BLOCK + 1, BLOCK + 2]
    a.write(3, fails=True)
    assert a.write(1) == [BLOCK + 6], "its block was durable before"


def test_one_that_leaves_gives_back_what_it_has_not_given_and_one_that_is_killed_does_not(engine_db: Engine, writers: list[Writer]) -> None:
    a, b = writers
    a.write(3)
    a.leave()
    assert b.write(2) == [4, 5]
    a.leave()  # whose block has become another's
    with closing(Writer(engine_db, "c").connection):
        third = Writer(engine_db, "c")
    assert third.write(1) == [BLOCK + 4]
    third.connection.close()


def test_what_is_in_the_store_already_is_never_given(engine_db: Engine) -> None:
    store = Store(engine_db)
    store.message(id=41, channel="x")
    one = Writer(engine_db, "a")
    assert one.write(1) == [42]
    assert given(one) == 1
    one.connection.close()


def test_a_block_costs_a_few_statements_and_no_number_does(writers: list[Writer], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    execute, query = rows.execute, rows.query
    monkeypatch.setattr(rows, "execute", lambda c, sql, v=(): (asked.append(sql), execute(c, sql, v))[1])
    monkeypatch.setattr(rows, "query", lambda c, sql, v=(): (asked.append(sql), query(c, sql, v))[1])
    one = writers[0]

    def taken(connection: Connection) -> list[int]:
        with dialect.transaction(connection, mixed=False):
            given = [one.numbers.next_message(connection) for _ in range(3 * BLOCK)]
            one.numbers.follow(connection)
            return given

    assert taken(one.connection) == list(range(1, 3 * BLOCK + 1))
    counted = [sql for sql in asked if "numbers" in sql or "waiting" in sql]
    assert len(counted) == 2 * 3 + 2, "two a block, and two where open_from moves"
