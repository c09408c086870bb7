"""What is told of a channel is what a sender would find."""

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, select
from twisted.internet.task import Clock

from suture.observe.facts import ChannelFact
from suture.store import dialect, state, tables
from suture.store.fitness import Fitness
from suture.store.tenure import Tenure
from suture.telling import HEARTBEAT_S, Condition, Records, channel_fact
from tests.doubles import Writer


@pytest.mark.parametrize(
    ("actual", "listening", "told"),
    [("running", True, "running"), ("running", False, "failed"), ("starting", False, "starting"), ("stopped", False, "stopped")],
)
def test_a_channel_at_whose_door_nobody_listens_does_not_run(actual: str, listening: bool, told: str) -> None:
    channel: Any = SimpleNamespace(name="adt", actual=actual, reason="", source=SimpleNamespace(listening=listening))
    fact = channel_fact(channel, "running")
    assert (fact.actual, fact.wanted) == (told, "running")
    assert ("does not listen" in fact.reason) == (told == "failed")


def test_a_source_that_says_that_messages_can_come_in_is_left_alone() -> None:
    channel: Any = SimpleNamespace(name="files", actual="running", reason="", source=SimpleNamespace(listening=True))
    assert channel_fact(channel, "running") == ChannelFact("files", "running", "running")


def facts_in(engine: Engine) -> dict[str, str]:
    with dialect.reading(engine) as connection:
        return {row.name: row.value for row in connection.execute(select(tables.engine_state).where(tables.engine_state.c.node == "or-1"))}


def test_the_sign_of_life_comes_every_second_with_the_phase_and_brings_the_room_that_is_left(engine_db: Engine) -> None:
    clock, condition, looks, writer = Clock(), Condition("", Fitness("")), list[float](), Writer()
    writer.database, writer.tenure = engine_db, Tenure("or-1")
    journal: Any = writer
    records = Records(journal, clock, condition, lambda: 7 * round(clock.seconds()), lambda: looks.append(clock.seconds()))
    clock.advance(10)
    records.beat({"version": "1"})
    assert facts_in(engine_db) == {"version": "1", "phase": "starting", "heartbeat_us": "10000000"} and condition.free_bytes == 70
    clock.advance(HEARTBEAT_S / 2)
    condition.phase = state.RUNNING
    records.beat({})
    for _ in range(3):
        clock.advance(HEARTBEAT_S)
    assert looks == [10, 10.5, 11.5, 12.5, 13.5], "one timer, however often it is asked for at once"
    assert facts_in(engine_db) == {"version": "1", "phase": "running", "heartbeat_us": "13500000"}
    records.stop()
    records.stop()
    clock.advance(5)
    assert len(looks) == 5 and not clock.getDelayedCalls()


def test_trouble_with_the_store_is_told_once_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    condition = Condition("", Fitness(""))
    caplog.set_level("INFO")
    for text in ("disk full", "disk full", "", ""):
        condition.trouble(text)
        assert condition.fault == text
    assert [record.message.partition(" (")[0] for record in caplog.records] == ["the store takes nothing", "the store takes writes again"]
    condition.bug(RuntimeError("MRN-SECRET"))
    assert condition.bugs == 1 and "MRN-SECRET" not in caplog.text
