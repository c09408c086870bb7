"""What is said of a conf, a channel or a connector that has the wrong keys and values: file, line, place, remedy."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from suture.config.channel import Channel
from suture.config.conf import Conf
from suture.config.hl7v2 import Answer, Continuation
from suture.config.validate import validate
from suture.config.yaml_file import parse_yaml
from suture.connectors.net.tls import ClientTls, ServerTls
from suture.connectors.registry import DESTINATIONS, SOURCES


def said(text: str, model: type[BaseModel]) -> list[str]:
    document, problems = parse_yaml(text, "f.yaml")
    assert document is not None
    _, more = validate(document, model)
    return [str(problem) for problem in sorted([*problems, *more], key=lambda problem: problem.line)]


CHANNEL = "channel: or-supply\nsource: {mllp_in: {port: 2575}}\ndestinations: {erp: {to: erp, as: events}}\n"


def test_a_channel_that_is_right_has_typed_values():
    document, _ = parse_yaml(CHANNEL + "accept: DFT^P03\nstock: yes\nduplicates: {window_s: 60}\norder_by: PID-18.1\n", "f.yaml")
    assert document is not None
    channel, problems = validate(document, Channel)
    assert channel is not None and problems == []
    assert (channel.accept, channel.stock, channel.duplicates.window_s) == (["DFT^P03"], True, 60)
    assert channel.source.connector[0] == "mllp_in" and channel.source.connector[1].port == 2575  # type: ignore[attr-defined]
    assert channel.destinations["erp"].as_ == "events" and channel.destinations["erp"].events == ["*"]


@pytest.mark.parametrize("yes", ["yes", "Yes", "true", "on"])
@pytest.mark.parametrize(("no"), ["no", "NO", "false", "off"])
def test_yes_and_no_may_be_written_as_people_write_them(yes: str, no: str):
    for text, value in ((yes, True), (no, False)):
        document, _ = parse_yaml(CHANNEL + f"stock: {text}\n", "f.yaml")
        assert document is not None
        channel, _ = validate(document, Channel)
        assert channel is not None and channel.stock is value


def test_everything_wrong_in_a_channel_is_said_at_once():
    text = """\
channel: Or Supply
source: {mlp_in: {prot: 2, port: soon}}
accept: [DFT^P03, DFT-P11]
order_by: pid18
business_key: [MSH-3.1, x]
duplicates: {window_s: soon}
stock: maybe
stok: x
hl7v2: {encodng: x, encoding: utf9}
destinations:
  erp: {event: x, as: [a], per: evnt, message: {MSH-1: x, PID: y}}
  lab: text
  all: {to: x, events: []}
on_error: prk
"""
    path = "write a segment, a dash and a field, e.g. PID-3, PID-3.1 or PID-3[MR].1"
    assert said(text, Channel) == [
        "f.yaml:1: channel: 'Or Supply' is not a name; use a-z, 0-9, - and _, e.g. or-supply",
        "f.yaml:2: source: unknown key 'mlp_in'; did you mean 'mllp_in'?",
        "f.yaml:3: accept.1: 'DFT-P11' is not a message type, e.g. DFT^P03",
        f"f.yaml:4: order_by: 'pid18' is not a path; {path}",
        f"f.yaml:5: business_key.1: 'x' is not a path; {path}",
        "f.yaml:6: duplicates.window_s: 'soon' is not a whole number of seconds, e.g. 34560000",
        "f.yaml:7: stock: 'maybe' is neither yes nor no",
        "f.yaml:8: unknown key 'stok'; did you mean 'stock'?",
        "f.yaml:9: hl7v2.encoding: 'utf9' is not a character set, e.g. utf-8, iso8859-1 or a name of MSH-18 such as 8859/1",
        "f.yaml:9: hl7v2: unknown key 'encodng'; did you mean 'encoding'?",
        "f.yaml:11: destinations.erp: 'to' is required",
        "f.yaml:11: destinations.erp.as: a text must stand here, not a list",
        "f.yaml:11: destinations.erp.per: 'evnt' is none of the choices: message, event; did you mean 'event'?",
        "f.yaml:11: destinations.erp.message.MSH-1: MSH-1 holds the separators of the message and cannot be set",
        f"f.yaml:11: destinations.erp.message.PID: 'PID' is not a path; {path}",
        "f.yaml:11: destinations.erp: unknown key 'event'; did you mean 'events'?",
        "f.yaml:12: destinations.lab: keys with values (key: value) must stand here, not 'text'",
        "f.yaml:13: destinations.all.events: must not be empty",
        "f.yaml:14: on_error: 'prk' is none of the choices: park, stop; did you mean 'park'?",
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{mllp_in: {}}", "source.mllp_in: 'port' is required"),
        ("{mllp_in: {prot: 2575}}", "source.mllp_in: 'port' is required"),
        ("{mllp_in: {port: soon}}", "source.mllp_in.port: 'soon' is not a whole number"),
        ("{mllp_in: {port: 99999}}", "source.mllp_in.port: '99999' is too large; at most 65535"),
        ("{mllp_in: {port: 1, idle_s: soon}}", "source.mllp_in.idle_s: 'soon' is not a number of seconds, e.g. 3600"),
        ("{mllp_in: {port: 1, idle_s: 0}}", "source.mllp_in.idle_s: '0' is too small; more than 0 seconds"),
        ("{mllp_in: {port: 1, limit_bytes: 16 MB}}", "source.mllp_in.limit_bytes: '16 MB' is not a whole number of bytes, e.g. 16777216"),
        ("mllp_in", "source: keys with values (key: value) must stand here, not 'mllp_in'"),
    ],
)
def test_a_connector_is_checked_by_its_own_config(source: str, expected: str):
    text = f"channel: x\nsource: {source}\ndestinations: {{a: {{to: b}}}}\n"
    assert f"f.yaml:2: {expected}" in said(text, Channel)


def test_the_unknown_key_of_a_connector_is_named_with_the_one_that_was_meant():
    assert said("channel: x\nsource: {mllp_in: {prot: 1}}\ndestinations: {a: {to: b}}\n", Channel) == [
        "f.yaml:2: source.mllp_in: 'port' is required",
        "f.yaml:2: source.mllp_in: unknown key 'prot'; did you mean 'port'?",
    ]


def test_an_unknown_key_like_no_other_lists_what_there_is():
    assert said("site: {zone: UTC}\nhttp: {xyzzy: 1}\n", Conf) == ["f.yaml:2: http: unknown key 'xyzzy'; there are: host, port"]


def test_a_value_with_a_problem_of_its_own_is_not_complained_about_twice():
    assert said("channel:\nsource: {mllp_in: {port: 1}}\ndestinations: {a: {to: b}}\n", Channel) == [
        'f.yaml:1: channel: has no value; write one ("" for an empty text) or remove the line'
    ]


def test_a_list_in_place_of_sections_is_explained():
    assert said("- a\n- b\n", Channel) == ["f.yaml:1: keys with values (key: value) must stand here, not a list"]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    wait_h: float = 24
    share: float | None = None
    level: int | str | list[str] = Field(default=1)
    other: dict[str, list[int]] = Field(default_factory=dict)


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")
    either: Part | list[Part] | None = None
    token: SecretStr | None = None
    checked: str = ""

    @field_validator("checked")
    @classmethod
    def _never(cls, value: str) -> str:
        raise ValueError(f"{value!r} will not do; write another")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("either: {wait_h: long}", ["f.yaml:1: either.wait_h: 'long' is not a number of hours, e.g. 24"]),
        ("either:\n- {wait_h: 1}\n- {wait: 1}", ["f.yaml:3: either.1: unknown key 'wait'; did you mean 'wait_h'?"]),
        ("either: text", ["f.yaml:1: either: keys with values (key: value) must stand here, not 'text'"]),
        ("either: {share: much}", ["f.yaml:1: either.share: 'much' is not a number"]),
        ("either: {other: {a: [1, x]}}", ["f.yaml:1: either.other.a.1: 'x' is not a whole number"]),
        ("checked: abc", ["f.yaml:1: checked: 'abc' will not do; write another"]),
        ("token: [abc]", ["f.yaml:1: token: a text must stand here, not a list"]),
    ],
)
def test_of_alternatives_only_the_one_that_was_meant_is_spoken_of(text: str, expected: list[str]):
    assert said(text, Whole) == expected


def test_long_values_are_shortened():
    found = said(f"site: {{zone: UTC}}\nhttp: {{port: {'x' * 80}}}\n", Conf)
    assert found == [f"f.yaml:2: http.port: '{'x' * 57}...' is not a whole number, e.g. 8080"]


def seconds(model: type[BaseModel]) -> list[str]:
    return [name for name, info in model.model_fields.items() if info.annotation is float]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (model, name)
        for model in (
            *(module.Config for module in (*SOURCES.values(), *DESTINATIONS.values())),
            ServerTls,
            ClientTls,
            Answer,
            Continuation,
        )
        for name in seconds(model)
    ],
)
@pytest.mark.parametrize("text", ["inf", "1e999", "nan"])
def test_a_wait_has_an_end(model: type[BaseModel], name: str, text: str):
    with pytest.raises(ValidationError) as refused:
        model.model_validate({name: text})
    assert name in [error["loc"][0] for error in refused.value.errors() if error["type"] != "missing"]
