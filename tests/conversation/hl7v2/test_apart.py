"""Application acknowledgements over a connection of their own: deliveries, durable and tried again."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from suture.conversation.hl7v2.rules import AnswerRules
from suture.model.errors import MessageError
from suture.model.outcome import TryLater
from suture.wire.hl7v2.text import er7
from tests.pipeline.house import House, Parked
from tests.plans import Output, Plan

PARKED = MessageError("map", "MISSING_VALUE", "PID-3", "required")


def message(modes: str, control_id: str = "M1") -> bytes:
    return rf"MSH|^~\&|POU|OR|ENGINE|HOSP|20260401101530||DFT^P03^DFT_P03|{control_id}|P|2.5.1|||{modes}".encode() + b"\rEVN|P03\r"


def house(database: Engine, inbound=None, script=(), **rules) -> House:
    h = House(database, AnswerRules(when="after_process", apart="acks", **rules), {"d": [], "acks": list(script)}, inbound)
    h.channel.plan = Plan("c", [Output("d")], inbound=inbound, window_us=10**12, answer=h.rules)
    return h


@pytest.mark.parametrize(
    ("modes", "parked", "heard", "apart"),
    [
        ("AL|AL", False, ["CA"], "AA"),
        ("AL|AL", True, ["CA"], "AE"),
        ("NE|AL", False, ["-"], "AA"),
        ("AL|ER", False, ["CA"], None),
        ("AL|ER", True, ["CA"], "AE"),
        ("AL|NE", False, ["CA"], None),
        ("|", False, ["AA"], None),
        ("|", True, ["AE"], None),
    ],
)
def test_the_application_acknowledgement_is_a_delivery(database, modes, parked, heard, apart):
    h = house(database, Parked(PARKED) if parked else None, settings={"MSH-3": "SUTURE"})
    assert h.receive(message(modes)).codes == heard
    sent = [er7.Message.parse(delivery.body) for delivery, _ in h.peers["acks"].asked]
    assert [one.get("MSA-1") for one in sent] == ([apart] if apart else [])
    for one in sent:
        assert (one.get("MSA-2"), one.get("MSH-3"), one.get("MSH-15"), one.get("MSH-16")) == ("M1", "SUTURE", "AL", "NE")
    h.stop()


def test_it_is_tried_again_and_given_once(database):
    h = house(database, script=[TryLater("AR", "busy", wait_s=5)])
    h.receive(message("AL|AL"))
    h.deliver("acks")
    assert h.receive(message("AL|AL")).codes == ["CA"]
    h.clock.advance(5)
    assert len(h.peers["acks"].asked) == 1
    h.deliver("acks")
    with database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT destination, state FROM delivery ORDER BY id").all()
    assert [tuple(row) for row in rows] == [("d", "queued"), ("acks", "accepted")]
    h.stop()


def test_a_refused_message_is_answered_once_on_its_own_connection(database):
    h = house(database, types=frozenset({"ADT^A01"}))
    assert h.receive(message("NE|AL")).codes == ["AR"]
    assert not h.peers["acks"].asked
    h.stop()


def test_a_message_that_is_processed_again_is_not_answered_again(database):
    h = house(database)
    h.receive(message("AL|AL"))
    h.deliver("acks")
    from suture.model.message import Message

    h.channel.process(Message("c", message("AL|AL"), 1, "M1", "DFT^P03", "POU|OR", id=1), None, 1)
    h.settle()
    assert not h.peers["acks"].asked
    h.stop()
