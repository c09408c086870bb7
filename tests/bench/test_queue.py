"""The queue that is measured is the engine's: what it says it did is in the store."""

import json
import sys

import pytest
from sqlalchemy import func, select

from bench import main, options, queues
from bench.child import BenchError
from bench.databases import Databases
from bench.deliveries import Queue
from bench.payloads import BYTES, payload
from suture.model import states
from suture.store import content
from suture.store.tables import attempt
from suture.store.views import delivery, message

COUNT = 300


def test_each_delivery_was_stored_with_its_payload_and_accepted_once(tmp_path):
    queue = Queue(f"sqlite:///{tmp_path / 'bench.db'}", COUNT)
    try:
        assert queue.receive() > 0
        assert queue.enqueue() > 0
        assert queue.complete() > 0
        with queue.database.connect() as store:
            assert list(store.execute(select(message.c.state, func.count()).group_by(message.c.state))) == [(states.PROCESSED, COUNT)]
            assert list(store.execute(select(delivery.c.state, func.count()).group_by(delivery.c.state))) == [(states.ACCEPTED, COUNT)]
            assert list(store.execute(select(attempt.c.number, func.count()).group_by(attempt.c.number))) == [(1, COUNT)]
            assert content.payload(store, COUNT) == payload(COUNT - 1).encode()
    finally:
        queue.close()


def test_a_store_that_takes_nothing_is_told(tmp_path):
    queue = Queue(f"sqlite:///{tmp_path / 'bench.db'}", 10)
    queue.loop.call_soon(queue._trouble, "no room")
    try:
        with pytest.raises(BenchError, match="no room"):
            queue.receive()
    finally:
        queue.close()


def test_a_payload_is_a_json_object_of_a_thousand_bytes():
    assert {len(payload(number).encode()) for number in (0, 7, 999_999_999)} == {BYTES}
    assert json.loads(payload(7))["id"] == "BENCH000000007"
    assert payload(7) != payload(8)


def test_the_medians_of_three_runs_are_given_with_all_of_them(monkeypatch):
    seconds = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(queues, "ours", lambda url, count: {"enqueue_s": next(seconds), "complete_s": 2.0})
    (result,) = queues.measure("sqlite", Databases(), 1000, "no-such-python", lambda text: None)
    assert (result["enqueued_per_s"], result["completed_per_s"], result["through_per_s"]) == (500.0, 500.0, 250.0)
    assert [one["enqueue_s"] for one in result["seconds"]] == [3.0, 1.0, 2.0]


def test_a_table_has_a_row_a_queue_and_the_ratio_of_two():
    one = {"kind": "queue", "engine": "suture", "database": "postgresql", "count": 1000}
    one |= {"enqueued_per_s": 900.0, "completed_per_s": 600.0, "through_per_s": 360.0}
    other = one | {"engine": "procrastinate", "enqueued_per_s": 300.0, "completed_per_s": 100.0, "through_per_s": 75.0}
    lines = main.text({"runs": [one, other], "comparisons": []}).splitlines()
    assert lines[2].split() == ["suture", "postgresql", "1,000", "900", "600", "360"]
    assert lines[4].split() == ["ratio", "postgresql", "3.00", "6.00", "4.80"]


def test_a_python_without_procrastinate_is_told(tmp_path):
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\necho 'ModuleNotFoundError: no procrastinate' >&2\nexit 1\n")
    silent.chmod(0o755)
    with pytest.raises(BenchError, match="ModuleNotFoundError: no procrastinate"):
        queues.jobs(str(silent), "postgresql://", 1)
    with pytest.raises(BenchError, match="cannot run no-such-python"):
        queues.jobs("no-such-python", "postgresql://", 1)


def test_both_databases_are_measured_unless_one_is_named():
    assert (options.parse(["--queue"]).queue, options.parse(["--queue"]).database) == (20_000, ("sqlite", "postgresql"))
    assert options.parse(["--queue", "7", "--procrastinate", sys.executable]).procrastinate == sys.executable
