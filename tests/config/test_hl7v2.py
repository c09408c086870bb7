"""`hl7v2:` of a channel: what is right becomes rules, and what is wrong is told with its place."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from suture.config.channel_tests import run_channel_tests
from suture.config.hl7v2 import HL7v2Section
from suture.config.plan import dealing_of, format_of, plan_of
from suture.config.shape import file_keys
from suture.config.site import load_channel, load_site
from suture.conversation.hl7v2.dealing import Dealing
from suture.conversation.hl7v2.rules import AnswerRules
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
    answer = '{within_s: 5, unsupported: refuse, versions: "2.3", set: {MSH-3: SUTURE, MSH-4: {from: MSH-6}}, batch: errors}'
    channel = files(site, f"hl7v2:\n  answer: {answer}\n  continuation: {{timeout_s: 9}}\n  sequence: yes\non_error: stop\n")
    found = dealing_of(channel)
    assert found.answer.types == {"DFT^P03"}
    assert found.answer.versions == {"2.3"}
    assert (found.answer.within_s, found.answer.batch) == (5, "errors")
    assert found.answer.settings == {"MSH-3": "SUTURE", "MSH-4": 6}
    assert found.continuation == Limits(timeout_s=9)
    assert (found.sequence, plan_of(channel).on_error) == (True, "stop")


SECTION = {
    "encoding": "8859/1",
    "encoding_override": "utf-8",
    "broken_lines": "join",
    "validate": "{standard: report}",
    "answer": "{within_s: 30}",
    "continuation": "{}",
    "sequence": "yes",
}


def test_these_are_all_the_keys_of_the_section():
    assert list(SECTION) == list(file_keys(HL7v2Section))


@pytest.mark.parametrize("key", SECTION)
def test_a_key_that_stands_beside_its_section_is_refused_with_its_place_and_the_new_one(site: SiteFiles, key: str):
    text = f"{key}: {SECTION[key]}"
    assert files(site, f"hl7v2: {{{text}}}\n")
    site.replace(CHANNEL, {f"hl7v2: {{{text}}}\n": ""})
    assert said(site, f"{text}\n") == f"{CHANNEL}:10: {key}: stands under hl7v2 now; write hl7v2: {{{key}: ...}}"


def test_all_of_them_are_told_at_once_and_beside_what_else_is_wrong(site: SiteFiles):
    more = "".join(f"{key}: {text}\n" for key, text in SECTION.items())
    lines = said(site, f"{more}on_error: prk\n").splitlines()
    together = ", ".join(f"{key}: ..." for key in SECTION)
    assert lines[:-1] == [f"{CHANNEL}:{n}: {key}: stands under hl7v2 now; write hl7v2: {{{together}}}" for n, key in enumerate(SECTION, 10)]
    assert lines[-1].startswith(f"{CHANNEL}:17: on_error: 'prk' is none of the choices")


@pytest.mark.parametrize("section", ["", "hl7v2: {answer: {batch: none}}\n", "hl7v2: text\n"])
def test_nothing_is_made_of_what_stands_there(site: SiteFiles, section: str):
    more = "  acks: {to: billing, acknowledgement: true}\nanswer: {application: acks, nonsense: 1}\n"
    found = [line for line in said(site, more + section).splitlines() if "hl7v2: keys with values" not in line]
    assert found == [f"{CHANNEL}:11: answer: stands under hl7v2 now; write hl7v2: {{answer: ...}}"]


def site_takes(site: SiteFiles, ids: str) -> None:
    base = (site.directory / "conf/base.yaml").read_text(encoding="utf-8")
    assert "site:" in base
    site.write("conf/strict.yaml", f"site: {{processing_ids: {ids}}}\n")


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("", {"P", ""}),
        ("hl7v2: {answer: {processing_ids: [P, T]}}\n", {"P", "T"}),
        ("hl7v2: {answer: {processing_ids: T}}\n", {"T"}),
        ("hl7v2: {answer: {processing_ids: []}}\n", set()),
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
        ("hl7v2: {answer: {set: {MSA-1: AA}}}\n", "MSA-1 is the engine's to write"),
        ("hl7v2: {answer: {set: {PID-3: X}}}\n", "'PID-3' is not a field of MSH or MSA"),
        ("hl7v2: {answer: {set: {MSH-99: X}}}\n", "'MSH-99' is not a field of MSH or MSA"),
        ("hl7v2: {answer: {set: {MSA-3: {from: PID-3}}}}\n", "'PID-3' is not a field of the received MSH"),
        ("hl7v2: {answer: {set: {MSA-3: {from: MSH-1}}}}\n", "'MSH-1' is not a field of the received MSH"),
        ("hl7v2: {answer: {template: ['MSH|^~\\&|', 'MSA|AA|{MSH-10}']}}\n", "needs an MSA segment with {code} and {MSH-10}"),
        ("hl7v2: {answer: {template: ['MSA|{code}|{MSH-10}']}}\n", "hl7v2.answer.template: the first segment of an answer is MSH"),
        ("hl7v2: {answer: {template: ['MSH|', 'MSA|{code}|{MSH-10}|{PID-3}']}}\n", "'{PID-3}' is not {code}"),
        (
            "hl7v2: {answer: {template: ['MSH|', 'MSA|{code}|{MSH-10}'], set: {MSA-3: x}}}\n",
            "hl7v2.answer.set: has no meaning beside `template`",
        ),
        ("hl7v2: {answer: {within: 5}}\n", "did you mean 'within_s'?"),
        ("hl7v2: {answer: {within_s: 0}}\n", "hl7v2.answer.within_s: '0' is too small"),
        (
            "hl7v2: {answer: {application: billing}}\n",
            "hl7v2.answer.application: 'billing' is not a destination with `acknowledgement: true`",
        ),
        (
            "  acks: {to: billing, acknowledgement: true}\n",
            "nothing is sent to it; write hl7v2: {answer: {application: acks}}, or remove it",
        ),
        (
            "  acks: {to: billing, acknowledgement: true, as: events}\nhl7v2: {answer: {application: acks}}\n",
            "has no meaning beside `acknowledgement`",
        ),
        ("  acks: {to: nobody, acknowledgement: true}\nhl7v2: {answer: {application: acks}}\n", "there is no endpoint 'nobody'"),
    ],
)
def test_what_is_wrong_is_told(site: SiteFiles, more: str, text: str):
    assert text in said(site, more)


def test_a_type_can_only_be_refused_where_types_are_listed(site: SiteFiles):
    site.write(CHANNEL, (site.directory / CHANNEL).read_text(encoding="utf-8").replace("accept: [DFT^P03]\n", ""))
    assert "hl7v2.answer.unsupported: there is nothing to refuse without `accept`" in said(site, "hl7v2: {answer: {unsupported: refuse}}\n")


def test_acknowledgements_of_their_own_go_to_their_destination_and_nothing_else_does(site: SiteFiles):
    found = files(site, "  acks: {to: billing, acknowledgement: true}\nhl7v2: {answer: {application: acks}}\n")
    assert dealing_of(found).answer.apart == "acks"
    assert [output.destination for output in plan_of(found).outputs] == ["erp", "billing"]


def test_and_are_made_when_a_message_is_processed(site: SiteFiles):
    text = (site.directory / CHANNEL).read_text(encoding="utf-8").replace("{port: 2575}", "{port: 2575, ack: after_delivery}")
    site.write(CHANNEL, text)
    found = said(site, "  acks: {to: billing, acknowledgement: true}\nhl7v2: {answer: {application: acks}}\n")
    assert "hl7v2.answer.application: acknowledgements of their own" in found and "write ack: after_process" in found


@pytest.mark.parametrize(("more", "joined"), [("", False), (", broken_lines: park", False), (", broken_lines: join", True)])
def test_lines_that_are_no_segments_are_joined_where_it_says_so(site: SiteFiles, more: str, joined: bool):
    channel = files(site, f"hl7v2: {{validate: {{standard: report}}{more}}}\n")
    found = format_of(channel)
    assert found.join_lines == joined
    assert plan_of(channel).validation.standard.join == joined  # or what is joined would be a finding
    text = b"MSH|^~\\&|A|B|C|D|20260401||DFT^P03|1|P|2.5.1\rNTE|1||first\rthe second\r"
    assert [line.number for line in found.parse(text).odd.broken] == ([] if joined else [3])


def test_messages_are_read_in_the_set_that_the_channel_names(site: SiteFiles):
    reads = format_of(files(site, "hl7v2: {encoding: shift_jis}\n"))
    declared, silent = (b"MSH|^~\\&|A|B|C|D|20260401||DFT^P03|1|P|2.5.1||||||%s\rPID|1" % name for name in (b"UNICODE UTF-8", b""))
    assert [reads.parse(raw).encoding for raw in (silent, declared)] == ["cp932", "utf-8"]
    site.replace(CHANNEL, {"encoding: shift_jis": "encoding: shift_jis, encoding_override: big5"})
    reads = format_of(files(site, ""))
    assert [reads.parse(raw).encoding for raw in (silent, declared)] == ["cp950", "cp950"]


def test_what_is_done_with_such_lines_is_one_of_two(site: SiteFiles):
    assert "hl7v2.broken_lines: 'drop' is none of the choices" in said(site, "hl7v2: {broken_lines: drop}\n")


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
        found.whole(twice)
