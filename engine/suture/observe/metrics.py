"""Prometheus metrics, kept as plain numbers and turned into the text format only when somebody asks.

Labels are names out of the site's files (channel, destination, table) and the fixed words of this program; never
content. So the number of series has the size of the configuration, not of the traffic.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from types import SimpleNamespace
from typing import Any, TypeVar

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from suture import __version__
from suture.observe.facts import Ask, Facts, QueueFact
from suture.observe.health import judge

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
"""Upper bounds of the latency buckets: half a millisecond (a commit) to an hour (a destination that was down)."""
OPERATIONS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
"""Upper bounds of the buckets of journal batch sizes."""

Key = TypeVar("Key", bound=tuple[str, ...])
Gauges = tuple[tuple[str, str, Callable[[Facts], float | None]], ...]
"""Name, text, and what is measured: None where it cannot be."""

_MESSAGES = "Messages that entered a state (received, processed, filtered, duplicate, parked)"
_STAGE = "Seconds a message or delivery spent in a stage: receive_commit, process, process_commit, deliver, end_to_end"
_ATTEMPTS = "Attempts to deliver, by what they came to"
_DUPLICATES = "What came again and took no effect: kind message (the same bytes) or event (the same business key)"
_GAPS = "Lines that wait for a person, by the table that does not know a code (empty: a value is missing or malformed)"
_FINDINGS = "What validation found, by code (HL7 table 0357) and severity (E, W or I)"
_NOTES = "Remarks about messages and their lines, by code: what was skipped, and what was read otherwise than written"
_BATCH = "Operations that one journal transaction held"
_COMMIT = "Seconds that one journal transaction took, statements and commit"
_LATE = "Seconds after its time that a timer of the engine's loop was called: how long one piece of work keeps the others waiting"


class Histogram:
    """Counts values by upper bound; as cheap as a bisection and two additions."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def into(self, family: HistogramMetricFamily, labels: tuple[str, ...]) -> None:
        """Add this as one series of the family, cumulated as Prometheus wants it."""
        totals = zip((*self._bounds, "+Inf"), accumulate(self._counts), strict=True)
        buckets = [(str(bound), float(total)) for bound, total in totals]
        family.add_metric(labels, buckets=buckets, sum_value=self._sum)


class Metrics:
    """The numbers of one engine; implements `ports.Observer`.

    Each method is called from one thread: `batch` from the journal's or the reactor's, the others and `page` from
    the reactor's. They are called a few times a message, so they do nothing but add to a number.
    """

    def __init__(self, ask: Ask = Facts) -> None:
        """ask: gives the state of the engine at the moment of a scrape (queues, channels, journal)."""
        self._ask = ask
        self._messages: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._stages: defaultdict[tuple[str, str], Histogram] = defaultdict(partial(Histogram, SECONDS))
        self._attempts: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._duplicates: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._gaps: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._findings: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._notes: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._batch = Histogram(OPERATIONS)
        self._commit = Histogram(SECONDS)
        self._late = Histogram(SECONDS)
        self._process = ProcessCollector(registry=None)

    def message(self, channel: str, state: str) -> None:
        self._messages[channel, state] += 1

    def stage(self, channel: str, stage: str, seconds: float) -> None:
        self._stages[channel, stage].add(seconds)

    def attempt(self, channel: str, destination: str, outcome: str) -> None:
        self._attempts[channel, destination, outcome] += 1

    def duplicate(self, channel: str, kind: str) -> None:
        self._duplicates[channel, kind] += 1

    def gap(self, channel: str, table: str) -> None:
        self._gaps[channel, table] += 1

    def finding(self, channel: str, code: int, severity: str) -> None:
        self._findings[channel, str(code), severity] += 1

    def note(self, channel: str, code: str) -> None:
        self._notes[channel, code] += 1

    def batch(self, size: int, seconds: float) -> None:
        self._batch.add(size)
        self._commit.add(seconds)

    def late(self, seconds: float) -> None:
        """A timer was called so long after its time."""
        self._late.add(seconds)

    def page(self) -> Callable[[], bytes]:
        """Look at the numbers as they are; what is given writes the page that Prometheus reads (text format 0.0.4), on any thread:
        with hundreds of channels that takes long."""
        families = list(self._collect())
        looked: Any = SimpleNamespace(collect=lambda: [*families, *self._process.collect()])
        return lambda: generate_latest(looked)

    def _collect(self) -> Iterator[Metric]:
        facts = self._ask()
        yield from _gauges(_STANDING, facts)
        yield _family(Counter, "suture_unexpected_errors", "Unexpected errors since the start; the log says where", (), {(): facts.bugs})
        yield from self._counters()
        yield from self._histograms()
        yield from _gauges(_MEMORY, facts)
        yield _family(Gauge, "suture_store_info", "The database: kind, release and settings", ("store",), {(facts.store.title,): 1})
        yield from _gauges(_STORE, facts)
        yield from _queues(facts.queues)
        yield from _counts(facts)
        running = {(fact.channel,): fact.actual == "running" for fact in facts.channels}
        yield _family(Gauge, "suture_channel_running", "1 when the channel runs, else 0", ("channel",), running)
        yield _family(Gauge, "suture_build_info", "The running version", ("version",), {(__version__,): 1})

    def _counters(self) -> Iterator[Metric]:
        yield _family(Counter, "suture_messages", _MESSAGES, ("channel", "state"), self._messages)
        yield _family(Counter, "suture_attempts", _ATTEMPTS, ("channel", "destination", "outcome"), self._attempts)
        yield _family(Counter, "suture_duplicates", _DUPLICATES, ("channel", "kind"), self._duplicates)
        yield _family(Counter, "suture_gaps", _GAPS, ("channel", "table"), self._gaps)
        yield _family(Counter, "suture_findings", _FINDINGS, ("channel", "code", "severity"), self._findings)
        yield _family(Counter, "suture_notes", _NOTES, ("channel", "code"), self._notes)

    def _histograms(self) -> Iterator[Metric]:
        tables: tuple[tuple[str, str, Sequence[str], Mapping[Any, Histogram]], ...] = (
            ("suture_stage_seconds", _STAGE, ("channel", "stage"), self._stages),
            ("suture_journal_batch_operations", _BATCH, (), {(): self._batch}),
            ("suture_journal_commit_seconds", _COMMIT, (), {(): self._commit}),
            ("suture_loop_late_seconds", _LATE, (), {(): self._late}),
        )
        for name, text, labels, histograms in tables:
            family = HistogramMetricFamily(name, text, labels=labels)
            for key, histogram in histograms.items():
                histogram.into(family, key)
            yield family


def _family(kind: type[Counter | Gauge], name: str, text: str, labels: Sequence[str], values: Mapping[Key, float]) -> Metric:
    family = kind(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


_STANDING: Gauges = (
    ("suture_ready", "1 when messages are taken, as /readyz says, else 0", lambda facts: judge(facts).ready),
    (
        "suture_journal_oldest_seconds",
        "Seconds that the oldest operation handed to the journal has been waiting to be durable",
        lambda facts: facts.journal_oldest_s,
    ),
    (
        "suture_store_read_oldest_seconds",
        "Seconds that the oldest look at the store has been waiting for its answer",
        lambda facts: facts.reading_s,
    ),
    (
        "suture_store_lease_seconds",
        "Seconds since the store confirmed last that it is this engine's; sending stops at store.lease_s",
        lambda facts: facts.owner.lease_s,
    ),
    ("suture_store_epoch", "The number of this engine's taking of the store; it grows with each", lambda facts: facts.owner.epoch),
    ("suture_store_free_bytes", "Bytes free on the disk of the store's file (SQLite)", lambda facts: facts.free_bytes),
)
_MEMORY: Gauges = (
    ("suture_journal_pending", "Operations handed to the journal and not yet durable", lambda facts: facts.journal_pending),
    ("suture_journal_limit", "Pending operations at which sockets are no longer read", lambda facts: facts.journal_limit),
    ("suture_work_bytes", "Messages in work and payloads not yet durable, in bytes", lambda facts: facts.work_bytes),
    ("suture_frames_bytes", "What has come of messages that have not ended, in bytes", lambda facts: facts.frames_bytes),
    ("suture_memory_limit_bytes", "Both together, above which sources are read no further", lambda facts: facts.memory_limit_bytes),
)
_STORE: Gauges = (
    ("suture_store_warnings", "What is to be mended about the database", lambda facts: len(facts.store.unsafe + facts.store.warnings)),
    ("suture_store_damaged", "1 when what the database holds is damaged, else 0", lambda facts: facts.store.damaged),
)
_QUEUES: tuple[tuple[str, str, Callable[[QueueFact], float]], ...] = (
    ("suture_queue_waiting", "Deliveries that wait for the destination", lambda fact: fact.waiting),
    ("suture_queue_lanes", "Lanes (ordered queues) with something waiting", lambda fact: fact.lanes),
    ("suture_queue_longest_lane", "Deliveries in the longest lane", lambda fact: fact.longest),
    ("suture_queue_oldest_seconds", "Age of the oldest delivery that waits, over all lanes", lambda fact: fact.oldest_s),
    ("suture_queue_in_flight", "Deliveries sent and not yet answered", lambda fact: fact.in_flight),
    ("suture_queue_failing_alone", "Deliveries that keep failing while their destination takes others", lambda fact: fact.fail_alone),
    ("suture_destination_failing_seconds", "Seconds since attempts began to fail; 0 when well", lambda fact: fact.failing_s),
)
SIDED = ("channel", "destination", "code")
_COUNTS = (
    ("framing", "suture_framing_quirks", "Oddities in a peer's MLLP framing, by code; destination is empty for the source", SIDED),
    ("refused", "suture_connections_refused", "Connections that the source refused, by code", ("channel", "code")),
    ("quarantined", "suture_acknowledgements_quarantined", "Answers that completed no delivery, by code", SIDED),
)


def _gauges(gauges: Gauges, facts: Facts) -> Iterator[Metric]:
    """A family for each measure that there is."""
    for name, text, measure in gauges:
        if (value := measure(facts)) is not None:
            yield _family(Gauge, name, text, (), {(): value})


def _queues(queues: Iterable[QueueFact]) -> Iterator[Metric]:
    for name, text, measure in _QUEUES:
        yield _family(Gauge, name, text, ("channel", "destination"), {(fact.channel, fact.destination): measure(fact) for fact in queues})


def _counts(facts: Facts) -> Iterator[Metric]:
    for kind, name, text, labels in _COUNTS:
        found = [fact for fact in facts.counts if fact.kind == kind]
        yield _family(Counter, name, text, labels, {tuple(getattr(fact, label) for label in labels): fact.count for fact in found})
    cleared = {(code,): count for code, count in facts.cleared.items()}
    yield _family(Counter, "suture_connections_cleared", "Connections that the watchdog closed, by code", ("code",), cleared)
