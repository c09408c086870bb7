"""The window over the store: what of a destination's waiting deliveries is in memory.

What waits is in the store; memory holds a window of it. A delivery enters the window after its commit, in the order of
its number; when the window is full, the rest stays in the store and is loaded when there is room.
"""

from __future__ import annotations

from collections import deque

from suture.model import states
from suture.pipeline.retry import Policy
from suture.ports import Delivery

LANE_READ = 64
"""Deliveries that are read at a time: of one lane that was left in the store for others to pass, and where heads fill the window."""
HEADS = 10
"""So many times the limits of the window may be taken up by heads that wait for their next attempt, so that others can pass."""


class Window:
    """The lanes of one destination, as far as they are in memory; it reads nothing itself.

    lanes: order key to what waits on it, the head first. ready: lanes whose head may go, in turn. depth: deliveries that
    wait, here and in the store; count: here. behind: others wait in the store. wanted: what is to be read now (of which
    lane, None: of all; after which number; how many), until somebody does and brings it to `loaded` or `reloaded`.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.lanes: dict[str, deque[Delivery]] = {}
        self.ready: deque[str] = deque()
        self.wanted: deque[tuple[str | None, int, int]] = deque()
        self.depth = self.count = self._bytes = self._last_id = 0
        self.behind, self._loading, self._missed = True, False, False
        self._spilled: dict[str, int] = {}  # lane to the highest number of it that memory has held
        self._skipped: set[str] = set()
        self._brought: tuple[set[int], set[int]] = (set(), set())  # what the last two reads of the store gave to memory

    def add(self, delivery: Delivery) -> bool:
        """A new delivery, committed, in the order of the numbers; whether it is taken in."""
        if self.behind or self._full():
            self.behind = self._missed = True
            return False
        self._take(delivery)
        return True

    def _take(self, delivery: Delivery) -> None:
        if delivery.id <= self._last_id:
            return  # the window brought it before the journal told of it
        self._last_id = delivery.id
        if delivery.lane in self._spilled:
            self._skipped.add(delivery.lane)
        else:
            self._accept(delivery)

    def release(self, delivery: Delivery, new: bool) -> None:
        """A delivery that a person let go, or, under a new number, asked to send again.

        A new number comes by way of the store, in its order; an old one goes to the end of its lane.
        """
        if (new and delivery.id <= self._last_id) or any(delivery.id in brought for brought in self._brought):
            return  # the store was read after the commit, and its answer was here first
        if delivery.id > self._last_id:
            self.behind = self._missed = True
            if not self._full():
                self.refill()
        elif delivery.id > self._spilled.get(delivery.lane, delivery.id):
            self._skipped.add(delivery.lane)  # it comes with its lane
        else:
            self._accept(delivery)

    def _full(self) -> bool:
        return self.count >= self._policy.memory_limit or self._bytes >= self._policy.memory_bytes

    def _accept(self, delivery: Delivery) -> None:
        self.count += 1
        self._bytes += len(delivery.body)
        lane = self.lanes.get(delivery.lane)
        if lane is None:
            self.lanes[delivery.lane] = deque((delivery,))
            self.ready.append(delivery.lane)
        else:
            lane.append(delivery)

    def leave(self, delivery: Delivery, state: str) -> None:
        """The head of a lane leaves it, in this state."""
        key = delivery.lane
        if state not in states.DELIVERED:
            for brought in self._brought:
                brought.discard(delivery.id)  # a person may let it go
        lane = self.lanes[key]
        lane.popleft()
        self.depth -= 1
        self.count -= 1
        self._bytes -= len(delivery.body)
        if lane:
            self.ready.append(key)
        else:
            del self.lanes[key]
            if key in self._spilled:
                self._reload(key)
        if self.behind and self.count <= self._policy.memory_limit // 2 and self._bytes <= self._policy.memory_bytes // 2:
            self.refill()

    # -- what is read of the store ---------------------------------------------------------------------------------

    def refill(self) -> None:
        """The next of all lanes are wanted."""
        if not self._loading:
            self._loading, self._missed = True, False
            limit = max(min(LANE_READ, self._policy.memory_limit), self._policy.memory_limit - self.count)
            self.wanted.append((None, self._last_id, limit))

    def loaded(self, deliveries: list[Delivery], more: bool) -> None:
        """What the store has of all lanes. more: there may be others after them."""
        self._loading = False
        self._brought = (self._brought[1], {delivery.id for delivery in deliveries})
        for position, delivery in enumerate(deliveries):
            if position and self._bytes >= self._policy.memory_bytes:
                more = True
                break
            self._take(delivery)
        self.behind = more or self._missed
        if self.behind and not self._full():
            self.refill()

    def let_pass(self) -> None:
        """All heads here wait: others are wanted. A full window keeps its heads and leaves to the store what stands behind them."""
        if self._full():
            self._keep_heads()
        if self.count < HEADS * self._policy.memory_limit and self._bytes < HEADS * self._policy.memory_bytes:
            self.refill()

    def _keep_heads(self) -> None:
        for key, lane in self.lanes.items():
            size = len(lane)
            while len(lane) > 1 and lane[-1].id > lane[0].id:  # a smaller number was let go by a person: keep it
                self.count -= 1
                self._bytes -= len(lane.pop().body)
            if len(lane) < size:
                self._spilled[key] = max(delivery.id for delivery in lane)

    def _reload(self, key: str) -> None:
        """A lane whose followers were left in the store is empty: the next of them are wanted."""
        self._skipped.discard(key)
        self.wanted.append((key, self._spilled[key], LANE_READ))

    def reloaded(self, key: str, deliveries: list[Delivery], more: bool) -> None:
        """What the store has of a lane whose followers were left there."""
        if key not in self._spilled:
            return
        # A number over _last_id comes again with the window, or is skipped there.
        mine = [d for d in deliveries if d.id <= self._last_id]
        self._brought = (self._brought[1], {d.id for d in mine})
        if not (more and len(mine) == len(deliveries)) and key not in self._skipped:
            del self._spilled[key]
        elif mine:
            self._spilled[key] = mine[-1].id
        elif key not in self.lanes:
            self._reload(key)
        for delivery in mine:
            self._accept(delivery)

    def measures(self) -> tuple[int, int, int]:
        """Lanes, deliveries in the longest, and created_at_us of the oldest (0 when empty)."""
        oldest_us = min((lane[0].created_at_us for lane in self.lanes.values()), default=0)
        return len(self.lanes), max(map(len, self.lanes.values()), default=0), oldest_us
