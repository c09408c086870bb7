"""Lines that are no segments, blanks before names, and a second PID or PV1: through the journal, on each database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, select

from suture.conversation.hl7v2.rules import AnswerRules
from suture.formats.hl7v2.format import HL7v2
from suture.model import states
from suture.model.message import Message
from suture.model.value import changed
from suture.pipeline.process import process
from suture.pipeline.validation import Validation
from suture.ports import Settled
from suture.store import tables, views
from suture.wire.hl7v2.standard.validate import Rules, validate
from suture.wire.hl7v2.text import er7
from tests import contents
from tests.mapping import examples
from tests.mapping.examples import ft1
from tests.pipeline.test_comes_to_nothing import KEY, Hospital
from tests.plans import Output, Plan

MARKER = "ZZMARKER"
RECEIVED_AT_US = 1_775_000_000_000_000


@pytest.fixture
def hospital(engine_db: Engine) -> Iterator[Any]:
    made: list[Hospital] = []

    def build(**plan: Any) -> Hospital:
        made.append(Hospital(engine_db, KEY, AnswerRules(when="after_process"), examples.MAPPING))
        made[-1].channel.plan = changed(made[-1].channel.plan, **plan)
        return made[-1]

    yield build
    for one in made:
        one.stop()


def raw(*lines: str, more: str = "", pid: str = "") -> bytes:
    return examples.message(*lines, **({"pid": pid} if pid else {})).to_bytes() + more.encode()


def takes(house: Hospital, data: bytes) -> int:
    """The number of the message that this becomes."""
    house.heard = house.receive(data)
    house.settle()
    with house.database.connect() as connection:
        return int(connection.execute(select(views.message.c.id).order_by(views.message.c.id.desc())).scalar() or 0)


def reasons(house: Hospital, number: int) -> list[str]:
    e = tables.exception.c
    with house.database.connect() as connection:
        return [
            f"{code} {path or field}: {reason}"
            for code, path, field, reason in connection.execute(select(e.code, e.path, e.field, e.reason).where(e.message_id == number))
        ]


CUT = ft1(quantity="3").replace("A TEXT", f"A TEXT\r{MARKER} 5", 1)
"""An FT1 with a carriage return in the text of FT1-7, as a cabinet sent it."""


class TestALineThatIsNoSegment:
    @pytest.mark.parametrize("line", [f"{MARKER} and so on", f"ft1|2|{MARKER}", f"FT12|{MARKER}", f"?{MARKER}"])
    def test_parks_its_message_and_nothing_of_it_is_charged(self, hospital: Any, line: str) -> None:
        house = hospital()
        number = takes(house, raw(ft1(), more=f"{line}\r"))
        assert (house.state(number), house.raised(), house.heard.codes) == ("parked", 0, ["AE"])
        (reason,) = reasons(house, number)
        assert reason.startswith("BAD_SEGMENT FT1: ")
        assert "line 5, behind this segment" in reason
        assert MARKER not in reason + house.heard.told[0][1].decode()

    def test_that_is_the_rest_of_a_text_joins_its_field_where_the_channel_says_so(self, hospital: Any) -> None:
        house = hospital()
        assert house.state(takes(house, raw(CUT))) == "parked"
        house.channel.plan = changed(house.channel.plan, format=HL7v2(join_lines=True))
        number = takes(house, raw(CUT) + b"\n")
        assert house.state(number) == "processed"
        with house.database.connect() as connection:
            bodies = [e.body for message, _, e in contents.events(connection) if message == number]
        assert [json.loads(body)["quantity"] for body in bodies] == ["3", "3"]
        assert (0, "LINE_JOINED", "FT1") in house.notes(number)

    def test_that_may_be_meant_for_a_segment_parks_its_message_all_the_same(self, hospital: Any) -> None:
        house = hospital(format=HL7v2(join_lines=True))
        number = takes(house, raw(ft1(), more=f"ft1|{ft1(id='T2')}\r"))
        assert house.state(number) == "parked"

    def test_parks_a_message_that_is_passed_on_too(self) -> None:
        for join, state in ((False, states.PARKED), (True, states.PROCESSED)):
            came = settled(raw(CUT), join_lines=join)
            assert (came.state, len(came.deliveries)) == (state, int(join))

    def test_that_is_joined_goes_out_escaped_where_the_message_is_changed(self) -> None:
        output = Output("next", changes={"MSH-5": "LAB"})
        (delivery,) = settled(raw(CUT), join_lines=True, outputs=[output]).deliveries
        assert f"A TEXT\\X0D\\{MARKER} 5".encode() in delivery.body
        (plain,) = settled(raw(CUT), join_lines=True).deliveries
        assert plain.body == raw(CUT)


class TestBlanksBeforeAName:
    def test_are_left_out_with_a_note(self, hospital: Any) -> None:
        house = hospital()
        number = takes(house, raw(ft1(), more=f" FT1|{ft1('IMP-2', id='T2')}\r").replace(b"\rPV1", b"\r\t PV1"))
        assert (house.raised(), house.heard.codes) == (3, ["AA"])
        assert [one for one in house.notes(number) if one[1] == "BLANKS_TRIMMED"] == [
            (0, "BLANKS_TRIMMED", "PV1"),
            (0, "BLANKS_TRIMMED", "FT1(2)"),
        ]


class TestASegmentAroundMessages:
    def test_far_from_the_end_of_its_message_is_noted_and_the_charges_go_on(self, hospital: Any) -> None:
        house = hospital()
        number = takes(house, raw(ft1(), more=f"BTS|7\rNTE|1||{'x' * 300}\r"))
        assert (house.state(number), house.raised()) == ("processed", 2)
        assert (0, "ENVELOPE_LINE", "BTS") in house.notes(number)


class TestASecondPatient:
    def test_parks_the_message(self, hospital: Any) -> None:
        house = hospital()
        number = takes(house, raw(ft1(), more="PID|2||M8^^^HOSP^MR\rFT1|" + ft1(id="T2") + "\r"))
        assert (house.state(number), house.raised(), house.heard.codes) == ("parked", 0, ["AE"])
        assert [reason.partition(":")[0] for reason in reasons(house, number)] == ["AMBIGUOUS_CONTEXT PID(2)"]

    def test_does_not_hold_what_is_passed_on_but_where_its_order_hangs_on_it(self) -> None:
        two = raw(ft1(), more="PID|2||M8^^^HOSP^MR\r")
        by_pid = er7.getter(er7.path("PID-18.1"))
        assert settled(two).state == states.PROCESSED
        assert settled(two, order_by=er7.getter(er7.path("MSH-4"))).state == states.PROCESSED
        parked = settled(two, order_by=by_pid, order_place="PID-3")
        assert (parked.state, parked.reason.partition(":")[0]) == (states.PARKED, "AMBIGUOUS_CONTEXT")
        swap = two.replace(b"DFT^P03^DFT_P03", b"ADT^A17^ADT_A17")
        assert settled(swap, order_by=by_pid, order_place="PID-3").state == states.PROCESSED


class TestASecondHeader:
    @pytest.mark.parametrize("line", ["MSH", "MSH|^~\\&|B", " " * 40 + "MSH|^~\\&|B", "\tMSH"])
    @pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
    def test_parks_what_is_passed_on(self, line: str, codec: str) -> None:
        came = settled((raw(ft1()).decode() + f"{line}\rPID|1||M8\r").encode(codec))
        assert (came.state, came.deliveries) == (states.PARKED, ())
        assert came.reason.startswith("AMBIGUOUS_CONTEXT: MSH(2): ")

    def test_is_none_in_a_text(self) -> None:
        assert settled(raw(ft1()) + b"NTE|1||MSH\r").state == states.PROCESSED


STRAY = raw(ft1()) + b"NT\xe9|1||a\r"


class TestAStrayByteInAName:
    """Of a segment that nothing reads."""

    def reported(self, data: bytes, enforce: bool = False, **plan: Any) -> Settled:
        validation = Validation(Rules(), enforce)
        return settled(data, findings=validate(data), validation=validation, **plan)

    @pytest.mark.parametrize("inbound", [None, examples.inbound()])
    def test_is_a_finding_where_the_standard_is_reported(self, inbound: Any) -> None:
        came = self.reported(STRAY, inbound=inbound)
        assert came.state == states.PROCESSED
        assert len(came.deliveries if inbound is None else came.events) == (1 if inbound is None else 2)
        broken = [one for one in came.findings if "does not begin with a segment's name" in one.text]
        assert [str(one.location) for one in broken] == ["FT1"]
        assert [(one.code, one.place) for one in came.notes] == [("STRAY_NAME", "FT1")]
        assert all(ord(c) < 0xDC80 for one in came.findings for c in str(one))

    def test_is_what_it_is_elsewhere(self) -> None:
        assert settled(STRAY).reason.startswith("BAD_SEGMENT")
        assert self.reported(STRAY, enforce=True).state == states.PARKED

    def test_does_not_cover_for_other_bytes(self) -> None:
        came = self.reported(STRAY + b"NTE|1||\xe9\r", inbound=examples.inbound())
        assert (came.state, came.reason.partition(":")[0]) == (states.PARKED, "CHARSET")
        assert self.reported(STRAY + b"x y z\r", inbound=examples.inbound()).reason.startswith("BAD_SEGMENT")


def settled(data: bytes, findings: Any = (), **plan: Any) -> Settled:
    """What this comes to in a channel that passes it on, unless the plan says otherwise."""
    given = {"outputs": [Output("next")], **plan}
    work = process(Plan("or", **given), Message("or", data, RECEIVED_AT_US, type="DFT^P03", id=7), RECEIVED_AT_US, findings=findings)
    assert work.ready is not None
    return work.ready
