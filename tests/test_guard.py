"""What stops sending when the store may be another's, and what ends a process that does not end by itself."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from twisted.internet.task import Clock

from suture.guard import PERIOD_S, Guard
from suture.model import ending
from suture.observe.logs import Log
from suture.store.tenure import FRESH_S, Tenure


class Lane:
    def __init__(self) -> None:
        self.paused = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


class Channel:
    def __init__(self) -> None:
        self.lane = Lane()
        self.lanes = {"erp": self.lane}
        self.cuts: list[str] = []

    def cut(self, code: str, reason: str) -> None:
        self.cuts.append(code)


@pytest.fixture
def channel() -> Channel:
    return Channel()


class Watch:
    """A guard by a clock that is moved by hand, over one channel."""

    def __init__(self, channel: Channel, shared: bool = True) -> None:
        self.clock, self.channel = Clock(), channel
        self.tenure = Tenure("srv1", 10, self.clock.seconds)
        self.tenure.shared, self.tenure.epoch = shared, 1
        self.tenure.renew(0)
        channels: Any = lambda: [channel]  # noqa: E731
        self.guard = Guard(self.tenure, self.clock, channels, Log())
        self.guard.begin()

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / PERIOD_S)):
            self.clock.advance(PERIOD_S)


def test_when_the_lease_is_over_nothing_is_sent_and_what_is_in_flight_is_given_up(channel: Channel) -> None:
    watch = Watch(channel)
    watch.wait(9.75)
    assert not channel.lane.paused and not channel.cuts
    watch.wait(0.5)
    assert channel.lane.paused and channel.cuts == ["STORE_LOST"]
    watch.wait(60)
    assert channel.cuts == ["STORE_LOST"], "once"
    watch.tenure.renew(watch.clock.seconds())
    watch.wait(PERIOD_S)
    assert not channel.lane.paused


def test_where_no_other_engine_can_come_what_is_in_flight_ends_by_itself(channel: Channel) -> None:
    watch = Watch(channel, shared=False)
    watch.wait(11)
    assert channel.lane.paused and not channel.cuts


def test_lanes_that_have_paused_by_themselves_go_on_when_the_store_has_answered(channel: Channel) -> None:
    watch = Watch(channel)
    watch.wait(FRESH_S)
    channel.lane.paused = True  # it asked, and was told no
    watch.wait(1)
    assert channel.lane.paused
    watch.tenure.renew(watch.clock.seconds())
    watch.wait(PERIOD_S)
    assert not channel.lane.paused


HANGS = """
import sys, threading, time
from suture.guard import Deadline
threading.Thread(target=time.sleep, args=(600,)).start()  # Python waits for it
deadline = Deadline({after_s}, lambda: {code}, lambda: print("given up", flush=True))
deadline.start()
deadline.hurry({hurry_s})
sys.exit(0)
"""


@pytest.mark.parametrize(("after_s", "hurry_s"), [(0.5, 600), (600, 0.5)])
def test_a_process_that_a_thread_keeps_from_ending_ends_in_its_time(after_s: float, hurry_s: float) -> None:
    program = HANGS.format(after_s=after_s, hurry_s=hurry_s, code=ending.UNCLEAN)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, ran.stdout) == (ending.UNCLEAN, "given up\n"), ran.stderr
