"""Receiving: what an answer says about the store, whatever the acknowledgement in it is."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from suture.conversation.hl7v2.conversation import Conversation
from suture.conversation.hl7v2.dealing import Dealing
from tests.doubles import Handed, Inward, world


@pytest.mark.parametrize("acks", [b"", b"AL", b"NE", b"ER"])
def test_a_message_that_could_not_be_stored_is_answered_as_not_stored(clock: Clock, acks: bytes) -> None:
    answers: list[tuple[Any, ...]] = []
    journal = Handed()
    conversation = Conversation("c", 0, Dealing(), world(journal, clock), Inward())
    conversation.arrived(
        b"MSH|^~\\&|A|B|C|D|20260301||DFT^P03|M1|P|2.5.1|||" + acks + b"\rPID|1\r", "peer", lambda *args: answers.append(args)
    )
    assert len(journal.asked) == 1 and not answers
    journal.refuses()
    ((_payload, stored),) = answers
    assert stored is False
