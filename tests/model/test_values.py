"""The values that the journal is given are copied field by field, with one of them changed."""

from __future__ import annotations

from typing import Any

from suture.model.message import Message
from suture.ports import Delivery, Processed, Settled


def of(kind: Any) -> Any:
    """One whose fields are all different."""
    return kind(*(f"{kind.__name__} {name}" for name in kind._fields))


def test_a_message_under_a_number_is_otherwise_as_it_was() -> None:
    message = of(Message)
    assert message.numbered(7) == message._replace(id=7)


def test_a_delivery_under_a_number_is_otherwise_as_it_was() -> None:
    delivery = of(Delivery)
    assert delivery.numbered(7, 99) == delivery._replace(id=7, created_at_us=99)


def test_what_a_message_came_to_with_other_deliveries_is_otherwise_as_it_was() -> None:
    settled, delivery = of(Settled), of(Delivery)
    assert settled.going([delivery]) == settled._replace(deliveries=[delivery])


def test_what_is_to_be_written_for_another_listener_is_otherwise_as_it_was() -> None:
    work = of(Processed)
    assert work.told(print, repr) == work._replace(done=print, failed=repr)
