"""The proof of the balance finds every kind of difference, and the report says what it found."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from suture.model.views import ExceptionView
from suture.sim.audit import audit
from suture.sim.day import Expected
from suture.sim.ledger import Ledger, Leg
from suture.sim.report import tables

EXPECTED = Expected(messages=4, unreadable=1, repeated=1, lines=6, filtered=1, gaps=1, duplicates=1, credits=0, nacked=["T3"])
DOCUMENTS = [{"document": str(n), "kind": "inventory", "quantity": "-2"} for n in (1, 2, 3)]
DOCUMENTS += [{"document": "90", "kind": "requisitions", "quantity": "40"}]
COUNTS: Any = {"billing": {"charges": 1, "doubled": [], "amount": "4200.00"}, "analytics": {"events": 6}}


def ledger() -> Ledger:
    used, charge, due = "supply.used", "charge.raised", "replenishment.due"
    books = Ledger(Counter(processed=2, duplicate=1, parked=1), 1, Counter(event=3, filtered=1, duplicate=1, gap=1))
    books.events = {used: Counter(raised=3, duplicate=1), charge: Counter(raised=2), due: Counter(raised=1)}
    books.legs = {
        "erp": Leg(Counter(posted=3), 4, Counter({used: 3}), Counter({used: 3}), quantity=Decimal(6), documents={"1", "2", "3"}),
        "requisitions": Leg(Counter(posted=1), 0, Counter({due: 1}), Counter({due: 1}), documents={"90"}),
        "billing": Leg(Counter(accepted=1, dead=1), 0, Counter({charge: 2}), Counter({charge: 1}), value=Decimal("4200.0")),
        "analytics": Leg(Counter(accepted=2), 0, Counter({used: 3, charge: 2, due: 1}), Counter({used: 3, charge: 2, due: 1})),
    }
    reason = "item_master has no row for this code"
    about = (1, 2, None, "or-supply", "map", "UNKNOWN_CODE", 1, "item", "FT1-7.1", "item_master", "ZZ-999", reason)
    books.exceptions = [ExceptionView(*about, 0, None, None, "")]
    return books


def wrong(books: Ledger, acknowledged: int = 4, counts: Any = COUNTS, documents: list[dict[str, str]] = DOCUMENTS) -> list[str]:
    return [check.text for check in audit(EXPECTED, acknowledged, books, counts, documents) if not check.ok]


def test_books_that_balance_have_no_difference() -> None:
    assert wrong(ledger()) == []


def lose_a_message(books: Ledger) -> None:
    books.messages["processed"] -= 1


def leave_one_unprocessed(books: Ledger) -> None:
    books.messages.update(processed=-1, received=1)


def lose_a_line(books: Ledger) -> None:
    books.lines["event"] -= 1


def tear_a_line(books: Ledger) -> None:
    books.torn = 1


def filter_a_duplicate(books: Ledger) -> None:
    books.lines.update(duplicate=-1, filtered=1)


def forget_an_event(books: Ledger) -> None:
    books.legs["erp"].uncovered = 1


def deliver_an_event_twice(books: Ledger) -> None:
    books.legs["erp"].doubled = 1


def leave_a_delivery_waiting(books: Ledger) -> None:
    books.legs["analytics"].states.update(accepted=-1, retrying=1)


def mix_up_documents(books: Ledger) -> None:
    books.legs["erp"].documents = {"1", "2", "7"}


def deliver_the_refused_charge(books: Ledger) -> None:
    books.legs["billing"].states.update(dead=-1, accepted=1)


def move_too_little_stock(books: Ledger) -> None:
    books.legs["erp"].quantity -= 1


def find_something_in_the_store(books: Ledger) -> None:
    books.wrong = ["1 messages are parked and without an exception"]


@pytest.mark.parametrize(
    "change",
    [
        lose_a_message,
        leave_one_unprocessed,
        lose_a_line,
        tear_a_line,
        filter_a_duplicate,
        forget_an_event,
        deliver_an_event_twice,
        leave_a_delivery_waiting,
        mix_up_documents,
        deliver_the_refused_charge,
        move_too_little_stock,
        find_something_in_the_store,
    ],
)
def test_every_change_to_the_books_is_found(change: Callable[[Ledger], None]) -> None:
    books = ledger()
    change(books)
    assert wrong(books)


def test_what_the_other_systems_count_is_compared() -> None:
    assert wrong(ledger(), acknowledged=3)
    assert wrong(ledger(), documents=DOCUMENTS[1:])
    assert wrong(ledger(), documents=DOCUMENTS[:-1])
    for path, value in (
        (("billing", "charges"), 2),
        (("billing", "doubled"), ["T1"]),
        (("billing", "amount"), "4199.99"),
        (("analytics", "events"), 5),
    ):
        counts = copy.deepcopy(COUNTS)
        counts[path[0]][path[1]] = value
        assert wrong(ledger(), counts=counts)


def test_the_report_says_whether_the_books_balance_and_why_not() -> None:
    good, bad = ledger(), ledger()
    lose_a_message(bad)
    said = tables(good, audit(EXPECTED, 4, good, COUNTS, DOCUMENTS))
    assert "Every input is accounted for." in said
    assert "map line 1 item = ZZ-999" in said
    assert "DIFFERENT" not in said
    said = tables(bad, audit(EXPECTED, 4, bad, COUNTS, DOCUMENTS))
    assert "DIFFERENT  4 messages sent = 3 received and stored" in said
    assert "do not balance" in said
