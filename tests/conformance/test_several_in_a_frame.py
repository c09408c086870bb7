"""Several messages in one frame, over a real socket: an answer for each, and one commit acknowledgement for the frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from suture.conversation.hl7v2.rules import AnswerRules
from suture.store import schema
from suture.store.engine import open_engine
from suture.wire.hl7v2.text import er7
from suture.wire.mllp import COMMIT_ACK, COMMIT_NAK, frame
from tests.conformance.stand import Sender, Stand, stand
from tests.conversation.hl7v2.test_together import one
from tests.pipeline.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    database = open_engine(f"sqlite:///{tmp_path / 'suture.db'}", site=None)
    schema.upgrade(database)
    made = House(database, AnswerRules())
    yield made
    made.stop()
    database.dispose()


async def sent(s: Stand, house: House, data: bytes, ends: bool = False) -> Sender:
    """A sender that has said this, which the channel has taken."""
    received: list[bytes] = []

    def receive(raw: bytes, peer: str, answer: Any, say: Any) -> None:
        house.channel.conversation.arrived(raw, peer, answer, say)
        received.append(raw)
        s.engine.changed.set()

    s.source.receive = receive
    sender = await s.sender()
    sender.say(data)
    if ends:
        sender.writer.write_eof()
    await s.engine.until(lambda: bool(received))
    house.settle()
    return sender


def told(answer: bytes) -> tuple[str, str]:
    message = er7.Message.parse(answer)
    return message.get("MSA-1"), message.get("MSA-2")


@pytest.mark.parametrize("ends", [False, True])
async def test_each_is_answered_in_a_frame_of_its_own(reactor: Any, house: House, ends: bool) -> None:
    async with stand(reactor) as s:
        sender = await sent(s, house, frame(one(1) + one(2) + b" " + one(3)), ends)
        assert [told(answer) for answer in await sender.answers(3)] == [("AA", "M1"), ("AA", "M2"), ("AA", "M3")]
        assert not any(connection.unanswered for connection in s.source.connections)
        assert not ends or await sender.is_closed()


async def test_release_2_says_once_that_all_are_stored(reactor: Any, house: House) -> None:
    async with stand(reactor, release=2) as s:
        sender = await sent(s, house, frame(one(1) + one(2)))
        commit, *answers = await sender.answers(3)
        assert (commit, [told(answer) for answer in answers]) == (COMMIT_ACK, [("AA", "M1"), ("AA", "M2")])
        silent = await sent(s, house, frame(one(3, "NE|NE") + one(4, "NE|NE")))
        assert await silent.answer() == COMMIT_ACK


async def test_release_2_says_once_that_not_all_are_stored(reactor: Any, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    write = house.journal.write

    def refusing(operation: Any) -> None:
        if getattr(operation, "message", None) is not None and operation.message.control_id == "M2":
            operation.failed(OSError("no room"))
        else:
            write(operation)

    monkeypatch.setattr(house.journal, "write", refusing)
    async with stand(reactor, release=2) as s:
        sender = await sent(s, house, frame(one(1) + one(2)))
        commit, *answers = await sender.answers(3)
        assert commit == COMMIT_NAK
        assert {told(answer)[1]: told(answer)[0] for answer in answers} == {"M1": "AA", "M2": "AR"}
