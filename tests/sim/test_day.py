"""The surgical day: the same seed gives the same bytes, and what it says it holds is in it."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from random import Random

import pytest

from suture.sim.catalogue import Catalogue
from suture.sim.day import FEWEST, GARBAGE, UNKNOWN_ITEM, Day, plan
from suture.wire.hl7v2.text.er7 import Message

TABLES = Path(__file__).parents[2] / "mappings" / "tables"
DAY = date(2026, 3, 10)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.read(TABLES)


@pytest.fixture(scope="module")
def day(catalogue: Catalogue) -> Day:
    return plan(catalogue, Random(1), DAY, 300)


def raws(day: Day) -> list[bytes]:
    return [sending.raw for phase in day.phases for sending in phase.sendings]


def parsed(day: Day) -> list[Message]:
    return [Message.parse(raw) for raw in raws(day) if raw != GARBAGE]


def test_the_same_seed_gives_the_same_day(catalogue: Catalogue) -> None:
    assert raws(plan(catalogue, Random(5), DAY, 120)) == raws(plan(catalogue, Random(5), DAY, 120))
    assert raws(plan(catalogue, Random(5), DAY, 120)) != raws(plan(catalogue, Random(6), DAY, 120))


@pytest.mark.parametrize("messages", [FEWEST, 41, 123, 300, 1000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_day_has_exactly_the_messages_asked_for_and_says_what_they_hold(catalogue: Catalogue, messages: int, seed: int) -> None:
    day = plan(catalogue, Random(seed), DAY, messages)
    assert len(raws(day)) == day.expected.messages == messages
    once = {raw: Message.parse(raw) for raw in raws(day) if raw != GARBAGE}
    assert day.expected.lines == sum(len(message.named("FT1")) for message in once.values())
    assert day.expected.repeated == len(raws(day)) - len(set(raws(day))) == 1


def test_fewer_messages_than_the_special_ones_need_are_refused(catalogue: Catalogue) -> None:
    with pytest.raises(ValueError, match="at least"):
        plan(catalogue, Random(1), DAY, FEWEST - 1)


def test_ordinary_messages_carry_two_to_six_items_of_several_accounts(day: Day) -> None:
    counts = Counter(len(message.named("FT1")) for message in parsed(day))
    assert all(counts[n] > 20 for n in range(2, 7))
    assert len({message.get("PID-18.1") for message in parsed(day)}) > 20


def test_every_special_message_is_there(day: Day, catalogue: Catalogue) -> None:
    lines = [line for message in parsed(day) for line in message.named("FT1")]
    assert [line.get(6) for line in lines].count("CD") == 1
    assert [line.get(6) for line in lines].count("PY") == 1
    assert [line.get(7) for line in lines].count(UNKNOWN_ITEM) == 1
    assert [line.get(43, 2) for line in lines].count("BX") == 1
    assert raws(day).count(GARBAGE) == 1
    alone = [message.named("FT1")[0].get(7) for message in parsed(day) if len(message.named("FT1")) == 1]
    assert any(item in catalogue.items and not catalogue.items[item].chargeable for item in alone)
    assert {phase.action for phase in day.phases} == {"", "erp_down", "erp_up", "billing_nack"}


def test_only_the_repeated_message_and_the_renamed_charge_use_a_number_twice(day: Day) -> None:
    once = {raw: Message.parse(raw) for raw in raws(day) if raw != GARBAGE}
    numbers = Counter(line.get(2) for message in once.values() for line in message.named("FT1"))
    twice = [number for number, count in numbers.items() if count > 1]
    assert len(twice) == day.expected.duplicates
    controls = Counter(message.get("MSH-10") for message in once.values())
    assert max(controls.values()) == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_renamed_message_holds_a_charge(catalogue: Catalogue, seed: int) -> None:
    once = {raw: Message.parse(raw) for raw in raws(plan(catalogue, Random(seed), DAY, 60)) if raw != GARBAGE}
    lines = [line for message in once.values() for line in message.named("FT1")]
    numbers = Counter(line.get(2) for line in lines)
    assert any(numbers[line.get(2)] == 2 and catalogue.items[line.get(7)].chargeable for line in lines if line.get(6) == "CG")


def test_the_refused_charge_is_sent_in_the_phase_in_which_billing_refuses_it(day: Day) -> None:
    (phase,) = [phase for phase in day.phases if phase.action == "billing_nack"]
    sent = {line.get(2) for sending in phase.sendings for line in Message.parse(sending.raw).named("FT1")}
    assert set(day.expected.nacked) <= sent


def test_names_that_are_not_ascii_are_declared_in_msh_18(catalogue: Catalogue) -> None:
    messages = parsed(plan(catalogue, Random(1), DAY, 600))
    foreign = [message for message in messages if not message.get("PID-5.1").isascii()]
    assert foreign
    assert all(message.get("MSH-18") == "UNICODE UTF-8" for message in foreign)


def test_one_account_keeps_to_one_cabinet(day: Day) -> None:
    cabinets: dict[str, set[int]] = {}
    for phase in day.phases:
        for sending in phase.sendings:
            if sending.raw != GARBAGE:
                cabinets.setdefault(Message.parse(sending.raw).get("PID-18.1"), set()).add(sending.cabinet)
    assert all(len(found) == 1 for found in cabinets.values())
