"""What stands in tests for a part of the world, once for all of them. The store is always the real one, driven by hand."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine, delete, select
from twisted.internet import defer
from twisted.internet.task import Clock

from suture.model import states
from suture.model.message import Message
from suture.model.outcome import Accepted, Outcome
from suture.model.value import changed
from suture.pipeline.breaker import Breaker
from suture.pipeline.retry import Policy
from suture.pipeline.world import World
from suture.ports import Delivery, Held, Operation, Settled, Work
from suture.runtime import RunningChannel, Stored
from suture.store import again, dialect, tables, views
from suture.store.backlog import Reader, deliveries_by_id
from suture.store.fitness import Fitness
from suture.store.journal import Journal
from suture.store.past import Memory
from suture.store.tenure import Tenure
from suture.supervisor import Supervisor
from suture.telling import Condition, Records
from tests import filling


class Silent:
    """An observer that is told everything and does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *given, **named: None


class Listening(Silent):
    """An observer that keeps what it was told of messages, remarks, and groups of the journal."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.notes: list[tuple[str, str]] = []
        self.groups: list[int] = []

    def message(self, channel: str, state: str) -> None:
        self.messages.append(state)

    def note(self, channel: str, code: str) -> None:
        self.notes.append((channel, code))

    def batch(self, size: int, seconds: float) -> None:
        self.groups.append(size)


class Inward:
    """What stands behind a conversation, and keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.settled: list[tuple[Message, Settled]] = []

    def received(self, message: Message) -> None:
        self.messages.append(message)

    def settle(self, message: Message, settled: Settled, then: Callable[[], None] | None = None) -> None:
        self.settled.append((message, settled))
        if then:
            then()


class Handed:
    """A journal that keeps what it is handed, until a test says what becomes of it."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def write(self, operation: Any) -> None:
        self.asked.append(operation)

    def pending(self) -> int:
        return len(self.asked)

    def takes(self, state: str = states.RECEIVED) -> None:
        """The messages that wait are durable."""
        asked, self.asked = self.asked, []
        for number, one in enumerate(asked, 1):
            one.done(state, changed(one.message, id=number))

    def refuses(self, error: Exception | None = None) -> None:
        """What waits cannot be stored."""
        asked, self.asked = self.asked, []
        for one in asked:
            one.failed(error or OSError("disk"))


class Empty:
    """A backlog in which nothing waits."""

    def load(
        self, channel: str, destination: str, lane: str | None, after_id: int, limit: int, done: Callable[[list[Any], bool], None]
    ) -> None:
        done([], False)


def world(journal: Any, clock: Any, backlog: Any = None, **more: Any) -> World:
    """A world in which nothing is random, nobody observes, all is done at once, and nothing waits unless there is a backlog."""
    given = {"observer": Silent(), "memory": Memory(journal), "random": lambda: 0.0, "may_send": lambda: True, "held": Held()}
    given |= {"soon": lambda call: call(), "aside": lambda work, done: done(work()), **more}
    return World(journal, Empty() if backlog is None else backlog, clock, **given)


class Scripted:
    """A destination that answers each send with the next outcome of a script (Accepted when it is over), after a moment."""

    def __init__(self, clock: Clock, script: Sequence[Outcome] = (), after_s: float = 0.01) -> None:
        self.clock, self.script, self.after_s = clock, list(script), after_s
        self.sent: list[int] = []
        self.busy = self.most_busy = 0

    def send(self, delivery: Delivery, done: Callable[[Outcome], None]) -> None:
        self.sent.append(delivery.id)
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        self.clock.callLater(self.after_s, self._answer, self.script.pop(0) if self.script else Accepted("AA"), done)

    def _answer(self, outcome: Outcome, done: Callable[[Outcome], None]) -> None:
        self.busy -= 1
        done(outcome)

    def cut(self, code: str, reason: str) -> None: ...

    def close(self) -> None: ...


class AtOnce(Reader):
    """The real backlog, which is read and answers when it is asked."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, lambda call: call(), lambda seconds, retry: _never(retry), threads=0, bug=_never)

    def read(self, query: Callable[[Connection], Any], done: Callable[[Any], None]) -> None:
        super().read(query, done)
        job = self._jobs.get_nowait()
        assert job is not None
        job()


class _OneByOne(Journal):
    """The real journal without its thread; what it tells after a commit is told one by one."""

    def __init__(self, engine: Engine, told: deque[Callable[[], None]]) -> None:
        super().__init__(engine, lambda call: call(), Silent(), _never, _never)
        self._store.checkpoints = None  # which would have a thread, and a connection
        self._store.begin(self.tenure)
        self._hatch.told, self._ready = self._done, told  # type: ignore[method-assign]
        self._connection: Connection | None = None

    def _done(self, results: list[Callable[[], None]], done_bytes: int) -> None:
        self.held.bytes -= done_bytes
        self._hatch.pending -= len(results)
        self._ready.extend(results)

    def commit(self) -> None:
        """One transaction of all that was handed over."""
        if self._hatch.pieces.empty():
            return
        self._connection = self._connection or self._store.open(self._trouble.prove)
        groups, _ = self._hatch.taken(self._batch)
        while groups:
            self._write(self._connection, groups)

    def close(self) -> None:
        """Let go of the database."""
        self._store.leave(self._connection)
        self._store.end()


def _never(what: object) -> None:
    raise AssertionError(what)


class ByHand:
    """The real store on a database of its own, whose journal writes and tells, and whose backlog is read, when a test says so.

    Journal and backlog in one: with a clock, all that is due is done in its next turn. Each begins with an empty store.
    """

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        self.engine, self._clock = engine, clock
        self.told: deque[Callable[[], None]] = deque()
        self.answers: deque[Callable[[], None]] = deque()
        self.journal = _OneByOne(engine, self.told)
        self.reader = Reader(engine, self.answers.append, lambda seconds, retry: _never(retry), threads=0, bug=_never)
        self.rows = filling.Store(engine)
        with dialect.writing(engine) as connection:
            of_deliveries = (tables.attempt, tables.sending, tables.waiting, tables.exception, tables.queued)
            for table in (*of_deliveries, tables.made, tables.message_body, tables.received):
                connection.execute(delete(table))
        self.rows.message(id=1, channel="c")

    # -- the ports

    def write(self, operation: Operation) -> None:
        self.journal.write(operation)
        if self._clock:
            self._clock.callLater(0, self._turn)

    def pending(self) -> int:
        return self.journal.pending()

    def load(self, *wanted: Any) -> None:
        self.reader.load(*wanted)
        self._asked()

    def _asked(self) -> None:
        if self._clock:
            self.read()
            self._clock.callLater(0, self.answer)

    def _turn(self) -> None:
        self.commit()
        while self.told:
            self.tell()

    # -- what a test decides

    def commit(self) -> None:
        """One transaction of all that was handed over."""
        self.journal.commit()

    def tell(self) -> None:
        """Tell of the next that is committed."""
        if self.told:
            self.told.popleft()()

    def read(self) -> None:
        """The store looks; its answer is on its way."""
        with suppress(queue.Empty):
            job = self.reader._jobs.get_nowait()
            assert job is not None
            job()

    def answer(self) -> None:
        """The answer of a read comes."""
        if self.answers:
            self.answers.popleft()()

    def put(self, number: int, lane: str, state: str = states.QUEUED) -> Delivery:
        """A delivery of this number, as it is told of after its commit."""
        self.rows.delivery(
            1, "d", state, b"x", id=number, channel="c", lane=lane, attempts=0, idempotency_key=f"key {number}", created_at_us=0
        )
        return self.delivery(number)

    def delivery(self, number: int) -> Delivery:
        """A delivery, as it is in the store."""
        with self.engine.connect() as connection:
            return deliveries_by_id(connection, [number])[0]

    def let_go(self, number: int) -> Delivery:
        """Let go what is held or dead, as a person does."""
        with dialect.writing(self.engine) as connection:
            (released,) = again.release(connection, [number], 0, lambda *bare: "").deliveries
        return released

    def column(self, name: str) -> dict[int, Any]:
        """A column of the deliveries, by their numbers; those below 1 are there only to be sent again."""
        d = views.delivery.c
        with self.engine.connect() as connection:
            return dict(connection.execute(select(d.id, d[name]).where(d.id > 0).order_by(d.id)).all())

    @property
    def states(self) -> dict[int, str]:
        """The states of the deliveries, by their numbers."""
        return self.column("state")

    def reasons(self, number: int) -> list[str]:
        """The reasons of a delivery's attempts."""
        with self.engine.connect() as connection:
            c = tables.attempt.c
            return list(connection.execute(select(c.reason).where(c.delivery_id == number).order_by(c.number)).scalars())

    def close(self) -> None:
        """Let go of the database."""
        self.journal.close()


# -- channels without transports, and who has them ---------------------------------------------------------------------

DRAIN_S = 8
"""The default of limits.drain_s."""


class Lane:
    """A destination's lanes with something in flight, as long as a test says."""

    def __init__(self) -> None:
        self.running, self.in_flight, self.breaker = False, 0, Breaker(Policy(), lambda: 0.0)

    def start(self, depth: int) -> None:
        self.running, self.in_flight = True, 1

    def stop(self) -> None:
        self.running = False


class Core:
    """A channel's core: what it has recovered; parks: called with each, with a reason to halt."""

    in_work = 0

    def __init__(self) -> None:
        self.conversation = self
        self.recovered: list[Any] = []
        self.parks: Callable[[str], None] | None = None

    def begin(self, done: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        done()

    def recover(self, message: Any) -> None:
        self.recovered.append(message)
        if self.parks:
            self.parks("message 1 is parked, and the channel says on_error: stop")

    def stop(self) -> None: ...


class Door:
    """A source. opens, closes: what these raise, if anything; ends: what its end waits for; was: how often it was opened, closed."""

    def __init__(self) -> None:
        self.is_open = False
        self.was = [0, 0]
        self.opens: Exception | None = None
        self.closes: Exception | None = None
        self.ends: defer.Deferred[None] = defer.succeed(None)

    def open(self) -> None:
        if self.opens:
            raise self.opens
        self.is_open = True
        self.was[0] += 1

    def set_full(self, full: bool) -> None: ...

    def held(self) -> list[Any]:
        return []

    async def close(self, timeout_s: float) -> None:
        await self.ends
        if self.closes:
            raise self.closes
        self.is_open = False
        self.was[1] += 1


class Left:
    """A message that was received and not processed."""

    def __init__(self, number: int) -> None:
        self.id = number


class Asked:
    """Answers a read when a test says; with nothing, where there is no database."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.received: list[Left] = []
        self.database: Engine | None = None

    def read(self, query: Any, done: Callable[[Any], None]) -> None:
        self.waiting.append(lambda: done(self._found(query)))

    def _found(self, query: Any) -> Any:
        if self.database is None:
            return {}
        with dialect.reading(self.database) as connection:
            return query(connection)

    def load_received(self, channel: str, after_id: int, limit: int, done: Callable[[Any], None]) -> None:
        self.waiting.append(lambda: done([m for m in self.received if m.id > after_id]))

    def answer(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()

    def stop(self) -> None: ...


class Writer:
    """A journal that commits at once, or only says that it did where there is no database; when a test says, if it is slow."""

    ident = 1

    def __init__(self) -> None:
        self.database: Engine | None = None
        self.is_stopped = self.slow = False
        self.tenure = Tenure()
        self.waiting: list[Work] = []

    def write(self, work: Work) -> None:
        assert not self.is_stopped
        self.waiting.append(work)
        if not self.slow:
            self.answer()

    def answer(self) -> None:
        while self.waiting:
            work = self.waiting.pop(0)
            result = None
            if self.database is not None:
                with dialect.writing(self.database) as connection:
                    result = work.run(connection)
            work.done(result)

    def pending(self) -> int:
        return 0

    def telling(self) -> bool:
        return False

    def stop(self) -> None:
        self.is_stopped = True

    def is_alive(self) -> bool:
        return not self.is_stopped


class Bench(RunningChannel):
    """A channel with the real start and stop, without transports. halts(reason): it meets an error, and says on_error: stop."""

    lane: Lane
    core: Core  # type: ignore[assignment]
    source: Door  # type: ignore[assignment]

    def __init__(self, name: str, reactor: Any, reader: Any, journal: Any, halted: Callable[[str, str], None]) -> None:
        parts: tuple[Any, ...] = Door(), Core(), {"erp": Lane()}
        super().__init__(name, Stored(name, reader, world(journal, reactor)), reactor, *parts, {}, {})
        self.lane = parts[2]["erp"]
        self._told = halted

    def halts(self, reason: str) -> None:
        self.park(reason)
        self._told(self.name, reason)


class Hall(Supervisor):
    """A supervisor of benches. broken, shut: what is raised where the channel of a name is made, and where its source is opened.

    met: the errors it was told of. said: what it told of channels.
    """

    def __init__(self, *names: str) -> None:
        self.clock, self.reading, self.writer = Clock(), Asked(), Writer()
        self.built: list[Bench] = []
        self.met: list[Exception] = []
        self.broken: dict[str, Exception] = {}
        self.shut: dict[str, Exception] = {}
        self.said: list[tuple[str, str, str, str]] = []
        self.records = Records(self.writer, self.clock, Condition("", Fitness("")), lambda: None, lambda: None)  # type: ignore[arg-type]
        files: Any = {name: name for name in names}
        read: Any = self._files_of
        ways = self._made, read, self._say, self.records.destinations
        super().__init__(files, *ways, lambda: False, lambda: DRAIN_S, self.met.append)

    async def _files_of(self, name: str) -> str:
        return name

    def _made(self, name: Any) -> RunningChannel:
        if name in self.broken:
            raise self.broken[name]
        bench = Bench(name, self.clock, self.reading, self.writer, self.halted)
        bench.source.opens = self.shut.get(name)
        self.built.append(bench)
        return bench

    def _say(self, *told: str) -> None:
        self.said.append(told)  # type: ignore[arg-type]
        self.records.channel(*told)

    def do(self, verb: Any) -> list[Any]:
        """Begin to do it; what it comes to is in the list when it is done."""
        came: list[Any] = []
        defer.Deferred.fromCoroutine(verb).addBoth(came.append)
        return came

    def wait(self, seconds: float) -> None:
        """Let the time go by, with the store answering."""
        for _ in range(int(seconds * 100) + 1):
            self.reading.answer()
            self.writer.answer()
            self.clock.advance(0.01)

    def answered(self) -> None:
        """Whatever was sent is answered."""
        for bench in self.built:
            bench.lane.in_flight = 0
