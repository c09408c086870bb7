"""An operator is told what is wrong, in words, and never "ready" when nothing can be received."""

import pytest

from suture.observe.facts import ChannelFact, Facts, OwnerFact, QueueFact, StoreFact
from suture.observe.health import duration, judge

RUNNING = ChannelFact("or-supply", "running", "running")


def queue(**facts: object) -> QueueFact:
    return QueueFact("or-supply", "erp", **facts)


def test_a_well_engine_is_ready():
    health = judge(Facts(channels=(RUNNING,), queues=(queue(waiting=3, oldest_s=1.0),)))
    assert (health.alive, health.ready, health.state, health.reasons) == (True, True, "ready", ())


def test_a_destination_that_failed_for_three_minutes_is_named_in_words():
    sick = queue(failing_s=185, waiting=1204, oldest_s=190, next_try_s=12, reason="HTTP 503")
    health = judge(Facts(channels=(RUNNING,), queues=(sick,)))
    assert health.ready and health.state == "degraded"
    assert health.reasons == (
        "erp (channel or-supply) has been failing for 3 min: HTTP 503; 1,204 waiting, the oldest for 3 min, next try in 12 s",
    )


def test_a_destination_that_fails_for_less_than_a_minute_is_left_alone():
    assert judge(Facts(queues=(queue(failing_s=59.9, reason="HTTP 503"),))).state == "ready"
    assert judge(Facts(queues=(queue(failing_s=60.0, reason="HTTP 503"),))).state == "degraded"


def test_a_failed_channel_degrades_and_the_others_go_on():
    failed = ChannelFact("adt", "running", "failed", "port 2576 is in use")
    health = judge(Facts(channels=(RUNNING, failed)))
    assert health.ready and health.reasons == ("channel adt is failed: port 2576 is in use",)


def test_a_channel_that_was_stopped_on_purpose_is_no_worry():
    assert judge(Facts(channels=(RUNNING, ChannelFact("adt", "stopped", "stopped")))).state == "ready"
    assert judge(Facts(channels=(ChannelFact("adt", "stopped", "stopped"),))).ready


def test_no_running_channel_at_all_is_not_ready():
    health = judge(Facts(channels=(ChannelFact("adt", "running", "failed", "port 2576 is in use"),)))
    assert (health.alive, health.ready, health.state) == (True, False, "not ready")
    assert health.reasons == ("no channel is running", "channel adt is failed: port 2576 is in use")


def test_a_store_that_takes_nothing_is_not_ready_but_a_restart_is_no_remedy():
    health = judge(Facts(journal_fault="the disk is full", channels=(RUNNING,)))
    assert (health.alive, health.ready) == (True, False)
    assert health.reasons == ("the store takes nothing: the disk is full",)


def test_a_store_that_may_lose_something_degrades_and_what_is_only_to_be_mended_does_not():
    unsafe = judge(Facts(channels=(RUNNING,), store=StoreFact("PostgreSQL", unsafe=("fsync is off",), worry="its log grows")))
    assert (unsafe.ready, unsafe.state) == (True, "degraded")
    assert unsafe.reasons == ("the store is not safe: fsync is off", "the store: its log grows")
    assert judge(Facts(channels=(RUNNING,), store=StoreFact("SQLite", warnings=("an old release",)))).state == "ready"


def test_a_journal_that_has_ended_needs_a_new_process():
    health = judge(Facts(journal_dead=True, channels=(RUNNING,)))
    assert (health.alive, health.ready) == (False, False)
    assert health.reasons == ("the journal has ended; the engine has to be restarted",)
    assert judge(Facts(journal_dead=True, stopping=True)).alive, "an orderly stop ends the journal too"


def test_a_stopping_engine_is_alive_and_not_ready():
    health = judge(Facts(stopping=True, channels=(RUNNING,)))
    assert (health.alive, health.ready, health.reasons) == (True, False, ("the engine is stopping",))


@pytest.mark.parametrize(
    "seconds, words",
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (7500, "2 h 5 min"), (86400, "24 h"), (400000, "4 days")],
)
def test_durations_in_words(seconds: float, words: str):
    assert duration(seconds) == words


def test_a_store_whose_oldest_operation_waits_for_five_seconds_is_not_ready_and_says_how_long():
    assert judge(Facts(journal_pending=7, journal_oldest_s=4.9, channels=(RUNNING,))).ready
    health = judge(Facts(journal_pending=7, journal_oldest_s=42, channels=(RUNNING,)))
    assert (health.alive, health.ready) == (True, False)
    assert health.reasons == (
        "the store does not answer: the oldest of 7 operations has been waiting for 42 s; look for a lock, a frozen server,"
        " or a disk that hangs",
    )
    assert judge(Facts(journal_oldest_s=7, journal_slow_s=8, channels=(RUNNING,))).ready, "as the setting says"


def test_a_fault_of_the_store_says_how_long_it_has_lasted():
    health = judge(Facts(journal_fault="the disk is full", journal_oldest_s=130, channels=(RUNNING,)))
    assert health.reasons == ("the store takes nothing: the disk is full (for 2 min)",)


def test_an_engine_that_starts_is_not_ready_before_it_knows_its_channels():
    health = judge(Facts(phase="starting", waits_for="the store is asked for"))
    assert not health.ready and health.reasons == ("the engine is starting: the store is asked for",)


def test_a_channel_that_still_starts_is_no_running_channel():
    starting = ChannelFact("adt", "running", "starting")
    assert judge(Facts(channels=(starting,))).reasons == ("no channel is running", "channel adt is starting")
    assert judge(Facts(channels=(RUNNING, starting))).state == "degraded"


def test_an_engine_whose_store_was_taken_over_says_by_whom():
    health = judge(Facts(owner=OwnerFact(epoch=1, taken_over="pid 7 on srv2, epoch 2"), stopping=True, channels=(RUNNING,)))
    assert not health.ready
    assert health.reasons == ("another engine has taken the store over (pid 7 on srv2, epoch 2); this one ends",)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"owner": OwnerFact(epoch=1, may_send=False, lease_s=12)}, "nothing is sent: the store has not confirmed for 12 s"),
        ({"reading_s": 9}, "a look at the store has been waiting for 9 s"),
        ({"free_bytes": 50_000_000, "free_least_bytes": 1_000_000_000}, "the disk of the store is nearly full: 50 MB are free"),
        ({"bugs": 3}, "3 unexpected errors since the start"),
        (
            {"queues": (queue(waiting=2, oldest_s=4000),)},
            "takes too little, or nothing; 2 waiting, the oldest for 1 h",
        ),
    ],
)
def test_what_goes_wrong_in_silence_is_said(facts: dict[str, object], says: str):
    health = judge(Facts(channels=(RUNNING,), **facts))
    assert (health.ready, health.state) == (True, "degraded")
    assert says in health.reasons[0]
