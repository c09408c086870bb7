"""Whose writes are committed: an engine that has lost its store writes nothing more, and knows until when it may send."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text
from twisted.internet.task import Clock

from suture.ports import Work
from suture.store import dialect, process
from suture.store.engine import open_engine
from suture.store.journal import Journal
from suture.store.tenure import MARGIN_S, Tenure, owner
from tests.at_work import AtWork
from tests.doubles import Silent
from tests.filling import NOW_US


class Desk:
    """A journal with a tenure by a clock that stands still; what it calls back is run here."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.calls: queue.Queue[Callable[[], None]] = queue.Queue()
        self.told: list[str] = []
        self.bugs: list[Exception] = []
        self.clock = Clock()
        self.journal = Journal(engine, self.calls.put, Silent(), self.told.append, self.bugs.append, retry_s=0.01)
        self.tenure = self.journal.tenure = Tenure(name, 10, self.clock.seconds)
        self.journal.start()

    def write(self, run: Callable[[Any], Any] = lambda c: "done") -> list[Any]:
        results: list[Any] = []
        self.journal.write(Work("w", run, results.append, results.append))
        self.until(lambda: bool(results) or bool(self.tenure.taken_over))
        return results

    def until(self, true: Callable[[], bool]) -> None:
        while not true():
            self.calls.get(timeout=20)()

    def stop(self) -> None:
        self.journal.stop()
        self.journal.join(20)


@pytest.fixture
def desk(engine_db: Engine) -> Iterator[Callable[[str], Desk]]:
    made: list[tuple[Desk, Engine]] = []

    def make(name: str) -> Desk:
        engine = open_engine(engine_db.url.render_as_string(False), site=None)
        made.append((Desk(engine, name), engine))
        return made[-1][0]

    yield make
    for one, engine in made:
        one.stop()
        engine.dispose()


def end_sessions(engine: Engine) -> None:
    """As a restart of the server does, or an administrator; there is nothing of the kind on SQLite."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as c:
            c.execute(text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"))


def audit(connection: Any) -> None:
    connection.execute(text("INSERT INTO audit (at_us, actor, verb, target, reason) VALUES (1, 'a', 'v', 't', 'r')"))


def audited(engine: Engine) -> int:
    with engine.connect() as c:
        return int(c.execute(text("SELECT count(*) FROM audit")).scalar_one())


def test_each_taking_has_an_epoch_of_its_own_and_says_who_has_it(desk: Callable[[str], Desk], engine_db: Engine) -> None:
    for n in (1, 2, 3):
        one = desk(f"node{n}")
        one.write()
        assert one.tenure.epoch == n
        with dialect.reading(engine_db) as c:
            found = owner(c)
        assert found is not None and (found.epoch, found.node, found.pid, found.released) == (n, f"node{n}", os.getpid(), False)
        one.stop()
        with dialect.reading(engine_db) as c:
            found = owner(c)
        assert found is not None and found.released and found.sends_for_s == 0


def test_an_engine_whose_store_was_taken_over_writes_nothing_more(desk: Callable[[str], Desk], engine_db: Engine) -> None:
    old = desk("old")
    assert old.write(audit) == [None]
    end_sessions(engine_db)
    new = desk("new")
    assert new.write() == ["done"]
    assert new.tenure.epoch == 2
    assert old.write(audit) == []
    assert audited(engine_db) == 1
    assert "on new, epoch 2" in old.tenure.taken_over
    assert "has taken it over" in old.told[-1]
    old.journal.join(20)
    assert not old.journal.is_alive()


def test_a_transaction_that_began_before_the_store_was_taken_over_is_not_committed_after(
    desk: Callable[[str], Desk], engine_db: Engine
) -> None:
    """The session lives, as through a pooler or with a lock that somebody let go: the epoch alone keeps it out."""
    if engine_db.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time: no other begins within its transaction")
    old = desk("old")
    old.write()

    def overtaken(connection: Any) -> None:
        connection.execute(text("SELECT pg_advisory_unlock_all()"))
        AtWork(engine_db, NOW_US).die()
        audit(connection)

    assert old.write(overtaken) == []
    assert audited(engine_db) == 0
    assert old.tenure.taken_over


def test_a_pipelined_group_of_an_engine_without_its_store_is_undone_as_a_whole(desk: Callable[[str], Desk], engine_db: Engine) -> None:
    from suture.model.message import Message
    from suture.ports import Received

    old = desk("old")
    old.write()
    with dialect.writing(engine_db) as c:
        c.execute(text("UPDATE engine_state SET value = '2.another 0' WHERE name = 'journal'"))
    results: list[Any] = []
    for n in range(3):
        message = Message("c", b"MSH|%d" % n, 1, f"M{n}")
        old.journal.write(Received(message, 1, lambda state, m: results.append(state), results.append))
    old.until(lambda: bool(old.tenure.taken_over))
    assert results == []
    with engine_db.connect() as c:
        assert c.execute(text("SELECT count(*) FROM message")).scalar() == 0


def test_a_connection_that_was_lost_and_is_made_again_goes_on_in_the_same_tenure(desk: Callable[[str], Desk], engine_db: Engine) -> None:
    one = desk("one")
    one.write(audit)
    end_sessions(engine_db)
    assert one.write(audit) == [None]
    assert (audited(engine_db), one.tenure.epoch, one.tenure.taken_over) == (2, 1, "")


def test_sending_is_allowed_while_the_beginning_of_the_last_commit_is_fresh_and_another_may_after_the_lease(
    desk: Callable[[str], Desk],
) -> None:
    one = desk("one")
    assert not one.tenure.may_send(), "before the store was asked"

    def slow(connection: Any) -> None:
        one.clock.advance(2)

    one.write(slow)
    assert one.tenure.may_send() and one.tenure.age_s() == 2
    one.clock.advance(0.4)
    assert one.tenure.may_send()
    one.clock.advance(0.2)
    assert not one.tenure.may_send() and not one.tenure.is_over()
    one.clock.advance(7.5)
    assert one.tenure.is_over()
    one.write()
    assert one.tenure.may_send() and not one.tenure.is_over()


def test_a_commit_that_was_refused_renews_nothing(desk: Callable[[str], Desk]) -> None:
    from sqlalchemy.exc import OperationalError

    one = desk("one")
    one.write()
    one.clock.advance(11)
    refusals = iter([True])

    def refused(connection: Any) -> None:
        if next(refusals, False):
            one.clock.advance(1)
            raise OperationalError("", None, Exception("full"))
        assert not one.tenure.may_send()

    assert one.write(refused) == [None]


def elsewhere(engine: Engine) -> None:
    """Let the last owner seem to be of another machine: nobody can see from here whether it lives."""
    with dialect.writing(engine) as c:
        told = c.execute(text("SELECT value FROM engine_state WHERE name = 'owner'")).scalar_one()
        c.execute(text("UPDATE engine_state SET value = :v WHERE name = 'owner'"), {"v": told.replace(process.identity(), "boot:1:2:3")})


def test_a_successor_waits_until_the_lease_of_one_that_said_no_goodbye_is_over(desk: Callable[[str], Desk], engine_db: Engine) -> None:
    AtWork(engine_db, NOW_US).die()
    elsewhere(engine_db)
    one = desk("one")
    one.write()
    assert one.tenure.wait_s() == 10 + MARGIN_S
    one.clock.advance(10.9)
    one.write()
    assert not one.tenure.may_send()
    one.clock.advance(0.2)
    assert one.tenure.may_send() and one.tenure.wait_s() == 0


def test_a_successor_does_not_wait_for_one_that_said_goodbye(desk: Callable[[str], Desk], engine_db: Engine) -> None:
    AtWork(engine_db, NOW_US).leave()
    elsewhere(engine_db)
    one = desk("one")
    one.write()
    assert one.tenure.wait_s() == 0 and one.tenure.may_send()


def test_a_process_is_known_to_live_by_others_of_its_machine_and_to_be_gone_when_it_is() -> None:
    if not process.identity():
        pytest.skip("this system does not tell")
    assert process.lives(process.identity()) is True
    told = subprocess.run(
        [sys.executable, "-c", "from suture.store import process; print(process.identity())"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert process.lives(told) is False, "it has ended"
    boot, namespace, number, started = process.identity().split(":")
    assert process.lives(f"{boot}:{namespace}:{number}:{int(started) - 1}") is False, "its number was given again"
    assert process.lives(f"another-boot:{namespace}:{number}:{started}") is None
    assert process.lives(f"{boot}:1:{number}:{started}") is None, "another container's process"
    assert process.lives("") is None


def test_a_connection_that_cannot_be_used_does_not_keep_the_lock(desk: Callable[[str], Desk], engine_db: Engine, monkeypatch: Any) -> None:
    """It is closed, and not given back to the pool with a session that holds the lock."""
    one = desk("one")
    load, failures = one.journal.sequences.load, iter([True])

    def fails_once(connection: Any) -> None:
        if next(failures, False):
            connection.execute(text("SELECT no_such_column FROM message"))
        load(connection)

    monkeypatch.setattr(one.journal.sequences, "load", fails_once)
    assert one.write() == ["done"]
    assert len(one.told) == 2
