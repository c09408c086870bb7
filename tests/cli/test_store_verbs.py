"""Looking and acting through the command: status, channels, messages, deliveries, exceptions."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from suture.cli import exits
from suture.model.outcome import told
from suture.store import dialect, fitness, orders, state
from suture.store.queries import AuditFilter
from tests.at_work import AtWork
from tests.cli.conftest import Site
from tests.filling import NOW_US, SECOND_US

RAW = (
    b"MSH|^~\\&|CAB|GENERAL|SUTURE|GENERAL|20260304103000||DFT^P03^DFT_P03|CAB000001|P|2.5.1\r"
    b"PID|||4471001^^^GEN^MR~99^^^X^PI||Doe^J\xc3\xa9r\xc3\xb4me\r"
    b"FT1|1|T1||||CG|IMP-4471\rFT1|2|T2||||CG|A\\T\\B&sub^two\r"
)


def requests(site: Site) -> list[state.Request]:
    with dialect.reading(site.store.engine) as connection:
        return state.requests(connection)


def audited(site: Site) -> list[str]:
    with dialect.reading(site.store.engine) as connection:
        return [f"{row.actor} {row.verb} {row.target}" for row in orders.audited(connection, AuditFilter(limit=10))[::-1]]


def now_us() -> int:
    return int(time.time() * 1e6)


@pytest.fixture
def engine(site: Site) -> Iterator[AtWork]:
    """There is an engine, or what looks like one."""
    one = AtWork(site.store.engine, now_us())
    yield one
    one.die()


# -- status and channels -------------------------------------------------------------------------------------------


def test_status_is_never_green_when_the_engine_is_not_there(site: Site) -> None:
    site.store.channel()
    ran = site("status")
    assert ran.code == exits.NO_ANSWER
    assert "engine NOT RUNNING" in ran.lines[0]
    assert "not running" in next(line for line in ran.lines if line.startswith("or-supply"))


def test_status_shows_who_fails_since_when_and_why(site: Site, engine: AtWork) -> None:
    site.store.channel()
    site.store.message(received_at_us=int(time.time() * 1e6))
    site.store.delivery(1, "erp", "retrying")
    site.store.destination("erp", "failing", reason="connection refused", next_try_us=NOW_US + SECOND_US)
    ran = site("status")
    assert ran.code == exits.OK
    assert "engine running" in ran.lines[0] and f"pid {os.getpid()} on srv1, epoch 1" in ran.lines[0]
    assert "or-supply erp: failing since 2026-03-04 10:00:00-06:00: connection refused; the next try is due" in ran.out


def test_status_shows_what_a_partner_said_of_what_it_did_not_take(site: Site, engine: AtWork) -> None:
    site.store.channel()
    said = told("the peer answered AE", "account is closed")
    for n in (1, 2, 3):
        site.store.delivery(site.store.message(), "billing", "dead", reason=said)
        reason = said if n == 2 else "the peer answered AR"
        site.store.exception(n, delivery_id=n, stage="deliver", code="AE", field="billing", reason=reason)
    site("exception", "resolve", 3, "--reason", "written off", "--yes")
    ran = site("status", "--all")
    assert (
        "or-supply billing: not taken: delivery 2 at 2026-03-04 10:00:02-06:00, AE: the peer answered AE; it says: account is closed"
        in ran.out
    )
    (channel,) = site("status", "--json", "--all").json["channels"]
    refusal = channel["destinations"][0]["refusal"]
    assert (refusal["delivery_id"], refusal["exception_id"], refusal["code"], refusal["words"]) == (2, 2, "AE", "account is closed")
    assert refusal["at"].startswith("2026-03-04T16:00:02")


def test_status_shows_what_a_peer_that_fails_says(site: Site, engine: AtWork) -> None:
    site.store.channel()
    site.store.destination("erp", "failing", reason=told("the peer answered HTTP 503", "closed for the night"))
    assert "the peer answered HTTP 503; it says: closed for the night" in site("status").out
    assert site("status", "--json").json["channels"][0]["destinations"][0]["words"] == "closed for the night"


def test_the_partners_words_stand_for_themselves_in_json(site: Site) -> None:
    said = told("the peer answered HTTP 422", "no such item")
    site.store.delivery(site.store.message(), "erp", "dead", reason=said)
    site.store.attempt(1, 1, "rejected", reason=said)
    site.store.exception(1, delivery_id=1, stage="deliver", code="422", field="erp", reason=said)
    rows = [
        *site("exception", "list", "--json").json,
        site("exception", "show", 1, "--json").json,
        *site("delivery", "list", "--json").json,
        site("delivery", "show", 1, "--json").json,
        *site("delivery", "show", 1, "--json").json["attempt_list"],
        *(site("message", "trace", 1, "--json").json[name][0] for name in ("attempts", "exceptions", "deliveries")),
    ]
    assert [row["words"] for row in rows] == ["no such item"] * 8
    for command in (
        ("exception", "list"),
        ("exception", "show", 1),
        ("delivery", "list"),
        ("delivery", "show", 1),
        ("message", "trace", 1),
    ):
        assert said in site(*command).out and "words" not in site(*command).out
    site.store.exception(1, reason="no row")
    assert site("exception", "show", 2, "--json").json["words"] == ""


def test_status_shows_the_database_and_what_is_wrong_with_it(site: Site, engine: AtWork) -> None:
    for name, value in fitness.facts(fitness.Fitness("SQLite 3.40.1 (sqlite3)", ("it is unsafe",), ("it is old",))).items():
        site.store.engine_fact(name, value, 0)
    lines = site("status").lines
    assert lines[1:4] == ["store: SQLite 3.40.1 (sqlite3)", "store: it is unsafe", "store: it is old"]
    assert site("status", "--json").json["engine"]["store"] == "SQLite 3.40.1 (sqlite3)"


def test_status_says_that_the_database_is_damaged(site: Site) -> None:
    fitness.note_damage(site.store.engine, "the file is damaged; restore a backup")
    ran = site("status")
    assert "store DAMAGED, nothing is acknowledged: the file is damaged; restore a backup" in ran.lines
    assert site("status", "--json").json["engine"]["store_damage"]


def test_status_as_json_is_for_scripts(site: Site, engine: AtWork) -> None:
    site.store.channel()
    site.store.message("parked")
    site.store.delivery(1, "erp", "held")
    found = site("status", "--json", "--all").json
    (channel,) = found["channels"]
    assert (found["running"], channel["channel"], channel["messages"]) == (True, "or-supply", {"parked": 1})
    assert channel["destinations"][0]["deliveries"] == {"held": 1}
    assert channel["last_received"] == "2026-03-04T16:00:01.000000Z"


def test_channels_are_listed_and_shown(site: Site) -> None:
    site.store.channel("adt", desired="stopped", actual="stopped")
    ran = site("channel", "list", "--json")
    assert [(each["channel"], each["actual"]) for each in ran.json] == [("adt", "stopped"), ("or-supply", "")]
    assert site("channel", "show", "adt").code == exits.OK
    missing = site("channel", "show", "lab")
    assert missing.code == exits.NOT_FOUND and "there are: adt, or-supply" in missing.err


def test_the_balance_is_proved_or_not(site: Site) -> None:
    site.store.channel()
    site.store.event(site.store.message())
    ran = site("channel", "show", "or-supply", "--balance")
    assert ran.code == exits.OK and ran.lines[-1] == "the books balance"
    site.store.message("parked")
    ran = site("channel", "show", "or-supply", "--balance")
    assert ran.code == exits.FAILED and "WRONG  1 messages are parked and without an exception" in ran.out


def test_an_order_to_a_stopped_engine_is_kept_and_said(site: Site) -> None:
    ran = site("channel", "stop", "or-supply", "--reason", "upgrade")
    assert ran.code == exits.NO_ANSWER and "it will obey when it starts" in ran.err
    assert [(request.verb, request.actor) for request in requests(site)] == [("channel_stop", "cli:nurse")]


def test_an_unknown_channel_is_code_3(site: Site) -> None:
    ran = site("channel", "stop", "or-suply")
    assert ran.code == exits.NOT_FOUND and "did you mean 'or-supply'?" in ran.err


# -- messages ------------------------------------------------------------------------------------------------------


def test_messages_are_listed_in_the_sites_zone(site: Site) -> None:
    site.store.message("parked", reason="1 gap")
    ran = site("message", "list")
    assert ran.lines[0].split() == ["id", "received", "channel", "type", "control", "id", "state", "sender", "reason"]
    assert "2026-03-04 10:00:01-06:00" in ran.lines[1] and "CAB000001" in ran.lines[1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--patient", "P1"], [1]),
        (["--item", "I1", "--account", "A2"], [2]),
        (["--find", "item=I1", "--find", "encounter=E2"], [2]),
        (["--find", "encounter=E9"], []),
        (["--control-id", "CAB000003"], [3]),
        (["--state", "parked"], [2]),
        (["--channel", "adt"], [3]),
        (["--since", "2026-03-04T10:00:02"], [3, 2]),
        (["--until", "2026-03-04T16:00:02Z"], [1]),
        (["--since", "2026-03-05"], []),
        (["--limit", "1"], [3]),
        (["--before", "3"], [2, 1]),
    ],
)
def test_messages_are_found(site: Site, options: list[str], expected: list[int]) -> None:
    site.store.message(search={"patient": "P1", "item": "I1"})
    site.store.message("parked", search={"patient": "P2", "item": "I1", "account": "A2", "encounter": "E2"})
    site.store.message(channel="adt")
    assert [row["id"] for row in site("message", "list", "--json", *options).json] == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("patinet=P1", "--find: unknown kind 'patinet'; did you mean 'patient'?"),
        ("encounter", "--find takes KIND=VALUE, such as encounter=E-4471"),
        ("encounter=", "--find takes KIND=VALUE, such as encounter=E-4471"),
    ],
)
def test_what_cannot_be_found_by_is_said(site: Site, text: str, says: str) -> None:
    ran = site("message", "list", "--find", text)
    assert ran.code == exits.WRONG and says in ran.err


def test_a_wrong_time_says_how_to_write_one(site: Site) -> None:
    ran = site("message", "list", "--since", "last week")
    assert ran.code == exits.WRONG and "write for example 2026-03-04" in ran.err


def test_a_long_list_fits_the_terminal_and_loses_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.store.message("parked", reason="a very long reason " * 20)
    monkeypatch.setenv("COLUMNS", "80")
    ran = site("message", "list")
    assert max(map(len, ran.lines)) <= 80
    assert ran.out.count("very") == 20 and "…" not in ran.out
    assert "parked" in ran.lines[1] and "sender: " in ran.lines[2]


def test_raw_bytes_come_out_exactly_and_the_look_is_audited(site: Site) -> None:
    site.store.message(raw=RAW + b"\xff\x00")
    assert site("message", "show", 1, "--raw").bytes == RAW + b"\xff\x00"
    assert audited(site) == ["cli:nurse look message 1 raw"]


def test_the_tree_has_the_paths_that_mappings_use(site: Site) -> None:
    site.store.message(raw=RAW)
    values = {path: value for segment in site("message", "show", 1, "--tree", "--json").json for path, value in segment["values"].items()}
    assert values["MSH-1"] == "|" and values["MSH-2"] == "^~\\&" and values["MSH-9.1"] == "DFT"
    assert values["PID-3[1].1"] == "4471001" and values["PID-3[2].5"] == "PI" and values["PID-5.2"] == "Jérôme"
    assert values["FT1(1)-7"] == "IMP-4471"
    assert values["FT1(2)-7.1.1"] == "A&B" and values["FT1(2)-7.1.2"] == "sub" and values["FT1(2)-7.2"] == "two"
    text = site("message", "show", 1, "--tree").out
    assert "FT1(2)\n" in text and "  PID-5.2     Jérôme" in text


def test_what_is_no_hl7_is_shown_as_it_is(site: Site) -> None:
    site.store.message("parked", raw=b"hello\x07\r\nworld")
    ran = site("message", "show", 1, "--tree")
    assert ran.code == exits.OK
    assert ran.lines == ["not an HL7 message (the message does not begin with an MSH segment):", "hello␇", "world"]


def test_events_and_deliveries_of_a_message(site: Site) -> None:
    site.store.message()
    site.store.event(1, 0, data={"item": "IMP-4471", "quantity": "1"})
    site.store.delivery(1, "erp", "posted", document="INV-9")
    (row,) = site("message", "show", 1, "--events", "--json").json
    assert (row["type"], row["body"]) == ("supply.used", {"item": "IMP-4471", "quantity": "1"})
    assert "quantity  1" in site("message", "show", 1, "--events").out
    assert "INV-9" in site("message", "show", 1, "--deliveries").out


def test_a_message_without_its_content_is_not_audited(site: Site) -> None:
    site.store.message(raw=RAW)
    ran = site("message", "show", 1)
    assert "CAB000001" in ran.out and "4471001" not in ran.out
    assert audited(site) == []


def test_a_message_that_is_not_there_is_code_3(site: Site) -> None:
    for verb in (["show", 9], ["show", 9, "--raw"], ["show", 9, "--deliveries"], ["trace", 9]):
        ran = site("message", *verb)
        assert (ran.code, ran.err) == (exits.NOT_FOUND, "suture: there is no message 9\n")


def test_a_trace_is_the_journey_with_times(site: Site) -> None:
    site.store.message()
    site.store.event(1)
    site.store.attempt(site.store.delivery(1, "erp"))
    ran = site("message", "trace", 1)
    assert "2026-03-04 10:00:01.000-06:00  0.0 ms  received" in ran.out
    assert "attempt 1, 200 after 4.5 ms" in ran.out
    steps = site("message", "trace", 1, "--json").json["steps"]
    assert [step["what"] for step in steps] == ["received", "processed", "event", "delivery", "accepted"]
    assert steps[0]["at"] == "2026-03-04T16:00:01.000000Z"


def filled(site: Site) -> None:
    site.store.message()
    site.store.delivery(1, "erp", "dead")
    site.store.delivery(1, "billing", "accepted")


def test_a_dry_run_shows_what_would_go_and_does_nothing(site: Site) -> None:
    filled(site)
    ran = site("message", "resend", 1, "--reason", "x", "--dry-run", "--insist")
    assert ran.code == exits.OK
    assert ran.lines[-1] == "2 to go, 0 skipped; 1 would be DOUBLED at their destination"
    assert requests(site) == []
    assert [item["action"] for item in site("message", "resend", 1, "--reason", "x", "--dry-run", "--json").json] == ["send", "skip"]


def test_resend_orders_what_the_preview_sends(site: Site) -> None:
    filled(site)
    ran = site("message", "resend", 1, "--reason", "ERP lost it", "--yes")
    assert ran.code == exits.NO_ANSWER and "will obey when it starts" in ran.err
    assert [request.arguments for request in requests(site)] == [{"delivery_ids": [1], "reason": "ERP lost it", "insist": False}]


def test_where_nobody_can_be_asked_yes_is_needed(site: Site) -> None:
    filled(site)
    ran = site("message", "resend", 1, "--reason", "x")
    assert ran.code == exits.WRONG and "add --yes" in ran.err
    assert requests(site) == []


def test_nothing_to_resend_is_said(site: Site) -> None:
    filled(site)
    ran = site("message", "resend", 1, "--to", "billing", "--reason", "x", "--yes")
    assert ran.code == exits.FAILED and "nothing to do" in ran.err and "took it already" in ran.out


def test_messages_to_reprocess_are_chosen_by_filters(site: Site) -> None:
    for state_ in ("parked", "processed", "parked"):
        site.store.message(state_)
    site("message", "reprocess", "--state", "parked", "--reason", "item added", "--yes")
    assert [request.arguments["message_ids"] for request in requests(site)] == [[1, 3]]


@pytest.mark.parametrize(("more", "says"), [([], "by number, or by filters"), ([1, "--state", "parked"], "not by both")])
def test_messages_are_chosen_in_one_way(site: Site, more: list[Any], says: str) -> None:
    ran = site("message", "reprocess", *more, "--reason", "x", "--yes")
    assert ran.code == exits.WRONG and says in ran.err


# -- deliveries and exceptions -------------------------------------------------------------------------------------


def test_deliveries_are_listed_by_state_and_destination(site: Site) -> None:
    filled(site)
    assert [row["id"] for row in site("delivery", "list", "--state", "dead", "--json").json] == [1]
    assert [row["id"] for row in site("delivery", "list", "--to", "billing", "--json").json] == [2]
    ran = site("delivery", "list")
    assert ran.code == exits.OK and "SECRET" not in ran.out


def test_a_delivery_shows_its_attempts_and_its_body_when_asked(site: Site) -> None:
    site.store.message()
    site.store.attempt(site.store.delivery(1, body=b'{"item": 1}'), reason="fine")
    ran = site("delivery", "show", 1)
    assert "4.5 ms" in ran.out and "SECRET" not in ran.out
    ran = site("delivery", "show", 1, "--body")
    assert '{"item": 1}' in ran.out and "ANSWER-SECRET" in ran.out
    assert audited(site) == ["cli:nurse look delivery 1 body"]
    assert site("delivery", "show", 1, "--body", "--json").json["attempt_list"][0]["response"] == "ANSWER-SECRET"


def test_deliveries_are_released(site: Site) -> None:
    filled(site)
    ran = site("delivery", "release", 1, 2, "--reason", "billing has neither", "--yes")
    assert ran.code == exits.NO_ANSWER
    assert [(r.verb, r.arguments["delivery_ids"]) for r in requests(site)] == [("delivery_release", [1, 2])]


def test_a_delivery_that_is_not_there_is_not_released(site: Site) -> None:
    filled(site)
    ran = site("delivery", "release", 1, 99, "--reason", "billing has neither", "--yes")
    assert ran.code == exits.NOT_FOUND and "there is no delivery 99" in ran.err
    assert requests(site) == []


@pytest.mark.parametrize("command", ["message", "delivery", "exception"])
def test_an_empty_list_for_a_mistyped_channel_is_no_good_news(site: Site, command: str) -> None:
    site.store.exception(site.store.message("parked", channel="or-supply"))
    ran = site(command, "list", "--channel", "or-suply")
    assert ran.code == exits.NOT_FOUND and "did you mean 'or-supply'?" in ran.err


def test_exceptions_are_listed_shown_and_resolved(site: Site) -> None:
    site.store.exception(site.store.message("parked"))
    ran = site("exception", "list")
    assert "UNKNOWN_CODE" in ran.out and "ZZ-999 (item_master)" in ran.out
    ran = site("exception", "show", 1)
    assert "add 'ZZ-999' to the table item_master" in ran.out
    assert site("exception", "resolve", 1, "--reason", "test", "--yes").out == "1 resolved\n"
    assert site("exception", "list").out == "no exceptions\n"
    assert [row["resolution"] for row in site("exception", "list", "--resolved", "--json").json] == ["test"]
    for which in ("--resolved", "--all"):
        head, row = site("exception", "list", which).out.splitlines()
        assert head.split()[-1] == "resolved" and row.endswith(" test")
    assert site("exception", "resolve", 1, "--reason", "test", "--yes").out == "0 resolved, 1 were before\n"


# -- what others sent ----------------------------------------------------------------------------------------------


def test_nothing_that_was_sent_can_steer_the_terminal(site: Site) -> None:
    raw = RAW.replace(b"IMP-4471", b"\x1b[2J\xc2\x9b31m\\X1B\\c")
    site.store.message("parked", raw=raw, control_id="\x1b[2J", reason="\x1b]0;title\x07")
    site.store.event(1, data={"item": "\x1b[2J"})
    site.store.delivery(1, body=b"\x1b[2J\xc2\x9b31m", reason="\x1b[2J")
    for arguments in (["list"], ["show", 1], ["show", 1, "--tree"], ["show", 1, "--events"], ["show", 1, "--deliveries"], ["trace", 1]):
        ran = site("message", *arguments)
        assert ran.code == exits.OK and not set("\x1b\x9b\x07") & set(ran.out), arguments
    assert not set("\x1b\x9b") & set(site("delivery", "show", 1, "--body").out)


def test_bytes_that_are_no_text_are_shown(site: Site) -> None:
    site.store.message(raw=RAW.replace(b"IMP-4471", b"J\xe9r\xf4me"))
    for more in ([], ["--json"]):
        ran = site("message", "show", 1, "--tree", *more)
        assert ran.code == exits.OK, ran.err


@pytest.mark.parametrize("number", ["0", "-1", str(1 << 63), "9" * 40])
def test_numbers_that_cannot_be_are_wrong_use(site: Site, number: str) -> None:
    for arguments in (["message", "show"], ["message", "trace"], ["delivery", "show"], ["exception", "show"]):
        ran = site.run(*arguments, "--site", site.path, "--", number)
        assert ran.code == exits.WRONG and "is not a number as the lists show it" in ran.err


def test_an_argument_that_is_no_text_is_wrong_use(site: Site) -> None:
    ran = site("message", "list", "--control-id", "\udcff")
    assert ran.code == exits.WRONG and "not UTF-8" in ran.err
