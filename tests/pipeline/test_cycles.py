"""No circle of objects keeps a message: without Python's search for garbage, all that was done with is gone.

The engine's search is set to run seldom (`app.GC_THRESHOLD`), and a circle with a message of some megabytes waits for it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine

from suture.conversation.hl7v2.rules import AnswerRules
from suture.model.errors import MessageError
from suture.model.finding import Finding
from suture.model.message import Message
from suture.model.outcome import Accepted, Ambiguous, Held, Rejected, TryLater
from suture.model.value import changed
from suture.pipeline.validation import Validation
from suture.ports import Delivery, Processed, Received, Settled
from suture.wire.hl7v2.exchange.continuation import Limits
from suture.wire.hl7v2.standard.profile import Profile, Rule
from suture.wire.hl7v2.standard.validate import Rules
from tests.pipeline.house import House
from tests.plans import Output, dealt

KEPT = (Message, Delivery, Processed, Received, Settled)
COUNT = 5


def message(number: int, modes: str = "|", kind: str = "DFT^P03", follows: str = "", body: str = "EVN|P03\r") -> bytes:
    return f"MSH|^~\\&|POU|OR|ENGINE|HOSP|20260401||{kind}|M{number}|P|2.5.1||{follows}|{modes}\r{body}".encode()


@pytest.fixture
def before() -> Iterator[set[int]]:
    """What other tests keep; from here on nothing is searched for."""
    gc.collect()
    gc.disable()
    yield {id(one) for one in gc.get_objects() if isinstance(one, KEPT)}
    gc.enable()


class Parking:
    """A mapping that parks every message, with an error of its own."""

    def run(self, message: Any, received_at_us: int) -> Any:
        raise MessageError("map", "MISSING_VALUE", "PID-3", "required")


class Failing:
    """A mapping with a bug."""

    def run(self, message: Any, received_at_us: int) -> Any:
        raise ZeroDivisionError


class Works:
    """A database that takes what messages came to only when it is told to."""

    def __init__(self, house: House) -> None:
        self.house, self.write = house, house.journal.write

    def refuse(self, operation: Any) -> None:
        """Break the rule of a table in what a message came to."""
        if type(operation) is Processed and operation.ready is not None and operation.ready.deliveries:
            nowhere = changed(operation.ready.deliveries[0], destination=None)
            operation = changed(operation, ready=changed(operation.ready, deliveries=[nowhere]))
        self.write(operation)


def in_world(house: House, world: dict[str, Any], validation: Validation | None = None, **dealing: Any) -> House:
    """The same house with a channel in a world that differs in this."""
    house.open(changed(house.channel.plan, validation=validation, **dealt("c", 10**12, house.rules, **dealing)), **world)
    return house


class Standard:
    """Finds the same in every message, some later than others."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def check(self, raw: bytes, done: Callable[[Any], None]) -> None:
        self.waiting.append(partial(done, [Finding(100, "W", None, "odd")]))


def plain(database: Engine) -> House:
    house = House(database, AnswerRules())
    for number in range(COUNT):
        house.receive(message(number))
        house.deliver()
    return house


def refused(database: Engine) -> House:
    house = House(database, AnswerRules(types=frozenset({"ADT^A01"})))
    for number in range(COUNT):
        house.receive(message(number))
    return house


def parked(database: Engine) -> House:
    house = House(database, AnswerRules(when="after_process"), inbound=Parking())
    for number in range(COUNT):
        house.receive(message(number))
        house.receive(b"no HL7 at all %d" % number)
    return house


def unexpected(database: Engine) -> House:
    house = House(database, AnswerRules(), inbound=Failing())
    for number in range(COUNT):
        house.receive(message(number))
    return house


def duplicate(database: Engine) -> House:
    house = House(database, AnswerRules(when="after_process"))
    for _ in range(COUNT):
        house.receive(message(1))
    house.deliver()
    return house


def batch(database: Engine) -> House:
    house = House(database, AnswerRules(when="after_delivery"))
    frame = b"BHS|^~\\&|CAB|OR|ENGINE|HOSP|20260401||||B1\r" + b"".join(map(message, range(COUNT))) + b"BTS|5\r"
    heard = house.receive(frame)
    while not heard.told:
        house.deliver()
    return house


def fragments(database: Engine) -> House:
    house = in_world(House(database, AnswerRules(when="after_process")), {}, continuation=Limits(timeout_s=60))
    for number in range(COUNT):
        house.receive(message(2 * number, body=f"PID|1\rDSC|p{number}\r"))
        house.receive(message(2 * number + 1, follows=f"p{number}", body="OBX|1\r"))
        house.settle()
        house.deliver()
    return house


def broken_fragments(database: Engine) -> House:
    house = in_world(House(database, AnswerRules()), {}, continuation=Limits(timeout_s=60))
    for number in range(COUNT):
        house.receive(message(number, body=f"PID|1\rDSC|p{number}\r"))
    house.clock.advance(61)
    return house


def retried(database: Engine) -> House:
    script = [TryLater("503", "busy"), Ambiguous("TIMEOUT", "none"), Accepted("AA"), Rejected("AE", "no"), Held("X", "look")]
    house = House(database, AnswerRules(when="after_delivery"), {"d": script})
    for number in range(3):
        house.receive(message(number))
    for _ in range(20):
        house.clock.advance(30)
        house.deliver()
    return house


def acknowledged_apart(database: Engine) -> House:
    house = House(database, AnswerRules(when="after_process", apart="acks"), {"d": [], "acks": []})
    house.channel.plan = changed(house.channel.plan, outputs=[Output("d")])
    for number in range(COUNT):
        house.receive(message(number, "AL|AL"))
        house.deliver("d")
        house.deliver("acks")
    return house


def unstorable(database: Engine) -> House:
    house = House(database, AnswerRules(when="after_process"))
    write, house.journal.write = house.journal.write, Works(house).refuse
    for number in range(COUNT):
        house.receive(message(number))
        house.settle()
    house.journal.write = write
    return house


def validated(database: Engine) -> House:
    standard = Standard()
    judged = Validation(Rules(), False, Profile("site", [Rule("PV1", required=True, severity="W")]))
    house = in_world(House(database, AnswerRules()), {"validator": standard}, validation=judged)
    for number in range(COUNT):
        house.receive(message(number))
    while standard.waiting:
        standard.waiting.pop(0)()
    house.settle()
    house.deliver()
    for _ in range(COUNT):
        house.deliver()
    return house


def large(database: Engine) -> House:
    begun: list[Callable[[], None]] = []
    aside = lambda work, done: begun.append(lambda: done(work()))  # noqa: E731
    house = in_world(House(database, AnswerRules()), {"aside": aside})
    for number in range(COUNT):
        house.receive(message(number, body=f"NTE|1||{'x' * 40_000}\r"))
    while begun:
        begun.pop(0)()
    for _ in range(COUNT + 1):
        house.settle()
        house.deliver()
    return house


def stopped(database: Engine) -> House:
    house = House(database, AnswerRules(when="after_delivery"))
    for number in range(COUNT):
        house.receive(message(number))
    house.channel.stop()
    for _ in range(COUNT):
        house.deliver()
    return house


WAYS = [
    plain,
    refused,
    parked,
    unexpected,
    duplicate,
    batch,
    fragments,
    broken_fragments,
    retried,
    acknowledged_apart,
    unstorable,
    validated,
    large,
    stopped,
]


@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_a_message_is_kept_when_all_is_done(database: Engine, before: set[int], way: Callable[[Engine], House]) -> None:
    house = way(database)
    house.settle()
    house.settle()
    kept = [type(one).__name__ for one in gc.get_objects() if isinstance(one, KEPT) and id(one) not in before]
    assert kept == []
    house.stop()
