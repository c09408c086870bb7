"""Releasing and resolving by what waits, instead of by number; who did it; and what came of insisting."""

from __future__ import annotations

from typing import Any

import pytest

from suture.cli import exits
from tests.cli.conftest import Site
from tests.cli.test_store_verbs import requests
from tests.filling import NOW_US, SECOND_US

DAY_US = 86_400 * SECOND_US


def waiting(site: Site, destination: str = "billing", state: str = "dead", code: str = "422", **about: Any) -> int:
    """A delivery that an open exception tells of."""
    message_id = site.store.message(channel=about.pop("channel", "or-supply"))
    number = site.store.delivery(message_id, destination, state, channel="or-supply")
    site.store.exception(message_id, delivery_id=number, stage=about.pop("stage", "deliver"), code=code, field=destination, **about)
    return number


def asked(site: Site) -> list[int]:
    return [number for request in requests(site) for number in request.arguments["delivery_ids"]]


@pytest.fixture
def five(site: Site) -> Site:
    """Deliveries 1 to 5: two refused by billing, one by the ERP, one held there, and one without a payload."""
    waiting(site)
    waiting(site, code="AE")
    waiting(site, "erp")
    waiting(site, "erp", "held", "ACK_TIMEOUT")
    waiting(site, "erp", "held", "UNKNOWN_CODE", stage="render", path="lines.department", table_name="departments", value="7741")
    return site


RELEASES = [
    (["--to", "billing"], [1, 2]),
    (["--code", "422"], [1, 3]),
    (["--to", "erp", "--state", "held"], [4, 5]),
    (["--state", "dead"], [1, 2, 3]),
    (["--table", "departments", "--value", "7741"], [5]),
    (["--field", "lines.department"], [5]),
    (["--message", "3"], [3]),
    (["--channel", "or-supply", "--limit", "2"], [1, 2]),
    (["--since", "2026-03-04T10:00:03-06:00"], [3, 4, 5]),
    (["--until", "2026-03-04T10:00:03-06:00"], [1, 2]),
]


@pytest.mark.parametrize(("filters", "expected"), RELEASES, ids=[" ".join(row[0]) for row in RELEASES])
def test_what_waits_is_released_by_filters(five: Site, filters: list[str], expected: list[int]) -> None:
    would = five("delivery", "release", *filters, "--reason", "mended", "--dry-run", "--json").json
    assert [item["delivery_id"] for item in would] == expected
    assert requests(five) == []
    ran = five("delivery", "release", *filters, "--reason", "mended", "--yes", "--wait", "0")
    assert ran.code == exits.NO_ANSWER, "the engine is not running; it will obey"
    assert asked(five) == expected
    assert f"{len(expected)} to go, 0 skipped" in ran.out
    (line,) = five("audit", "list", "--verb", "delivery_release", "--json").json
    assert line["reason"] == "mended" and line["actor"] == "cli:nurse"


def test_more_than_the_limit_is_said(five: Site) -> None:
    ran = five("delivery", "release", "--to", "erp", "--limit", "2", "--reason", "mended", "--yes", "--wait", "0")
    assert "more than 2 fit: these are the oldest; run it again for the rest" in ran.err
    assert asked(five) == [3, 4]


def test_a_preview_is_shown_before_anybody_is_asked(five: Site) -> None:
    ran = five("delivery", "release", "--to", "billing", "--reason", "mended")
    assert ran.code == exits.WRONG and "add --yes" in ran.err, "nobody is at the keyboard"
    assert "2 to go, 0 skipped" in ran.out and requests(five) == []


def test_what_a_person_has_settled_is_not_released(five: Site) -> None:
    five("exception", "resolve", 1, "--reason", "written off", "--yes")
    five("delivery", "release", "--to", "billing", "--reason", "mended", "--yes", "--wait", "0")
    assert asked(five) == [2]


def test_what_the_destination_has_meanwhile_is_skipped(five: Site) -> None:
    five.store.delivery(2, "billing", "accepted", channel="or-supply")  # sent again under another number
    ran = five("delivery", "release", "--to", "billing", "--reason", "mended", "--yes", "--wait", "0")
    assert asked(five) == [1] and "1 to go, 1 skipped" in ran.out


@pytest.mark.parametrize(
    ("verb", "options", "says"),
    [
        (("delivery", "release"), ["1", "--to", "erp"], "by number or by filters, not by both"),
        (("delivery", "release"), [], "by number, or by filters such as --to billing --code 422"),
        (("delivery", "release"), ["--restored", "--code", "422"], "--restored is --code RESTORED"),
        (("delivery", "release"), ["--to", "erp", "--since", "soon"], "'soon' is not a time"),
        (("exception", "resolve"), ["1", "--code", "422"], "by number or by filters, not by both"),
        (("exception", "resolve"), [], "by number, or by filters such as --code BATCH_COUNT"),
    ],
)
def test_what_is_meant_has_to_be_clear(five: Site, verb: tuple[str, str], options: list[str], says: str) -> None:
    ran = five(*verb, *options, "--reason", "mended", "--yes")
    assert ran.code == exits.WRONG and says in ran.err
    assert requests(five) == []


@pytest.mark.parametrize("verb", [("delivery", "release"), ("exception", "resolve")])
def test_filters_that_nothing_fits_do_nothing(five: Site, verb: tuple[str, str]) -> None:
    ran = five(*verb, "--code", "NO_SUCH", "--reason", "mended", "--yes")
    assert ran.code == exits.FAILED and "nothing to do" in ran.err
    missing = five(*verb, "--channel", "or-suply", "--reason", "mended", "--yes")
    assert missing.code == exits.NOT_FOUND and "did you mean 'or-supply'?" in missing.err


RESOLVES = [
    (["--to", "billing"], [1, 2]),
    (["--stage", "render"], [5]),
    (["--code", "422", "--channel", "or-supply"], [1, 3]),
    (["--table", "departments"], [5]),
    (["--value", "7741"], [5]),
    (["--field", "erp"], [3, 4, 5]),
    (["--message", "2"], [2]),
    (["--to", "erp", "--limit", "2"], [4, 5]),
]


@pytest.mark.parametrize(("filters", "expected"), RESOLVES, ids=[" ".join(row[0]) for row in RESOLVES])
def test_exceptions_are_resolved_by_filters(five: Site, filters: list[str], expected: list[int]) -> None:
    would = five("exception", "resolve", *filters, "--reason", "written off", "--dry-run", "--json").json
    assert sorted(row["id"] for row in would) == expected
    assert len(five("exception", "list", "--json").json) == 5
    ran = five("exception", "resolve", *filters, "--reason", "written off", "--yes")
    assert ran.code == exits.OK and ran.lines[-1] == f"{len(expected)} resolved"
    assert sorted(row["id"] for row in five("exception", "list", "--resolved", "--json").json) == expected
    (line,) = five("audit", "list", "--json").json
    assert (line["verb"], line["reason"]) == ("exception_resolve", "written off")


def test_exceptions_are_listed_by_the_same_filters(five: Site) -> None:
    assert [row["id"] for row in five("exception", "list", "--to", "billing", "--json").json] == [2, 1]
    assert [row["id"] for row in five("exception", "list", "--table", "departments", "--value", "7741", "--json").json] == [5]


def test_exceptions_are_found_by_when_they_were_opened(site: Site) -> None:
    for days in (0, 1, 2):
        site.store.exception(site.store.message(), opened_at_us=NOW_US + days * DAY_US)
    found = site("exception", "list", "--since", "2026-03-05", "--until", "2026-03-06", "--json").json
    assert [row["id"] for row in found] == [2]
    site("exception", "resolve", "--until", "2026-03-05", "--reason", "old", "--yes")
    assert [row["id"] for row in site("exception", "list", "--resolved", "--json").json] == [1]


def test_the_preview_of_a_resolution_says_how_many_of_what(five: Site) -> None:
    ran = five("exception", "resolve", "--channel", "or-supply", "--reason", "written off", "--dry-run")
    assert ran.lines[-1] == "5 to close; 5 of them are of deliveries, which stay held or dead"
    assert "2 of or-supply deliver 422" in ran.lines and "1 of or-supply render UNKNOWN_CODE" in ran.lines
    assert len(five("exception", "list", "--json").json) == 5


def test_more_than_one_statement_can_name_are_resolved(site: Site) -> None:
    message_id = site.store.message()
    for _ in range(1010):
        site.store.exception(message_id)
    ran = site("exception", "resolve", "--message", message_id, "--reason", "test", "--yes")
    assert ran.lines[-1] == "1010 resolved"


# -- the audit -----------------------------------------------------------------------------------------------------


def test_the_audit_says_who_did_what_when_and_why(site: Site) -> None:
    site.store.event(site.store.message(search={"patient": "P1"}))
    site("message", "show", 1, "--events")
    site("message", "list", "--patient", "P1")
    site("channel", "stop", "or-supply", "--reason", "cabinet upgrade")
    ran = site("audit", "list")
    assert ran.lines[0].split() == ["id", "time", "actor", "verb", "target", "reason"]
    assert "cli:nurse  channel_stop  channel or-supply" in ran.lines[1] and ran.lines[1].endswith("cabinet upgrade")
    assert "P1" not in ran.out, "whom somebody searched for is a hash"
    assert [row["verb"] for row in site("audit", "list", "--json").json] == ["channel_stop", "find", "look"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--actor", "nurse"], [3, 1]),
        (["--actor", "cli:nurse"], [3, 1]),
        (["--actor", "urse"], []),
        (["--verb", "resend"], [3, 2]),
        (["--target", "message 17"], [1]),
        (["--target", "100%"], []),
        (["--since", "2026-03-05"], [3, 2]),
        (["--until", "2026-03-05"], [1]),
        (["--limit", "2"], [3, 2]),
        (["--limit", "2", "--before", "2"], [1]),
    ],
)
def test_the_audit_is_searched(site: Site, options: list[str], expected: list[int]) -> None:
    from suture.store import dialect, orders

    with dialect.writing(site.store.engine) as connection:
        orders.record(connection, "cli:nurse", "look", "message 17 raw", "", NOW_US)
        orders.record(connection, "api:clerk", "resend", "deliveries 1-3", "lost", NOW_US + DAY_US)
        orders.record(connection, "cli:nurse", "resend", "deliveries 4, insisted", "lost", NOW_US + DAY_US)
    assert [row["id"] for row in site("audit", "list", *options, "--json").json] == expected


def test_who_insisted_is_in_the_audit(site: Site) -> None:
    site.store.delivery(site.store.message(), "billing", "accepted")
    site("message", "resend", 1, "--insist", "--reason", "they lost it", "--yes", "--wait", "0")
    (line,) = site("audit", "list", "--json").json
    assert (line["verb"], line["target"], line["reason"]) == ("resend", "deliveries 1, insisted", "they lost it")


# -- the books -----------------------------------------------------------------------------------------------------


def books(site: Site) -> dict[str, Any]:
    return site("channel", "show", "or-supply", "--balance", "--json").json["balance"]


@pytest.fixture
def taken(site: Site) -> Site:
    """A message with two events, which billing has taken together, and the ERP each for itself."""
    site.store.channel()
    number = site.store.message()
    site.store.event(number, 0)
    site.store.event(number, 1)
    site.store.delivery(number, "billing", "posted", events="0,1", idempotency_key="b")
    for event in ("0", "1"):
        site.store.delivery(number, "erp", "accepted", events=event, idempotency_key=f"e{event}")
    return site


def test_nothing_is_doubled_by_taking_each_once(taken: Site) -> None:
    taken.store.delivery(1, "erp", "dead", events="0", idempotency_key="e0", original_id=2)
    assert books(taken)["doubled"] == {}


def test_what_an_insisted_resend_doubled_is_in_the_books(taken: Site) -> None:
    taken.store.delivery(1, "billing", "accepted", events="0,1", idempotency_key="b", original_id=1)
    ran = taken("channel", "show", "or-supply", "--balance")
    assert ran.code == exits.OK and ran.lines[-1] == "the books balance", "it was done on purpose"
    assert "doubled     billing: 1 deliveries held what it had taken before (messages 1)" in ran.out
    assert "`suture audit list` says who, and why" in ran.out
    assert books(taken)["doubled"] == {"billing": {"deliveries": 1, "messages": [1]}}


def test_one_that_is_on_its_way_has_doubled_nothing_yet(taken: Site) -> None:
    taken.store.delivery(1, "billing", "queued", events="0,1", idempotency_key="b", original_id=1)
    assert books(taken)["doubled"] == {}


def test_so_is_what_an_insisted_reprocessing_doubled_though_its_deliveries_are_cut_otherwise(site: Site) -> None:
    site.store.channel()
    number = site.store.message(revision=1)
    site.store.event(number, revision=1)
    site.store.delivery(number, "erp", "accepted", events="0", idempotency_key="e0")
    site.store.delivery(number, "erp", "accepted", events="0,1", idempotency_key="e01")
    site.store.delivery(number, "raw", "accepted", events="", idempotency_key="r")
    site.store.delivery(number, "raw", "accepted", events="", idempotency_key="r")
    assert books(site)["doubled"] == {
        "erp": {"deliveries": 1, "messages": [number]},
        "raw": {"deliveries": 1, "messages": [number]},
    }


def test_what_a_reprocessing_added_is_not_doubled(site: Site) -> None:
    site.store.channel()
    number = site.store.message(revision=1)
    site.store.event(number, revision=1)
    site.store.delivery(number, "erp", "accepted", events="0", idempotency_key="e0")
    site.store.delivery(number, "erp", "accepted", events="1", idempotency_key="e1")
    assert books(site)["doubled"] == {}
