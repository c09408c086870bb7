"""Memory is bounded in bytes: what comes at once waits in the senders, and what was used is given back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.hospital import Hospital, wait_until
from tests.faults.peer import FaultyPeer
from tests.limits.bulk import Bulk, charges, document

pytestmark = pytest.mark.slow

SIZE_BYTES = 5_000_000
MOST_KB = 400_000
LEFT_KB = 90_000
"""What may be there after a burst beyond what was there before it: caches, and the store's pages."""
PATIENCE_S = 280


class Measured(Hospital):
    """A hospital whose sinks keep next to nothing, and whose engine is measured."""

    def __init__(self, directory: Path, url: str) -> None:
        lab = FaultyPeer("mllp", keep=lambda seen: seen.control_id)
        erp = FaultyPeer("http", keep=lambda seen: len(seen.body))
        super().__init__(directory, url, lab, erp, SINK_TIMEOUT_S="120")
        channel = self.directory / "channels" / "charges" / "channel.yaml"
        channel.write_text(channel.read_text().replace("frame_timeout_s: 1", "frame_timeout_s: 30"))  # a hundred share this machine

    def kilobytes(self, name: str) -> int:
        """A figure of /proc/PID/status: VmRSS now, VmHWM the most so far."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])

    def check_given_back(self, before_kb: int) -> None:
        """The memory of a burst is the system's again."""
        wait_until(lambda: self.kilobytes("VmRSS") < before_kb + LEFT_KB, 60, f"no more than {before_kb + LEFT_KB} kB are left")


@pytest.fixture
def measured(tmp_path: Path, database_url: str) -> Iterator[Measured]:
    with Measured(tmp_path, database_url) as one:
        yield one


def at_once(*runs: Callable[[], None]) -> None:
    """Run these at the same time, to their end."""
    failed: list[BaseException] = []

    def run(one: Callable[[], None]) -> None:
        try:
            one()
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=run, args=(one,)) for one in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def test_two_hundred_messages_of_five_megabytes_at_once(measured: Measured) -> None:
    measured.start()
    before_kb = measured.kilobytes("VmRSS")
    passed = Bulk(measured.adt_port, [document(f"A{n}", n % 24, SIZE_BYTES) for n in range(100)])
    mapped = Bulk(measured.charges_port, [charges(f"C{n}", n % 24, 3, SIZE_BYTES) for n in range(100)])
    at_once(lambda: passed.run(PATIENCE_S), lambda: mapped.run(PATIENCE_S))
    assert set(passed.codes) == set(mapped.codes) == {"AA"}
    wait_until(lambda: len(set(measured.lab.seen)) >= 100 and len(measured.erp.seen) >= 100, PATIENCE_S)
    assert measured.kilobytes("VmHWM") < MOST_KB
    measured.check_given_back(before_kb)


def test_many_large_messages_one_after_another_leave_nothing_behind(measured: Measured) -> None:
    measured.start()
    before_kb = measured.kilobytes("VmRSS")
    passed = Bulk(measured.adt_port, [document(f"A{n}", n % 24, SIZE_BYTES) for n in range(80)], 4)
    mapped = Bulk(measured.charges_port, [charges(f"C{n}", n % 24, 3, SIZE_BYTES) for n in range(80)], 4)
    at_once(lambda: passed.run(PATIENCE_S), lambda: mapped.run(PATIENCE_S))
    wait_until(lambda: len(set(measured.lab.seen)) >= 80 and len(measured.erp.seen) >= 80, PATIENCE_S)
    assert measured.kilobytes("VmHWM") < MOST_KB
    measured.check_given_back(before_kb)


def test_large_messages_that_are_not_finished_hold_up_no_small_ones(measured: Measured) -> None:
    measured.start()
    messages = [document(f"A{n}", n % 24, 2 * SIZE_BYTES) for n in range(40)]
    large = Bulk(measured.adt_port, messages, halves=True)
    large.send_halves(60)
    small = Bulk(measured.adt_port, [document(f"S{n}", n % 24, 2000) for n in range(50)], 5)
    small.run(60)
    assert set(small.codes) == {"AA"}
    assert max(small.waits_s) < 20
    large.run(PATIENCE_S)
    assert large.codes == ["AA"] * 40
    assert measured.kilobytes("VmHWM") < MOST_KB
