"""What a partner says stays with its delivery in the store, and a refusal that comes after an acceptance is an exception."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, select

from suture.conversation.hl7v2.rules import AnswerRules
from suture.model.outcome import Accepted, Ambiguous, Held, Outcome, Rejected, TryLater, Unavailable
from suture.model.value import changed
from suture.ports import Delivery
from suture.store import again, dialect, tables, views
from suture.store.backlog import deliveries_by_id
from suture.store.sequences import Sequences
from tests.pipeline.house import BEGIN_S, Heard, House

RAW = b"MSH|^~\\&|S|F|R|RF|20260301||ADT^A01|M1|P|2.5.1\rPID|1||7\r"
SAYS = "account 7 is closed"


@pytest.fixture
def run(engine_db: Engine) -> Iterator[Any]:
    """Starts a channel whose destination d answers so, and sends it one message."""
    houses: list[House] = []

    def begin(*outcomes: Outcome, when: str = "after_store") -> tuple[House, Heard]:
        house = House(engine_db, AnswerRules(when=when), {"d": list(outcomes)})  # type: ignore[arg-type]
        houses.append(house)
        heard = house.receive(RAW)
        house.deliver()
        return house, heard

    yield begin
    for house in houses:
        house.stop()


def rows(house: House, table: Any, *columns: str) -> list[tuple[Any, ...]]:
    with house.database.connect() as connection:
        return [tuple(row) for row in connection.execute(select(*[table.c[name] for name in columns]))]


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        (Rejected("AE", "the peer answered AE", b"x", SAYS), "dead", f"the peer answered AE; it says: {SAYS}"),
        (Held("CE", "the peer answered CE", b"x", SAYS), "held", f"the peer answered CE; it says: {SAYS}"),
        (TryLater("AR", "the peer answered AR", b"x", SAYS), "retrying", f"the peer answered AR; it says: {SAYS}"),
        (Unavailable("401", "check `auth`", b"x", SAYS), "retrying", f"check `auth`; it says: {SAYS}"),
        (Ambiguous("502", "HTTP 502", b"x", SAYS), "retrying", f"HTTP 502; it says: {SAYS}"),
        (Rejected("AE", "the peer answered AE", b"x"), "dead", "the peer answered AE"),
    ],
)
def test_the_partners_words_stand_behind_the_reason(run: Any, outcome: Outcome, state: str, reason: str) -> None:
    house, _ = run(outcome)
    assert rows(house, views.delivery, "state", "reason") == [(state, reason)]
    assert rows(house, tables.attempt, "code", "reason") == [(outcome.code, reason)]
    opened = [(outcome.code, reason)] if state in ("dead", "held") else []
    assert rows(house, tables.exception, "code", "reason") == opened
    breaker = house.lanes["d"].breaker
    assert SAYS not in breaker.reason
    assert breaker.words == (SAYS if state == "retrying" else "")


def test_a_refusal_after_acceptance_is_an_exception_and_can_be_sent_again(run: Any) -> None:
    house, _ = run(Accepted("CA", b"CA"))
    assert rows(house, views.delivery, "state") == [("accepted",)]
    delivery = sent(house)
    house.lanes["d"].attempts.refused(delivery, Rejected("AE", "the peer answered AE", b"AE", SAYS))
    house.settle()
    reason = f"accepted at first, then refused: the peer answered AE; it says: {SAYS}"
    assert rows(house, views.delivery, "state", "attempts", "reason") == [("refused", 2, reason)]
    assert rows(house, tables.attempt, "number", "outcome", "code", "response", "reason") == [
        (1, "accepted", "CA", b"CA", ""),
        (2, "rejected", "AE", b"AE", reason),
    ]
    assert rows(house, tables.exception, "delivery_id", "stage", "code", "field", "reason") == [(delivery.id, "deliver", "AE", "d", reason)]
    assert (house.lanes["d"].window.depth, house.lanes["d"].in_flight) == (0, 0)
    house.stop()
    with dialect.writing(house.database) as connection:
        numbers = Sequences()
        numbers.load(connection)
        resent = again.resend(connection, numbers, [delivery.id], insist=False, now_us=int(BEGIN_S * 1e6))
    assert [one.original_id for one in resent.deliveries] == [delivery.id]
    assert [row[0] for row in rows(house, tables.exception, "resolution")] == ["resent"]


def test_a_sender_that_was_answered_is_not_answered_again(run: Any) -> None:
    house, heard = run(Accepted("CA"), when="after_delivery")
    assert heard.codes == ["AA"]
    house.lanes["d"].attempts.refused(sent(house), Rejected("AE", "the peer answered AE"))
    house.settle()
    assert heard.codes == ["AA"]


def sent(house: House) -> Delivery:
    """The delivery as the connector had it."""
    with house.database.connect() as connection:
        (number,) = connection.execute(select(views.delivery.c.id)).scalars()
        (found,) = deliveries_by_id(connection, [number])
    return changed(found, attempts=0, body=b"")
