"""Who reads on while memory is short: everyone gets there, the oldest first, and small messages do not wait for large ones."""

from __future__ import annotations

import random

import pytest
from twisted.internet.task import Clock

from suture.connectors.net.room import LOOK_S, READ_BYTES, Room
from suture.ports import Held

MB = 1_000_000
LIMIT = 10 * MB


class Sender:
    """A connection that brings a message of so many bytes, a read at a time, as long as it is read."""

    def __init__(self, world: World, size_bytes: int, stalls_at: int | None = None) -> None:
        self.world, self.size_bytes, self.came, self.waits, self.stalls_at = world, size_bytes, 0, False, stalls_at

    def make_wait(self, waits: bool) -> None:
        self.waits = waits

    def read(self) -> None:
        """What one turn of the reactor brings."""
        if self.waits or self.came >= self.size_bytes or (self.stalls_at is not None and self.came >= self.stalls_at):
            return
        before, self.came = self.came, min(self.size_bytes, self.came + READ_BYTES)
        if self.came == self.size_bytes:
            self.world.handed_on(self)
            self.world.room.changed(self, before, 0)
        else:
            self.world.room.changed(self, before, self.came)

    def hang_up(self) -> None:
        self.world.room.changed(self, self.came, 0)
        self.stalls_at = 0


class World:
    """Senders around one room; what they hand on is processed a message at a time, some turns later."""

    def __init__(self, limit_bytes: int = LIMIT, turns: int = 3) -> None:
        self.clock, self.held, self.turns = Clock(), Held(), turns
        self.room = Room(limit_bytes, self.held, self.clock.callLater)
        self.work: list[list[int]] = []
        self.done: list[Sender] = []
        self.most_bytes = 0

    def handed_on(self, sender: Sender) -> None:
        self.done.append(sender)
        self.held.bytes += sender.size_bytes
        self.work.append([sender.size_bytes, self.turns])

    def turn(self, senders: list[Sender]) -> None:
        for sender in senders:
            sender.read()
            self.most_bytes = max(self.most_bytes, self.room.taken_bytes)
        if self.work:
            self.work[0][1] -= 1
            if self.work[0][1] <= 0:
                self.held.bytes -= self.work.pop(0)[0]
        self.clock.advance(LOOK_S)

    def run(self, senders: list[Sender], wanted: int, turns: int = 20_000) -> None:
        for _ in range(turns):
            if len(self.done) >= wanted:
                return
            self.turn(senders)
        raise AssertionError(f"{len(self.done)} of {wanted} after {turns} turns")


def test_many_large_messages_at_once_all_get_there_within_the_limit_and_one_message_more() -> None:
    world = World()
    senders = [Sender(world, 5 * MB) for _ in range(200)]
    world.run(senders, 200)
    assert world.most_bytes <= LIMIT + 5 * MB + len(senders) * 2 * READ_BYTES
    while world.work:
        world.turn([])
    assert (world.room.taken_bytes, world.room.waiting) == (0, 0)


def test_a_message_that_is_larger_than_the_limit_is_taken_alone() -> None:
    world = World(MB)
    world.run([Sender(world, 16 * MB) for _ in range(3)], 3)


def test_a_small_message_does_not_wait_for_the_large_ones() -> None:
    world = World(turns=50)
    large = [Sender(world, 5 * MB) for _ in range(50)]
    while not world.room.waiting:
        world.turn(large)
    small = Sender(world, 3000)
    world.turn([*large, small])
    assert small in world.done and len(world.done) < 50


def test_new_large_messages_without_end_do_not_starve_the_old_ones() -> None:
    world = World()
    old = [Sender(world, 5 * MB) for _ in range(20)]
    senders = list(old)
    for _ in range(5000):
        senders = [one for one in senders if one not in world.done]
        senders += [Sender(world, 5 * MB) for _ in range(40 - len(senders))]
        world.turn(senders)
        if set(old) <= set(world.done):
            break
    assert set(old) <= set(world.done)
    assert len(world.done) <= 3 * len(old), "new ones went first"


def test_a_large_message_that_stops_coming_is_all_that_is_waited_for_until_it_is_given_up() -> None:
    """Its time is the source's to watch; the room must go on when the connection is closed."""
    world = World()
    stalled = [Sender(world, 9 * MB, stalls_at=6 * MB) for _ in range(2)]
    for _ in range(400):
        world.turn(stalled)
    other, small = Sender(world, 5 * MB), Sender(world, 500)
    for _ in range(20):
        world.turn([*stalled, other, small])
    assert small in world.done and other not in world.done
    for one in stalled:
        one.hang_up()
    world.run([other], 2)


def test_while_the_store_takes_nothing_no_large_frame_goes_on() -> None:
    world = World(turns=10**9)
    senders = [Sender(world, 5 * MB) for _ in range(50)]
    for _ in range(5000):
        world.turn(senders)
    assert world.most_bytes <= LIMIT + 5 * MB + 50 * 2 * READ_BYTES
    assert world.room.waiting


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_and_goes_nobody_is_forgotten(seed: int) -> None:
    chance = random.Random(seed)
    world = World(turns=chance.choice([1, 2, 8]))
    senders: list[Sender] = []
    gone = 0
    for _ in range(300):
        if chance.random() < 0.4:
            senders.append(Sender(world, chance.choice([200, 70_000, MB, 5 * MB, 12 * MB])))
        unfinished = [one for one in senders if one not in world.done and one.stalls_at is None]
        if unfinished and chance.random() < 0.05:
            chance.choice(unfinished).hang_up()
            gone += 1
        world.turn(senders)
    world.run(senders, len(senders) - gone)
    while world.work:
        world.turn(senders)
    assert (world.room.taken_bytes, world.room.waiting) == (0, 0)
