"""A channel that cannot be built or opened, for whatever reason: it says so, and the others run; a reload mends it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.hospital import Hospital, listens, wait_until

BROKEN_OPEN = """
from suture.connectors import mllp_in
there = mllp_in.Source.open
def open(self):
    if self.config.limit_bytes == 4444:
        raise {error}
    there(self)
mllp_in.Source.open = open
"""
BROKEN_SOURCE = """
from suture.connectors import mllp_in
there = mllp_in.Source.__init__
def make(self, config, *more):
    if config.limit_bytes == 4444:
        raise {error}
    there(self, config, *more)
mllp_in.Source.__init__ = make
"""
BROKEN_DESTINATION = """
from suture.connectors import http_out
def make(self, *more):
    raise {error}
http_out.Destination.__init__ = make
"""
BROKEN_RECOVERY = """
from suture.runtime import RunningChannel
there = RunningChannel._recover
async def recover(self):
    if self.name == "charges":
        raise {error}
    await there(self)
RunningChannel._recover = recover
"""
ANY = ["ValueError('ZZMARKER')", "OSError(13, 'Permission denied', '/etc/key.pem')"]


class Faulty(Hospital):
    """An engine in which something raises that should not. fault: Python that the engine's process runs first."""

    fault = ""

    @property
    def command(self) -> list[str]:
        begin = f"{self.fault}\nfrom suture.cli.main import cli\ncli()"
        return [sys.executable, "-c", begin, "run", "--site", str(self.directory)]

    def edit(self, old: str, new: str) -> None:
        """Change the file of the channel `charges`."""
        file = self.directory / "channels" / "charges" / "channel.yaml"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    def begin(self) -> None:
        self.start(wait=False)
        wait_until(lambda: self.page("readyz")[0] == 200 and listens(self.adt_port), 30, "the engine takes ADT")

    def actual(self) -> tuple[str, str]:
        """What `charges` does and why, as the store says it."""
        rows = self.query("SELECT actual, reason FROM channel_state WHERE channel = 'charges'")
        return (rows[0][0], rows[0][1]) if rows else ("", "")

    def check_failed(self, says: str) -> None:
        """`charges` has failed and says so everywhere; the other channel takes messages and delivers them."""
        actual, reason = wait_until(lambda: (found := self.actual())[0] == "failed" and found, what="it has failed")
        assert says in reason
        page = self.page("metrics")[1]
        assert 'suture_channel_running{channel="charges"} 0.0' in page and 'suture_channel_running{channel="adt"} 1.0' in page
        assert says in self.page("readyz")[1]
        assert says in self.suture("channel", "list", "--json").stdout
        load = self.send_adt(count=20)
        load.join()
        assert len(load.acked) == 20
        wait_until(lambda: load.acked <= {row[0] for row in list(self.lab.seen)}, what="the other channel delivers")

    def check_running(self) -> None:
        """`charges` takes messages."""
        load = self.send_charges(count=20)
        load.join()
        assert len(load.acked) == 20
        assert self.actual() == ("running", "")


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Faulty]:
    with Faulty(tmp_path) as one:
        yield one


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_source_that_is_refused_in_a_way_of_its_own(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> None:
    url = request.getfixturevalue("durable_database") if database == "postgresql" else ""
    with Faulty(tmp_path, url) as hospital:
        hospital.fault = BROKEN_OPEN.format(error="OverflowError('ZZMARKER')")
        hospital.edit("frame_timeout_s: 1", "frame_timeout_s: 1, limit_bytes: 4444")
        hospital.begin()
        hospital.check_failed("its source cannot be opened: OverflowError at <string>:")
        hospital.edit("limit_bytes: 4444", "limit_bytes: 5555")
        assert hospital.suture("channel", "reload", "charges").returncode == 0
        hospital.check_running()
        hospital.terminate()


@pytest.mark.parametrize(("fault", "error"), [*((BROKEN_OPEN, error) for error in ANY), (BROKEN_SOURCE, ANY[0])])
def test_a_source_that_raises_anything(hospital: Faulty, fault: str, error: str) -> None:
    hospital.fault = fault.format(error=error)
    hospital.edit("frame_timeout_s: 1", "frame_timeout_s: 1, limit_bytes: 4444")
    hospital.begin()
    hospital.check_failed("Permission denied: /etc/key.pem" if "Permission" in error else f"{error.partition('(')[0]} at <string>:")
    assert hospital.suture("channel", "start", "charges").returncode != 0
    hospital.edit("limit_bytes: 4444", "limit_bytes: 5555")
    assert hospital.suture("channel", "reload", "charges").returncode == 0
    hospital.check_running()
    hospital.terminate()


def test_a_destination_that_cannot_be_made(hospital: Faulty) -> None:
    hospital.fault = BROKEN_DESTINATION.format(error="TypeError('ZZMARKER')")
    hospital.begin()
    hospital.check_failed("it cannot be built: TypeError at <string>:")
    failed = hospital.suture("channel", "reload", "charges")
    assert failed.returncode != 0 and "cannot be built of its new files: TypeError" in failed.stderr
    assert hospital.suture("channel", "stop", "charges").returncode == 0
    hospital.terminate()


def test_a_start_that_breaks_in_the_middle(hospital: Faulty) -> None:
    hospital.fault = BROKEN_RECOVERY.format(error="RuntimeError('ZZMARKER')")
    hospital.begin()
    hospital.check_failed("RuntimeError at <string>:")
    hospital.terminate()


def test_a_reload_of_what_cannot_be_built_leaves_the_channel_as_it_was(hospital: Faulty) -> None:
    hospital.fault = BROKEN_SOURCE.format(error="ValueError('ZZMARKER')")
    hospital.start()
    hospital.check_running()
    hospital.edit("frame_timeout_s: 1", "frame_timeout_s: 1, limit_bytes: 4444")
    failed = hospital.suture("channel", "reload", "charges")
    assert failed.returncode != 0 and "cannot be built of its new files: ValueError at <string>:" in failed.stderr
    load = hospital.send_charges(count=40)
    load.join()
    assert hospital.actual() == ("running", "")
    hospital.edit("limit_bytes: 4444", "limit_bytes: 5555")
    assert hospital.suture("channel", "reload", "charges").returncode == 0
    assert hospital.actual() == ("running", "")
    hospital.terminate()


def test_a_reload_of_what_cannot_be_opened_fails_and_is_mended_by_the_next(hospital: Faulty) -> None:
    hospital.fault = BROKEN_OPEN.format(error="ValueError('ZZMARKER')")
    hospital.start()
    hospital.check_running()
    hospital.edit("frame_timeout_s: 1", "frame_timeout_s: 1, limit_bytes: 4444")
    assert hospital.suture("channel", "reload", "charges").returncode != 0
    hospital.check_failed("its source cannot be opened: ValueError at <string>:")
    hospital.edit("limit_bytes: 4444", "limit_bytes: 5555")
    assert hospital.suture("channel", "reload", "charges").returncode == 0
    assert hospital.actual() == ("running", "")
    hospital.terminate()
