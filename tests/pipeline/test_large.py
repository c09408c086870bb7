"""Large messages and batches: worked on beside the reactor or in parts, with every message in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from suture.conversation.hl7v2.rules import AnswerRules
from suture.pipeline.turns import LARGE_BYTES
from suture.ports import Held, Processed
from suture.store.backlog import received
from suture.wire.hl7v2.exchange import batch
from suture.wire.hl7v2.exchange.continuation import Limits
from suture.wire.hl7v2.text import er7
from tests.pipeline.house import Heard, House
from tests.pipeline.test_cycles import in_world, message


class Beside:
    """What is to be done beside the reactor, and in its next turn; done when a test says."""

    def __init__(self) -> None:
        self.aside: list[Callable[[], None]] = []
        self.turns: list[Callable[[], None]] = []
        self.held = Held()

    def world(self) -> dict[str, Any]:
        """What a channel has of it."""
        aside = lambda work, done: self.aside.append(lambda: done(work()))  # noqa: E731
        return {"soon": self.turns.append, "aside": aside, "held": self.held}

    def turn(self) -> None:
        """One turn of the reactor."""
        now, self.turns[:] = list(self.turns), []
        for call in now:
            call()

    def all_turns(self) -> None:
        while self.turns:
            self.turn()

    def one_aside(self) -> None:
        self.aside.pop(0)()


@pytest.fixture
def beside() -> Beside:
    return Beside()


@pytest.fixture
def house(database: Engine, beside: Beside) -> House:
    return in_world(House(database, AnswerRules()), beside.world())


def written(house: House) -> list[str]:
    """Control ids of what messages came to, as the journal was given it."""
    found: list[str] = []
    write = house.journal.write

    def note(operation: Any) -> None:
        if type(operation) is Processed:
            found.append(operation.message.control_id)
        write(operation)

    house.journal.write = note  # type: ignore[method-assign]
    return found


def big(number: int) -> bytes:
    return message(number, body=f"NTE|1||{'x' * LARGE_BYTES}\r")


def done(house: House, beside: Beside) -> None:
    """Until nothing is in work."""
    for _ in range(1000):
        beside.all_turns()
        if beside.aside:
            beside.one_aside()
        house.settle()
        if not (beside.turns or beside.aside or house.channel.in_work):
            return
    raise AssertionError("something is in work for ever")


def test_what_comes_behind_a_large_message_waits_for_it_and_keeps_its_place(house: House, beside: Beside) -> None:
    order = written(house)
    for number, make in enumerate([message, big, message, message, big, big, message]):
        house.receive(make(number))
    beside.all_turns()
    assert order == ["M0"], "the large one is not done"
    assert house.channel.in_work == 7 and beside.held.bytes > 3 * LARGE_BYTES
    done(house, beside)
    assert order == [f"M{n}" for n in range(7)]
    assert (house.channel.in_work, beside.held.bytes) == (0, 0)
    house.stop()


def test_many_small_ones_take_several_turns(house: House, beside: Beside) -> None:
    order = written(house)
    for number in range(100):
        house.receive(message(number), settle=False)
    house.settle()
    beside.turn()
    assert 0 < len(order) <= 32
    done(house, beside)
    assert order == [f"M{n}" for n in range(100)]
    house.stop()


def test_what_is_recovered_takes_several_turns_too(house: House, beside: Beside) -> None:
    order = written(house)
    for number in range(100):
        house.receive(message(number), settle=False)
    house.settle()
    house.stop()
    beside.turns.clear()

    again = in_world(House(house.database, AnswerRules()), beside.world())
    order = written(again)
    with again.database.connect() as connection:
        for one in received(connection, "c", 0, 1000):
            again.channel.recover(one)
    beside.turn()
    assert 0 < len(order) <= 32 and again.channel.in_work
    done(again, beside)
    assert order == [f"M{n}" for n in range(100)]
    again.stop()


def test_a_channel_that_stops_leaves_the_large_one_and_what_waits_for_its_next_start(house: House, beside: Beside) -> None:
    order, told = written(house), list[str]()
    house.receive(big(0))
    house.receive(message(1))
    beside.all_turns()
    house.channel.process(house_message(house), None, 1, lambda: told.append("gone on"))
    house.channel.stop()
    while beside.aside:
        beside.one_aside()
    beside.all_turns()
    house.settle()
    assert order == []
    assert told == ["gone on"], "nobody waits for what will not be"
    assert (house.channel.in_work, beside.held.bytes) == (0, 0)
    assert house.unprocessed() == 2
    house.stop()


def house_message(house: House) -> Any:
    with house.database.connect() as connection:
        return received(connection, "c", 0, 1000)[-1]


def frame(count: int) -> bytes:
    body = f"NTE|1||{'y' * (LARGE_BYTES // count)}\r"
    return b"BHS|^~\\&|CAB|OR|ENGINE|HOSP|20260401||||B1\r" + b"".join(message(n, body=body) for n in range(count)) + b"BTS\r"


def codes(heard: Heard) -> list[str]:
    ((_, payload),) = heard.told
    return [er7.Message.parse(one.raw).get("MSA-2") for one in batch.cut(payload or b"") if isinstance(one, batch.Found)]


def test_a_large_batch_is_handed_on_in_parts_and_what_its_sender_says_next_comes_behind_it(house: House, beside: Beside) -> None:
    heard = house.receive(frame(100))
    behind = house.receive(message(1000))
    other = Heard()
    house.channel.conversation.arrived(message(2000), "another peer", other.answer, other.say)
    house.settle()
    assert heard.told == [] and behind.told == [] and other.codes == ["AA"]
    beside.one_aside()
    beside.turn()
    house.settle()
    assert behind.told == []
    done(house, beside)
    house.settle()
    assert codes(heard) == [f"M{n}" for n in range(100)]
    assert behind.codes == ["AA"]
    with house.database.connect() as connection:
        ids = connection.exec_driver_sql("SELECT control_id FROM message ORDER BY id").scalars().all()
    assert ids == ["M2000", *(f"M{n}" for n in range(100)), "M1000"]
    assert beside.held.bytes == 0
    house.stop()


def test_two_large_batches_of_one_sender_go_one_after_the_other(house: House, beside: Beside) -> None:
    first, second, last = house.receive(frame(10)), house.receive(frame(12)), house.receive(message(5000))
    done(house, beside)
    house.settle()
    assert (len(codes(first)), len(codes(second)), last.codes) == (10, 12, ["AA"])
    assert beside.held.bytes == 0
    house.stop()


def test_a_large_batch_of_too_many_is_refused_whole(database: Engine, beside: Beside) -> None:
    house = in_world(House(database, AnswerRules(batch_messages=50)), beside.world())
    heard = house.receive(frame(51))
    done(house, beside)
    assert heard.codes == ["AR"]
    assert heard.messages[0].get("MSA-2") == "B1"
    house.stop()


def test_a_batch_that_a_stop_interrupts_is_not_answered(house: House, beside: Beside) -> None:
    heard, behind = house.receive(frame(100)), house.receive(message(1000))
    beside.one_aside()
    house.channel.stop()
    done(house, beside)
    assert heard.told == [] and behind.told == []
    assert beside.held.bytes == 0
    house.stop()


def test_many_fragments_are_joined_beside_the_reactor(database: Engine, beside: Beside) -> None:
    house = in_world(House(database, AnswerRules()), beside.world(), continuation=Limits(timeout_s=60))
    part = "x" * (LARGE_BYTES // 2)
    house.receive(message(1, body=f"OBX|1||{part}\rADD|\rDSC|p\r"))
    last = house.receive(message(2, follows="p", body=f"ADD|{part}\r"))
    assert last.told == [] and len(beside.aside) == 1
    done(house, beside)
    house.settle()
    assert last.codes == ["AA"]
    ((delivery, _),) = house.peers["d"].asked
    assert delivery.body.split(b"\r")[1] == f"OBX|1||{part}{part}".encode()
    house.stop()


def test_without_a_thread_beside_it_all_is_done_at_once(database: Engine) -> None:
    house = House(database, AnswerRules())
    assert house.receive(big(1)).codes == ["AA"]
    assert codes(house.receive(frame(100)))[-1] == "M99"
    house.stop()
