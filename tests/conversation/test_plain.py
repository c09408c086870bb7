"""The conversation with senders that are told no more than whether a message is kept."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from suture.conversation.plain import Plain
from suture.model import states
from suture.model.fault import Fault
from suture.model.oversize import TooLarge
from suture.ports.format import Envelope
from tests.doubles import Handed, Inward, Listening, world

NO_JSON = Fault("NOT_JSON", "parse", "", "no JSON")


class Sender:
    """One sender in a plain conversation."""

    def __init__(self) -> None:
        self.store, self.inside, self.observer, self.told = Handed(), Inward(), Listening(), list[tuple[Any, bool]]()
        clock = Clock()
        clock.advance(5)
        around = world(self.store, clock, observer=self.observer)
        self.talk = Plain("c", 7, lambda raw: Envelope("N1", "order", "ward") if raw[:1] == b"{" else NO_JSON, around, self.inside)

    def answer(self, payload: bytes | None, stored: bool = True) -> None:
        self.told.append((payload, stored))


@pytest.fixture
def sender() -> Sender:
    return Sender()


def test_nothing_is_said_before_the_message_is_durable(sender: Sender) -> None:
    sender.talk.arrived(b"{}", "10.0.0.1:9", sender.answer)
    (asked,) = sender.store.asked
    assert (asked.message.control_id, asked.message.type, asked.message.sender) == ("N1", "order", "ward")
    assert (asked.message.channel, asked.message.peer, asked.message.received_at_us, asked.window_us) == ("c", "10.0.0.1:9", 5_000_000, 7)
    assert not sender.told and not sender.inside.messages
    sender.store.takes()
    assert sender.told == [(None, True)]
    assert [message.id for message in sender.inside.messages] == [1]
    assert sender.observer.messages == [states.RECEIVED]


def test_what_came_before_is_answered_and_not_processed_again(sender: Sender) -> None:
    sender.talk.arrived(b"{}", "p", sender.answer)
    sender.store.takes(states.DUPLICATE)
    assert (sender.told, sender.inside.messages) == ([(None, True)], [])


def test_a_sender_is_told_where_its_message_is_not_kept(sender: Sender) -> None:
    sender.talk.arrived(b"{}", "p", sender.answer)
    sender.store.refuses()
    assert (sender.told, sender.inside.messages) == ([(None, False)], [])


def test_what_is_not_of_the_format_is_kept_with_its_fault(sender: Sender) -> None:
    sender.talk.arrived(b"x", "p", sender.answer)
    assert sender.store.asked[0].message.fault == NO_JSON
    sender.store.takes()
    assert sender.told == [(None, True)]


def test_of_what_is_too_large_the_beginning_is_kept_and_its_sender_told_that_it_is_not(sender: Sender) -> None:
    sender.talk.too_large(TooLarge(b'{"a":', 5_000, ended=True), 1_000, "p", sender.answer)
    (asked,) = sender.store.asked
    assert asked.message.raw == b'{"a":'
    assert asked.message.fault is not None and asked.message.fault.code == "FRAME_TOO_LARGE"
    assert "5,000 bytes, over the source's limit of 1,000" in asked.message.fault.reason
    sender.store.takes()
    assert (sender.told, sender.inside.messages) == ([(None, False)], [])


def test_nothing_waits_after_a_restart(sender: Sender) -> None:
    begun: list[str] = []
    sender.talk.begin(lambda: begun.append("begun"), begun.append)  # type: ignore[arg-type]
    assert begun == ["begun"]
    sender.talk.arrived(b"{}", "p", sender.answer)
    assert not sender.talk.recovered(sender.store.asked[0].message)
