"""The operator's verbs: what they leave for the engine, what they wait for, what they write to the audit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, select

from suture.cli.output import plain
from suture.control import IDS_A_COMMAND, MOST_IDS, OBSERVE_S, Control
from suture.model.errors import CommandError, NotFound
from suture.model.verbs import (
    ChannelStopped,
    OfChannel,
    Release,
    ReloadChannel,
    Reprocess,
    Resend,
    RestartChannel,
    Resync,
    StartChannel,
    StopChannel,
    ranges,
)
from suture.store import dialect, look, orders, state, tables
from suture.store.queries import AuditFilter, DeliveryFilter, MessageFilter
from tests.at_work import AtWork
from tests.filling import NOW_US, SECOND_US, Store


class World:
    """A store, a clock that `sleep` moves, and an engine that answers when it is told to."""

    def __init__(self, engine: Engine) -> None:
        self.store = Store(engine)
        self.now_s = NOW_US / 1e6
        self.answers: dict[str, tuple[bool, Any]] = {}
        self.slept_s = 0.0
        self.engine: AtWork | None = None
        self.told: list[str] = []

    def control(self, *known: str) -> Control:
        return Control(self.store.engine, "cli:nurse", lambda: self.now_s, self._sleep, known, self.told.append)

    def run_engine(self) -> None:
        """An engine that beats whenever time goes by, until the end of the test."""
        self.engine = AtWork(self.store.engine, NOW_US)

    def _sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        self.now_s += seconds
        if self.engine is not None:
            self.engine.beat(int(self.now_s * 1e6))
        with dialect.writing(self.store.engine) as connection:
            for request in state.requests(connection):
                if request.verb in self.answers:
                    ok, result = self.answers[request.verb]
                    state.answer(connection, request.id, ok, result, int(self.now_s * 1e6))

    def commands(self) -> list[state.Request]:
        with dialect.reading(self.store.engine) as connection:
            return state.requests(connection)

    def audit(self) -> list[tuple[str, str, str, str]]:
        with dialect.reading(self.store.engine) as connection:
            rows = orders.audited(connection, AuditFilter(limit=100))[::-1]
        return [(row.actor, row.verb, row.target, row.reason) for row in rows]

    def desired(self) -> dict[str, str]:
        with dialect.reading(self.store.engine) as connection:
            return state.desired(connection)


@pytest.fixture
def world(engine_db: Engine) -> Iterator[World]:
    one = World(engine_db)
    yield one
    if one.engine is not None:
        one.engine.die()


def test_stopping_a_channel_leaves_an_order_a_wish_and_an_audit_line(world: World) -> None:
    world.store.channel("or-supply")
    answer = world.control().ask(StopChannel("or-supply"), "cabinet upgrade")
    (request,) = world.commands()
    assert (request.verb, request.arguments, request.actor) == ("channel_stop", {"channel": "or-supply"}, "cli:nurse")
    assert (answer.command_id, answer.done, answer.running) == (request.id, False, False)
    assert world.desired() == {"or-supply": "stopped"}
    assert world.audit() == [("cli:nurse", "channel_stop", "channel or-supply", "cabinet upgrade")]


@pytest.mark.parametrize(
    ("verb", "desired"), [(StartChannel, "running"), (RestartChannel, "running"), (StopChannel, "stopped"), (ReloadChannel, "stopped")]
)
def test_what_is_wanted_of_a_channel_is_kept(world: World, verb: type[OfChannel], desired: str) -> None:
    world.store.channel("or-supply", desired="stopped", actual="stopped")
    world.control().ask(verb("or-supply"))
    assert world.desired() == {"or-supply": desired}


def test_a_channel_of_the_files_that_never_ran_can_be_stopped(world: World) -> None:
    world.control("new").ask(StopChannel("new"))
    assert world.desired() == {"new": "stopped"}


def test_an_unknown_channel_is_named_with_the_nearest_and_nothing_is_left(world: World) -> None:
    with pytest.raises(NotFound, match=r"no channel 'or-suply'; did you mean 'or-supply'\?"):
        world.control("or-supply", "adt").ask(StopChannel("or-suply"))
    assert world.commands() == [] and world.audit() == []


def test_the_engines_answer_is_waited_for(world: World) -> None:
    world.store.channel("or-supply")
    world.run_engine()
    world.answers["channel_stop"] = (True, {"channel": "or-supply", "state": "stopped", "unanswered": {"erp": 2}})
    answer = world.control().ask(StopChannel("or-supply"), wait_s=5)
    assert (answer.done, answer.ok, answer.result) == (True, True, ChannelStopped("or-supply", "stopped", {"erp": 2}))
    assert world.slept_s < 0.2


def test_a_refusal_is_told_as_it_is(world: World) -> None:
    world.store.channel("or-supply")
    world.run_engine()
    world.answers["channel_start"] = (False, "port 2575 is taken")
    answer = world.control().ask(StartChannel("or-supply"), wait_s=5)
    assert (answer.done, answer.ok, answer.result) == (True, False, "port 2575 is taken")


def test_an_engine_that_does_not_answer_is_given_up_on_in_time(world: World) -> None:
    world.store.channel("or-supply")
    world.run_engine()
    answer = world.control().ask(StopChannel("or-supply"), wait_s=2)
    assert (answer.done, answer.running) == (False, True)
    assert world.slept_s == pytest.approx(2, abs=0.1)


def test_it_is_said_what_is_waited_for(world: World) -> None:
    world.store.channel("or-supply")
    world.run_engine()
    answer = world.control().ask(StopChannel("or-supply"), wait_s=3)
    assert (answer.done, answer.state) == (False, "running")
    (told,) = world.told
    assert "waiting for the engine (pid" in told and "on srv1, epoch 1; it is running" in told


def test_an_engine_that_was_killed_is_not_waited_for_whatever_its_clock_said(world: World) -> None:
    world.store.channel("or-supply")
    AtWork(world.store.engine, NOW_US + 3_600 * SECOND_US).die()
    answer = world.control().ask(StopChannel("or-supply"), wait_s=60)
    assert (answer.done, answer.running, answer.state) == (False, False, "dead")
    assert world.slept_s == 0


def test_an_engine_with_another_clock_is_seen_to_run_by_its_progress(world: World) -> None:
    engine = AtWork(world.store.engine, NOW_US + 3_600 * SECOND_US)
    beats = iter(range(1, 100))
    sleep = world._sleep

    def beating(seconds: float) -> None:
        sleep(seconds)
        engine.beat(NOW_US + 3_600 * SECOND_US + next(beats))

    control = Control(world.store.engine, "cli:nurse", lambda: world.now_s, beating)
    found = control.status()
    engine.die()
    assert (found.running, found.state) == (True, "running")


def test_an_engine_that_does_not_get_on_is_not_said_to_run(world: World) -> None:
    engine = AtWork(world.store.engine, NOW_US + 3_600 * SECOND_US)
    found = world.control().status()
    engine.die()
    assert (found.running, found.state) == (False, "silent")
    assert world.slept_s == pytest.approx(OBSERVE_S, abs=0.1)


def test_a_stopped_engine_is_not_waited_for(world: World) -> None:
    world.store.channel("or-supply")
    world.control().ask(StopChannel("or-supply"), wait_s=60)
    assert world.slept_s == 0


def test_resend_orders_the_deliveries_with_reason_and_insistence(world: World) -> None:
    world.control().ask_for(Resend([7, 3, 3], "ERP lost its morning", insist=True))
    (request,) = world.commands()
    assert request.verb == "resend"
    assert request.arguments == {"delivery_ids": [3, 7], "reason": "ERP lost its morning", "insist": True}
    assert world.audit() == [("cli:nurse", "resend", "deliveries 3,7, insisted", "ERP lost its morning")]


def test_reprocess_and_release_have_their_own_verbs(world: World) -> None:
    world.control().ask_for(Reprocess([1, 2, 3], "item added"))
    dead = world.store.delivery(world.store.message(), state="dead")
    world.control().ask_for(Release([dead], "billing has it not"))
    reprocess, release = world.commands()
    assert (reprocess.verb, reprocess.arguments) == ("reprocess", {"message_ids": [1, 2, 3], "reason": "item added", "insist": False})
    assert (release.verb, release.arguments) == ("delivery_release", {"delivery_ids": [dead], "reason": "billing has it not"})


def test_many_are_ordered_in_pieces(world: World) -> None:
    answers = world.control().ask_for(Reprocess([*range(1, IDS_A_COMMAND * 2 + 2)], "all"))
    assert len(answers) == 3
    assert [len(request.arguments["message_ids"]) for request in world.commands()] == [IDS_A_COMMAND, IDS_A_COMMAND, 1]
    with pytest.raises(CommandError, match="too many"):
        world.control().ask_for(Reprocess([*range(MOST_IDS + 1)], "all"))


@pytest.mark.parametrize("verb", [Resend, Reprocess, Release, Control.resolve, Resync])
def test_a_reason_is_required(world: World, verb: Any) -> None:
    world.store.channel("or-supply")
    control = world.control()
    with pytest.raises(CommandError, match="a reason is required"):
        if verb is Control.resolve:
            control.resolve([1], "  ")
        elif verb is Resync:
            control.ask(Resync("or-supply", "erp"), "  ")
        else:
            control.ask_for(verb([1], "  "))
    assert world.commands() == []


def test_exceptions_are_resolved_once(world: World) -> None:
    one = world.store.message("parked")
    world.store.exception(one)
    world.store.exception(one, resolved_at_us=NOW_US, resolution="fixed")
    assert world.control().resolve([1, 2], "vendor's test") == [1]
    row = world.control().look(look.exception, 1)
    assert (row.resolution, row.resolved_at_us) == ("vendor's test", NOW_US)
    assert world.audit() == [("cli:nurse", "exception_resolve", "exceptions 1-2", "vendor's test")]
    with pytest.raises(NotFound, match="there is no exception 3"):
        world.control().resolve([1, 3], "x")


def preview(world: World, **wanted: Any) -> list[tuple[Any, ...]]:
    given = {"message_ids": [], "delivery_ids": [], "destinations": [], "insist": False} | wanted
    return [(i.delivery_id, i.action, i.doubles) for i in world.control().look(look.resend, **given)]


def test_a_preview_sends_what_failed_and_skips_what_arrived_or_waits(world: World) -> None:
    one = world.store.message()
    dead = world.store.delivery(one, "erp", "dead")
    posted = world.store.delivery(one, "billing", "posted")
    queued = world.store.delivery(one, "analytics", "queued")
    held = world.store.delivery(one, "lab", "held")
    expected = [(dead, "send", ()), (posted, "skip", ()), (queued, "skip", ()), (held, "send", ())]
    assert preview(world, message_ids=[one]) == expected
    assert preview(world, delivery_ids=[posted, dead]) == expected[:2]
    insisted = [(dead, "send", ()), (posted, "send", ("billing",)), (queued, "skip", ()), (held, "send", ())]
    assert preview(world, message_ids=[one], insist=True) == insisted
    assert preview(world, message_ids=[one], destinations=["erp"]) == [(dead, "send", ())]


def test_a_payload_that_went_out_again_is_judged_by_its_newest_delivery(world: World) -> None:
    one = world.store.message()
    dead = world.store.delivery(one, "erp", "dead")
    again = world.store.delivery(one, "erp", "accepted", original_id=dead)
    assert preview(world, message_ids=[one]) == [(again, "skip", ())]
    assert preview(world, delivery_ids=[dead]) == [(dead, "skip", ())]
    assert preview(world, delivery_ids=[dead], insist=True) == [(dead, "send", ("erp",))]


def test_a_preview_names_what_is_not_there(world: World) -> None:
    one = world.store.message()
    world.store.delivery(one, "erp", "dead")
    with pytest.raises(NotFound, match="there is no message 8-9"):
        preview(world, message_ids=[one, 8, 9])
    with pytest.raises(NotFound, match="there is no delivery 77"):
        preview(world, delivery_ids=[77])
    with pytest.raises(CommandError, match=r"none of these went to a destination 'erq'; did you mean 'erp'\?"):
        preview(world, message_ids=[one], destinations=["erq"])


def test_a_preview_of_reprocessing_says_who_has_what(world: World) -> None:
    parked, received, done, first = (world.store.message(state) for state in ("parked", "received", "processed", "processed"))
    copy = world.store.message("duplicate", duplicate_of=first)
    world.store.delivery(done, "erp", "accepted")
    world.store.delivery(done, "billing", "dead")
    ids = [parked, received, done, copy]
    found = world.control().look(look.reprocess, ids, insist=False)
    assert [(i.message_id, i.action, i.doubles) for i in found] == list(zip(ids, ["send", "skip", "send", "skip"], [()] * 4, strict=True))
    assert "without the events that erp has" in found[2].why
    assert world.control().look(look.reprocess, [done], insist=True)[0].doubles == ("erp",)


def test_the_engine_judges_a_resend_as_the_preview_did(world: World) -> None:
    from suture.store import again
    from suture.store.sequences import Sequences

    one = world.store.message()
    for destination, condition in (("erp", "dead"), ("billing", "posted"), ("analytics", "queued"), ("lab", "held"), ("x", "refused")):
        world.store.delivery(one, destination, condition)
    for insist in (False, True):
        items = world.control().look(look.resend, [one], [], [], insist)
        with world.store.engine.connect() as connection:
            numbers = Sequences()
            numbers.load(connection)
            done = again.resend(connection, numbers, [item.delivery_id for item in items if item.delivery_id], insist, NOW_US)
            connection.rollback()
        assert sorted(d.original_id or 0 for d in done.deliveries) == [item.delivery_id for item in items if item.action == "send"]


def test_every_look_at_content_is_audited(world: World) -> None:
    one = world.store.message(raw=b"MSH|x")
    world.store.event(one)
    sent = world.store.delivery(one, body=b"{}")
    control = world.control()
    assert control.look_inside(look.raw, one) == b"MSH|x"
    assert len(control.look_inside(look.events, one)) == 1
    assert control.look_inside(look.payload, sent)[1] == b"{}"
    targets = ["message 1 raw", "message 1 events", "delivery 1 body"]
    assert world.audit() == [("cli:nurse", "look", target, "") for target in targets]


def test_a_search_for_a_patient_is_audited_without_the_patient(world: World) -> None:
    world.store.message(search={"patient": "MRN-SECRET", "item": "I1"})
    assert len(world.control().look_inside(look.messages, MessageFilter(find=(("patient", "MRN-SECRET"), ("item", "I1"))))) == 1
    ((_, verb, target, reason),) = world.audit()
    assert (verb, reason) == ("find", "1 found")
    assert target.startswith("patient #") and "SECRET" not in target


def test_looking_without_content_shows_none_and_is_not_audited(world: World) -> None:
    one = world.store.message()
    sent = world.store.delivery(one)
    world.store.attempt(sent)
    control = world.control()
    seen = [
        control.look(look.message, one),
        control.look(look.deliveries, DeliveryFilter()),
        control.look(look.delivery, sent),
        control.look(look.journey, one),
        control.look_inside(look.messages, MessageFilter()),
    ]
    assert "SECRET" not in json.dumps(plain(seen), default=str)
    assert world.audit() == []


def test_what_is_not_there_is_not_found(world: World) -> None:
    for query in (look.message, look.raw, look.events, look.journey, look.delivery, look.payload, look.exception):
        with pytest.raises(NotFound, match=r"there is no \w+ 42"):
            world.control().look(query, 42)


def test_status_knows_the_channels_of_the_files(world: World) -> None:
    world.store.channel("or-supply")
    assert list(world.control("adt", "or-supply").status().channels) == ["adt", "or-supply"]


def test_a_command_is_json_of_plain_values(world: World) -> None:
    world.control().ask_for(Resend([1], 'quotes " and ü'))
    with dialect.reading(world.store.engine) as connection:
        row = connection.execute(select(tables.command)).one()
    assert row.arguments == '{"delivery_ids": [1], "reason": "quotes \\" and \\u00fc", "insist": false}'


def test_numbers_in_short() -> None:
    assert ranges([1, 2, 3, 7, 9, 10]) == "1-3,7,9-10"
    assert ranges([]) == ""
