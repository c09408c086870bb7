"""JSON as a format: what stands at a path, what is no message, and a channel of such messages."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from suture.config.plan import plan_of
from suture.config.site import load_site
from suture.conversation.plain import Plain
from suture.formats.json import Json
from suture.formats.registry import FORMATS
from suture.mapping.compile import Mapped, SpecError, compile_inbound
from suture.mapping.spec import InboundSpec
from suture.model import states
from suture.model.errors import ConfigError, MessageError
from suture.model.message import Message
from suture.model.reading import Doubt
from suture.pipeline.process import process
from tests.config.site_files import SiteFiles
from tests.mapping.examples import RULES, TABLES, inbound, read

MAPPING = """
mapping: used
from: json
each: $.lines[*]
skip: {"$.lines[*].type": [payment]}
emit:
  - event: supply.used
    when: {"$.status": [final, ""]}
    set:
      patient: {from: $.patient.id, required: true}
      item: {from: "$.lines[*].item.code", table: items}
      description: item.description
      quantity: {from: "$.lines[*].quantity", as: decimal, default: "1"}
      lot: {from: ["$.lines[*].lot", "$.lot"], default: NONE}
      used_at: {from: "$.lines[*].at", as: time}
    credit: {"$.lines[*].type": credit}
search: {patient: $.patient.id}
"""


def run(message: str, text: str = MAPPING, key: tuple[str, ...] = ()) -> Mapped:
    """What a mapping makes of a message, on both ways."""
    mapping = compile_inbound(InboundSpec.model_validate(read(text)), TABLES, RULES, key, "or", Json())
    record = Json().parse(message.encode())
    found = mapping.run(record)
    assert found == mapping.run_carefully(record)
    return found


def problems(text: str, key: tuple[str, ...] = ()) -> dict[str, str]:
    with pytest.raises(SpecError) as wrong:
        compile_inbound(InboundSpec.model_validate(read(text)), TABLES, RULES, key, "or", Json())
    return {".".join(map(str, loc)): said for loc, said in wrong.value.problems}


def told(message: str, path: str) -> Any:
    format = Json()
    record = format.parse(message.encode())
    return format.place(format.path(path), None).tell(record, None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.10", "1.10"),
        ("1e3", "1e3"),
        ("-0", "-0"),
        ("9" * 5_000, "9" * 5_000),
        ("true", "true"),
        ("false", "false"),
        ('" x "', "x"),
        ('"\\u00dc"', "Ü"),
        ("null", Doubt.NULL),
        ('""', ""),
        ("[]", ""),
        ("{}", ""),
        ('["x"]', "x"),
        ('["x", "x", ""]', "x"),
        ('["x", "y"]', Doubt.SEVERAL),
        ('["x", null]', Doubt.SEVERAL),
        ("[null]", Doubt.NULL),
        ('[["x"]]', Doubt.SEVERAL),
        ('{"b": "x"}', Doubt.SEVERAL),
    ],
)
def test_what_stands_at_a_place(value: str, text: Any) -> None:
    assert told(f'{{"a": {value}}}', "$.a") == text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("$.a.b", "1"),
        ("$['a']['b']", "1"),
        ("$.c[0]", "x"),
        ("$.c[1].d", "y"),
        ("$.c[2]", ""),
        ("$.c.d", "y"),
        ("$.a[0]", ""),
        ("$['it''s']", None),
        ("$['it\\'s']", "z"),
        ("$['a.b']", "w"),
        ("$.a.b.c", ""),
        ("$.ä", "v"),
        ("$.e.f", Doubt.SEVERAL),
        ("$.e[0].f", "u"),
    ],
)
def test_a_path_goes_by_names_and_indices(path: str, text: Any) -> None:
    message = '{"a": {"b": 1}, "c": ["x", {"d": "y"}], "it\'s": "z", "a.b": "w", "ä": "v", "e": [[{"f": "u"}]]}'
    if text is None:
        with pytest.raises(ValueError, match="is not a path"):
            told(message, path)
    else:
        assert told(message, path) == text


def test_a_mapping_makes_events_of_a_message() -> None:
    lines = [
        '{"item": {"code": "IMP-1"}, "quantity": 1.50, "type": "use", "at": "20260401100100"}',
        '{"item": {"code": "IMP-2"}, "type": "credit", "lot": "L7", "at": "20260401"}',
        '{"item": {"code": "IMP-2"}, "type": "payment"}',
    ]
    found = run(f'{{"patient": {{"id": "M7"}}, "status": "final", "lot": "L1", "lines": [{", ".join(lines)}]}}')
    assert found.gaps == []
    assert [(e.line, e.data["item"], e.data["quantity"], e.data["lot"], e.data["patient"]) for e in found.events] == [
        (1, "IMP-1", Decimal("1.50"), "L1", "M7"),
        (2, "IMP-2", Decimal(-1), "L7", "M7"),
    ]
    assert str(found.events[0].data["quantity"]) == "1.50"
    assert found.events[0].data["description"] == "Hip stem"
    assert [line for line, _, _ in found.filtered] == [3]
    assert found.search == [("patient", "M7"), ("item", "IMP-1"), ("item", "IMP-2")]


def one(**values: str) -> str:
    fields = {"item": '{"code": "IMP-1"}', "at": "20260401", **values}
    return '{"patient": {"id": "M7"}, "lines": [{' + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}]}"


def test_null_is_the_senders_word_that_there_is_no_value() -> None:
    assert [event.data["quantity"] for event in run(one()).events] == [Decimal(1)]
    found = run(one(quantity="null"))
    assert (found.events, [(gap.field, gap.reason) for gap in found.gaps]) == ([], [("quantity", "required, and null in the message")])
    assert "lot" not in run(one(lot="null")).events[0].data


def test_a_value_that_could_be_several_is_held() -> None:
    found = run(one(quantity="[1, 2]"))
    assert [(gap.code, gap.field) for gap in found.gaps] == [("AMBIGUOUS_VALUE", "quantity")]
    assert "say which one, by name or by index" in found.gaps[0].reason


def test_a_message_without_lines_comes_to_nothing_and_says_so() -> None:
    for message in ("{}", '{"lines": []}', '{"lines": {}}'):
        gap = run('{"patient": {"id": "M7"}}' if message == "{}" else message).gaps[0]
        if message != '{"lines": {}}':
            assert (gap.code, gap.line) == ("NO_LINES", 0)
            assert "$.lines[*]" in gap.reason


def test_a_line_that_is_null_is_a_line() -> None:
    found = run('{"patient": {"id": "M7"}, "lines": [null]}')
    assert (found.lines, {gap.line for gap in found.gaps}) == (1, {1})


def test_the_same_bytes_have_the_same_keys_and_others_have_others() -> None:
    first, again, other = run(one()), run(one()), run(one(lot='"L2"'))
    assert first.keys == again.keys
    assert first.keys != other.keys


def test_the_work_of_a_line_does_not_grow_with_the_lines() -> None:
    record = Json().parse(b'{"lines": [' + b",".join([b'{"code": "A"}'] * 100) + b"]}")
    reader = Json().reader([], "$.lines[*]")
    assert reader.parts(record) is reader.parts(record)
    assert Json().identity(record, None) is Json().identity(record, None)


def test_a_key_is_made_of_paths_where_the_channel_says_so() -> None:
    assert run(one(lot='"L2"'), key=("$.lines[*].lot",)).keys == {1: "or|L2"}
    # A code that a condition asks for names nothing: the digest of the message and the line are added.
    assert len(run(one(type='"use"'), key=("$.lines[*].type",)).keys[1].split("|")) == 4


def test_an_array_may_be_the_message() -> None:
    text = 'mapping: used\nfrom: json\neach: "$[*]"\nemit: [{event: supply.used, set: {item: "$[*].code", quantity: {const: "1"}}}]\n'
    assert [event.data["item"] for event in run('[{"code": "A"}, {"code": "B"}]', text).events] == ["A", "B"]


def test_a_message_may_be_its_own_line() -> None:
    text = "mapping: used\nfrom: json\nemit: [{event: supply.used, set: {item: $.code, quantity: $.n}}]\n"
    assert [(event.data["item"], event.data["quantity"]) for event in run('{"code": "A", "n": 2.0}', text).events] == [
        ("A", Decimal("2.0"))
    ]


def test_wrong_paths_are_said_with_their_places() -> None:
    found = problems(
        MAPPING.replace("$.patient.id, required", "patient.id, required").replace('["$.lines[*].lot", "$.lot"]', '"$.lots[*].lot"')
    )
    assert "'patient.id' is no column" in found["emit.0.set.patient.from.0"]
    assert "names several values where one is wanted" in found["emit.0.set.lot.from.0"]
    assert problems(MAPPING.replace("each: $.lines[*]", "each: $.lines"))["each"].endswith("write e.g. $.lines[*]")


def test_a_mapping_of_another_format_is_refused() -> None:
    assert "reads hl7v2, and the channel's messages are json" in problems(MAPPING.replace("from: json", "from: hl7v2"))["from"]
    with pytest.raises(SpecError, match="reads json, and the channel's messages are hl7v2"):
        inbound(MAPPING)


@pytest.mark.parametrize(
    ("raw", "code", "said"),
    [
        (b'{"a": \xe4}', "CHARSET", "UTF-8"),
        (b'{"a": "\\ud800"}', "CHARSET", "UTF-8"),
        (b'{\n "a": }', "NOT_JSON", "line 2, column 7"),
        (b'{"a": Infinity}', "NOT_JSON", "Infinity"),
        (b'{"a": {"b": 1, "b": 2}}', "NOT_JSON", "twice"),
        (b"[" * 10_000 + b"]" * 10_000, "NOT_JSON", "nested"),
        (b"1", "NOT_JSON", "neither"),
    ],
)
def test_what_is_none_is_refused_without_its_content(raw: bytes, code: str, said: str) -> None:
    with pytest.raises(MessageError) as refused:
        Json().parse(raw)
    assert (refused.value.stage, refused.value.code) == ("parse", code)
    assert said in refused.value.reason


def test_a_mark_of_its_byte_order_is_no_content() -> None:
    assert Json().parse(b'\xef\xbb\xbf{"a": 1}').data == {"a": "1"}


CHANNEL = """
channel: orders
source: {mllp_in: {port: 0}}
format: json
map: orders
order_by: $.patient.id
business_key: [$.number, "$.lines[*].number"]
destinations:
  erp: {to: erp, events: [supply.used], as: events}
"""
ORDERS = """
mapping: orders
from: json
each: $.lines[*]
emit:
  - event: supply.used
    set: {patient: $.patient.id, item: "$.lines[*].item", quantity: {from: "$.lines[*].quantity", as: decimal}}
"""


def orders(site: SiteFiles, channel: str = CHANNEL, mapping: str = ORDERS) -> None:
    site.write("channels/orders/channel.yaml", channel)
    site.write("mappings/orders.yaml", mapping)


def test_a_channel_says_that_its_messages_are_json(site: SiteFiles) -> None:
    orders(site)
    plan = plan_of(load_site(site.directory, None, {}).channels["orders"])
    assert plan.converse.func is Plain  # type: ignore[attr-defined]
    raw = b'{"number": "A1", "patient": {"id": "M7"}, "lines": [{"number": 1, "item": "IMP-1", "quantity": 2}]}'
    settled = process(plan, Message("orders", raw, 1, id=1), 2).ready
    assert settled is not None
    assert (settled.state, [(e.key, e.data["item"]) for e in settled.events]) == (states.PROCESSED, [("orders|A1|1", "IMP-1")])
    assert [(d.destination, d.lane) for d in settled.deliveries] == [("erp", "M7")]
    parked = process(plan, Message("orders", b"{", 1, id=1), 2).ready
    assert parked is not None
    assert parked.fault is not None
    assert (parked.state, parked.fault.code, parked.fault.stage) == (states.PARKED, "NOT_JSON", "parse")


@pytest.mark.parametrize(
    ("channel", "mapping", "said"),
    [
        (CHANNEL.replace("format: json", "format: jsn"), ORDERS, "unknown format 'jsn'; did you mean 'json'?"),
        (CHANNEL.replace("order_by: $.patient.id", "order_by: PID-3.1"), ORDERS, "'PID-3.1' is not a path"),
        (CHANNEL.replace("$.number, ", "number, "), ORDERS, "did you mean $.number?"),
        (CHANNEL.replace("format: json\n", "").replace("$.patient.id", "PID-3.1"), ORDERS, "'$.number' is not a path"),
        (
            CHANNEL.replace("order_by: $.patient.id", 'order_by: "$.lines[*].item"'),
            ORDERS,
            "order_by: '$.lines[*].item' names several values",
        ),
        (
            CHANNEL.replace("$.number, ", '"$.other[*].number", '),
            ORDERS,
            "for the business_key of orders: '$.other[*].number' names several",
        ),
        (CHANNEL, ORDERS.replace("from: json", "from: hl7v2"), "reads hl7v2, and the channel's messages are json"),
        (CHANNEL + "hl7v2: {sequence: yes}\n", ORDERS, "hl7v2: has no meaning with format: json; remove it"),
        (CHANNEL + "accept: DFT^P03\n", ORDERS, "accept: has no meaning with format: json; remove it"),
        (CHANNEL + "zone: sender\n", ORDERS, "does not say in which zone it was sent"),
        (CHANNEL.replace("{port: 0}", "{port: 0, ack: after_process}"), ORDERS, "source.mllp_in.ack: a sender of json is told"),
        (
            CHANNEL.replace("events: [supply.used], as: events", "message: {MSH-5: LAB}").replace("map: orders\n", ""),
            ORDERS,
            "destinations.erp.message: a message in json is passed on as it came",
        ),
    ],
)
def test_what_does_not_go_together_is_said(site: SiteFiles, channel: str, mapping: str, said: str) -> None:
    orders(site, channel, mapping)
    with pytest.raises(ConfigError) as wrong:
        load_site(site.directory, None, {})
    assert said in str(wrong.value)


def test_the_names_of_formats_are_those_of_the_registry() -> None:
    assert list(FORMATS) == ["hl7v2", "json"]
