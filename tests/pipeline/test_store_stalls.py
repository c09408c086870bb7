"""A store that stalls, or does not take an outcome: each attempt is written as it was when it was made, and none is dropped."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from sqlalchemy import Engine, select
from twisted.internet.task import Clock

from suture.model.message import Message
from suture.model.outcome import UNSTORABLE, Accepted, Outcome, TryLater
from suture.pipeline.lanes import Lanes
from suture.pipeline.retry import Policy
from suture.ports import Attempted, Delivery, Operation, Processed, Received, Sending, Settled
from suture.store import tables, views
from tests.doubles import Scripted, world
from tests.store.desk import Desk

DAY_US = 86_400_000_000


class Stalling:
    """The real journal, which writes what it was given when a test says so, as one group."""

    def __init__(self, engine: Engine) -> None:
        self.handed: list[Operation] = []
        self._desk = Desk(engine)

    @property
    def bugs(self) -> list[Exception]:
        return self._desk.bugs

    def write(self, operation: Operation) -> None:
        self.handed.append(operation)

    def go_on(self) -> None:
        """Write what was handed over, and tell of it."""
        group, self.handed = self.handed, []
        self._desk.written(group)


class House:
    """Lanes over the real store, with deliveries that wait in one of them."""

    def __init__(self, engine: Engine, script: list[Outcome], policy: Policy, deliveries: int = 1) -> None:
        self.engine, self.clock = engine, Clock()
        self.journal = Stalling(engine)
        self.peer = Scripted(self.clock, script, 0)
        self.lanes = Lanes("c", "d", self.peer, policy, world(self.journal, self.clock), lambda lanes: None)  # type: ignore[arg-type]
        self.lanes.start(0)
        message = Message("c", b"MSH", 1, "M1")
        self.journal.write(Received(message, DAY_US, lambda state, m: None, pytest.fail))
        self.journal.go_on()
        made = [Delivery(1, "c", "d", "", b"x", f"key {n}") for n in range(deliveries)]
        settled = Settled("processed", "", (), (), made, ())
        told: list[Settled] = []
        self.journal.write(Processed(message, 1, DAY_US, (), settled, lambda c, s: settled, (), (), 0, told.append, pytest.fail))
        self.journal.go_on()
        for delivery in told[0].deliveries:
            self.lanes.add(delivery)

    def wait(self, seconds: float) -> None:
        for _ in range(int(seconds * 20)):
            self.clock.advance(0.05)

    def rows(self, table: Any, *columns: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(select(*(table.c[name] for name in columns)).order_by(*table.primary_key))]


def test_attempts_that_the_store_takes_late_keep_their_numbers_and_the_last_one_counts(engine_db: Engine) -> None:
    script = [TryLater("AR", "busy"), TryLater("AR", "busy"), Accepted("AA")]
    house = House(engine_db, script, Policy(first_s=1))
    house.wait(10)  # longer than two pauses: all three attempts are over before the store takes the first
    assert len(house.peer.sent) == 3
    house.journal.go_on()
    assert house.rows(tables.attempt, "number", "outcome") == [(1, "try_later"), (2, "try_later"), (3, "accepted")]
    assert house.rows(views.delivery, "state", "attempts") == [("accepted", 3)]
    assert house.journal.bugs == []


def test_what_was_handed_to_the_journal_cannot_be_changed(engine_db: Engine) -> None:
    house = House(engine_db, [TryLater("AR", "busy"), Accepted("AA")], Policy(first_s=1, on_ambiguous="hold"))
    house.journal.go_on()
    house.wait(0.1)
    (attempted,) = house.journal.handed
    assert isinstance(attempted, Attempted)
    for value, name in ((attempted, "number"), (attempted.delivery, "attempts"), (attempted.outcome, "reason")):
        with pytest.raises(AttributeError):
            setattr(value, name, 7)


@pytest.mark.parametrize("kind", [*get_args(Operation), Message, Delivery, Settled])
def test_what_the_journal_is_given_is_a_value(kind: Any) -> None:
    value = kind(*[None] * len(kind.__struct_fields__))
    for name in kind.__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(value, name, 7)


@pytest.mark.parametrize("state", ["accepted", "dead", "retrying"])
def test_an_outcome_that_the_store_does_not_take_is_kept_as_what_it_came_to_with_an_exception(engine_db: Engine, state: str) -> None:
    outcomes = {"accepted": Accepted("AA", b"x"), "dead": TryLater("AR", "no"), "retrying": TryLater("AR", "busy")}
    policy = Policy(first_s=60, attempts_max=1 if state == "dead" else 0)
    house = House(engine_db, [outcomes[state]], policy)
    with engine_db.begin() as connection:  # what breaks a rule of the table stands for anything that it does not take
        taken = {"delivery_id": 1, "number": 1, "started_at_us": 1, "ended_at_us": 2, "outcome": "ambiguous", "code": "", "reason": ""}
        connection.execute(tables.attempt.insert().values(taken))
    house.wait(1)
    house.journal.go_on()
    house.wait(1)
    house.journal.go_on()
    assert house.rows(views.delivery, "state", "attempts") == [(state, 2)]
    assert house.rows(tables.attempt, "number", "code") == [(1, ""), (2, UNSTORABLE)]
    exceptions = house.rows(tables.exception, "delivery_id", "stage", "code", "reason")
    assert (1, "deliver", UNSTORABLE) in [row[:3] for row in exceptions]
    assert all("IntegrityError" in row[3] for row in exceptions if row[2] == UNSTORABLE)
    assert house.journal.bugs == []


def test_a_delivery_goes_on_where_the_store_does_not_take_that_it_is_being_sent(engine_db: Engine) -> None:
    house = House(engine_db, [Accepted("AA")], Policy(on_ambiguous="hold", max_s=2))
    (sending,) = house.journal.handed
    assert isinstance(sending, Sending)
    house.journal.handed.clear()
    sending.failed(ValueError("not this"))
    for _ in range(4):
        house.journal.go_on()
        house.wait(2)
    house.journal.go_on()
    assert house.rows(views.delivery, "state", "attempts") == [("accepted", 2)]
    assert house.lanes.in_flight == 0
