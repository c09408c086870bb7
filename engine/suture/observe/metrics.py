"""Prometheus metrics, kept as plain numbers and turned into the text format only when somebody asks.

Labels are names out of the site's files (channel, destination, table) and the fixed words of this program; never
content. So the number of series has the size of the configuration, not of the traffic.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from suture import __version__
from suture.observe.facts import Ask, ChannelFact, CountFact, Facts, QueueFact, StoreFact
from suture.observe.health import judge

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
"""Upper bounds of the latency buckets: half a millisecond (a commit) to an hour (a destination that was down)."""
OPERATIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Upper bounds of the buckets of journal batch sizes."""

Key = TypeVar("Key", bound=tuple[str, ...])
Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily

_MESSAGES = "Messages that entered a state (received, processed, filtered, duplicate, parked)"
_STAGE = "Seconds a message or delivery spent in a stage: receive_commit, process, process_commit, deliver, end_to_end"
_ATTEMPTS = "Attempts to deliver, by what they came to"
_DUPLICATES = "What came again and took no effect: kind message (the same bytes) or event (the same business key)"
_GAPS = "Lines that wait for a person, by the table that does not know a code (empty: a value is missing or malformed)"
_FINDINGS = "What validation found, by code (HL7 table 0357) and severity (E, W or I)"
_NOTES = "Remarks about messages and their lines, by code: what was skipped, and what was read otherwise than written"
_BATCH = "Operations that one journal transaction held"
_COMMIT = "Seconds that one journal transaction took, statements and commit"

_READY = "1 when messages are taken, as /readyz says, else 0"
_OLDEST = "Seconds that the oldest operation handed to the journal has been waiting to be durable"
_LEASE = "Seconds since the store confirmed last that it is this engine's; sending stops at store.lease_s"
_EPOCH = "The number of this engine's taking of the store; it grows with each"
_FREE = "Bytes free on the disk of the store's file (SQLite)"
_READING = "Seconds that the oldest look at the store has been waiting for its answer"
_BUGS = "Unexpected errors since the start; the log says where"
_LATE = "Seconds after its time that a timer of the engine's loop was called: how long one piece of work keeps the others waiting"

_FRAMING = "Oddities in a peer's MLLP framing, by code; destination is empty for the source"
_REFUSED = "Connections that the source refused, by code"
_CLEARED = "Connections that the watchdog closed, by code"
_QUARANTINED = "Answers that completed no delivery, by code"


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
        total, buckets = 0, []
        for bound, count in zip((*map(_number, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        family.add_metric(labels, buckets=buckets, sum_value=self._sum)


def _number(bound: float) -> str:
    return str(float(bound))


def _latencies() -> Histogram:
    return Histogram(SECONDS)


class _Looked(Collector):
    """Families that are there already."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> list[Family]:
        return self._families


class Metrics:
    """The numbers of one engine; implements `ports.Observer`.

    Each method is called from one thread: `batch` from the journal's or the reactor's, the others and `render` from
    the reactor's. They are called a few times a message, so they do nothing but add to a number.
    """

    def __init__(self, ask: Ask = Facts) -> None:
        """ask: gives the state of the engine at the moment of a scrape (queues, channels, journal)."""
        self._ask = ask
        self._messages: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._stages: defaultdict[tuple[str, str], Histogram] = defaultdict(_latencies)
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

    def render(self) -> bytes:
        """The page that Prometheus reads (text format 0.0.4)."""
        return self.page()()

    def page(self) -> Callable[[], bytes]:
        """Look at the numbers as they are; what is given writes the page, on any thread: with hundreds of channels that takes long."""
        families = list(self.collect())
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Looked(families))
        registry.register(self._process)
        return lambda: generate_latest(registry)

    def collect(self) -> Iterator[Family]:
        """All numbers as families."""
        facts = self._ask()
        yield _gauge("suture_ready", _READY, [], [((), float(judge(facts).ready))])
        yield from _standing(facts)
        yield from self._counters()
        yield from self._histograms()
        yield from _journal(facts)
        yield from _store(facts.store)
        yield from _queues(facts.queues)
        yield from _counts(facts.counts)
        yield _counter("suture_connections_cleared", _CLEARED, ["code"], {(code,): count for code, count in facts.cleared.items()})
        yield _channels(facts.channels)
        yield _gauge("suture_build_info", "The running version", ["version"], [((__version__,), 1)])

    def _counters(self) -> Iterator[Family]:
        yield _counter("suture_messages", _MESSAGES, ["channel", "state"], self._messages)
        yield _counter("suture_attempts", _ATTEMPTS, ["channel", "destination", "outcome"], self._attempts)
        yield _counter("suture_duplicates", _DUPLICATES, ["channel", "kind"], self._duplicates)
        yield _counter("suture_gaps", _GAPS, ["channel", "table"], self._gaps)
        yield _counter("suture_findings", _FINDINGS, ["channel", "code", "severity"], self._findings)
        yield _counter("suture_notes", _NOTES, ["channel", "code"], self._notes)

    def _histograms(self) -> Iterator[Family]:
        stages = HistogramMetricFamily("suture_stage_seconds", _STAGE, labels=["channel", "stage"])
        for labels, histogram in self._stages.items():
            histogram.into(stages, labels)
        yield stages
        for name, text, histogram in (
            ("suture_journal_batch_operations", _BATCH, self._batch),
            ("suture_journal_commit_seconds", _COMMIT, self._commit),
            ("suture_loop_late_seconds", _LATE, self._late),
        ):
            family = HistogramMetricFamily(name, text)
            histogram.into(family, ())
            yield family


def _counter(name: str, text: str, labels: list[str], values: Mapping[Key, int]) -> Family:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _gauge(name: str, text: str, labels: list[str], rows: Iterable[tuple[tuple[str, ...], float]]) -> Family:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in rows:
        family.add_metric(key, value)
    return family


def _journal(facts: Facts) -> Iterator[Family]:
    yield _gauge("suture_journal_pending", "Operations handed to the journal and not yet durable", [], [((), facts.journal_pending)])
    yield _gauge("suture_journal_limit", "Pending operations at which sockets are no longer read", [], [((), facts.journal_limit)])
    yield _gauge("suture_work_bytes", "Messages in work and payloads not yet durable, in bytes", [], [((), facts.work_bytes)])
    yield _gauge("suture_frames_bytes", "What has come of messages that have not ended, in bytes", [], [((), facts.frames_bytes)])
    yield _gauge(
        "suture_memory_limit_bytes", "Both together, above which sources are read no further", [], [((), facts.memory_limit_bytes)]
    )


def _store(fact: StoreFact) -> Iterator[Family]:
    yield _gauge("suture_store_info", "The database: kind, release and settings", ["store"], [((fact.title,), 1)])
    yield _gauge("suture_store_warnings", "What is to be mended about the database", [], [((), len(fact.unsafe + fact.warnings))])
    yield _gauge("suture_store_damaged", "1 when what the database holds is damaged, else 0", [], [((), float(fact.damaged))])


def _standing(facts: Facts) -> Iterator[Family]:
    rows: tuple[tuple[str, str, float | None], ...] = (
        ("suture_journal_oldest_seconds", _OLDEST, facts.journal_oldest_s),
        ("suture_store_read_oldest_seconds", _READING, facts.reading_s),
        ("suture_store_lease_seconds", _LEASE, facts.owner.lease_s),
        ("suture_store_epoch", _EPOCH, facts.owner.epoch),
        ("suture_store_free_bytes", _FREE, facts.free_bytes),
    )
    yield from (_gauge(name, text, [], [((), value)]) for name, text, value in rows if value is not None)
    yield _counter("suture_unexpected_errors", _BUGS, [], {(): facts.bugs})


def _channels(channels: Iterable[ChannelFact]) -> Family:
    rows = (((fact.channel,), float(fact.actual == "running")) for fact in channels)
    return _gauge("suture_channel_running", "1 when the channel runs, else 0", ["channel"], rows)


_QUEUE_GAUGES: tuple[tuple[str, str, Callable[[QueueFact], float]], ...] = (
    ("suture_queue_waiting", "Deliveries that wait for the destination", lambda fact: fact.waiting),
    ("suture_queue_lanes", "Lanes (ordered queues) with something waiting", lambda fact: fact.lanes),
    ("suture_queue_longest_lane", "Deliveries in the longest lane", lambda fact: fact.longest),
    ("suture_queue_oldest_seconds", "Age of the oldest delivery that waits, over all lanes", lambda fact: fact.oldest_s),
    ("suture_queue_in_flight", "Deliveries sent and not yet answered", lambda fact: fact.in_flight),
    ("suture_queue_failing_alone", "Deliveries that keep failing while their destination takes others", lambda fact: fact.fail_alone),
    ("suture_destination_failing_seconds", "Seconds since attempts began to fail; 0 when well", lambda fact: fact.failing_s),
)


def _queues(queues: tuple[QueueFact, ...]) -> Iterator[Family]:
    for name, text, value in _QUEUE_GAUGES:
        rows = (((fact.channel, fact.destination), float(value(fact))) for fact in queues)
        yield _gauge(name, text, ["channel", "destination"], rows)


def _counts(counts: tuple[CountFact, ...]) -> Iterator[Family]:
    sided = ["channel", "destination", "code"]
    framing = {(fact.channel, fact.destination, fact.code): fact.count for fact in counts if fact.kind == "framing"}
    yield _counter("suture_framing_quirks", _FRAMING, sided, framing)
    refused = {(fact.channel, fact.code): fact.count for fact in counts if fact.kind == "refused"}
    yield _counter("suture_connections_refused", _REFUSED, ["channel", "code"], refused)
    quarantined = {(fact.channel, fact.destination, fact.code): fact.count for fact in counts if fact.kind == "quarantined"}
    yield _counter("suture_acknowledgements_quarantined", _QUARANTINED, sided, quarantined)
