"""Payloads: canonical events as a destination wants them."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from suture.mapping.outbound import RenderContext, as_cloudevents, as_events
from suture.mapping.times import Moment
from suture.model.errors import MessageError
from suture.model.events import Event, control_id
from suture.model.message import Message
from suture.wire.hl7v2.text import er7
from tests.mapping.examples import outbound, outbound_problems

AT = datetime(2026, 4, 1, 10, 1, tzinfo=timezone(timedelta(hours=-5)))
NOW_US = 1_775_056_200_123_456  # 2026-04-01T15:10:00.123456Z
CONTEXT = RenderContext(Message("or", b"", 1_775_056_000_000_000, "C1", "DFT^P03", id=7), "erp", "k-1", NOW_US, "/suture/or")


def event(position: int = 1, kind: str = "charge.raised", **data: Any) -> Event:
    fields = {
        "item": "IMP-1",
        "quantity": Decimal("-2"),
        "used_at": AT,
        "patient": "M7",
        "charge_code": "270",
        "amount": Decimal("8400.00"),
    }
    return Event(kind, position - 1, position, f"or|T{position}", {**fields, **data}, 0, f"id-{position}")


def body(mapping: str, *events: Event, per: str = "event") -> Any:
    return json.loads(outbound(f"mapping: m\nto: json\n{mapping}", per)(events or (event(),), CONTEXT).body)


def segments(fields: str, *events: Event) -> list[str]:
    text = f"""
mapping: m
to: hl7v2
segments:
  - MSH: {{3: {{const: SUTURE}}, 9: {{const: DFT^P03^DFT_P03}}, 11: {{const: P}}, 12: {{const: "2.5.1"}}}}
  - {fields}
"""
    return outbound(text)(events or (event(),), CONTEXT).body.decode().split("\r")


class TestBuiltIns:
    def test_events_are_sent_as_they_are_with_their_message(self) -> None:
        payload = as_events([event(), event(2)], CONTEXT)
        assert payload.content_type == "application/json"
        assert payload.control_id == ""
        content = json.loads(payload.body)
        assert content["message"] == {"id": 7, "control_id": "C1", "channel": "or", "type": "DFT^P03"}
        assert content["idempotency_key"] == "k-1"
        assert [(e["id"], e["type"], e["line"]) for e in content["events"]] == [("id-1", "charge.raised", 1), ("id-2", "charge.raised", 2)]
        assert content["events"][0]["data"]["amount"] == "8400.00"
        assert content["events"][0]["data"]["used_at"] == "2026-04-01T10:01:00-05:00"

    def test_cloudevents_are_a_structured_batch(self) -> None:
        payload = as_cloudevents([event()], CONTEXT)
        assert payload.content_type == "application/cloudevents-batch+json"
        (one,) = json.loads(payload.body)
        assert {key: one[key] for key in one if key != "data"} == {
            "specversion": "1.0",
            "id": "id-1",
            "source": "/suture/or",
            "type": "org.suture.charge.raised",
            "time": "2026-04-01T10:01:00-05:00",
            "subject": "IMP-1",
            "datacontenttype": "application/json",
            "controlid": "C1",
        }

    def test_a_cloudevent_without_a_service_date_has_the_time_of_arrival(self) -> None:
        (one,) = json.loads(as_cloudevents([event(used_at=None)], CONTEXT).body)
        assert one["time"] == "2026-04-01T15:06:40+00:00"

    def test_a_cloudevent_of_a_day_says_the_day_in_its_data_and_invents_no_midnight(self) -> None:
        (one,) = json.loads(as_cloudevents([event(used_at=date(2026, 4, 1))], CONTEXT).body)
        assert (one["time"], one["data"]["used_at"]) == ("2026-04-01T15:06:40+00:00", "2026-04-01")

    def test_the_time_of_a_cloudevent_has_seconds(self) -> None:
        (one,) = json.loads(as_cloudevents([event(used_at=Moment.of(AT, 4))], CONTEXT).body)
        assert (one["time"], one["data"]["used_at"]) == ("2026-04-01T10:01:00-05:00", "2026-04-01T10:01-05:00")

    def test_attributes_of_cloudevents_are_lower_case_letters_and_digits(self) -> None:
        (one,) = json.loads(as_cloudevents([event()], CONTEXT).body)
        assert all(key.isalnum() and key.islower() for key in one)


class TestJson:
    def test_fields_constants_names_functions_and_tables(self) -> None:
        assert body(
            """
each: event
body:
  Organization: {const: GENERAL}
  Item: item
  Quantity: {from: quantity, call: negate}
  Kind: {from: event.type, table: movements}
  Header: event.id
  Line: event.position
  Message: message.id
  Reference: message.control_id
  Key: idempotency_key
  When: {from: used_at, as: hl7time}
  Day: {from: used_at, as: date}
  Number: {from: amount, as: number}
  Whole: {from: quantity, as: integer}
  Sent: now
"""
        ) == {
            "Organization": "GENERAL",
            "Item": "IMP-1",
            "Quantity": "2",
            "Kind": "Charge",
            "Header": "id-1",
            "Line": 1,
            "Message": 7,
            "Reference": "C1",
            "Key": "k-1",
            "When": "20260401100100-0500",
            "Day": "2026-04-01",
            "Number": 8400.0,
            "Whole": -2,
            "Sent": "2026-04-01T10:10:00.123456-05:00",
        }

    def test_a_number_is_written_to_the_last_digit(self) -> None:
        text = "mapping: m\nto: json\nbody: {N: {from: amount, as: number}}"
        assert outbound(text)([event(amount=Decimal("0.10000000000000000001"))], CONTEXT).body == b'{"N":0.10000000000000000001}'

    def test_keys_without_the_vocabulary_are_a_nested_object(self) -> None:
        assert body("body: {A: {B: {C: item}, D: {const: x}}, from: {const: y}}") == {"A": {"B": {"C": "IMP-1"}, "D": "x"}, "from": "y"}

    def test_an_absent_value_is_left_out_and_a_default_stands_in(self) -> None:
        assert body("body: {A: lot, B: {from: lot, default: none}, C: {from: [lot, item]}}") == {"B": "none", "C": "IMP-1"}

    def test_each_event_is_an_object_or_one_of_a_list(self) -> None:
        text = "each: event\nbody: {Id: event.id}"
        assert body(text, event()) == {"Id": "id-1"}
        assert body(text, event(), event(2)) == [{"Id": "id-1"}, {"Id": "id-2"}]
        assert body(text, event(), per="message") == [{"Id": "id-1"}]

    def test_a_nested_object_can_be_a_list_of_the_events(self) -> None:
        assert body("body: {Patient: patient, Lines: {each: event, Number: event.position, Item: item}}", event(), event(2, item="B")) == {
            "Patient": "M7",
            "Lines": [{"Number": 1, "Item": "IMP-1"}, {"Number": 2, "Item": "B"}],
        }

    def test_values_kept_as_text_in_the_store_are_read_again(self) -> None:
        stored = event(quantity="-2", used_at="2026-04-01T10:01:00-05:00")
        assert body("body: {Q: {from: quantity, call: absolute}, T: {from: used_at, as: hl7time}}", stored) == {
            "Q": "2",
            "T": "20260401100100-0500",
        }

    @pytest.mark.parametrize(
        ("used_at", "written", "time", "day", "hl7"),
        [
            (date(2026, 4, 1), "2026-04-01", "2026-04-01", "2026-04-01", "20260401"),
            (Moment.of(AT, 2), "2026-04-01T10-05:00", "2026-04-01T10:01:00-05:00", "2026-04-01", "2026040110-0500"),
            (Moment.of(AT, 4), "2026-04-01T10:01-05:00", "2026-04-01T10:01:00-05:00", "2026-04-01", "202604011001-0500"),
            (AT, "2026-04-01T10:01:00-05:00", "2026-04-01T10:01:00-05:00", "2026-04-01", "20260401100100-0500"),
            ("2026-04-01", "2026-04-01", "2026-04-01", "2026-04-01", "20260401"),
        ],
    )
    def test_a_time_is_written_as_far_as_it_was_said(self, used_at: Any, written: str, time: str, day: str, hl7: str) -> None:
        text = "body: {W: used_at, T: {from: used_at, as: time}, D: {from: used_at, as: date}, H: {from: used_at, as: hl7time}}"
        assert body(text, event(used_at=used_at)) == {"W": written, "T": time, "D": day, "H": hl7}
        assert segments("FT1: {4: used_at, 5: {from: used_at, as: hl7time}}", event(used_at=used_at))[1] in (
            f"FT1||||{hl7}|{hl7}",
            f"FT1||||{written}|{hl7}",  # what is kept as text stays that text
        )

    def test_a_month_in_a_text_field_is_written_as_one(self) -> None:
        text = "body: {D: {from: lot, as: date}, H: {from: lot, as: hl7time}}"
        assert body(text, event(lot="2026-12")) == {"D": "2026-12", "H": "202612"}
        assert segments("FT1: {4: {from: lot, as: date}}", event(lot="2026"))[1] == "FT1||||2026"

    def test_a_list_is_a_list(self) -> None:
        assert body("body: {M: procedure_modifiers}", event(procedure_modifiers=["LT", "59"])) == {"M": ["LT", "59"]}
        assert body("body: {M: procedure_modifiers}") == {}


class TestHl7:
    def test_a_list_is_written_as_repetitions(self) -> None:
        fields = "FT1: {each: event, 26: procedure_modifiers, 27: {const: x}}"
        charged = [event(procedure_modifiers=["L~T", "59"]), event(2, procedure_modifiers=["RT"]), event(3)]
        assert [one.split("|")[26] for one in segments(fields, *charged)[1:4]] == ["L\\R\\T~59", "RT", ""]

    @pytest.mark.parametrize(
        "field",
        [
            "26: {from: procedure_modifiers, as: text}",
            "26: {from: procedure_modifiers, default: X}",
            "26: {from: [lot, procedure_modifiers]}",
        ],
    )
    def test_a_list_stands_alone(self, field: str) -> None:
        found = outbound_problems(
            f"mapping: m\nto: hl7v2\nsegments:\n  - MSH: {{9: {{const: X}}, 12: {{const: '2.5'}}}}\n  - FT1: {{{field}}}"
        )
        assert any("is a list" in text for text in found.values()), found

    def test_a_list_takes_a_whole_field(self) -> None:
        found = outbound_problems(
            "mapping: m\nto: hl7v2\nsegments:\n  - MSH: {9: {const: X}, 12: {const: '2.5'}}\n  - FT1: {26.1: procedure_modifiers}"
        )
        assert any("write 26, not 26.1" in text for text in found.values()), found

    def test_a_charge_is_a_dft_with_an_ft1_an_event(self) -> None:
        found = segments(
            """FT1: {each: event, 1: event.position, 2: transaction, 4: {from: used_at, as: hl7time},
                     6: {from: quantity, call: charge_or_credit}, 7: charge_code, 10: {from: quantity, call: absolute}}""",
            event(),
            event(2, quantity=Decimal("1.50")),
        )
        assert found == [
            f"MSH|^~\\&|SUTURE||||20260401101000-0500||DFT^P03^DFT_P03|{control_id('k-1')}|P|2.5.1",
            "FT1|1|||20260401100100-0500||CD|270|||2",
            "FT1|2|||20260401100100-0500||CG|270|||1.50",
            "",
        ]

    def test_values_are_escaped_and_constants_are_not(self) -> None:
        pid = segments("PID: {3: patient, 5: {const: A^B}}", event(patient="a^b|c&d\\e~f"))[1]
        assert pid == r"PID|||a\S\b\F\c\T\d\E\e\R\f||A^B"
        assert er7.Segment(pid, er7.STANDARD).get(3) == "a^b|c&d\\e~f"

    def test_components_can_be_set_one_by_one(self) -> None:
        assert segments("PID: {3.1: patient, 3.5: {const: MR}}")[1] == "PID|||M7^^^^MR"

    def test_outside_each_a_field_is_of_the_first_event(self) -> None:
        assert segments("PID: {3: patient}", event(), event(2, patient="M8"))[1:] == ["PID|||M7", ""]

    def test_a_segment_without_any_value_is_left_out(self) -> None:
        assert len(segments("PV1: {19: visit}")) == 2

    def test_characters_beyond_ascii_are_declared(self) -> None:
        header = segments("PID: {5: {const: Müller}}")[0].split("|")
        assert header[17] == "UNICODE UTF-8"

    def test_the_payload_says_its_control_id_which_is_the_same_for_the_same_key(self) -> None:
        text = 'mapping: m\nto: hl7v2\nsegments: [{MSH: {9: {const: DFT}, 12: {const: "2.5"}}}]'
        payload = outbound(text)([event()], CONTEXT)
        assert payload.control_id == control_id("k-1")
        assert er7.Message.parse(payload.body).get("MSH-10") == payload.control_id
        assert payload.content_type == "application/hl7-v2"

    def test_control_ids_are_20_characters_and_differ_by_key(self) -> None:
        ids = {control_id(f"key-{i}") for i in range(500)}
        assert len(ids) == 500
        assert {len(one) for one in ids} == {20}
        assert all(one.isalnum() for one in ids)


class TestWhatCannotBeRendered:
    @pytest.mark.parametrize(
        ("mapping", "code", "place"),
        [
            ("body: {A: {B: {from: lot, required: true}}}", "MISSING_VALUE", "A.B"),
            ("body: {A: {from: item, table: movements}}", "UNKNOWN_CODE", "A"),
            ("body: {A: {from: item, as: number}}", "MALFORMED_VALUE", "A"),
            ("body: {A: {from: item, as: date}}", "MALFORMED_VALUE", "A"),
            ("body: {A: {from: item, call: negate}}", "MALFORMED_VALUE", "A"),
            ("body: {A: {from: amount, as: integer}}", "MALFORMED_VALUE", "A"),
        ],
    )
    def test_says_the_place_and_not_the_value(self, mapping: str, code: str, place: str) -> None:
        with pytest.raises(MessageError) as error:
            body(mapping, event(item="SECRET", amount=Decimal("1.5")))
        assert (error.value.stage, error.value.code, error.value.place) == ("render", code, place)
        assert "SECRET" not in str(error.value)

    def test_a_segment_field_is_named_as_a_path(self) -> None:
        with pytest.raises(MessageError) as error:
            segments("FT1: {each: event, 41: {from: item, table: movements}}")
        assert error.value.place == "FT1-41"

    def test_no_events(self) -> None:
        with pytest.raises(MessageError):
            outbound("mapping: m\nto: json\nbody: {A: item}")([], CONTEXT)

    def test_bytes_that_no_character_set_explains(self) -> None:
        with pytest.raises(MessageError):
            as_events([event(item="\udcff")], CONTEXT)
        with pytest.raises(MessageError):
            segments("PID: {3: patient}", event(patient="\udcff"))
