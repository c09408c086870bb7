"""Lanes, when the store's answers and the journal's word cross on their way: nothing is sent twice, nothing is forgotten.

The journal commits first and tells later; a read of the backlog sees what is committed and is answered later, too. Here
a test decides when each of them arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, select, update
from twisted.internet.task import Clock

from suture.model import states
from suture.model.message import Message
from suture.model.outcome import Accepted, Held, Outcome, TryLater, Unavailable
from suture.pipeline.lanes import Lanes
from suture.pipeline.retry import Policy
from suture.ports import Delivery, Processed, Settled, Work
from suture.store import again, dialect, tables, views
from tests.doubles import ByHand, world


class Slow:
    """The real store, and a peer; each does its next thing when it is told to."""

    def __init__(self, engine: Engine, policy: Policy) -> None:
        self.clock, self.store = Clock(), ByHand(engine)
        self.calls: list[tuple[int, Callable[[Outcome], None]]] = []
        self.sent: list[int] = []
        self.let_go: set[int] = set()
        self.script: list[Outcome] = []
        self.made = 0
        self.tell, self.read, self.answer = self.store.tell, self.store.read, self.store.answer
        self.lanes = Lanes("c", "d", self, policy, world(self.store, self.clock, self.store), lambda lanes: None)  # type: ignore[arg-type]

    def send(self, delivery: Delivery, done: Callable[[Outcome], None]) -> None:
        self.sent.append(delivery.id)
        self.calls.append((delivery.id, done))

    # -- what a test decides

    def commit(self, group: str) -> None:
        """One transaction: for each letter a delivery on that lane; a capital is what a person sends again.

        All are told in the order they were written; what a person sends again has the higher numbers. "!" lets go what
        is held.
        """
        for letter in group:
            self.made += 1
            if letter == "!":
                self._write("release", self._release, new=False)
            elif letter.isupper():
                self.store.put(-self.made, letter.lower(), states.DEAD)
                self._write("resend", partial(self._resend, -self.made), new=True)
            else:
                self.store.write(self._processed(Delivery(1, "c", "d", letter, b"x", f"new {self.made}")))
        self.store.commit()

    def _processed(self, delivery: Delivery) -> Processed:
        settled = Settled(states.PROCESSED, "", deliveries=[delivery])

        def done(settled: Settled) -> None:
            for one in settled.deliveries:
                self.lanes.add(one)

        return Processed(Message("c", b"", 1, id=1), 1, 0, (), settled, lambda c, s: settled, (), (), self.made, done, pytest.fail)

    def _write(self, name: str, run: Callable[[Connection], list[Delivery]], new: bool) -> None:
        def done(deliveries: list[Delivery]) -> None:
            for one in deliveries:
                self.let_go.add(one.id)
                self.lanes.release(one, new)

        self.store.write(Work(name, run, done, pytest.fail))

    def _resend(self, number: int, connection: Connection) -> list[Delivery]:
        return again.resend(connection, self.store.journal.sequences, [number], True, 0).deliveries

    def _release(self, connection: Connection) -> list[Delivery]:
        d = views.delivery.c
        held = list(connection.execute(select(d.id).where(d.state == states.HELD)).scalars())
        return again.release(connection, held, 0, lambda *bare: "").deliveries

    def reply(self, which: int = 0) -> None:
        if self.calls:
            number, done = self.calls.pop(which % len(self.calls))
            outcome = self.script.pop(0) if self.script else Accepted("AA")
            done(outcome)

    def settle(self) -> None:
        """Let everything happen that is due, until nothing is left to do."""
        for _ in range(2000):
            self.commit("")
            for happen in (self.tell, self.read, self.answer, self.reply):
                happen()
            self.clock.advance(0.05)

    def accepted(self) -> list[int]:
        return [number for number, state in self.store.states.items() if state == states.ACCEPTED]


@pytest.fixture
def slow(quick_db: Engine) -> Iterator[Callable[[Policy], Slow]]:
    made: list[Slow] = []

    def make(policy: Policy) -> Slow:
        while made:
            made.pop().store.close()
        made.append(Slow(quick_db, policy))
        return made[0]

    yield make
    for one in made:
        one.store.close()


def test_a_delivery_that_the_store_gave_before_the_journal_told_of_it_is_sent_once(slow: Make) -> None:
    s = slow(Policy(in_flight=4))
    s.commit("abc")
    s.lanes.start(0)
    s.read()
    s.answer()
    s.settle()
    assert sorted(s.sent) == [1, 2, 3]
    assert s.lanes.window.depth == 0


def test_what_a_person_sends_again_during_a_backlog_goes_out_once(slow: Make) -> None:
    s = slow(Policy(in_flight=1, memory_limit=4))
    s.lanes.start(0)
    s.commit("a" * 20)
    while s.store.told:
        s.tell()
    s.commit("AB")
    s.settle()
    assert sorted(s.sent) == list(range(1, 23))
    assert [n for n in s.sent if n < 22] == list(range(1, 22))


def test_what_a_person_sends_again_just_before_a_backlog_goes_out_once(slow: Make) -> None:
    s = slow(Policy(in_flight=1, memory_limit=4))
    s.lanes.start(0)
    s.read()
    s.answer()
    s.commit("Ab" + "a" * 20)  # the first is told of first, and has the highest number
    while s.store.told:
        s.tell()
    s.settle()
    assert sorted(s.sent) == list(range(1, 23))
    assert s.lanes.window.depth == 0


@pytest.mark.parametrize(("on_ambiguous", "sent", "state"), [("hold", [2], "held"), ("resend", [1, 2], "accepted")])
def test_a_delivery_that_was_being_sent_when_the_engine_died(slow: Make, on_ambiguous: str, sent: list[int], state: str) -> None:
    s = slow(Policy(in_flight=1, on_ambiguous=on_ambiguous))
    s.commit("aa")
    s.store.told.clear()
    with dialect.writing(s.store.engine) as connection:
        connection.execute(update(tables.queued).where(tables.queued.c.id == 1).values(state=states.IN_FLIGHT))
    s.lanes.start(2)
    s.settle()
    assert s.sent == sent
    assert list(s.store.states.values()) == [state, "accepted"]
    assert s.lanes.window.depth == 0


def test_where_a_repetition_cannot_be_told_a_refused_connection_does_not_hold_a_delivery(slow: Make) -> None:
    s = slow(Policy(on_ambiguous="hold", first_s=0.1))
    s.script = [Unavailable("CONNECT", "refused"), TryLater("AR", "busy")]
    s.lanes.start(0)
    s.commit("a")
    s.settle()
    assert s.sent == [1, 1, 1]
    assert s.accepted() == [1]


Make = Callable[[Policy], Slow]
STEPS = st.lists(
    st.one_of(
        st.text("abcABC!", min_size=1, max_size=6).map(lambda group: ("commit", group)),
        st.sampled_from(["tell", "read", "answer", "wait", "commit"]).map(lambda name: (name, "")),
        st.integers(0, 3).map(lambda which: ("reply", which)),
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    STEPS,
    st.lists(st.sampled_from([Accepted("A"), TryLater("R", "r"), Unavailable("C", "c"), Held("H", "h")]), max_size=10),
    st.integers(1, 3),
    st.integers(1, 6),
    st.sampled_from(["resend", "hold"]),
)
def test_whatever_crosses_on_its_way_each_is_accepted_once_and_in_order(
    slow: Make, steps: list[tuple[str, Any]], script: list[Outcome], in_flight: int, memory: int, on_ambiguous: str
) -> None:
    s = slow(Policy(in_flight=in_flight, memory_limit=memory, first_s=0.05, max_s=0.1, breaker_after=3, on_ambiguous=on_ambiguous))
    s.script, failures = list(script), sum(not isinstance(o, Accepted) for o in script)
    s.lanes.start(0)
    for name, what in steps:
        if name == "wait":
            s.clock.advance(0.1)
        elif name in ("commit", "reply"):
            getattr(s, name)(what)
        else:
            getattr(s, name)()
    s.settle()
    while states.HELD in s.store.states.values():
        s.commit("!")
        s.settle()
    lane_of = s.store.column("lane")
    assert s.accepted() == list(lane_of)
    assert len(s.sent) <= len(lane_of) + failures, "a delivery was sent again that had been accepted"
    assert (s.lanes.window.depth, s.lanes.in_flight, s.lanes.window.count) == (0, 0, 0)
    for lane in "abc":
        mine = [n for n in s.sent if lane_of[n] == lane and n not in s.let_go]
        assert mine == sorted(mine)
