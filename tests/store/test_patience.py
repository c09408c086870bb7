"""How long a person waits for a store, and what is set so that nobody waits for a session that is not there any more."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from sqlalchemy import Engine, text

from suture.model.errors import StoreError
from suture.store import dialect
from suture.store.engine import open_engine
from tests.crash.mortal_postgres import MortalServer


def opened(engine: Engine, **more: float) -> Engine:
    return open_engine(engine.url.render_as_string(False), site=None, **more)  # type: ignore[arg-type]


def test_a_store_that_does_not_answer_in_time_is_given_up_on(postgres_database: str) -> None:
    engine = open_engine(postgres_database, site=None, answer_s=0.5)
    begin_s = time.monotonic()
    with pytest.raises(StoreError, match=r"has not answered within 0\.5 s.*--timeout"), dialect.reading(engine) as connection:
        connection.execute(text("SELECT pg_sleep(30)"))
    assert time.monotonic() - begin_s < 10
    with dialect.reading(engine) as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1, "the next look is a new one"
    engine.dispose()


def test_a_server_that_is_frozen_before_it_greets_is_given_up_on() -> None:
    server = MortalServer()
    engine = open_engine(server.url(), site=None, answer_s=0.5)
    server.freeze()
    try:
        with pytest.raises(StoreError, match="has not answered within"), dialect.reading(engine):
            pass
    finally:
        server.thaw()
        engine.dispose()
        server.stop()


def test_what_is_quick_is_not_disturbed_and_nothing_rings_afterwards(engine_db: Engine) -> None:
    engine = opened(engine_db, answer_s=0.3)
    before = signal.getsignal(signal.SIGALRM)
    with dialect.reading(engine) as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    with dialect.writing(engine) as connection:
        connection.execute(text("SELECT 1"))
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) == before
    engine.dispose()


def test_another_thread_waits_as_long_as_it_takes(engine_db: Engine) -> None:
    """A signal reaches the main thread alone: in others nothing is interrupted, and nothing breaks."""
    engine, found = opened(engine_db, answer_s=0.1), list[int]()

    def look() -> None:
        with dialect.reading(engine) as connection:
            time.sleep(0.3)
            found.append(int(connection.execute(text("SELECT 1")).scalar_one()))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(10)
    engine.dispose()
    assert found == [1]


def test_the_server_gives_up_on_a_session_as_we_do_on_the_server(postgres_database: str) -> None:
    engine = open_engine(postgres_database, site=None, timeout_s=6)
    with engine.connect() as connection:
        shown = {
            name: connection.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "synchronous_commit")
        }
        connection.rollback()
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "6s", "also after a rollback"
    engine.dispose()
    assert shown == {
        "lock_timeout": "6s",
        "idle_in_transaction_session_timeout": "24s",
        "idle_session_timeout": "24s",
        "synchronous_commit": "on",
    }


def test_a_network_that_has_gone_is_noticed_by_both_sides() -> None:
    arguments = dialect.postgresql_arguments(15)
    assert arguments["keepalives_idle"] + 3 * arguments["keepalives_interval"] <= 15
    assert arguments["tcp_user_timeout"] == 15_000


def test_a_lock_of_somebody_else_is_named(postgres_database: str) -> None:
    engine = open_engine(postgres_database, site=None, timeout_s=2)
    with engine.begin() as other:
        other.execute(text("CREATE TABLE t (i int)"))
    with engine.begin() as other:
        other.execute(text("LOCK TABLE t IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(StoreError, match="another session holds a lock"), dialect.reading(engine) as connection:
            connection.execute(text("SELECT * FROM t"))
    engine.dispose()
