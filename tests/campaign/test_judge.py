"""The judge of a campaign: it passes a good history, and each way to break a promise fails it, by its own name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.campaign.judge import VERDICTS, judge
from tests.campaign.ledger import SINKS_OF, Arrival, End, History, Sent, Span, StoredAttempt, StoredDelivery, StoredMessage

BASE_S = 1_000.0


def good(count: int = 4) -> History:
    """Messages of two accounts, one after the other, each delivered once to each of its sinks."""
    history = History(ends=[End(1, BASE_S + 900, "stop", 0, 2.0)])
    for n in range(count):
        _add(history, f"C{n}", str(n % 2), BASE_S + n)
        _add(history, f"A{n}", str(n % 2), BASE_S + n)
    return history


def _add(history: History, origin: str, account: str, at_s: float) -> None:
    history.sent.append(Sent(origin, account, f"in-{origin}", at_s, at_s + 0.01))
    number = len(history.messages) + 1
    channel = "charges" if origin[0] == "C" else "adt"
    history.messages.append(StoredMessage(number, channel, origin, "processed", f"in-{origin}"))
    for sink in SINKS_OF[origin[0]]:
        delivery = len(history.deliveries) + 1
        history.arrivals.append(Arrival(sink, origin, account, f"key-{origin}", f"out-{origin}", 1, at_s + 0.02, "answer"))
        history.deliveries.append(StoredDelivery(delivery, origin, sink, "accepted"))
        history.attempts.append(StoredAttempt(delivery, 1, "accepted", "200", at_s + 0.03))


def arrival(history: History, sink: str, origin: str) -> Arrival:
    return next(a for a in history.arrivals if (a.sink, a.origin) == (sink, origin))


def delivery_of(history: History, sink: str, origin: str) -> StoredDelivery:
    return next(d for d in history.deliveries if (d.destination, d.origin) == (sink, origin))


def turn(history: History, sink: str, origin: str, state: str) -> int:
    """Make the delivery have this state; its number."""
    old = delivery_of(history, sink, origin)
    history.deliveries[history.deliveries.index(old)] = replace(old, state=state)
    return old.id


def come_again(history: History, sink: str, origin: str, after_s: float, life: int = 1, recorded: bool = True) -> Arrival:
    """The message comes once more; recorded: the attempt before it has an outcome that says why."""
    first = arrival(history, sink, origin)
    again = replace(first, at_s=first.at_s + after_s, life=life)
    history.arrivals.append(again)
    number = delivery_of(history, sink, origin).id
    if recorded:
        old = next(a for a in history.attempts if a.delivery_id == number)
        history.attempts.remove(old)
        history.attempts.append(StoredAttempt(number, 1, "ambiguous", "ACK_TIMEOUT", first.at_s + 0.5))
        history.attempts.append(replace(old, number=2, ended_s=again.at_s + 0.01))
    return again


def come_late(history: History, sink: str, origin: str, at_s: float) -> None:
    """The message comes at another time."""
    arrival(history, sink, origin).at_s = at_s
    number = delivery_of(history, sink, origin).id
    history.attempts = [replace(a, ended_s=at_s + 0.01) if a.delivery_id == number else a for a in history.attempts]


def verdicts(history: History) -> set[str]:
    return {finding.verdict for finding in judge(history)}


def test_a_good_history_has_no_findings() -> None:
    assert judge(good()) == []


# -- what is allowed ----------------------------------------------------------------------------------------------------


def test_a_message_that_was_never_acknowledged_may_be_lost() -> None:
    history = good()
    history.sent.append(Sent("C8", "0", "in-C8", BASE_S + 8))
    assert judge(history) == []


def test_what_waits_for_a_person_and_is_named_by_an_open_exception_is_not_lost() -> None:
    history = good()
    history.arrivals.remove(arrival(history, "billing", "C1"))
    number = turn(history, "billing", "C1", "held")
    history.attempts = [a for a in history.attempts if a.delivery_id != number]
    history.excepted.add(("C1", number))
    history.parked.add(number)
    assert judge(history) == []


def test_a_message_that_the_mapping_refused_is_not_lost_while_its_exception_is_open() -> None:
    history = good()
    history.arrivals = [a for a in history.arrivals if a.origin != "C1"]
    gone = {d.id for d in history.deliveries if d.origin == "C1"}
    history.deliveries = [d for d in history.deliveries if d.id not in gone]
    history.attempts = [a for a in history.attempts if a.delivery_id not in gone]
    history.excepted.add(("C1", None))
    assert judge(history) == []


def test_a_sink_that_knows_keys_may_get_a_message_again_when_there_was_no_answer() -> None:
    history = good()
    come_again(history, "erp", "C1", 4.2)
    assert judge(history) == []


def test_an_engine_that_was_killed_sends_again_what_it_could_not_note() -> None:
    history = good()
    again = come_again(history, "erp", "C3", 2.0, life=2, recorded=False)
    number = delivery_of(history, "erp", "C3").id
    history.attempts = [a for a in history.attempts if a.delivery_id != number]
    history.attempts.append(StoredAttempt(number, 1, "accepted", "200", again.at_s + 0.01))
    history.ends.append(End(1, BASE_S + 4, "kill", -9))
    assert judge(history) == []


def test_an_engine_that_was_asked_to_end_sends_again_what_it_had_no_answer_to() -> None:
    history = good()
    come_again(history, "lab", "A1", 6.0, life=2, recorded=False)
    number = delivery_of(history, "lab", "A1").id
    history.attempts = [a for a in history.attempts if a.delivery_id != number]
    history.attempts.append(StoredAttempt(number, 1, "accepted", "AA", BASE_S + 8))
    history.ends.append(End(1, BASE_S + 5, "stop", 0, 1.1))
    assert verdicts(history) == {"again"}
    arrival(history, "lab", "A1").known_s = BASE_S + 4.5
    assert verdicts(history) == set()


@pytest.mark.parametrize("what", ["troubles", "frozen"])
def test_an_engine_that_was_killed_while_it_or_its_store_stood_still_sends_again_what_it_sent_meanwhile(what: str) -> None:
    history = good()
    come_again(history, "erp", "C1", 4.2)
    first = arrival(history, "erp", "C1")
    history.arrivals += [replace(first, at_s=first.at_s + n, took=False, denied=True) for n in (1, 2)]
    assert verdicts(history) == {"again"}
    history.ends.append(End(1, BASE_S + 4, "kill", -9))
    getattr(history, what).append(Span(BASE_S + 0.5, BASE_S + 3.5, "frozen"))
    assert verdicts(history) == set()


def test_a_sink_that_holds_may_get_again_what_it_has_refused_plainly() -> None:
    history = good()
    come_again(history, "billing", "C1", 0.3)
    first = arrival(history, "billing", "C1")
    first.took, first.denied = False, True
    assert judge(history) == []


def test_what_a_person_let_go_may_come_to_a_sink_that_holds() -> None:
    history = good()
    come_again(history, "registry", "A1", 5.0)
    history.insisted.add(("registry", "A1"))
    assert judge(history) == []


def test_what_was_parked_may_be_passed() -> None:
    history = good()
    come_late(history, "erp", "C0", BASE_S + 50)
    history.parked.add(delivery_of(history, "erp", "C0").id)
    assert judge(history) == []


def test_a_second_engine_may_send_when_the_first_no_longer_does() -> None:
    history = good(8)
    for each in history.arrivals:
        each.life = 2 if BASE_S + 2 < each.at_s < BASE_S + 5 else 1
    assert judge(history) == []


# -- each way to fail ---------------------------------------------------------------------------------------------------


def _lost(history: History) -> None:
    history.arrivals.remove(arrival(history, "erp", "C1"))
    number = turn(history, "erp", "C1", "dead")
    history.attempts = [a for a in history.attempts if a.delivery_id != number]


def _lost_without_a_delivery(history: History) -> None:
    gone = delivery_of(history, "lab", "A1")
    history.arrivals.remove(arrival(history, "lab", "A1"))
    history.deliveries.remove(gone)
    history.attempts = [a for a in history.attempts if a.delivery_id != gone.id]


def _lost_though_it_arrived(history: History) -> None:
    arrival(history, "lab", "A1").took = False
    turn(history, "lab", "A1", "dead")


def _false(history: History) -> None:
    history.sent = [one for one in history.sent if one.control_id != "C1"]
    arrival(history, "erp", "C1").took = False


def _doubled(history: History) -> None:
    come_again(history, "erp", "C1", 4.0).key = "another"


def _doubled_in_the_store(history: History) -> None:
    history.messages.append(replace(history.messages[0], id=99))


def _one_key_for_two(history: History) -> None:
    for sink in SINKS_OF["C"]:
        arrival(history, sink, "C1").key = "key-C0"
        arrival(history, sink, "C1").digest = "out-C0"


def _twice(history: History) -> None:
    come_again(history, "registry", "A1", 4.0)


def _twice_after_a_refusal(history: History) -> None:
    first = arrival(history, "billing", "C1")
    come_again(history, "billing", "C1", 4.0)
    history.arrivals.append(replace(first, at_s=first.at_s - 0.3, denied=True, took=False))
    history.attempts.append(StoredAttempt(delivery_of(history, "billing", "C1").id, 0, "try_later", "503", first.at_s - 0.2))


def _again_unrecorded(history: History) -> None:
    come_again(history, "erp", "C1", 0.6, recorded=False)


def _again_after_acceptance(history: History) -> None:
    come_again(history, "lab", "A1", 6.0, life=2, recorded=False)
    history.ends.append(End(1, BASE_S + 6, "kill", -9))


def _changed(history: History) -> None:
    come_again(history, "erp", "C1", 4.2).digest = "others"


def _stuck(history: History) -> None:
    turn(history, "erp", "C1", "retrying")


def _stuck_message(history: History) -> None:
    history.messages[0] = replace(history.messages[0], state="received")


def _interrupted(history: History) -> None:
    number = turn(history, "billing", "C1", "held")
    history.excepted.add(("C1", number))
    history.attempts = [a for a in history.attempts if a.delivery_id != number]
    history.attempts.append(StoredAttempt(number, 1, "ambiguous", "INTERRUPTED", BASE_S + 3))


def _thrown(history: History) -> None:
    come_again(history, "lab", "A1", 0.3)
    arrival(history, "lab", "A1").did = "answer and reset"
    number = delivery_of(history, "lab", "A1").id
    lost = StoredAttempt(number, 1, "ambiguous", "CONNECTION_LOST", arrival(history, "lab", "A1").at_s + 0.01)
    history.attempts = [lost if (a.delivery_id, a.number) == (number, 1) else a for a in history.attempts]


def _arrived_out_of_order(history: History) -> None:
    come_late(history, "erp", "C0", BASE_S + 2.5)


def _took_effect_out_of_order(history: History) -> None:
    come_again(history, "erp", "C0", 3.0)
    arrival(history, "erp", "C0").took = False


def _unstored(history: History) -> None:
    history.messages = [m for m in history.messages if m.control_id != "C1"]


def _other_bytes(history: History) -> None:
    history.messages[0] = replace(history.messages[0], digest="others")


def _early(history: History) -> None:
    history.blackouts.append(Span(BASE_S + 0.9, BASE_S + 1.5, "the server was frozen"))


def _green(history: History) -> None:
    history.blackouts.append(Span(BASE_S + 100, BASE_S + 110, "the server was frozen"))
    history.ready += [(BASE_S + 104, 200), (BASE_S + 108, 200)]


def _overlapping(history: History) -> None:
    for n in range(4, 12):
        _add(history, f"C{n}", str(n % 2), BASE_S + n)
    for each in history.arrivals:
        each.life = 2 if each.at_s > BASE_S + 4 and int(each.origin[1:]) % 2 else 1


def _ended(history: History) -> None:
    history.ends.append(End(1, BASE_S + 2, "", 1))


def _ended_at_its_start(history: History) -> None:
    history.ends.append(End(2, BASE_S + 2, "", 1, ready=False))


def _stops_late(history: History) -> None:
    history.ends.append(End(1, BASE_S + 2, "stop", 0, 25.0))


def _stops_badly(history: History) -> None:
    history.ends.append(End(1, BASE_S + 2, "stop", 1, 1.0))


def _stops_unheard(history: History) -> None:
    history.ends.append(End(1, BASE_S + 2, "stop", -15, 0.1))


def _leaked(history: History) -> None:
    history.leaked = 3


WAYS: list[tuple[str, Callable[[History], None]]] = [
    ("lost", _lost),
    ("lost", _lost_without_a_delivery),
    ("lost", _lost_though_it_arrived),
    ("false", _false),
    ("doubled", _doubled),
    ("doubled", _doubled_in_the_store),
    ("doubled", _one_key_for_two),
    ("twice", _twice),
    ("twice", _twice_after_a_refusal),
    ("again", _again_unrecorded),
    ("again", _again_after_acceptance),
    ("changed", _changed),
    ("stuck", _stuck),
    ("stuck", _stuck_message),
    ("interrupted", _interrupted),
    ("thrown", _thrown),
    ("order", _arrived_out_of_order),
    ("order", _took_effect_out_of_order),
    ("unstored", _unstored),
    ("unstored", _other_bytes),
    ("early", _early),
    ("green", _green),
    ("overlapping", _overlapping),
    ("ended", _ended),
    ("ended", _ended_at_its_start),
    ("stops", _stops_late),
    ("stops", _stops_badly),
    ("stops", _stops_unheard),
    ("leaked", _leaked),
]


@pytest.mark.parametrize(("verdict", "spoil"), WAYS, ids=lambda each: each if isinstance(each, str) else each.__name__.strip("_"))
def test_a_broken_promise_is_found_by_its_name_and_by_no_other(verdict: str, spoil: Callable[[History], None]) -> None:
    history = good()
    spoil(history)
    assert verdicts(history) == {verdict}


def test_every_verdict_has_a_way_to_fail() -> None:
    assert {verdict for verdict, _ in WAYS} == set(VERDICTS)


def test_what_the_driver_saw_is_a_finding_too() -> None:
    history = good()
    history.notes += [("starved", "others wait"), ("starved", "others still wait")]
    assert [(f.verdict, f.count) for f in judge(history)] == [("starved", 2)]


def test_an_engine_may_end_that_has_lost_its_store_to_another_or_finds_it_in_trouble() -> None:
    history = good()
    history.seconds.append(Span(BASE_S + 1, BASE_S + 3, "lock"))
    history.ends.append(End(1, BASE_S + 2, "", 1))
    history.troubles.append(Span(BASE_S + 100, BASE_S + 101, "frozen"))
    history.ends.append(End(2, BASE_S + 105, "", 1, ready=False))
    assert judge(history) == []


def test_an_engine_may_be_asked_to_end_before_it_listens_for_that() -> None:
    history = good()
    history.ends.append(End(2, BASE_S + 2, "stop", -15, 0.1, ready=False))
    assert judge(history) == []


def test_an_engine_may_end_without_order_while_its_store_takes_nothing() -> None:
    history = good()
    history.ends.append(End(2, BASE_S + 20, "stop", 6, 6.0))
    assert verdicts(history) == {"stops"}
    history.troubles.append(Span(BASE_S + 10, BASE_S + 15, "frozen"))
    assert judge(history) == []


def test_an_engine_that_stood_still_while_its_store_went_has_time_to_notice() -> None:
    history = good()
    _green(history)
    history.frozen.append(Span(BASE_S + 99, BASE_S + 103, "frozen"))
    assert judge(history) == []
    history.blackouts[0] = replace(history.blackouts[0], end_s=BASE_S + 120)
    history.ready.append((BASE_S + 111, 200))
    assert verdicts(history) == {"green"}


def test_the_examples_of_a_finding_are_few_and_its_count_is_whole() -> None:
    history = good(20)
    history.deliveries = [replace(d, state="queued") for d in history.deliveries]
    finding = next(f for f in judge(history) if f.verdict == "stuck")
    assert finding.count == 80
    assert finding.text.count(";") == 5 and finding.text.endswith("and 75 more")
