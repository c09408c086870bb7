"""The table of a sender's connection: it is whole, it ends, and a connection does what it says."""

from __future__ import annotations

import ast
import inspect
from collections import deque
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from suture.connectors import mllp_in
from suture.connectors.mllp import sender
from suture.connectors.mllp.life import HEARD, TABLE, UNWANTED, Act, Event, State
from suture.connectors.net.sockets import LINGER_S
from suture.wire.mllp import frame

CELLS = [(state, event) for state in State for event in Event]
HUNG_UP = ("loseConnection", "loseWriteConnection")


def way_to(wanted: State) -> list[Event]:
    """The shortest way from the beginning to a state."""
    ways: deque[tuple[State, list[Event]]] = deque([(State.OPEN, [])])
    while ways:
        state, way = ways.popleft()
        if state is wanted:
            return way
        if len(way) < len(State):
            ways.extend((TABLE[state][event][0], [*way, event]) for event in Event)
    raise AssertionError(f"{wanted} is never reached")


class Transport(StringTransport):
    """Writes down what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def unregisterProducer(self) -> None:  # noqa: N802
        self.asked.append("unregisterProducer")
        self.producer = None

    def resumeProducing(self) -> None:  # noqa: N802
        self.asked.append("resumeProducing")

    def pauseProducing(self) -> None:  # noqa: N802
        self.asked.append("pauseProducing")

    def loseConnection(self) -> None:  # noqa: N802
        self.asked.append("loseConnection")

    def loseWriteConnection(self) -> None:  # noqa: N802
        self.asked.append("loseWriteConnection")

    def abortConnection(self) -> None:  # noqa: N802
        self.asked.append("abortConnection")

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        raise OSError("there is no socket")


class Stand:
    """A connection with a source that keeps what it receives and answers nothing by itself."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.received: list[tuple[bytes, Any]] = []
        self.refused: list[Any] = []
        config = mllp_in.Config(port=0, limit_bytes=1024, skip_bytes=0)
        self.source = mllp_in.Source(config, self.clock, self._receive, self._refuse, lambda code, text: None)
        self.one = sender.Connection(self.source, IPv4Address("TCP", "127.0.0.1", 4000))
        self.transport = Transport()
        self.one.makeConnection(self.transport)

    def _receive(self, raw: bytes, peer: str, answer: Any, say: Any) -> None:
        self.received.append((raw, answer))

    def _refuse(self, large: Any, limit_bytes: int, peer: str, answer: Any) -> None:
        self.refused.append(answer)

    def at(self, state: State) -> Stand:
        for event in way_to(state):
            self.one.happens(event)
        assert self.one.state is state
        self.transport.asked.clear()
        return self


def test_every_state_answers_every_event():
    assert set(TABLE) == set(State)
    assert all(set(row) == set(Event) for row in TABLE.values())


@pytest.mark.parametrize("state", State)
def test_every_state_is_reached_and_a_lost_connection_is_gone_and_stays_so(state: State):
    way_to(state)
    assert TABLE[state][Event.LOST][0] is State.GONE
    assert {TABLE[State.GONE][event] for event in Event} == {(State.GONE, ())}


@pytest.mark.parametrize("state", State)
def test_nothing_takes_back_what_was_said_or_wanted(state: State):
    """A sender that has said all never says more, and a connection that is to end is never one that goes on."""
    after = {TABLE[state][event][0] for event in Event} - {State.GONE}
    if state in HEARD:
        assert after <= HEARD
    if state in UNWANTED:
        assert after <= UNWANTED


@pytest.mark.parametrize("state", State)
def test_it_is_hung_up_as_its_sender_can_bear_it(state: State):
    """Slowly where it is still talking, and heard on to its goodbye where that is still to come."""
    for _, acts in TABLE[state].values():
        slowly = Act.HANG_UP_SLOWLY if state in (State.OVER, State.SPENT) else Act.HANG_UP
        ends = {slowly, Act.RELEASE} | (set() if state in HEARD else {Act.LISTEN})
        assert set(acts) in ({*ends}, {Act.CUT}, {Act.TAKE_REST}, {Act.READ}, {Act.GOODBYE}, set())
        assert (Act.GOODBYE in acts) <= (state in UNWANTED)


@pytest.mark.parametrize(("state", "event"), CELLS, ids=[f"{state.name}-{event.name}" for state, event in CELLS])
def test_a_connection_does_what_the_table_says(state: State, event: Event):
    stand = Stand().at(state)
    then, acts = TABLE[state][event]
    if event is Event.SAID:
        stand.one.dataReceived(frame(b"MSH|1"))
        assert [raw for raw, _ in stand.received] == ([b"MSH|1"] if Act.READ in acts else [])
    else:
        assert Act.READ not in acts
        stand.one.happens(event)
    assert stand.one.state is then
    asked = stand.transport.asked
    does = {
        Act.RELEASE: ["unregisterProducer"],
        Act.LISTEN: ["resumeProducing"],
        Act.HANG_UP: ["loseConnection"],
        Act.HANG_UP_SLOWLY: ["loseWriteConnection"],
        Act.GOODBYE: ["loseConnection"],
        Act.CUT: ["abortConnection"],
    }
    assert asked == [call for act in acts for call in does.get(act, [])]
    if {Act.HANG_UP, Act.HANG_UP_SLOWLY} & set(acts):
        stand.clock.advance(LINGER_S)
        assert asked[-1] == "abortConnection"


def test_every_event_happens_and_every_act_is_done():
    """What is said takes no detour over the table, for it comes often."""
    nodes = [node for module in (sender, mllp_in) for node in ast.walk(ast.parse(inspect.getsource(module)))]
    told = {node.attr for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Event"}
    assert told == {event.name for event in Event} - {Event.SAID.name}
    assert set(sender.ACTS) == set(Act) - {Act.READ}
    assert {act for row in TABLE.values() for _, acts in row.values() for act in acts} == set(Act)


def test_a_life_from_its_beginning_to_its_end():
    """Two messages, the sender's end between their answers, and the last answer before the connection is closed."""
    stand = Stand()
    stand.one.dataReceived(frame(b"MSH|1") + frame(b"MSH|2") + b"\x0bMSH|3\r\x1c")
    stand.received[0][1](b"ACK 1")
    stand.one.readConnectionLost()
    assert [raw for raw, _ in stand.received] == [b"MSH|1", b"MSH|2", b"MSH|3\r"], "the end byte counts, for no more is said"
    assert stand.one.state is State.DEAF
    for (_, answer), text in zip(stand.received[1:], (b"ACK 2", b"ACK 3"), strict=True):
        assert not set(HUNG_UP) & set(stand.transport.asked)
        answer(text)
    assert stand.one.state is State.PARTED
    assert stand.transport.value() == frame(b"ACK 1") + frame(b"ACK 2") + frame(b"ACK 3")
    assert stand.transport.asked == ["unregisterProducer", "loseConnection"]
    stand.one.connectionLost()
    assert not stand.clock.getDelayedCalls()
    assert (stand.one.state, stand.source.connections) == (State.GONE, set())


def test_a_message_without_an_end_is_answered_and_then_its_connection_is_hung_up_slowly():
    stand = Stand()
    stand.one.dataReceived(frame(b"MSH|1") + b"\x0bMSH|" + b"x" * 5000)
    assert stand.one.state is State.OVER
    stand.received[0][1](b"ACK 1")
    stand.one.dataReceived(frame(b"MSH|2"))
    assert (len(stand.received), stand.one.state) == (1, State.OVER)
    stand.refused[0](b"AR")
    assert stand.one.state is State.ENDING
    assert stand.transport.asked == ["unregisterProducer", "resumeProducing", "loseWriteConnection"]
