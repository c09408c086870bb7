"""`answer:` of a channel: what is right becomes rules, and what is wrong is told with its place."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from suture.config.channel_tests import run_channel_tests
from suture.config.plan import dealing_of, format_of, plan_of
from suture.config.site import load_channel, load_site
from suture.conversation.hl7v2.dealing import Dealing
from suture.conversation.hl7v2.rules import AnswerRules, Setting
from suture.model.errors import ConfigError, MessageError
from suture.wire.hl7v2.exchange.continuation import Limits
from tests.config.site_files import SiteFiles

CHANNEL = "channels/or-supply/channel.yaml"


def files(site: SiteFiles, more: str):
    text = (site.directory / CHANNEL).read_text(encoding="utf-8")
    site.write(CHANNEL, text + more)
    return load_site(site.directory, None, {}).channels["or-supply"]


def said(site: SiteFiles, more: str) -> str:
    with pytest.raises(ConfigError) as error:
        files(site, more)
    return str(error.value)


def test_without_it_everything_is_taken_and_answered_at_receipt(site: SiteFiles):
    found = files(site, "")
    assert dealing_of(found) == Dealing(AnswerRules(), None, False)
    assert plan_of(found).on_error == "park"


def test_what_is_written_becomes_rules(site: SiteFiles):
    more = 'answer: {within_s: 5, unsupported: refuse, versions: "2.3", set: {MSH-3: SUTURE, MSH-4: {from: MSH-6}}, batch: errors}\n'
    channel = files(site, more + "continuation: {timeout_s: 9}\nsequence: yes\non_error: stop\n")
    found = dealing_of(channel)
    assert found.answer.types == {"DFT^P03"}
    assert found.answer.versions == {"2.3"}
    assert (found.answer.within_s, found.answer.batch) == (5, "errors")
    assert found.answer.settings == {"MSH-3": Setting("SUTURE"), "MSH-4": Setting(msh=6)}
    assert found.continuation == Limits(timeout_s=9)
    assert (found.sequence, plan_of(channel).on_error) == (True, "stop")


def site_takes(site: SiteFiles, ids: str) -> None:
    base = (site.directory / "conf/base.yaml").read_text(encoding="utf-8")
    assert "site:" in base
    site.write("conf/strict.yaml", f"site: {{processing_ids: {ids}}}\n")


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("", {"P", ""}),
        ("answer: {processing_ids: [P, T]}\n", {"P", "T"}),
        ("answer: {processing_ids: T}\n", {"T"}),
        ("answer: {processing_ids: []}\n", set()),
    ],
)
def test_the_processing_ids_of_the_environment_count_where_the_channel_names_none(site: SiteFiles, own: str, expected: set[str]):
    site_takes(site, '[P, ""]')
    text = (site.directory / CHANNEL).read_text(encoding="utf-8")
    site.write(CHANNEL, text + own)
    assert dealing_of(load_site(site.directory, "strict", {}).channels["or-supply"]).answer.processing_ids == expected
    assert dealing_of(load_channel(site.directory, "or-supply", "strict", {})).answer.processing_ids == expected
    without = dealing_of(load_site(site.directory, None, {}).channels["or-supply"]).answer.processing_ids
    assert without == (expected if own else set())


def test_a_channels_own_tests_say_the_same_in_an_environment_that_refuses_training(site: SiteFiles):
    sample = site.directory / "channels/or-supply/samples/implant.hl7"
    sample.write_bytes(sample.read_bytes().replace(b"|P|2.", b"|T|2."))
    assert b"|T|2." in sample.read_bytes()
    site_takes(site, "[P]")
    usual, strict = (run_channel_tests(load_site(site.directory, name, {}).channels["or-supply"])[0] for name in (None, "strict"))
    assert usual
    assert [(test.name, test.differences) for test in strict] == [(test.name, test.differences) for test in usual]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ("answer: {set: {MSA-1: AA}}\n", "MSA-1 is the engine's to write"),
        ("answer: {set: {PID-3: X}}\n", "'PID-3' is not a field of MSH or MSA"),
        ("answer: {set: {MSH-99: X}}\n", "'MSH-99' is not a field of MSH or MSA"),
        ("answer: {set: {MSA-3: {from: PID-3}}}\n", "'PID-3' is not a field of the received MSH"),
        ("answer: {set: {MSA-3: {from: MSH-1}}}\n", "'MSH-1' is not a field of the received MSH"),
        ("answer: {template: ['MSH|^~\\&|', 'MSA|AA|{MSH-10}']}\n", "needs an MSA segment with {code} and {MSH-10}"),
        ("answer: {template: ['MSA|{code}|{MSH-10}']}\n", "the first segment of an answer is MSH"),
        ("answer: {template: ['MSH|', 'MSA|{code}|{MSH-10}|{PID-3}']}\n", "'{PID-3}' is not {code}"),
        ("answer: {template: ['MSH|', 'MSA|{code}|{MSH-10}'], set: {MSA-3: x}}\n", "has no meaning beside `template`"),
        ("answer: {within: 5}\n", "did you mean 'within_s'?"),
        ("answer: {within_s: 0}\n", "within_s"),
        ("answer: {application: billing}\n", "'billing' is not a destination with `acknowledgement: true`"),
        ("  acks: {to: billing, acknowledgement: true}\n", "nothing is sent to it"),
        (
            "  acks: {to: billing, acknowledgement: true, as: events}\nanswer: {application: acks}\n",
            "has no meaning beside `acknowledgement`",
        ),
        ("  acks: {to: nobody, acknowledgement: true}\nanswer: {application: acks}\n", "there is no endpoint 'nobody'"),
    ],
)
def test_what_is_wrong_is_told(site: SiteFiles, more: str, text: str):
    assert text in said(site, more)


def test_a_type_can_only_be_refused_where_types_are_listed(site: SiteFiles):
    site.write(CHANNEL, (site.directory / CHANNEL).read_text(encoding="utf-8").replace("accept: [DFT^P03]\n", ""))
    assert "there is nothing to refuse without `accept`" in said(site, "answer: {unsupported: refuse}\n")


def test_acknowledgements_of_their_own_go_to_their_destination_and_nothing_else_does(site: SiteFiles):
    found = files(site, "  acks: {to: billing, acknowledgement: true}\nanswer: {application: acks}\n")
    assert dealing_of(found).answer.apart == "acks"
    assert [output.destination for output in plan_of(found).outputs] == ["erp", "billing"]


def test_and_are_made_when_a_message_is_processed(site: SiteFiles):
    text = (site.directory / CHANNEL).read_text(encoding="utf-8").replace("{port: 2575}", "{port: 2575, ack: after_delivery}")
    site.write(CHANNEL, text)
    assert "ack: after_process" in said(site, "  acks: {to: billing, acknowledgement: true}\nanswer: {application: acks}\n")


@pytest.mark.parametrize(("more", "joined"), [("", False), ("broken_lines: park\n", False), ("broken_lines: join\n", True)])
def test_lines_that_are_no_segments_are_joined_where_it_says_so(site: SiteFiles, more: str, joined: bool):
    channel = files(site, more + "validate: {standard: report}\n")
    found = format_of(channel)
    assert found.join_lines == joined
    assert plan_of(channel).validation.standard.join == joined  # or what is joined would be a finding
    text = b"MSH|^~\\&|A|B|C|D|20260401||DFT^P03|1|P|2.5.1\rNTE|1||first\rthe second\r"
    assert [line.number for line in found.parse(text).odd.broken] == ([] if joined else [3])


def test_what_is_done_with_such_lines_is_one_of_two(site: SiteFiles):
    assert "broken_lines" in said(site, "broken_lines: drop\n")


@pytest.mark.parametrize(
    ("path", "hangs"),
    [("PID-18.1", True), ('"PID-3[MR].1"', True), ("PV1-19.1", True), ("MSH-4", False), ("ORC-2", False), ("PID(1)-3", False)],
)
def test_the_order_hangs_on_the_patient_or_the_visit(site: SiteFiles, path: str, hangs: bool):
    text = (site.directory / CHANNEL).read_text(encoding="utf-8")
    rest = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("order_by"))
    site.write(CHANNEL, f"{rest}order_by: {path}\n")
    found = plan_of(load_site(site.directory, None, {}).channels["or-supply"])
    twice = found.format.parse(b"MSH|^~\\&|A|B|C|D|20260401||DFT^P03|1|P|2.5.1\rPID|1\rPV1|1\rPID|2\rPV1|2\rORC|1\rORC|2\r")
    with pytest.raises(MessageError) if hangs else nullcontext():
        found.format.check_whole(twice, found.order_place)
