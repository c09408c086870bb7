"""Messages as W1 leaves them in the store, many of them, written by the journal's own operations without a mapping or a network.

A message has three charge events, three business keys, search keys, a delivery that was accepted at the first attempt, and
what was made of it; one in EXCEPTION_EVERY is parked for an item that no table knows. What such a message consists of is said by
`message_of`, `settled_of`, `found_by` and `_attempted` alone; whoever looks for messages asks `account_of` and its like for values.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Engine, text

from bench.child import BenchError
from bench.template import control_id
from bench.workloads import WORKLOADS
from suture.model import states
from suture.model.events import Event
from suture.model.message import Gap, Message
from suture.model.outcome import Accepted
from suture.ports import Attempted, Delivery, Operation, Processed, Received, Settled
from suture.store import schema
from suture.store.engine import open_engine
from suture.store.tenure import Tenure
from suture.store.transactions import Transactions

CHANNEL, DESTINATION = "w1", "erp"
APART_US = 1_000_000
"""Between two messages; the last is received when the store has been filled, about."""
BLOCK = 2_000
"""Messages whose operations of a kind are one transaction."""
OPEN_ACCOUNTS, STAY = 1_000, 20
"""So many accounts have messages at a time, in turn, and each has so many; then come others, as patients come and go."""
ITEMS = 5_000
EXCEPTION_EVERY = 1_000

_RAW = WORKLOADS["w1"].message_file.read_bytes().replace(b"\r\n", b"\r").replace(b"\n", b"\r")
_DATA = (
    '{"transaction":"%s","patient":"%s","account":"%s","visit":"9%s","item":"%s","description":"HIP STEM SIZE 4","supplier":"ACME",'
    '"cost_centre":"7740","charge_code":"CHG-27000123","location":"ORTHO","quantity":"1","unit":"EA","unit_amount":"4200.00",'
    '"amount":"4200.00","procedure":"C1776","department":"7740","used_at":"2026-05-12T09:02:10-05:00"}'
)


def account_of(number: int) -> str:
    """PID-18 of a message."""
    return f"3{_account(number):06d}"


def patient_of(number: int) -> str:
    """PID-3 of a message: who has two stays, one after the other."""
    index = _account(number)
    return f"7{index // OPEN_ACCOUNTS // 2 * OPEN_ACCOUNTS + index % OPEN_ACCOUNTS:06d}"


def items_of(number: int) -> list[str]:
    """FT1-7 of the three lines of a message."""
    return [f"27{number * 7 % ITEMS:06d}", f"27{number * 11 % ITEMS:06d}", f"27{number * 13 % ITEMS:06d}"]


def _account(number: int) -> int:
    return number // (OPEN_ACCOUNTS * STAY) * OPEN_ACCOUNTS + number % OPEN_ACCOUNTS


def fill(url: str, count: int, say: Callable[[str], None]) -> float:
    """Make the schema in an empty database and put messages 0 to count - 1 into it; seconds that took."""
    database = open_engine(url, site=None)
    schema.upgrade(database)
    begin_s = time.monotonic()
    gc.disable()  # of a hundred million objects none is in a cycle
    try:
        _write(database, count, int(time.time() * 1e6) - count * APART_US, say)
    finally:
        gc.enable()
    seconds = time.monotonic() - begin_s
    if database.dialect.name == "postgresql":
        with database.connect() as connection:  # a server does that by itself, some time later
            connection.execute(text("ANALYZE"))
            connection.commit()
    database.dispose()
    return seconds


def _write(database: Engine, count: int, first_us: int, say: Callable[[str], None]) -> None:
    store = Transactions(database, _failed)
    store.begin(Tenure("bench"))
    connection = store.open(lambda connection: None)

    def done(operations: Iterable[Operation]) -> None:
        for result in store.write(connection, list(operations)):
            result()

    for first in range(0, count, BLOCK):
        numbers = range(first, min(first + BLOCK, count))
        messages: list[Message] = []
        deliveries: list[Delivery] = []
        done(_received(number, first_us + number * APART_US, messages) for number in numbers)
        done(_processed(number, message, deliveries) for number, message in zip(numbers, messages, strict=True))
        done(_attempted(delivery) for delivery in deliveries)
        if (first + BLOCK) % (100 * BLOCK) == 0:
            say(f"  {first + BLOCK:>9,} messages stored")
    store.leave(connection)
    store.end()


def message_of(number: int, at_us: int) -> Message:
    """A message, received then."""
    control = control_id(number)
    raw = _RAW.replace(b"3{ACCOUNT}", account_of(number).encode()).replace(b"7{ACCOUNT}", patient_of(number).encode())
    raw = raw.replace(b"{ACCOUNT}", b"%06d" % _account(number)).replace(b"{ID}", control)
    return Message(CHANNEL, raw, at_us, control.decode(), "DFT^P03", "CABINET|ORSUITE", "127.0.0.1:40000")


def found_by(number: int) -> list[tuple[str, str]]:
    """What a message is found by: kinds and values."""
    return [("patient", patient_of(number)), ("account", account_of(number)), *(("item", item) for item in items_of(number))]


def settled_of(number: int, message: Message) -> Settled:
    """What becomes of a message when it is processed."""
    items = items_of(number)
    keys = [f"CABINET|ORSUITE|{message.control_id}-{line}" for line in (1, 2, 3)]
    return _parked(items[0]) if number % EXCEPTION_EVERY == 0 else _settled(message, account_of(number), patient_of(number), items, keys)


def _received(number: int, at_us: int, kept: list[Message]) -> Received:
    return Received(message_of(number, at_us), 0, lambda state, stored: kept.append(stored), _failed)


def _processed(number: int, message: Message, made: list[Delivery]) -> Processed:
    settled = settled_of(number, message)
    claimed = [key for key, *_ in settled.claims]

    def done(written: Settled) -> None:
        made.extend(written.deliveries)

    at_us, search = message.received_at_us + 2_000, found_by(number)
    return Processed(message, at_us, 0, claimed, settled, lambda *known: settled, (), search, 0, done, _failed)


def _parked(item: str) -> Settled:
    gap = Gap(1, "item", "FT1-7.1", f"no row of item_master has {item}", "item_master", item)
    return Settled(states.PARKED, "1 line waits", gaps=(gap,))


def _settled(message: Message, account: str, patient: str, items: list[str], keys: list[str]) -> Settled:
    lines = enumerate(zip(items, keys, strict=True))
    events = [_event(line, message.control_id, account, patient, item, key) for line, (item, key) in lines]
    body = b'{"id":"%s","events":[%s]}' % (message.control_id.encode(), b",".join(event.json for event in events))
    key = f"{message.id:032x}"
    delivery = Delivery(message.id, CHANNEL, DESTINATION, account, body, key, content_type="application/json", events=(0, 1, 2))
    return Settled(states.PROCESSED, "", events, deliveries=(delivery,), claims=[(key, 0, hash(key)) for key in keys])


def _event(line: int, control: str, account: str, patient: str, item: str, key: str) -> Event:
    data = (_DATA % (f"{control}-{line + 1}", patient, account, account[1:], item)).encode()
    return Event("charge.raised", line, line + 1, key, {}, id=f"{control}-{line}-5b0d9a1c7f0e5c0b9d51", json=data)


def _attempted(delivery: Delivery) -> Attempted:
    began_us = delivery.created_at_us + 1_000
    answer = Accepted("200", b'{"status":"ok"}')
    return Attempted(delivery, 1, began_us, began_us + 3_000, answer, states.ACCEPTED, 0, "", None, _failed)


def _failed(error: Any) -> None:
    raise BenchError(f"the store could not be filled: {error}")
