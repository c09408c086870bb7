"""The numbers on /metrics are the numbers that were told."""

import time

from prometheus_client.parser import text_string_to_metric_families

from suture.observe.facts import ChannelFact, CountFact, Facts, OwnerFact, QueueFact, StoreFact
from suture.observe.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.page()().decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, tuple(sorted(labels.items()))]


def test_messages_are_counted_by_channel_and_state():
    metrics = Metrics()
    for _ in range(3):
        metrics.message("or-supply", "received")
    metrics.message("or-supply", "parked")
    metrics.message("adt", "received")
    assert value(metrics, "suture_messages_total", channel="or-supply", state="received") == 3
    assert value(metrics, "suture_messages_total", channel="or-supply", state="parked") == 1
    assert value(metrics, "suture_messages_total", channel="adt", state="received") == 1


def test_attempts_are_counted_by_outcome():
    metrics = Metrics()
    metrics.attempt("or-supply", "erp", "accepted")
    metrics.attempt("or-supply", "erp", "try_later")
    metrics.attempt("or-supply", "erp", "try_later")
    assert value(metrics, "suture_attempts_total", channel="or-supply", destination="erp", outcome="try_later") == 2
    assert value(metrics, "suture_attempts_total", channel="or-supply", destination="erp", outcome="accepted") == 1


def test_duplicates_and_gaps_are_counted():
    metrics = Metrics()
    metrics.duplicate("or-supply", "message")
    metrics.duplicate("or-supply", "event")
    metrics.duplicate("or-supply", "event")
    metrics.gap("or-supply", "item_master")
    metrics.gap("or-supply", "")
    assert value(metrics, "suture_duplicates_total", channel="or-supply", kind="event") == 2
    assert value(metrics, "suture_duplicates_total", channel="or-supply", kind="message") == 1
    assert value(metrics, "suture_gaps_total", channel="or-supply", table="item_master") == 1
    assert value(metrics, "suture_gaps_total", channel="or-supply", table="") == 1


def test_a_stage_is_a_cumulative_histogram_of_seconds():
    metrics = Metrics()
    for seconds in (0.0004, 0.001, 0.2, 7200.0):
        metrics.stage("or-supply", "end_to_end", seconds)
    labels = {"channel": "or-supply", "stage": "end_to_end"}
    buckets = {le: value(metrics, "suture_stage_seconds_bucket", le=le, **labels) for le in ("0.0005", "0.001", "0.25", "3600.0", "+Inf")}
    assert buckets == {"0.0005": 1, "0.001": 2, "0.25": 3, "3600.0": 3, "+Inf": 4}
    assert value(metrics, "suture_stage_seconds_count", **labels) == 4
    assert value(metrics, "suture_stage_seconds_sum", **labels) == 0.0004 + 0.001 + 0.2 + 7200.0


def test_a_journal_batch_has_a_size_and_a_time():
    metrics = Metrics()
    metrics.batch(1, 0.002)
    metrics.batch(40, 0.004)
    assert value(metrics, "suture_journal_batch_operations_bucket", le="1.0") == 1
    assert value(metrics, "suture_journal_batch_operations_bucket", le="64.0") == 2
    assert value(metrics, "suture_journal_batch_operations_sum") == 41
    assert value(metrics, "suture_journal_commit_seconds_count") == 2
    assert value(metrics, "suture_journal_commit_seconds_bucket", le="0.0025") == 1


def test_queues_are_asked_for_at_the_moment_of_the_scrape():
    state = [Facts()]
    metrics = Metrics(lambda: state[0])
    assert not [key for key in samples(metrics) if key[0] == "suture_queue_waiting"]
    queue = QueueFact("or-supply", "erp", waiting=12, lanes=5, longest=4, oldest_s=61.5, in_flight=3, failing_s=30.0)
    state[0] = Facts(journal_pending=7, journal_limit=20000, channels=(ChannelFact("or-supply", "running", "running"),), queues=(queue,))
    labels = {"channel": "or-supply", "destination": "erp"}
    found = {name: value(metrics, name, **labels) for name in ("suture_queue_waiting", "suture_queue_lanes", "suture_queue_longest_lane")}
    assert found == {"suture_queue_waiting": 12, "suture_queue_lanes": 5, "suture_queue_longest_lane": 4}
    assert value(metrics, "suture_queue_oldest_seconds", **labels) == 61.5
    assert value(metrics, "suture_queue_in_flight", **labels) == 3
    assert value(metrics, "suture_destination_failing_seconds", **labels) == 30.0
    assert value(metrics, "suture_channel_running", channel="or-supply") == 1
    assert value(metrics, "suture_journal_pending") == 7
    assert value(metrics, "suture_journal_limit") == 20000


def test_what_connectors_count_is_told_by_channel_destination_and_code():
    counts = (
        CountFact("or-supply", "", "framing", "STRAY_BYTES", 3),
        CountFact("or-supply", "his", "framing", "STRAY_BYTES", 5),
        CountFact("or-supply", "", "refused", "NOT_ALLOWED", 6),
        CountFact("or-supply", "his", "quarantined", "LATE_ACK", 2),
    )
    metrics = Metrics(lambda: Facts(counts=counts))
    assert value(metrics, "suture_framing_quirks_total", channel="or-supply", destination="", code="STRAY_BYTES") == 3
    assert value(metrics, "suture_framing_quirks_total", channel="or-supply", destination="his", code="STRAY_BYTES") == 5
    assert value(metrics, "suture_connections_refused_total", channel="or-supply", code="NOT_ALLOWED") == 6
    assert value(metrics, "suture_acknowledgements_quarantined_total", channel="or-supply", destination="his", code="LATE_ACK") == 2


def test_the_store_is_shown_with_what_is_wrong_with_it():
    metrics = Metrics(lambda: Facts(store=StoreFact("SQLite 3.40.1 (sqlite3)", ("a",), ("b", "c"), damaged=True)))
    assert value(metrics, "suture_store_info", store="SQLite 3.40.1 (sqlite3)") == 1
    assert value(metrics, "suture_store_warnings") == 3
    assert value(metrics, "suture_store_damaged") == 1
    assert value(Metrics(), "suture_store_damaged") == 0


def test_two_engines_in_one_process_do_not_share_numbers():
    one, other = Metrics(), Metrics()
    one.message("a", "received")
    assert ("suture_messages_total", (("channel", "a"), ("state", "received"))) not in samples(other)


def test_a_call_is_cheap():
    # Measured 0.1 to 0.25 microseconds; the bound is loose because the machine may be busy.
    metrics, rounds = Metrics(), 20_000

    def per_call() -> float:
        started = time.perf_counter()
        for _ in range(rounds):
            metrics.stage("or-supply", "deliver", 0.0123)
        return (time.perf_counter() - started) / rounds

    assert min(per_call() for _ in range(5)) < 1.5e-6


def test_how_the_engine_stands_to_its_store_is_a_number():
    owner = OwnerFact(epoch=3, lease_s=1.5)
    metrics = Metrics(lambda: Facts(journal_oldest_s=7.0, reading_s=0.5, owner=owner, free_bytes=42, bugs=2))
    names = ("journal_oldest_seconds", "store_read_oldest_seconds", "store_lease_seconds", "store_epoch", "store_free_bytes")
    assert [value(metrics, f"suture_{name}") for name in names] == [7, 0.5, 1.5, 3, 42]
    assert value(metrics, "suture_unexpected_errors_total") == 2
    assert value(metrics, "suture_ready") == 0, "the oldest operation has been waiting for 7 s"
    assert value(Metrics(), "suture_ready") == 1
    assert ("suture_store_free_bytes", ()) not in samples(Metrics()), "of a server's disk nothing is known"


def test_connections_that_the_watchdog_closed_are_counted_by_code():
    metrics = Metrics(lambda: Facts(cleared={"DEAD_SOCKET": 3}))
    assert value(metrics, "suture_connections_cleared_total", code="DEAD_SOCKET") == 3
