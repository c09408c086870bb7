"""What runs beside the channels: it begins when they are there, and ends before they do; whatever becomes of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from suture.model import ending
from tests.crash.hospital import MARKER, Hospital, wait_until

SERVICES = """
import sys
from pathlib import Path
from twisted.internet import defer
from suture.app import run
from suture.model.errors import SutureError


class Toy:
    def __init__(self, name):
        self.name = name

    def say(self, what):
        print(self.name, what, *sorted(one.actual for one in self.ask().channels), flush=True)

    async def begin(self, site, ask):
        self.ask = ask
        await defer.succeed(None)
        self.say(f"begins at {site.conf.site.name} in an engine that is {ask().phase}, where the channels are")
        {BEGIN}

    async def end(self):
        self.say("ends, where the channels are")
        {END}


sys.exit(run(Path(sys.argv[1]), None, [Toy("api"), Toy("console")]))
"""
ODD = 'if self.name == "api": '


class Served(Hospital):
    """A hospital whose engine has two services. begins, ends: what they do there besides saying so."""

    begins = ends = "pass"

    @property
    def command(self) -> list[str]:
        text = SERVICES.replace("{BEGIN}", self.begins).replace("{END}", self.ends)
        return [sys.executable, "-c", text, str(self.directory)]

    def lines(self) -> list[str]:
        """What the services have said."""
        return [line for line in self.said().splitlines() if line.startswith(("api ", "console "))]


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as one:
        yield one


def started_and_ended(name: str) -> list[str]:
    begins = f"{name} begins at crash in an engine that is starting, where the channels are running running"
    return [begins, f"{name} ends, where the channels are running running"]


def test_services_begin_one_after_another_when_the_channels_are_there_and_end_before_them(hospital: Served) -> None:
    hospital.start()
    wait_until(lambda: "the engine is running" in hospital.said(), what="it runs")
    assert hospital.said().index("console begins") < hospital.said().index("the engine is running")
    hospital.send_charges(count=20).join()
    hospital.terminate(60)
    begun, ended = zip(started_and_ended("api"), started_and_ended("console"), strict=True)
    assert hospital.lines() == [*begun, *ended]
    assert hospital.said().index("console ends") < hospital.said().index("channel is stopped")
    hospital.check()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("raise SutureError('the api cannot listen on 127.0.0.1:1: Permission denied')", "cannot listen on 127.0.0.1:1: Permission denied"),
        (f"raise ValueError('{MARKER}')", "the engine cannot start"),
    ],
)
def test_a_service_that_cannot_begin_ends_the_engine_with_its_reason(hospital: Served, fault: str, says: str) -> None:
    hospital.begins = ODD + fault
    hospital.start(wait=False)
    assert hospital.process.wait(60) == ending.CANNOT_START
    assert hospital.lines() == started_and_ended("api"), "the one after it has not begun; what has is ended"
    said = hospital.said()
    assert says in said and "the engine is running" not in said
    assert said.count("channel is stopped") == 2 and said.rstrip().endswith("stopped"), "in order"


def test_an_engine_that_is_told_to_end_while_a_service_begins(hospital: Served) -> None:
    hospital.begins = ODD + "await defer.Deferred()"
    hospital.start(wait=False)
    wait_until(lambda: hospital.lines(), 60, "the service begins")
    hospital.terminate(60)
    assert hospital.lines() == started_and_ended("api")
    assert "the engine is running" not in hospital.said()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (f"raise ValueError('{MARKER}')", "api cannot be ended"),
        ("await defer.Deferred()", "api does not end, and is not waited for any longer"),
    ],
)
def test_a_service_that_cannot_be_ended_is_told_and_keeps_nobody_from_ending(hospital: Served, fault: str, says: str) -> None:
    hospital.ends = ODD + fault
    hospital.start()
    wait_until(lambda: "the engine is running" in hospital.said(), what="it runs")
    hospital.terminate(60)
    said = hospital.said()
    assert says in said and said.count("channel is stopped") == 2
    assert hospital.lines()[-1].startswith("console ends")
