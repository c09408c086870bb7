"""A message whose outcome the store does not take, in any form: whoever waits for it goes on."""

from __future__ import annotations

from twisted.internet.task import Clock

from suture.model.message import Message
from suture.pipeline.channel import Channel
from tests.doubles import Handed, world
from tests.plans import Output, Plan


def test_a_message_that_cannot_even_be_parked_holds_up_neither_a_request_nor_a_stop() -> None:
    journal, told = Handed(), list[str]()
    channel = Channel(Plan("c", [Output("d")]), {}, world(journal, Clock()), told.append)
    channel.process(Message("c", b"MSH|^~\\&|A|B\r", 0), None, 1, lambda: told.append("gone on"))
    journal.refuses(ValueError("no"))
    assert (len(journal.asked), told) == (1, []), "it is parked"
    journal.refuses(ValueError("no"))
    assert (journal.asked, told) == ([], ["gone on"])
    assert channel.in_work == 0
