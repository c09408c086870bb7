"""Lanes, when the store's answers and the journal's word cross on their way: nothing is sent twice, nothing is forgotten.

The journal commits first and tells later; a read of the backlog sees what is committed and is answered later, too. Here
a test decides when each of them arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from suture.model import states
from suture.model.outcome import Accepted, Held, Outcome, TryLater, Unavailable
from suture.pipeline.lanes import Lanes
from suture.pipeline.retry import Policy
from suture.ports import Attempted, Delivery, Sending
from tests.doubles import world


class Slow:
    """Store, journal and peer; each does its next thing when it is told to."""

    def __init__(self, policy: Policy) -> None:
        self.clock = Clock()
        self.rows: dict[int, list[Any]] = {}  # number to [lane, state]
        self.writes: deque[Any] = deque()
        self.told: deque[Callable[[], None]] = deque()
        self.reads: deque[tuple[Callable[[int], bool], int, Callable[[list[Delivery]], None]]] = deque()
        self.answers: deque[Callable[[], None]] = deque()
        self.calls: list[tuple[int, Callable[[Outcome], None]]] = []
        self.sent: list[int] = []
        self.let_go: set[int] = set()
        self.script: list[Outcome] = []
        self.lanes = Lanes("c", "d", self, policy, world(self, self.clock, self), lambda lanes: None)

    # -- the ports

    def write(self, operation: Attempted | Sending) -> None:
        self.writes.append(operation)

    def load(self, channel: str, destination: str, after_id: int, limit: int, done: Any) -> None:
        self.reads.append((lambda n: n > after_id, limit, done))

    def load_lane(self, channel: str, destination: str, lane: str, after_id: int, limit: int, done: Any) -> None:
        self.reads.append((lambda n: n > after_id and self.rows[n][0] == lane, limit, done))

    def send(self, delivery: Delivery, done: Callable[[Outcome], None]) -> None:
        self.sent.append(delivery.id)
        self.calls.append((delivery.id, done))

    # -- what a test decides

    def commit(self, group: str) -> None:
        """One transaction: for each letter a delivery on that lane; a capital is what a person sends again.

        All are told in the order they were written; what a person sends again has the higher numbers. "!" lets go what
        is held.
        """
        while self.writes:
            operation = self.writes.popleft()
            if isinstance(operation, Attempted):
                self.rows[operation.delivery.id][1] = operation.state
            else:
                self.rows[operation.delivery.id][1] = states.IN_FLIGHT
                self.told.append(operation.done)
        numbers = {}
        for again in (False, True):
            for place, letter in enumerate(group):
                if letter.isalpha() and letter.isupper() == again:
                    numbers[place] = number = len(self.rows) + 1
                    self.rows[number] = [letter.lower(), states.QUEUED]
        for place, letter in enumerate(group):
            if letter == "!":
                self._let_go()
                continue
            if letter.isupper():
                self.let_go.add(numbers[place])
            hear = partial(self.lanes.release, new=True) if letter.isupper() else self.lanes.add
            self.told.append(partial(hear, self.delivery(numbers[place])))

    def _let_go(self) -> None:
        for number, row in self.rows.items():
            if row[1] == states.HELD:
                row[1] = states.QUEUED
                self.let_go.add(number)
                self.told.append(partial(self.lanes.release, self.delivery(number), new=False))

    def delivery(self, number: int) -> Delivery:
        lane, state = self.rows[number]
        return Delivery(number, "c", "d", lane, b"x", id=number, state=state, attempts=self.sent.count(number))

    def read(self) -> None:
        """The store looks; its answer is on its way."""
        if self.reads:
            wanted, limit, done = self.reads.popleft()
            found = [self.delivery(n) for n in sorted(self.rows) if self.rows[n][1] in states.WAITING and wanted(n)][:limit]
            self.answers.append(lambda: done(found, len(found) >= limit))

    def tell(self) -> None:
        if self.told:
            self.told.popleft()()

    def answer(self) -> None:
        if self.answers:
            self.answers.popleft()()

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
        return sorted(n for n, (_, state) in self.rows.items() if state == states.ACCEPTED)


def test_a_delivery_that_the_store_gave_before_the_journal_told_of_it_is_sent_once() -> None:
    s = Slow(Policy(in_flight=4))
    s.commit("abc")
    s.lanes.start(0)
    s.read()
    s.answer()
    s.settle()
    assert sorted(s.sent) == [1, 2, 3]
    assert s.lanes.window.depth == 0


def test_what_a_person_sends_again_during_a_backlog_goes_out_once() -> None:
    s = Slow(Policy(in_flight=1, memory_limit=4))
    s.lanes.start(0)
    s.commit("a" * 20)
    while s.told:
        s.tell()
    s.commit("AB")
    s.settle()
    assert sorted(s.sent) == list(range(1, 23))
    assert [n for n in s.sent if n < 22] == list(range(1, 22))


def test_what_a_person_sends_again_just_before_a_backlog_goes_out_once() -> None:
    s = Slow(Policy(in_flight=1, memory_limit=4))
    s.lanes.start(0)
    s.read()
    s.answer()
    s.commit("Ab" + "a" * 20)  # the first is told of first, and has the highest number
    while s.told:
        s.tell()
    s.settle()
    assert sorted(s.sent) == list(range(1, 23))
    assert s.lanes.window.depth == 0


@pytest.mark.parametrize(("on_ambiguous", "sent", "state"), [("hold", [2], "held"), ("resend", [1, 2], "accepted")])
def test_a_delivery_that_was_being_sent_when_the_engine_died(on_ambiguous: str, sent: list[int], state: str) -> None:
    s = Slow(Policy(in_flight=1, on_ambiguous=on_ambiguous))
    s.commit("aa")
    s.told.clear()
    s.rows[1][1] = states.IN_FLIGHT
    s.lanes.start(2)
    s.settle()
    assert s.sent == sent
    assert [row[1] for row in s.rows.values()] == [state, "accepted"]
    assert s.lanes.window.depth == 0


def test_where_a_repetition_cannot_be_told_a_refused_connection_does_not_hold_a_delivery() -> None:
    s = Slow(Policy(on_ambiguous="hold", first_s=0.1))
    s.script = [Unavailable("CONNECT", "refused"), TryLater("AR", "busy")]
    s.lanes.start(0)
    s.commit("a")
    s.settle()
    assert s.sent == [1, 1, 1]
    assert s.accepted() == [1]


STEPS = st.lists(
    st.one_of(
        st.text("abcABC!", min_size=1, max_size=6).map(lambda group: ("commit", group)),
        st.sampled_from(["tell", "read", "answer", "wait", "commit"]).map(lambda name: (name, "")),
        st.integers(0, 3).map(lambda which: ("reply", which)),
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@given(
    STEPS,
    st.lists(st.sampled_from([Accepted("A"), TryLater("R", "r"), Unavailable("C", "c"), Held("H", "h")]), max_size=10),
    st.integers(1, 3),
    st.integers(1, 6),
    st.sampled_from(["resend", "hold"]),
)
def test_whatever_crosses_on_its_way_each_is_accepted_once_and_in_order(
    steps: list[tuple[str, Any]], script: list[Outcome], in_flight: int, memory: int, on_ambiguous: str
) -> None:
    s = Slow(Policy(in_flight=in_flight, memory_limit=memory, first_s=0.05, max_s=0.1, breaker_after=3, on_ambiguous=on_ambiguous))
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
    while any(state == states.HELD for _, state in s.rows.values()):
        s.commit("!")
        s.settle()
    assert s.accepted() == sorted(s.rows)
    assert len(s.sent) <= len(s.rows) + failures, "a delivery was sent again that had been accepted"
    assert (s.lanes.window.depth, s.lanes.in_flight, s.lanes.window.count) == (0, 0, 0)
    for lane in "abc":
        mine = [n for n in s.sent if s.rows[n][0] == lane and n not in s.let_go]
        assert mine == sorted(mine)
