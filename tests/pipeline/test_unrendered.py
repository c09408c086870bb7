"""A payload that cannot be made for one destination: that delivery is held, and everything else of the message goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, select

from suture.commands import Commands
from suture.conversation.hl7v2.dealing import NO_RULES
from suture.conversation.hl7v2.rules import AnswerRules
from suture.mapping.outbound import Payload, RenderContext, Renderer, as_events, compile_outbound
from suture.mapping.spec import OutboundSpec
from suture.model.events import Event
from suture.model.views import DeliveryView, ExceptionView
from suture.ports import Delivery
from suture.store import dialect, look, orders, queries, state, summary, views
from suture.wire.hl7v2.text import er7
from tests.doubles import AtOnce
from tests.mapping import examples
from tests.pipeline.house import House
from tests.plans import Output, Plan

ISSUE = """
mapping: issue
to: json
body:
  id: idempotency_key
  item: item
  quantity: quantity
  at: used_at
  department: {from: location, table: departments}
"""
CHARGE = """
mapping: charge
to: hl7v2
segments:
  - MSH: {3: {const: SUTURE}, 9: {const: DFT^P03^DFT_P03}, 11: {const: P}, 12: {const: "2.5.1"}}
  - FT1: {each: event, 4: used_at, 7: item, 10: quantity, 13: {from: location, table: departments}, 22: {from: amount}}
"""
ALL = frozenset({"supply.used", "charge.raised"})
EMPTY, FULL = "location,to\nELSE,1\n", "location,to\nELSE,1\nOR-ORTHO,77\n"


def mapping(text: str, departments: str) -> Renderer:
    """An outbound mapping with a table of departments that can be mended."""
    known = {**examples.TABLES, "departments": examples.table("departments", departments)}
    return compile_outbound(OutboundSpec.model_validate(examples.read(text)), known, ZoneInfo("America/Chicago"))


def outputs(departments: str = EMPTY) -> list[Output]:
    """erp and billing need the department; archive takes the events as they are."""
    return [
        Output("erp", frozenset({"supply.used"}), mapping(ISSUE, departments), per_event=True),
        Output("billing", frozenset({"charge.raised"}), mapping(CHARGE, departments)),
        Output("archive", ALL, as_events),
    ]


def broken(events: Sequence[Event], context: RenderContext) -> Payload:
    """A renderer with a bug, whose text names a patient."""
    raise ZeroDivisionError("MRN-SECRET")


class Room:
    def __init__(self, core: Any, lanes: Any) -> None:
        self.actual, self.core, self.lanes = "running", core, lanes


class Place(House):
    """A channel, and the requests of its operator."""

    def __init__(self, database: Engine, wanted: list[Output], inbound: Any, rules: AnswerRules, on_error: str = "park") -> None:
        super().__init__(database, rules, {one.destination: [] for one in wanted}, inbound, AtOnce(database))
        self.halts: list[str] = []
        self.channel._halted = self.halts.append
        self.on_error = on_error
        self.plan(wanted, inbound)
        self.channels = {"c": Room(self.channel, self.lanes)}
        rooms: Any = self
        self.commands = Commands(rooms, self.journal, AtOnce(database), self.clock)  # type: ignore[arg-type]

    def plan(self, wanted: list[Output], inbound: Any = None) -> None:
        """The channel with these destinations, as after a reload."""
        given = self.channel.plan.inbound if inbound is None else inbound
        order_by = er7.getter(er7.path("PID-18.1"))
        self.channel.plan = Plan(
            "c", wanted, order_by=order_by, inbound=given, window_us=10**12, answer=self.rules, on_error=self.on_error, source="/s"
        )

    def ask(self, verb: str, **arguments: Any) -> Any:
        """What the engine answers to a request."""
        with dialect.writing(self.database) as connection:
            number = orders.order(connection, verb, arguments, "nurse", 0)
        with self.database.connect() as connection:
            requests = state.requests(connection)
        self.commands._found(requests)
        self.settle()
        self.settle()
        with self.database.connect() as connection:
            answer = orders.answer(connection, number)
        assert answer is not None and answer[0], answer
        return answer[1]

    def deliveries(self) -> list[tuple[int, str, str]]:
        d = views.delivery.c
        with self.database.connect() as connection:
            return [tuple(row) for row in connection.execute(select(d.id, d.destination, d.state).order_by(d.id))]  # type: ignore[misc]

    def exceptions(self, open_only: bool = True) -> list[ExceptionView]:
        with self.database.connect() as connection:
            return queries.exceptions(connection, queries.ExceptionFilter(open=True if open_only else None))

    def sent(self, name: str) -> list[Delivery]:
        """What a destination was sent and has not answered."""
        return [delivery for delivery, _ in self.peers[name].asked]

    def message(self) -> tuple[str, str]:
        m = views.message.c
        with self.database.connect() as connection:
            row = connection.execute(select(m.state, m.reason).order_by(m.id)).first()
        assert row is not None
        return row.state, row.reason

    def preview(self, verb: str) -> list[tuple[int | None, str, str]]:
        """(delivery, action, why) of what a request for message 1 would do."""
        with self.database.connect() as connection:
            if verb == "reprocess":
                items = look.reprocess(connection, [1], False)
            elif verb == "release":
                items = look.release(
                    connection, [row.id for row in queries.shown(connection, DeliveryView, queries.delivery.c.message_id == 1)]
                )
            else:
                items = look.resend(connection, [1], [], [], False)
        return [(item.delivery_id, item.action, item.why) for item in items]


Make = Callable[..., Place]


@pytest.fixture
def make(engine_db: Engine) -> Iterator[Make]:
    made: list[Place] = []

    def place(wanted: list[Output] | None = None, rules: AnswerRules = NO_RULES, inbound: Any = 0, on_error: str = "park") -> Place:
        inbound = examples.inbound(key=["MSH-3.1", "FT1-2"]) if inbound == 0 else inbound
        made.append(Place(engine_db, outputs() if wanted is None else wanted, inbound, rules, on_error))
        return made[-1]

    yield place
    for one in made:
        one.stop()


def charge(number: str = "T1", control_id: str = "C0001", room: str = "OR1") -> bytes:
    raw = examples.message(examples.ft1(id=number, room=room)).to_bytes()
    return raw.replace(b"|C0001|", f"|{control_id}|".encode())


UNKNOWN = "no payload can be made: UNKNOWN_CODE at {}: departments has no row for this code"
NOT_FOR_RESEND = "no payload could be made for it: mend the cause, then release it, or reprocess its message"


def test_only_the_delivery_that_needs_it_is_held(make: Make) -> None:
    place = make()
    place.receive(charge())
    assert place.deliveries() == [(1, "archive", "queued"), (2, "erp", "held"), (3, "billing", "held")]
    assert place.message() == ("processed", "held for erp, billing")
    assert [len(place.sent(name)) for name in ("erp", "billing", "archive")] == [0, 0, 1]
    of_erp, of_billing = sorted(place.exceptions(), key=lambda row: row.id)
    assert (of_erp.stage, of_erp.code, of_erp.delivery_id, of_erp.field) == ("render", "UNKNOWN_CODE", 2, "erp")
    assert (of_erp.path, of_erp.table_name, of_erp.value) == ("department", "departments", "OR-ORTHO")
    assert (of_billing.field, of_billing.path, of_billing.delivery_id) == ("billing", "FT1-13", 3)
    with place.database.connect() as connection:
        row = queries.one(connection, DeliveryView, queries.delivery.c.id == 2)
        assert row is not None and row.reason == UNKNOWN.format("department")
        assert summary.balance(connection, "c").wrong == []
    place.deliver("archive")
    assert (1, "archive", "accepted") in place.deliveries()


def test_a_day_and_a_list_are_the_same_when_they_come_out_of_the_store(make: Make) -> None:
    modifiers = '      amount: {call: extended_amount}\n      procedure_modifiers: "FT1-26[*].1"\n'
    mapped = examples.inbound(examples.MAPPING.replace("      amount: {call: extended_amount}\n", modifiers), ("MSH-3.1", "FT1-2"))
    text = CHARGE.replace("4: used_at", "4: {from: used_at, as: hl7time}, 26: procedure_modifiers")
    mended, broken = (Output("billing", frozenset({"charge.raised"}), mapping(text, known)) for known in (FULL, EMPTY))
    place, bodies = make([mended], inbound=mapped), []
    for number, output in enumerate((mended, broken), 1):
        place.plan([output])
        sent = examples.ft1(id=f"T{number}", time="20260401+0000").split("|")
        sent[25] = "LT~59"
        place.receive(examples.message("|".join(sent)).to_bytes().replace(b"|C0001|", b"|C%d|" % number))
        place.plan([mended])
        place.ask("delivery_release", delivery_ids=[number], reason="department added")
        bodies.append(place.sent("billing")[-1].body.split(b"\r")[1].split(b"|"))
    assert bodies[0] == bodies[1]
    assert (bodies[0][4], bodies[0][26]) == (b"20260401", b"LT~59")


def test_what_follows_on_its_key_goes_out(make: Make) -> None:
    place = make()
    place.receive(charge())
    place.plan(outputs("location,to\nOR-GEN,78\n"))
    place.receive(charge("T2", "C0002", "OR2"))
    assert [delivery.message_id for delivery in place.sent("erp")] == [2]


def test_released_before_it_is_mended_it_says_what_is_missing_now(make: Make) -> None:
    place = make()
    place.receive(charge())
    place.plan(
        [Output("erp", frozenset({"supply.used"}), mapping(ISSUE.replace("location", "lot"), EMPTY), per_event=True), *outputs()[1:]]
    )
    found = place.ask("delivery_release", delivery_ids=[2], reason="tried")
    missing = "no payload can be made: MISSING_VALUE at department: required, and the event does not have it"
    assert found == {"sent": [], "skipped": [{"delivery": 2, "reason": missing}]}
    (now,) = [row for row in place.exceptions() if row.delivery_id == 2]
    assert (now.code, now.table_name) == ("MISSING_VALUE", "")
    assert (2, "erp", "held") in place.deliveries() and not place.sent("erp")


def test_released_when_it_is_mended_it_goes_out_once_and_nothing_else_goes_again(make: Make) -> None:
    place = make()
    place.receive(charge())
    place.deliver("archive")
    place.plan(outputs(FULL))
    assert [action for _, action, _ in place.preview("release")] == ["skip", "send", "send"]
    found = place.ask("delivery_release", delivery_ids=[2, 3], reason="department added")
    assert [each["delivery"] for each in found["sent"]] == [2, 3] and found["skipped"] == []
    assert [len(place.sent(name)) for name in ("erp", "billing", "archive")] == [1, 1, 0]
    assert place.exceptions() == []
    again = place.ask("delivery_release", delivery_ids=[2], reason="twice")
    assert again["skipped"] == [{"delivery": 2, "reason": "it is queued, neither held nor dead"}]
    place.deliver("erp")
    place.deliver("billing")
    assert {row[2] for row in place.deliveries()} == {"accepted"}
    assert [len(place.sent(name)) for name in ("erp", "billing", "archive")] == [0, 0, 0]


def test_the_payload_made_later_is_the_one_that_would_have_been_made(make: Make) -> None:
    place = make()
    place.receive(charge())
    place.plan(outputs(FULL))
    place.ask("delivery_release", delivery_ids=[2, 3], reason="department added")
    (issue,), (billed,) = place.sent("erp"), place.sent("billing")
    content = json.loads(issue.body)
    assert content["id"] == issue.idempotency_key
    assert {name: content[name] for name in ("item", "quantity", "at", "department")} == {
        "item": "IMP-1",
        "quantity": "1",
        "at": "2026-04-01T10:01:00-05:00",
        "department": "77",
    }
    line = er7.Message.parse(billed.body)
    assert (line.get("FT1-4"), line.get("FT1-10"), line.get("FT1-13"), line.get("FT1-22")) == ("20260401100100-0500", "1", "77", "4200.00")
    assert (line.get("MSH-10"), billed.content_type) == (billed.control_id, "application/hl7-v2")
    place.receive(charge("T2", "C0002"))
    place.deliver("erp")
    place.deliver("billing")
    (other,) = place.sent("billing")
    same = er7.Message.parse(other.body)
    assert [same.get(p) for p in ("FT1-4", "FT1-7", "FT1-10", "FT1-13", "FT1-22")] == [
        line.get(p) for p in ("FT1-4", "FT1-7", "FT1-10", "FT1-13", "FT1-22")
    ]


def test_reprocessed_when_it_is_mended_the_new_delivery_takes_its_place(make: Make) -> None:
    place = make()
    place.receive(charge())
    place.deliver("archive")
    place.plan(outputs(FULL))
    (told,) = place.preview("reprocess")
    assert told == (
        None,
        "send",
        "with the payload for billing, erp, which could not be made; without the events that archive has or gets",
    )
    assert place.ask("reprocess", message_ids=[1], reason="department added")["reprocessed"] == [1]
    found = [(name, is_in) for _, name, is_in in place.deliveries()]
    assert found == [("archive", "accepted"), ("erp", "skipped"), ("billing", "skipped"), ("erp", "queued"), ("billing", "queued")]
    assert [len(place.sent(name)) for name in ("erp", "billing", "archive")] == [1, 1, 0]
    assert place.exceptions() == []
    assert {row.resolution for row in place.exceptions(open_only=False)} == {"reprocessed"}
    late = place.ask("delivery_release", delivery_ids=[2], reason="too late")
    assert late["skipped"] == [{"delivery": 2, "reason": "it is skipped, neither held nor dead"}]


def test_reprocessed_before_it_is_mended_there_is_one_that_waits_and_one_exception(make: Make) -> None:
    place = make()
    place.receive(charge())
    place.ask("reprocess", message_ids=[1], reason="tried")
    held = [row for row in place.deliveries() if row[2] == "held"]
    assert [name for _, name, _ in held] == ["erp", "billing"]
    assert sorted(row.delivery_id for row in place.exceptions()) == [number for number, _, _ in held]
    place.plan(outputs(FULL))
    place.ask("delivery_release", delivery_ids=[number for number, _, _ in held], reason="department added")
    assert [len(place.sent(name)) for name in ("erp", "billing")] == [1, 1]


def test_it_cannot_be_sent_again_because_it_never_went(make: Make) -> None:
    place = make()
    place.receive(charge())
    assert place.preview("resend") == [
        (1, "skip", "it waits and will be sent"),
        (2, "skip", NOT_FOR_RESEND),
        (3, "skip", NOT_FOR_RESEND),
    ]
    found = place.ask("resend", delivery_ids=[2, 3, 9], insist=True, reason="no")
    told = {each["delivery"]: each["reason"] for each in found["skipped"]}
    assert found["sent"] == [] and told == {2: NOT_FOR_RESEND, 3: NOT_FOR_RESEND, 9: "there is no such delivery"}


def test_a_bug_while_rendering_holds_its_delivery_and_names_no_content(make: Make) -> None:
    place = make([Output("erp", ALL, broken), Output("archive", ALL, as_events)])
    place.receive(charge())
    assert [(name, is_in) for _, name, is_in in place.deliveries()] == [("archive", "queued"), ("erp", "held")]
    (found,) = place.exceptions()
    assert (found.stage, found.code) == ("render", "UNEXPECTED")
    assert found.reason.startswith("ZeroDivisionError at test_unrendered.py:") and "SECRET" not in found.reason


def test_a_payload_over_the_limit_holds_its_delivery(make: Make) -> None:
    place = make([Output("erp", ALL, as_events, limit_bytes=300), Output("archive", ALL, as_events)])
    place.receive(charge())
    assert [(name, is_in) for _, name, is_in in place.deliveries()] == [("archive", "queued"), ("erp", "held")]
    (found,) = place.exceptions()
    assert found.code == "PAYLOAD_TOO_LARGE" and "300" in found.reason
    place.plan([Output("erp", ALL, as_events), Output("archive", ALL, as_events)])
    place.ask("delivery_release", delivery_ids=[2], reason="limit raised")
    (late,), (soon,) = place.sent("erp"), place.sent("archive")
    assert json.loads(late.body)["events"] == json.loads(soon.body)["events"]


def test_a_message_that_cannot_be_changed_for_one_is_passed_to_the_others(make: Make) -> None:
    place = make([Output("lab", changes={"PID-5": "中"}), Output("raw")], inbound=None)
    raw = charge().replace(b"|P|2.7", b"|P|2.7||||||8859/1")
    place.receive(raw)
    assert [(name, is_in) for _, name, is_in in place.deliveries()] == [("raw", "queued"), ("lab", "held")]
    assert [row.stage for row in place.exceptions()] == ["render"]
    place.plan([Output("lab", changes={"MSH-5": "LAB"}), Output("raw")], inbound=None)
    place.ask("delivery_release", delivery_ids=[2], reason="mended")
    (sent,) = place.sent("lab")
    assert er7.Message.parse(sent.body).get("MSH-5") == "LAB" and sent.control_id == "C0001"


def test_a_channel_that_stops_on_errors_stops_for_it(make: Make) -> None:
    place = make(on_error="stop")
    place.receive(charge())
    assert place.halts == ["message 1 is held for erp, billing, and the channel says on_error: stop"]


def test_the_sender_who_waits_for_the_delivery_hears_that_it_waits_for_a_person(make: Make) -> None:
    place = make(rules=AnswerRules(when="after_delivery"))
    heard = place.receive(charge())
    assert heard.codes == ["AR"]
    assert place.receive(charge()).codes == heard.codes


def test_a_channel_that_does_not_run_renders_nothing(make: Make) -> None:
    place = make()
    place.receive(charge())
    place.channels["c"].actual = "stopped"
    found = place.ask("delivery_release", delivery_ids=[2], reason="x")
    assert found["skipped"] == [{"delivery": 2, "reason": "channel c is not running"}]


def test_a_destination_that_is_gone_is_told(make: Make) -> None:
    place = make()
    place.receive(charge())
    place.plan([*outputs()[:1], Output("billing"), *outputs()[2:]][1:])
    found = place.ask("delivery_release", delivery_ids=[2, 3], reason="x")
    assert [each["reason"] for each in found["skipped"]] == [
        "the channel has no destination erp today",
        "the channel sends something else there today; reprocess the message",
    ]
    assert place.exceptions()


def test_what_today_s_mapping_no_longer_makes_stays_held(make: Make) -> None:
    place = make()
    place.receive(charge())
    place.plan(outputs(FULL)[1:])
    place.ask("reprocess", message_ids=[1], reason="erp is gone")
    assert [is_in for _, name, is_in in place.deliveries() if name == "erp"] == ["held"]
    assert [row.field for row in place.exceptions()] == ["erp"]
