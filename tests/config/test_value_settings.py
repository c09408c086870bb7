"""What a channel's file and the conf say of values: checked when the files are read, and followed when messages are."""

from __future__ import annotations

import pytest

from suture.config.check import check_site
from tests.config.site_files import SiteFiles

CHANNEL, TESTS = "channels/or-supply/channel.yaml", "channels/or-supply/tests.yaml"
MESSAGE = "channels/or-supply/samples/implant.hl7"


def problems(site: SiteFiles) -> list[str]:
    return list(map(str, check_site(site.directory, None, {}).problems))


def differences(site: SiteFiles) -> list[str]:
    """What the channel's own tests say; the site has to be right."""
    checked = check_site(site.directory, None, {})
    assert checked.problems == []
    return [problem.text for case in checked.tests for problem in case.differences]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("zone: Denver", "zone: 'Denver' is not a time zone; did you mean 'America/Denver'?"),
        ("zone: sendr", "zone: 'sendr' is not a time zone; did you mean 'sender'?"),
        ("zone: X9", "zone: 'X9' is not a time zone; write one such as America/Chicago, or site or sender"),
        ("bounds: {quantity: many}", "bounds.quantity: "),
        ("bounds: {quantity: 0}", "bounds.quantity: "),
        ("bounds: {amount: NaN}", "bounds.amount: "),
        ("bounds: {past_d: -1}", "bounds.past_d: "),
        ("bounds: {amonut: 5}", "bounds: unknown key 'amonut'; did you mean 'amount'?"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_said(site: SiteFiles, line: str, said: str) -> None:
    site.replace(CHANNEL, {"map: supply\n": f"map: supply\n{line}\n"})
    (found,) = problems(site)
    assert found.startswith(f"{CHANNEL}:6: {said}"), found


def test_they_have_no_meaning_without_a_mapping(site: SiteFiles) -> None:
    site.write(
        CHANNEL,
        "channel: or-supply\nsource: {mllp_in: {port: 2575}}\nzone: sender\nbounds: {quantity: 5}\n"
        "destinations:\n  erp: {to: erp, message: {}}\n  billing: {to: billing, message: {}}\n",
    )
    found = problems(site)
    for line, key in ((3, "zone"), (4, "bounds")):
        assert f"{CHANNEL}:{line}: {key}: holds for the values that a mapping reads; add `map` or remove the line" in found


@pytest.mark.parametrize(
    ("zone", "used_at"),
    [("site", "2026-03-02T10:15:00-06:00"), ("sender", "2026-03-02T10:15:00+09:00"), ("America/Denver", "2026-03-02T10:15:00-07:00")],
)
def test_a_channel_says_where_times_without_an_offset_were(site: SiteFiles, zone: str, used_at: str) -> None:
    site.replace(MESSAGE, {"|20260302101500||DFT": "|20260302101500+0900||DFT"})
    site.replace(CHANNEL, {"map: supply\n": f"map: supply\nzone: {zone}\n"})
    site.write(TESTS, f"- name: zone\n  message: samples/implant.hl7\n  expect:\n    - supply.used: {{used_at: '{used_at}'}}\n")
    assert differences(site) == []
    site.replace(TESTS, {used_at: "2026-03-02T16:15:01Z"})
    assert differences(site) == [f"supply.used 1: used_at is {used_at}, expected 2026-03-02T16:15:01Z"]


def test_a_day_is_expected_as_a_day(site: SiteFiles) -> None:
    site.replace(MESSAGE, {"T1||20260302101500|": "T1||20260302+0000|"})
    site.write(TESTS, "- name: day\n  message: samples/implant.hl7\n  expect:\n    - supply.used: {used_at: 2026-03-02}\n")
    assert differences(site) == []
    site.replace(TESTS, {"2026-03-02}": "2026-03-02T00:00:00}"})
    assert differences(site) == ["supply.used 1: used_at is 2026-03-02, expected 2026-03-02T00:00:00"]


@pytest.mark.parametrize(
    ("bounds", "time", "field"),
    [
        ("{quantity: 1}", "20260302101500", "quantity"),
        ("{quantity: 2}", "20260302101500", None),
        ("{past_d: 3}", "20260226", "used_at"),
        ("{past_d: 4}", "20260226", None),
        ("{future_d: 0}", "20260303", "used_at"),
        ("{future_d: 1}", "20260303", None),
    ],
)
def test_a_channel_says_what_can_be_a_value(site: SiteFiles, bounds: str, time: str, field: str | None) -> None:
    site.replace(MESSAGE, {"T1||20260302101500|": f"T1||{time}|"})
    site.replace(CHANNEL, {"map: supply\n": f"map: supply\nbounds: {bounds}\n"})
    gaps = f"[{{line: 1, field: {field}, code: OUT_OF_BOUNDS}}]" if field else "[]"
    site.write(TESTS, f"- name: bounds\n  message: samples/implant.hl7\n  expect_gaps: {gaps}\n  expect_filtered: 1\n")
    assert differences(site) == []


def test_the_currency_has_its_decimals(site: SiteFiles) -> None:
    charged = "      charge_code: item.charge_code\n"
    priced = charged + '      unit_amount: {const: "1.25"}\n      amount: {call: extended_amount}\n'
    site.replace("mappings/supply.yaml", {charged: priced})
    site.replace(MESSAGE, {"IMP-1|||2\r": "IMP-1|||0.5\r"})
    for decimals, amount in ((2, "0.63"), (0, "1"), (3, "0.625")):
        site.replace("conf/base.yaml", {"zone: America/Chicago": f"zone: America/Chicago, money_decimals: {decimals}"})
        site.write(TESTS, f"- name: cents\n  message: samples/implant.hl7\n  expect:\n    - charge.raised: {{amount: '{amount}'}}\n")
        assert differences(site) == []
        site.replace("conf/base.yaml", {f", money_decimals: {decimals}": ""})
