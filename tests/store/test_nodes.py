"""What engines say of themselves is kept by node: one does not speak for another, and all know what is true of the store."""

from __future__ import annotations

from sqlalchemy import Engine

from suture.store import dialect, fitness, state
from suture.store.standing import standing
from tests.at_work import AtWork
from tests.filling import NOW_US


def facts(engine: Engine, node: str) -> dict[str, str]:
    with dialect.reading(engine) as connection:
        return {name: value for name, value in state.engine_facts(connection, node).items() if name in ("pid", "version", "restored")}


def test_each_node_has_facts_of_its_own_beside_those_of_the_store(engine_db: Engine) -> None:
    with dialect.writing(engine_db) as connection:
        state.put_engine(connection, "or-1", {"pid": 11, "version": "1"}, NOW_US)
        state.put_engine(connection, "or-2", {"pid": 22}, NOW_US)
        state.put_engine(connection, state.STORE, {"restored": "then", "version": "0"}, NOW_US)
        state.put_engine(connection, "or-1", {"pid": 12}, NOW_US)
    assert facts(engine_db, "or-1") == {"pid": "12", "version": "1", "restored": "then"}
    assert facts(engine_db, "or-2") == {"pid": "22", "version": "0", "restored": "then"}
    assert facts(engine_db, "or-3") == {"version": "0", "restored": "then"}


def test_what_is_told_is_of_the_node_that_has_the_store_and_its_predecessors_are_forgotten(engine_db: Engine) -> None:
    with dialect.writing(engine_db) as connection:
        state.put_engine(connection, "srv0", {"pid": 1, "version": "old", state.HEARTBEAT: 5, state.PHASE: state.STOPPING}, 5)
        state.put_engine(connection, "srv1", {"version": "kept"}, 5)
    engine = AtWork(engine_db, NOW_US)
    with dialect.reading(engine_db) as connection:
        found = standing(connection, NOW_US)
    assert (found.state, found.heartbeat_us, found.facts["version"]) == (state.RUNNING, NOW_US, "kept")
    assert found.owner is not None and found.owner.node == "srv1"
    assert "pid" not in facts(engine_db, "srv0")
    engine.die()


def test_damage_that_is_met_is_told_though_the_engine_had_found_none_when_it_started(engine_db: Engine) -> None:
    engine = AtWork(engine_db, NOW_US)
    with dialect.writing(engine_db) as connection:
        state.put_engine(connection, "srv1", fitness.facts(fitness.examine(engine_db)), NOW_US)
    fitness.note_damage(engine_db, "a page is damaged")
    with dialect.reading(engine_db) as connection:
        told = standing(connection, NOW_US).facts[fitness.DAMAGE]
    assert (told or fitness.damage_noted(engine_db)) == "a page is damaged"
    engine.die()
