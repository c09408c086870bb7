"""What becomes of messages and deliveries is appended: nothing that goes through updates a row, and what is open is always found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select, text

from suture.model import states
from suture.model.message import Message
from suture.model.outcome import Accepted, Ambiguous, Held, Rejected, TryLater
from suture.model.value import changed
from suture.ports import Attempted, Delivery, Processed, Received, Sending, Settled
from suture.store import backlog, claims, dialect, rows, rulings, tables, views, write_attempts, write_processed
from suture.store.backlog import deliveries_by_id
from suture.store.codec import Codec
from suture.store.sequences import Sequences
from tests.store.desk import Desk

DAY_US = 86_400_000_000
HOT = ("received", "message_body", "made", "queued", "attempt", "sending", "claim")
_GUARD = """CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a row was changed'; END $$"""


def _guarded(engine: Engine) -> None:
    """From now on no row of the hot tables can be changed, or go."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(_GUARD))
        for table in HOT:
            for change in ("UPDATE", "DELETE"):
                body = "BEGIN SELECT RAISE(ABORT, 'a row was changed'); END"
                if engine.dialect.name == "postgresql":
                    body = "FOR EACH ROW EXECUTE FUNCTION refused()"
                connection.execute(text(f"CREATE TRIGGER no_{change}_{table} BEFORE {change} ON {table} {body}"))


def _ignore(*_: Any) -> None:
    pass


def _processed(message: Message, state: str, told: list[Settled]) -> Processed:
    deliveries = [Delivery(message.id, "c", "erp", "a", b"body", message.control_id)] if state == states.PROCESSED else []
    settled = Settled(state, "" if deliveries else "why", (), (), deliveries, ())
    return Processed(message, 2_000, DAY_US, (), settled, lambda c, s: settled, (), [("item", "X")], 0, told.append, told.append)


def _attempted(d: Delivery, number: int, state: str) -> Attempted:
    outcome = {
        states.ACCEPTED: Accepted("200"),
        states.POSTED: Accepted("200", document="DOC"),
        states.RETRYING: TryLater("503", "busy"),
        states.HELD: Held("CE", "look"),
        states.DEAD: Rejected("400", "never"),
        states.QUEUED: Ambiguous("T", "no answer"),
    }[state]
    return Attempted(d, number, 5, 6 + number, outcome, state, 7 if state == states.RETRYING else 0, outcome.reason, None, _ignore)


def test_what_goes_through_changes_no_row(engine_db: Engine) -> None:
    _guarded(engine_db)
    desk, kept = Desk(engine_db), []
    for n in range(3):
        message = Message("c", b"MSH%d" % n, 1_000, f"M{n}", "DFT^P03", "A|B", "peer")
        desk.written([Received(message, DAY_US, lambda state, m: kept.append(m), _ignore)])
    told: list[Any] = []
    desk.written([_processed(m, state, told) for m, state in zip(kept, ("processed", "filtered", "parked"), strict=True)])
    (delivery,) = told[0].deliveries
    desk.written([Sending(delivery, 4, lambda: None, _ignore)])
    with engine_db.connect() as connection:
        assert deliveries_by_id(connection, [delivery.id])[0].state == states.IN_FLIGHT
    desk.written([_attempted(delivery, 1, states.RETRYING)])
    desk.written([Sending(delivery, 8, lambda: None, _ignore)])
    desk.written([_attempted(delivery, 2, states.POSTED)])
    with engine_db.connect() as connection:
        m, d = views.message.c, views.delivery.c
        found = connection.execute(select(m.state, m.reason, m.processed_at_us).order_by(m.id)).all()
        assert [tuple(row) for row in found] == [("processed", "", 2_000), ("filtered", "why", 2_000), ("parked", "why", 2_000)]
        now = connection.execute(select(d.state, d.attempts, d.next_at_us, d.updated_at_us, d.accepted_at_us, d.posted_at_us, d.document))
        assert [tuple(row) for row in now] == [("posted", 2, 0, 8, 8, 8, "DOC")]
    assert desk.bugs == []


def test_of_a_group_that_takes_more_numbers_than_the_mark_stays_behind_all_that_is_open_is_found(engine_db: Engine) -> None:
    """512 messages with nine deliveries each: 4,608 numbers of deliveries in one transaction."""
    desk, kept, told = Desk(engine_db), [], list[Any]()
    messages = [Message("c", b"MSH", 1_000, f"M{n}", "DFT^P03", "A|B", "peer") for n in range(512)]
    desk.written([Received(m, 0, lambda state, m: kept.append(m), _ignore) for m in messages])
    group = []
    for m in kept:
        fan = [Delivery(m.id, "c", f"d{n}", "a", b"body", f"{m.id} {n}") for n in range(9)]
        settled = Settled("processed", "", (), (), fan, ())
        group.append(Processed(m, 2, 0, (), settled, lambda c, s, settled=settled: settled, (), (), 0, told.append, _ignore))
    desk.written(group)
    numbers = sorted(d.id for settled in told for d in settled.deliveries)
    with engine_db.connect() as connection:
        assert sorted(connection.execute(select(views.delivery_open.c.id)).scalars()) == numbers
        mark = connection.execute(select(tables.numbers.c.open_from).where(tables.numbers.c.kind == "delivery")).scalar()
    assert len(numbers) == 4608 and mark is not None and mark > 1000


@pytest.mark.parametrize(("late", "later"), [(states.RETRYING, states.ACCEPTED), (states.DEAD, states.RETRYING)])
def test_an_attempt_that_is_salvaged_late_does_not_come_before_a_later_one(engine_db: Engine, late: str, later: str) -> None:
    ledger = Ledger(engine_db, random.Random(1))
    with dialect.writing(engine_db) as connection:
        ledger.enqueue(connection)
        rows.execute(connection, "UPDATE numbers SET open_from = 9000 WHERE kind = 'delivery'")
        (d,) = ledger.places.values()
        rows.insert(connection, tables.waiting, ("kind", "channel", "destination", "id"), [("delivery", "c", d.destination, d.id)])
    ledger.numbers.open_from["delivery"] = 9000
    with dialect.writing(engine_db) as connection:
        write_attempts.write(connection, [_attempted(d, 2, later)], ledger.numbers, {})
    with dialect.writing(engine_db) as connection:
        salvaged = changed(_attempted(d, 1, late), salvaged="it could not be written as it was")
        write_attempts.write(connection, [salvaged], ledger.numbers, {})
    with engine_db.connect() as connection:
        now = connection.execute(select(views.delivery.c.state, views.delivery.c.attempts)).one()
        is_open = connection.execute(select(views.delivery_open.c.id)).scalars().all()
    assert tuple(now) == (later, 2)
    assert is_open == ([d.id] if later == states.RETRYING else [])


class Ledger:
    """Deliveries of a store beside what they have to be: number to state and attempts."""

    def __init__(self, engine: Engine, chance: random.Random) -> None:
        self.engine, self.chance = engine, chance
        self.known: dict[int, tuple[str, int]] = {}
        self.places: dict[int, Delivery] = {}
        self.numbers, self.codec = Sequences(), Codec(lambda: 0)
        with dialect.writing(engine) as connection:
            self.numbers.load(connection)

    def enqueue(self, connection: Connection) -> None:
        for _ in range(self.chance.randrange(1, 900)):
            self.numbers.next_delivery(connection)
        destination = self.chance.choice(("erp", "billing"))
        told: list[Settled] = []
        message = Message("c", b"MSH", 1, "M", "DFT^P03", "A|B", "peer", self.numbers.next_message(connection))
        row = (message.id, "c", 1, "received", "M", "DFT^P03", "A|B", "peer", 3)
        names = ("id", "channel", "received_at_us", "state", "control_id", "type", "sender", "peer", "size_bytes")
        rows.insert(connection, tables.received, names, [row])
        settled = Settled("processed", "", (), (), [Delivery(message.id, "c", destination, "a", b"body", "k")], ())
        one = Processed(message, 2, DAY_US, (), settled, lambda c, s: settled, (), (), 0, told.append, _ignore)
        results: dict[int, Any] = {}
        write_processed.write(connection, [one], self.numbers, results, self.codec, claims.ask(connection, [one]))
        results[id(one)]()
        (d,) = told[0].deliveries
        self.known[d.id], self.places[d.id] = (states.QUEUED, 0), d

    def _one(self, *among: str) -> int | None:
        return self.chance.choice([n for n, (state, _) in self.known.items() if state in among] or [None])  # type: ignore[list-item]

    def announce(self, connection: Connection) -> None:
        if number := self._one(states.QUEUED, states.RETRYING):
            for _ in range(self.chance.randrange(1, 3)):  # it may be announced again where it could not be sent then
                write_attempts.write_sending(connection, [Sending(self.places[number], 3, lambda: None, _ignore)], self.numbers, {})
            self.known[number] = states.IN_FLIGHT, self.known[number][1]

    def attempt(self, connection: Connection) -> None:
        if number := self._one(*states.WAITING):
            state = self.chance.choice((states.ACCEPTED, states.ACCEPTED, states.RETRYING, states.HELD, states.DEAD))
            attempts = self.known[number][1] + 1
            write_attempts.write(connection, [_attempted(self.places[number], attempts, state)], self.numbers, {})
            self.known[number] = state, attempts

    def rule(self, connection: Connection) -> None:
        if number := self._one(states.HELD, states.DEAD):
            state = self.chance.choice((states.QUEUED, states.SKIPPED))
            rulings.rule(connection, [number], state, 9, "so")
            self.known[number] = state, self.known[number][1]

    def hold(self, connection: Connection) -> None:
        if self.chance.random() < 0.1:
            waits = [n for n, (state, _) in self.known.items() if state in states.WAITING]
            assert rulings.hold(connection, views.delivery.c.state.in_(states.WAITING), 9, "restored") == len(waits)
            self.known |= {n: (states.HELD, self.known[n][1]) for n in waits}

    def step(self) -> None:
        """Something happens, in a transaction that is undone now and then."""
        before, codec = dict(self.known), self.codec
        doing = self.chance.choice(
            (self.enqueue, self.enqueue, self.attempt, self.attempt, self.attempt, self.announce, self.rule, self.hold)
        )
        try:
            with dialect.writing(self.engine) as connection:
                for _ in range(self.chance.choice((1, 1, 1, 9))):
                    doing(connection)
                self.numbers.follow(connection)
                codec.write(connection)
                if self.chance.random() < 0.1:
                    raise InterruptedError
        except InterruptedError:
            self.known = before
            self.numbers.undone()
        else:
            codec.committed()
            self.numbers.fresh = False

    def check(self) -> None:
        d, o = views.delivery.c, views.delivery_open.c
        with dialect.reading(self.engine) as connection:
            now = {row.id: (row.state, row.attempts) for row in connection.execute(select(d.id, d.state, d.attempts))}
            assert now == self.known
            open_states = views.OPEN_STATES["delivery"]
            expected = sorted(n for n, (state, _) in now.items() if state in open_states)
            assert sorted(connection.execute(select(o.id)).scalars()) == expected
            assert set(connection.execute(select(tables.waiting.c.id)).scalars()) <= set(expected), "what is over is not left there"
            for destination in ("erp", "billing"):
                mine = [n for n in expected if self.places[n].destination == destination]
                where = [d.channel == "c", d.destination == destination, d.state.in_(open_states)]
                after = self.chance.choice([0, *mine])
                found = backlog._first(connection, views.delivery, ("c", destination, after), where, 5)
                assert [row.id for row in found] == [n for n in mine if n > after][:5]


@pytest.fixture(params=range(4))
def ledger(request: pytest.FixtureRequest, engine_db: Engine) -> Iterator[Ledger]:
    yield Ledger(engine_db, random.Random(request.param))


def test_every_delivery_is_in_its_last_state_and_all_that_is_open_is_found(ledger: Ledger) -> None:
    for _ in range(120):
        ledger.step()
        ledger.check()
    with ledger.engine.connect() as connection:
        mark = connection.execute(select(tables.numbers.c.open_from).where(tables.numbers.c.kind == "delivery")).scalar()
        left = set(connection.execute(select(tables.waiting.c.id)).scalars())
    assert mark is not None and mark > 3000, "open_from went past what was open"
    assert left, "and it stands in waiting"
