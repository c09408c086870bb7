"""Who waits for what a message comes to, until when, and what is known when the message came before.

A message that is waited for is kept by its number; what it comes to is told by the channel (`processed`) and by the lanes
(`ended`), both after the commit. A repetition joins what it repeats. None of this is durable: after a crash the sender sends
again, and the repetition is answered by what became of the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from suture.model import states
from suture.model.message import Message
from suture.ports import AckTime, Delivery, Memory, Past, Settled, TimeOfDay

T = TypeVar("T")


class Told(Protocol):
    """What an asker is told."""

    @property
    def accepted(self) -> bool:
        """Does it say yes?"""


V = TypeVar("V", bound=Told)


class Judge(Protocol[V]):
    """What an asker is told of an outcome; GOOD: that nothing is wrong."""

    GOOD: V

    def of_settled(self, settled: Settled) -> V:
        """Of a processed message."""

    def of_past(self, past: Past) -> V:
        """Of one that was processed before."""

    def of_delivery(self, state: str, destination: str) -> V | None:
        """Of the end of one delivery; None while it says nothing bad."""

    def undelivered(self, text: str) -> V:
        """Nothing is wrong with it, and it is kept."""


@dataclass(slots=True)
class _Entry(Generic[T, V]):
    """A message that is waited for. left: its deliveries that have not ended, None before it is processed; told: when they end well."""

    until_s: float
    askers: list[T]
    told: V
    left: set[int] | None = None


class Waiting(Generic[T, V]):
    """The askers of one channel. answer(asker, told): called once for each.

    when: after_process or after_delivery. within_s: how long one may wait.
    """

    def __init__(
        self,
        when: AckTime,
        within_s: float,
        clock: TimeOfDay,
        memory: Memory,
        judge: Judge[V],
        answer: Callable[[T, V], None],
    ) -> None:
        self._to_the_end, self._within_s = when == "after_delivery", within_s
        self._clock, self._memory, self._judge, self._answer = clock, memory, judge, answer
        self._entries: dict[int, _Entry[T, V]] = {}
        self._timer: Any = None
        self.askers = 0

    def wait(self, asker: T, state: str, message: Message) -> None:
        """Wait for what a stored message comes to, or tell it at once where it came before."""
        if state == states.RECEIVED:
            self._enter(message.id, asker)
        elif not message.duplicate_of:
            self._answer(asker, self._judge.GOOD)
        else:
            failed = self._judge.undelivered("what became of the first such message cannot be read")
            self._memory.recall(message.duplicate_of, partial(self._recalled, asker), lambda error: self._answer(asker, failed))

    def processed(self, number: int, settled: Settled) -> None:
        """A message's rows are durable."""
        entry = self._entries.get(number)
        if entry is None:
            return
        told = self._judge.of_settled(settled)
        if not self._to_the_end or not told.accepted:
            self._finish(number, told)
        elif settled.unrendered:
            self._finish(number, self._judge.of_delivery(states.HELD, settled.unrendered[0].delivery.destination) or told)
        elif settled.deliveries:
            entry.left, entry.told = {delivery.id for delivery in settled.deliveries}, told
        else:
            self._finish(number, told)

    def ended(self, delivery: Delivery, state: str) -> None:
        """A delivery has come to the end of its lane, durably."""
        entry = self._entries.get(delivery.message_id)
        if entry is None or entry.left is None:
            return
        bad = self._judge.of_delivery(state, delivery.destination)
        if bad is not None and delivery.id in entry.left:
            self._finish(delivery.message_id, bad)
            return
        entry.left.discard(delivery.id)
        if not entry.left:
            self._finish(delivery.message_id, entry.told)

    def _recalled(self, asker: T, past: Past) -> None:
        """What is known of the first such message: its end, or that it is still on its way, which is then waited for.

        The journal calls back in the order of what it wrote, so nothing that is still to come has been told yet.
        """
        if past.state == states.RECEIVED:
            self._enter(past.id, asker)
            return
        told = self._judge.of_past(past)
        if not self._to_the_end or not told.accepted:
            self._answer(asker, told)
            return
        bad = [found for _, destination, state in past.deliveries if (found := self._judge.of_delivery(state, destination))]
        left = {number for number, _, state in past.deliveries if state in states.WAITING}
        if bad or not left:
            self._answer(asker, bad[0] if bad else told)
        else:
            self._enter(past.id, asker).left = left

    def _enter(self, number: int, asker: T) -> _Entry[T, V]:
        entry = self._entries.get(number)
        if entry is None:
            entry = self._entries[number] = _Entry(self._clock.seconds() + self._within_s, [], self._judge.GOOD)
            if self._timer is None:
                self._timer = self._clock.callLater(self._within_s, self._overdue)
        entry.askers.append(asker)
        self.askers += 1
        return entry

    def _overdue(self) -> None:
        """Answer those who waited too long; the first of the entries is always the oldest."""
        self._timer = None
        now_s = self._clock.seconds()
        late = self._judge.undelivered(f"kept, and not done within {self._within_s:g} s; it will be done")
        while self._entries:
            number, entry = next(iter(self._entries.items()))
            left_s = entry.until_s - now_s
            if 0 < left_s < self._within_s + 1:  # more is left where the clock was set back
                self._timer = self._clock.callLater(left_s, self._overdue)
                return
            self._finish(number, late)

    def _finish(self, number: int, told: V) -> None:
        askers = self._entries.pop(number).askers
        self.askers -= len(askers)
        for asker in askers:
            self._answer(asker, told)

    def stop(self) -> None:
        """Wait for nothing any more; who still asks gets no answer, and sends again."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._entries.clear()
        self.askers = 0
