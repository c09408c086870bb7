"""Site profiles in a site's files: what `suture check` says of them, and what they do in a channel's own tests."""

import pytest

from suture.config.check import check_site
from tests.config.site_files import SiteFiles

PROFILE = """\
profile: cabinet
about: What our cabinets have agreed to send
for: DFT^P03
rules:
  - {at: PID-3.1, required: yes, pattern: "MRN\\\\d+"}
  - {at: FT1-7.1, table: item_master, severity: warning}
  - {at: FT1-6, values: [CG, PY], text: "only charges and payments"}
  - {at: PV1, required: yes, when: {MSH-3: [OTHER]}}
  - {at: FT1, times: {min: 1, max: 50}}
"""


@pytest.fixture
def checked(site: SiteFiles) -> SiteFiles:
    site.write("mappings/profiles/cabinet.yaml", PROFILE)
    site.replace("channels/or-supply/channel.yaml", {"map: supply\n": "map: supply\nhl7v2: {validate: {profile: cabinet}}\n"})
    return site


def problems(site: SiteFiles) -> list[str]:
    return list(map(str, check_site(site.directory, None, {}).problems))


def differences(site: SiteFiles) -> list[str]:
    result = check_site(site.directory, None, {})
    assert result.problems == []
    return [one.text for case in result.tests for one in case.differences]


def test_a_good_profile_has_no_problem(checked: SiteFiles):
    assert problems(checked) == []
    assert differences(checked) == []


def test_a_profile_that_no_channel_uses_is_a_warning(site: SiteFiles):
    site.write("mappings/profiles/cabinet.yaml", PROFILE)
    assert "mappings/profiles/cabinet.yaml:1: no channel uses this profile" in map(str, check_site(site.directory, None, {}).warnings)


def test_everything_wrong_in_a_profile_is_said_at_once(checked: SiteFiles):
    checked.write(
        "mappings/profiles/cabinet.yaml",
        """\
profile: cabnet
rules:
  - {at: pid-3, required: yes}
  - {at: PID-3, requird: yes}
  - {at: PID-3}
  - {at: FT1-7.1, table: item_mster}
  - {at: FT1-2, pattern: "(a"}
  - {at: FT1, values: [A]}
  - {at: FT1-2, length: {min: 5, max: 2}}
  - {at: FT1-2, as: decimel}
  - {at: PV1, forbidden: yes, required: yes}
  - {at: MSH-2, required: yes}
  - {at: FT1-2, times: {}}
""",
    )
    file = "mappings/profiles/cabinet.yaml"
    assert problems(checked) == [
        f"{file}:1: profile: 'cabnet' is not the file's name; write 'cabinet' or rename the file",
        f"{file}:3: rules.0.at: 'pid-3' is not a path; names of segments are written large; did you mean PID-3?",
        f"{file}:4: rules.1: unknown key 'requird'; did you mean 'required'?",
        f"{file}:4: rules.1: asks for nothing; add one of: required, forbidden, values, table, pattern, as, length, times",
        f"{file}:5: rules.2: asks for nothing; add one of: required, forbidden, values, table, pattern, as, length, times",
        f"{file}:6: rules.3.table: there is no mappings/tables/item_mster.csv; did you mean 'item_master'?",
        f"{file}:7: rules.4.pattern: the pattern '(a' cannot be used: a ( is not closed",
        f"{file}:8: rules.5.values: 'values' is about a value, and FT1 is a whole segment; write a path, e.g. FT1-1",
        f"{file}:9: rules.6.length: min 5 is more than max 2",
        f"{file}:10: rules.7.as: 'decimel' is none of the choices: decimal, integer, date, time; did you mean 'decimal'?",
        f"{file}:11: rules.8.forbidden: has no meaning beside required; make two rules, or keep one of them",
        f"{file}:12: rules.9.at: MSH-2 holds the separators of the message, and without them it could not be read",
        f"{file}:13: rules.10.times: says nothing; write {{min: 1}}, {{max: 20}} or both",
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{profile: cabnet}", "hl7v2.validate.profile: there is no mappings/profiles/cabnet.yaml; did you mean 'cabinet'?"),
        ("{profile_mode: report}", "hl7v2.validate.profile_mode: has no meaning without `profile`; name one, or remove the line"),
        ("{standard: on}", "hl7v2.validate.standard: 'on' is none of the choices: off, report, enforce"),
        ('{standard: report, version: "2.5.2"}', "hl7v2.validate.version: '2.5.2' is no version of the dictionary; there are: 2.1, 2.2, "),
        ("{standard: report, severity: {tabel: warning}}", "'tabel' is no kind of finding; did you mean 'table'?"),
        ('{version: "2.5.1"}', "hl7v2.validate.version: has no meaning while `standard` is off"),
    ],
)
def test_a_channel_that_asks_for_the_impossible_is_told_so(checked: SiteFiles, written: str, said: str):
    checked.replace("channels/or-supply/channel.yaml", {"{profile: cabinet}": written})
    assert any(said in text for text in problems(checked)), problems(checked)


TEST = """\
- name: a message of a stranger
  message: samples/strange.hl7
"""
STRANGE = (
    "MSH|^~\\&|CAB|OR|X|Y|20260302101500||DFT^P03|C9|P|2.5.1\rEVN||20260302\rPID|1||900001||SAMPLE^ADA\r"
    "FT1|1|T1||20260302101500||XX|IMP-1|||two\r"
)


def test_a_test_may_expect_the_findings_of_the_profile(checked: SiteFiles):
    checked.write("channels/or-supply/samples/strange.hl7", STRANGE)
    checked.write(
        "channels/or-supply/tests.yaml",
        f"{TEST}  expect_error: VALIDATION\n  expect_findings: [{{place: PID-3.1, code: 102}}, {{place: FT1-6}}]\n",
    )
    assert differences(checked) == []
    checked.write(
        "channels/or-supply/tests.yaml",
        f"{TEST}  expect_error: VALIDATION\n  expect_findings: [{{place: PV1-2, code: 101}}, {{code: 103}}]\n",
    )
    assert differences(checked) == [
        "no finding with place PV1-2, code 101",
        "unexpected finding: PID-3.1: does not match MRN\\d+ (code 102, E)",
    ]


def test_what_is_only_reported_does_not_stop_the_message(checked: SiteFiles):
    checked.write("channels/or-supply/samples/strange.hl7", STRANGE.replace("two", "2").replace("XX", "PA"))
    checked.replace("channels/or-supply/channel.yaml", {"{profile: cabinet}": "{profile: cabinet, profile_mode: report}"})
    checked.write(
        "channels/or-supply/tests.yaml",
        f"{TEST}  expect: [{{charge.raised: {{quantity: 2}}}}]\n"
        "  expect_findings: [{place: PID-3.1}, {place: FT1-6, text: only charges and payments}]\n",
    )
    assert differences(checked) == []


def test_standard_validation_runs_in_a_channels_tests(checked: SiteFiles):
    checked.write("channels/or-supply/samples/strange.hl7", STRANGE)
    checked.replace("channels/or-supply/channel.yaml", {"{profile: cabinet}": "{standard: enforce}"})
    checked.write("channels/or-supply/tests.yaml", f"{TEST}  expect_error: VALIDATION\n  expect_findings: [{{place: FT1-10, code: 102}}]\n")
    assert differences(checked) == []
    checked.replace("channels/or-supply/channel.yaml", {"{standard: enforce}": "{standard: enforce, severity: {data_type: off}}"})
    assert differences(checked) == [
        "the message is not parked, expected VALIDATION",
        "unexpected gap in line 1: quantity: not a number",
        "no finding with place FT1-10, code 102",
    ]


def test_an_empty_or_broken_profile_is_told_by_its_file(checked: SiteFiles):
    checked.write("mappings/profiles/cabinet.yaml", "# nothing yet\n")
    assert problems(checked) == ["mappings/profiles/cabinet.yaml:1: the file is empty"]
    checked.write("mappings/profiles/cabinet.yaml", "profile: cabinet\nrules: all of them\n")
    assert problems(checked) == ["mappings/profiles/cabinet.yaml:2: rules: a list, such as [A, B], must stand here, not 'all of them'"]
