"""An analyst's tests of a channel: what passes, what is said when it does not, and what is said of a wrong file."""

from __future__ import annotations

import pytest

from suture.config.channel_tests import CaseResult, run_channel_tests
from suture.config.site import load_site
from tests.config.site_files import SiteFiles


def run(site: SiteFiles, text: str) -> tuple[list[CaseResult], list[str]]:
    site.write("channels/or-supply/tests.yaml", text)
    results, problems = run_channel_tests(load_site(site.directory, None, {}).channels["or-supply"])
    return results, [str(problem) for problem in problems]


def differences(site: SiteFiles, text: str) -> list[str]:
    results, problems = run(site, text)
    assert problems == []
    return [one.text for one in results[0].differences]


IMPLANT = "- name: t\n  message: samples/implant.hl7\n"
UNKNOWN = "- name: t\n  message: samples/unknown.hl7\n"


def test_a_test_that_passes_names_its_place(site: SiteFiles):
    results, problems = run(site, "# tests\n\n" + IMPLANT + "  expect_none: no\n")
    assert problems == [] and results[0].ok
    assert (results[0].channel, results[0].name, results[0].file, results[0].line) == ("or-supply", "t", "channels/or-supply/tests.yaml", 3)


@pytest.mark.parametrize(
    "expect",
    [
        "  expect:\n  - supply.used: {quantity: 2.00, item: IMP-1, location: OR, lot: ''}\n",
        "  expect:\n  - {charge.raised: {quantity: '2'}, supply.used: {}}\n",
        "  expect:\n  - supply.used: {used_at: 2026-03-02T10:15:00}\n",
        "  expect:\n  - supply.used: {used_at: 2026-03-02T16:15:00Z}\n",
        "  expect:\n  - replenishment.due: {item: IMP-1, quantity: 6, on_hand: 4}\n",
        "  expect_filtered: 1\n",
        "  expect_deliveries: {erp: 2, billing: 1}\n",
        "  expect_gaps: []\n  expect_filtered: 1\n",
    ],
)
def test_expectations_that_hold(site: SiteFiles, expect: str):
    assert differences(site, IMPLANT + expect) == []


@pytest.mark.parametrize(
    ("expect", "expected"),
    [
        ("  expect:\n  - charge.raised: {quantity: 3}\n", ["charge.raised 1: quantity is 2, expected 3"]),
        ("  expect:\n  - charge.raised: {lot: L1}\n", ["charge.raised 1: lot is absent, expected L1"]),
        ("  expect:\n  - charge.raised: {item: ''}\n", ["charge.raised 1: item is IMP-1, expected absent"]),
        ("  expect:\n  - charge.raised: {}\n  - charge.raised: {}\n", ["charge.raised: 1 raised, expected 2"]),
        (
            "  expect:\n  - supply.used: {used_at: 2026-03-02T10:15:00Z}\n",
            ["supply.used 1: used_at is 2026-03-02T10:15:00-06:00, expected 2026-03-02T10:15:00Z"],
        ),
        (
            "  expect_none: true\n",
            ["no event expected, but there are: supply.used (1), charge.raised (1), replenishment.due (1)"],
        ),
        ("  expect_filtered: 2\n", ["filtered: 1, expected 2"]),
        ("  expect_deliveries: {erp: 0}\n", ["deliveries to erp: 2, expected 0"]),
        ("  expect_gaps: [{table: item_master, value: X}]\n", ["no gap with table item_master, value X"]),
        ("  expect_error: NOT_HL7\n", ["the message is not parked, expected NOT_HL7"]),
    ],
)
def test_expectations_that_do_not_hold_are_told_in_plain_words(site: SiteFiles, expect: str, expected: list[str]):
    assert differences(site, IMPLANT + expect) == expected


def test_each_difference_is_told_at_its_line(site: SiteFiles):
    text = """\
- name: passes
  message: samples/implant.hl7
  expect_none: no

- name: fails in every way
  messages:
  - samples/implant.hl7
  - samples/garbage.hl7
  - samples/unknown.hl7
  expect:
  - supply.used: {quantity: 2}
  - charge.raised:
      item: IMP-1
      quantity: 3
  - charge.raised: {}
  - charge.raised: {}
  expect_gaps:
  - {table: item_master, value: X}
  expect_deliveries:
    erp: 2
    billing: 7
  expect_filtered: 9
"""
    site.replace("channels/or-supply/channel.yaml", {"accept: [DFT^P03]\n": ""})
    results, problems = run(site, text)
    assert not problems
    assert (results[0].line, results[0].differences, results[1].line) == (1, [], 5)
    told = [str(one).split(" (table ")[0] for one in results[1].differences]
    file = "channels/or-supply/tests.yaml"
    assert told[0].startswith(f"{file}:8: the message is parked: NOT_HL7: ")
    assert told[1:3] == [f"{file}:15: charge.raised: 1 raised, expected 3", f"{file}:14: charge.raised 1: quantity is 2, expected 3"]
    assert told[3] == f"{file}:18: no gap with table item_master, value X"
    assert told[4].startswith(f"{file}:17: unexpected gap in line 1: item: ")
    assert told[5] == f"{file}:22: filtered: 1, expected 9"
    assert told[6:] == [f"{file}:21: deliveries to billing: 1, expected 7"]


def test_a_gap_must_be_expected(site: SiteFiles):
    assert differences(site, UNKNOWN + "  expect_gaps: [{table: item_master, value: ZZ-999}]\n  expect_none: true\n") == []
    assert differences(site, UNKNOWN + "  expect_gaps: [{field: item}]\n") == []
    unexpected = differences(site, UNKNOWN + "  expect_none: true\n")
    assert len(unexpected) == 1
    assert unexpected[0].startswith("unexpected gap in line 1: item: ") and unexpected[0].endswith("(table item_master, value ZZ-999)")


def test_a_message_that_is_not_accepted_is_filtered(site: SiteFiles):
    assert differences(site, "- name: t\n  message: samples/adt.hl7\n  expect_filtered: 1\n  expect_none: true\n") == []


def test_a_message_that_cannot_be_read_is_told_with_its_code(site: SiteFiles):
    site.replace("channels/or-supply/channel.yaml", {"accept: [DFT^P03]\n": ""})
    garbage = "- name: t\n  message: samples/garbage.hl7\n"
    assert differences(site, garbage + "  expect_error: NOT_HL7\n") == []
    told = differences(site, garbage + "  expect_none: true\n")
    assert len(told) == 1 and told[0].startswith("the message is parked: NOT_HL7")


def test_messages_of_one_test_are_received_one_after_the_other(site: SiteFiles):
    again = (site.directory / "channels/or-supply/samples/implant.hl7").read_bytes().replace(b"|C1|", b"|C9|")
    site.write("channels/or-supply/samples/again.hl7", again)
    text = """\
- name: the same charge under a new control id
  messages: [samples/implant.hl7, samples/again.hl7, samples/implant.hl7]
  expect:
  - charge.raised: {quantity: 2}
  - supply.used: {quantity: 2}
  expect_deliveries: {billing: 1}
"""
    assert differences(site, text) == []


def test_a_directory_in_the_place_of_a_sample_is_not_what_was_meant(site: SiteFiles):
    (site.directory / "channels/or-supply/samples/case.hl7").mkdir()
    _, problems = run(site, "- name: a\n  message: samples/case.hl7\n  expect_none: true\n")
    assert (
        len(problems) == 1 and "there is no file 'samples/case.hl7'" in problems[0] and "did you mean 'samples/case.hl7'" not in problems[0]
    )


def test_everything_wrong_in_a_tests_file_is_said_at_once(site: SiteFiles):
    text = """\
- name: a
  message: samples/implnt.hl7
  expcet_none: true
- message: samples/implant.hl7
  expect:
  - chargeraised: {quantity: 1}
  - charge.raised: {quantty: 1, quantity: one, used_at: noon}
  expect_deliveries: {bill: 1, erp: many}
  expect_gaps: [{}, {tabel: x}]
- name: c
  messages: []
  expect_filtered: -1
- name: d
  expect_none: maybe
"""
    _, problems = run(site, text)
    assert sorted(problems, key=lambda problem: int(problem.split(":")[1])) == [
        "channels/or-supply/tests.yaml:1: 0: nothing is expected; add one of: expect, expect_gaps, expect_filtered, "
        "expect_deliveries, expect_none, expect_error, expect_findings",
        "channels/or-supply/tests.yaml:2: 0.message: there is no file 'samples/implnt.hl7'; did you mean 'samples/implant.hl7'?",
        "channels/or-supply/tests.yaml:3: 0: unknown key 'expcet_none'; did you mean 'expect_none'?",
        "channels/or-supply/tests.yaml:4: 1: 'name' is required",
        "channels/or-supply/tests.yaml:6: 1.expect.0.chargeraised: no such event; did you mean 'charge.raised'?",
        "channels/or-supply/tests.yaml:7: 1.expect.1.charge.raised.quantty: charge.raised has no field 'quantty'; did you mean 'quantity'?",
        "channels/or-supply/tests.yaml:7: 1.expect.1.charge.raised.quantity: 'one' is not a number, e.g. 1 or 4200.00",
        "channels/or-supply/tests.yaml:7: 1.expect.1.charge.raised.used_at: 'noon' is not a time, e.g. 2026-03-02T10:15:00-06:00, "
        "or a day, e.g. 2026-03-02",
        "channels/or-supply/tests.yaml:8: 1.expect_deliveries.erp: 'many' is not a whole number",
        "channels/or-supply/tests.yaml:8: 1.expect_deliveries.bill: no such destination; did you mean 'billing'?",
        "channels/or-supply/tests.yaml:9: 1.expect_gaps.1: unknown key 'tabel'; did you mean 'table'?",
        "channels/or-supply/tests.yaml:9: 1.expect_gaps.0: says nothing; write a table and a value, or a field",
        "channels/or-supply/tests.yaml:11: 2.messages: must not be empty",
        "channels/or-supply/tests.yaml:12: 2.expect_filtered: '-1' is too small; at least 0",
        "channels/or-supply/tests.yaml:13: 3: one of 'message' (a file) and 'messages' (a list of files) is required",
        "channels/or-supply/tests.yaml:14: 3.expect_none: 'maybe' is neither yes nor no",
    ]


@pytest.mark.parametrize("text", ["", "name: x\n", "text\n"])
def test_a_file_that_is_no_list_of_tests_is_explained(site: SiteFiles, text: str):
    assert run(site, text) == ([], ["channels/or-supply/tests.yaml:1: a list of tests must stand here: - name: ..."])
