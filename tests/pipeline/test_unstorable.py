"""A message whose outcome the store does not take, in any form: whoever waits for it goes on."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from suture.model.message import Message
from suture.pipeline.channel import Channel
from suture.ports import Processed
from tests.doubles import world
from tests.plans import Output, Plan


class Refusing:
    """A journal that takes nothing of what messages come to."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    def write(self, operation: Processed) -> None:
        self.written.append(operation)
        operation.failed(ValueError("no"))

    def pending(self) -> int:
        return 0


def test_a_message_that_cannot_even_be_parked_holds_up_neither_a_request_nor_a_stop() -> None:
    journal, told = Refusing(), list[str]()
    channel = Channel(Plan("c", [Output("d")]), {}, world(journal, Clock()), told.append)
    channel.process(Message("c", b"MSH|^~\\&|A|B\r", 0), None, 1, lambda: told.append("gone on"))
    assert len(journal.written) == 2
    assert told == ["gone on"]
    assert channel.in_work == 0
