"""Nobody waits long for the engine's loop: each piece of work on it is short, whatever is reloaded or comes in.

Measured in the real engine's process, in CPU time of the loop's thread, which does not depend on what else the machine does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.hospital import Hospital, kept_adt, wait_until
from tests.faults.peer import FaultyPeer
from tests.limits import probed
from tests.limits.bulk import Bulk, charges, document

pytestmark = pytest.mark.slow

LONGEST_S = 0.05
ROWS = 300_000
PATIENCE_S = 240


class Watched(Hospital):
    """A hospital whose engine has a probe in its loop; its sinks keep next to nothing."""

    def __init__(self, directory: Path, **environment: str) -> None:
        lab = FaultyPeer("mllp", keep=kept_adt)
        erp = FaultyPeer("http", keep=lambda seen: len(seen.body))
        super().__init__(directory, "", lab, erp, SINK_TIMEOUT_S="60", **environment)
        self.probe = directory / "probe.json"

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.limits.probed", str(self.probe), "run", "--site", str(self.directory)]

    @property
    def environment(self) -> dict[str, str]:
        environment = super().environment
        root = Path(__file__).parents[2]
        return environment | {"PYTHONPATH": f"{environment['PYTHONPATH']}:{root}"}

    def check_turns(self) -> None:
        """No stretch of the loop, up to now, has taken the loop's thread too long."""
        count = probed.read(self.probe)["count"]
        wait_until(lambda: probed.read(self.probe)["count"] > count + 100, 60, "the probe goes on")
        worst = probed.read(self.probe)["worst"]
        assert worst[0][0] < LONGEST_S, f"CPU and wall seconds of the longest turns: {[tuple(round(s, 3) for s in one) for one in worst]}"


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path) as one:
        yield one


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize("dated", [False, True])
def test_a_reload_with_a_large_table_under_load(watched: Watched, dated: bool) -> None:
    table = watched.directory / "mappings/tables/item_master.csv"
    lines = table.read_text().splitlines()
    rows = [f"IM{n:07d},Item number {n},27{n % 100_000:06d}" for n in range(ROWS)]
    extra = (",effective_from,effective_to", ",2024-01-01,2030-01-01") if dated else ("", "")
    table.write_text("\n".join([lines[0] + extra[0], *(line + extra[1] for line in (*lines[1:], *rows))]) + "\n")
    watched.start()
    watched.send_adt(connections=8)
    memory = [watched.rss_bytes()]
    for _ in range(5):
        found = watched.suture("channel", "reload", "charges", "--wait", "120")
        assert found.returncode == 0, found.stderr
        memory.append(watched.rss_bytes())
    watched.check_turns()
    assert memory[5] - memory[2] < 100_000_000, f"the tables of earlier reloads are still there: {memory}"
    watched.wait_for_delivery(PATIENCE_S)


def test_messages_of_five_megabytes(watched: Watched) -> None:
    watched.start()
    Bulk(watched.adt_port, [document(f"A{n}", n, 5_000_000) for n in range(12)]).run(PATIENCE_S)
    Bulk(watched.charges_port, [charges(f"C{n}", n, 3, 5_000_000) for n in range(8)]).run(PATIENCE_S)
    wait_until(lambda: len(watched.lab.seen) >= 12 and len(watched.erp.seen) >= 8, PATIENCE_S)
    watched.check_turns()


@pytest.mark.parametrize("per", ["message", "event"])
def test_a_message_with_ten_thousand_lines(watched: Watched, per: str) -> None:
    edit(watched.directory / "channels/charges/channel.yaml", "as: events}", f"as: events, per: {per}}}")
    watched.start()
    Bulk(watched.charges_port, [charges(f"C{n}", n, 10_000) for n in range(2)]).run(PATIENCE_S)
    wait_until(lambda: len(watched.erp.seen) >= (2 if per == "message" else 20_000), PATIENCE_S)
    watched.check_turns()


def test_a_batch_of_ten_thousand_messages_in_one_frame(watched: Watched) -> None:
    watched.start()
    messages = b"".join(charges(f"C{n}", n % 24, 1) for n in range(10_000))
    Bulk(watched.charges_port, [b"BHS|^~\\&|CAB|OR|ENGINE|HOSP|20260401||||B1\r" + messages + b"BTS|10000\r"]).run(PATIENCE_S)
    wait_until(lambda: len(watched.erp.seen) >= 10_000, PATIENCE_S)
    watched.check_turns()


def test_the_loops_lateness_is_a_metric(watched: Watched) -> None:
    watched.start()
    time.sleep(1)
    page = watched.page("metrics")[1]
    seen = [line for line in page.splitlines() if line.startswith("suture_loop_late_seconds_count")]
    assert float(seen[0].split()[1]) >= 5
