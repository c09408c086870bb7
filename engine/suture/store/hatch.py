"""The hatch between the reactor and the journal's thread: operations are gathered and handed through, and told of when durable."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from suture.ports import Attempted, Held, Operation, Processed, Received, Sending, Work

PIECE = 256
"""Operations of a kind that are handed to the writer without waiting for more."""
GROUP_BYTES = 8_388_608
"""Messages and payloads of one transaction, about: the drivers copy them, and the database's log keeps them until its end."""
A_TURN = 128
"""Results that are told in one turn of the reactor: each may answer a sender or begin a delivery."""
_PATIENCE_S: dict[type, float] = {Processed: 0.006, Attempted: 0.02}
"""Seconds that an operation may wait for others of its kind."""
TURNS = 4
"""Turns of the reactor in which the others are gathered: each is some microseconds when nothing else comes, and a commit is
a thousand; senders that were answered together have sent their next messages by then, and those are committed together."""
TURNS_S = 0.005
"""Seconds after which no more turns are waited for: they are long when messages are dear to map."""
_COMPANY_S = 0.003
"""Seconds more that they may wait for operations that are in a hurry, to be committed with them."""
_SIZED = frozenset({Received, Processed})
"""Kinds that keep messages and payloads in memory."""
_TOGETHER = (Work, Sending)
"""Kinds that take along everything handed over before them: what was done first is durable first."""
APART_S = 0.25
MARKS = 256
Later = Callable[[float, Callable[[], None]], object]
Result = Callable[[], None]


class Piece(list[Operation]):
    """Operations that go to the writer together. size_bytes: what they keep in memory."""

    size_bytes = 0

    def join(self, other: Piece) -> None:
        """Take the others behind these."""
        self.extend(other)
        self.size_bytes += other.size_bytes

    def cut(self) -> list[Piece]:
        """Each for itself; the first bears the size of all."""
        pieces = [Piece((operation,)) for operation in self]
        pieces[0].size_bytes = self.size_bytes
        return pieces


class Ages:
    """How long the oldest of many things that are done in about the order they came has been waiting, without a note of each.

    Of a queue: now and then a mark is made of how many had come by then, and it is passed when so many are done.
    Marks are APART_S apart; when MARKS wait, every second one is left out, but never the oldest.
    """

    def __init__(self) -> None:
        self._done = 0
        self._marks: deque[tuple[int, float]] = deque()

    def handed(self, pending: int, now_s: float) -> None:
        """Something has come; pending: with it, so many wait."""
        if not self._marks or now_s - self._marks[-1][1] >= APART_S:
            if len(self._marks) >= MARKS:
                self._marks = deque(list(self._marks)[::2])
            self._marks.append((self._done + pending, now_s))

    def done(self, count: int) -> None:
        """So many are done."""
        self._done += count
        while self._marks and self._marks[0][0] <= self._done:
            self._marks.popleft()

    def oldest_s(self, now_s: float) -> float:
        """Seconds that the oldest has been waiting; 0 when nothing waits that came before the last mark."""
        return now_s - self._marks[0][1] if self._marks else 0.0


class Hatch:
    """The reactor's side of the journal; used on its thread alone, but for `pieces`, which the writer takes.

    later(s, f): run f after s seconds, 0 = in the next turn. bug(error): a callback raised. held: where what the pending
    operations keep in memory is counted, with what others add.
    """

    _now = staticmethod(time.perf_counter)

    def __init__(self, later: Later, bug: Callable[[Exception], None]) -> None:
        self._later, self._bug = later, bug
        self.pieces: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        self.held = Held()
        self.pending = 0
        self._gathered: dict[type, Piece] = {}
        self._waited: list[type] = []
        self._ages = Ages()
        self._results: deque[Result] = deque()

    def write(self, operation: Operation) -> None:
        """Hand over one operation; never blocks.

        Each kind is gathered by itself. Somebody waits for an acknowledgement, so received messages go after a
        few turns of the reactor; what nobody waits for goes some milliseconds later, more of it at a time: its
        statements then cost once for many messages, and do not hold up the acknowledgements.
        """
        self.pending += 1
        kind = type(operation)
        mine = self._gathered.get(kind)
        if begins := mine is None:
            mine = self._gathered[kind] = Piece((operation,))
            self._ages.handed(self.pending, self._now())
        else:
            mine.append(operation)
        if kind in _SIZED:
            added_bytes = operation.size_bytes  # type: ignore[union-attr]
            self.held.bytes += added_bytes
            mine.size_bytes += added_bytes
        if len(mine) >= PIECE or mine.size_bytes >= GROUP_BYTES:
            self._due(kind, mine)
        elif begins:
            self._begun(kind, mine)

    def _begun(self, kind: type, mine: Piece) -> None:
        """A new piece waits for others of its kind."""
        patience_s = _PATIENCE_S.get(kind)
        if patience_s is None:
            self._later(0.0, partial(self._turned, TURNS, self._now() + TURNS_S, kind, mine))
        else:
            self._later(patience_s, partial(self._ripe, kind, mine))

    def _turned(self, turns: int, until_s: float, kind: type, mine: Piece) -> None:
        """One more turn of the reactor is over, of so many."""
        if turns > 1 and self._now() < until_s and self._gathered.get(kind) is mine:
            self._later(0.0, partial(self._turned, turns - 1, until_s, kind, mine))
        else:
            self._due(kind, mine)

    def _ripe(self, kind: type, mine: Piece) -> None:
        """These have waited long enough: they go with the next that are in a hurry, or soon by themselves."""
        if self._gathered.get(kind) is mine:
            self._waited.append(kind)
            self._later(_COMPANY_S, partial(self._due, kind, mine))

    def _due(self, kind: type, mine: Piece) -> None:
        if self._gathered.get(kind) is not mine:
            return  # they have gone with others
        if kind in _TOGETHER:
            self._flush()
            return
        del self._gathered[kind]
        for other in self._waited:
            if other in self._gathered:
                mine.join(self._gathered.pop(other))
        self._waited.clear()
        self.pieces.put(mine)

    def _flush(self) -> None:
        if self._gathered:
            everything = Piece()
            for mine in self._gathered.values():
                everything.join(mine)
            self.pieces.put(everything)
            self._gathered = {}
            self._waited.clear()

    def end(self) -> None:
        """Nothing more comes: the writer is given what was gathered, and None."""
        self._flush()
        self.pieces.put(None)

    def taken(self, most: int) -> tuple[deque[Piece], bool]:
        """For the writer: wait for what is handed over, as one group of about so many or none, and whether it is the last."""
        operations = Piece()
        piece = self.pieces.get()
        try:
            while piece is not None:
                operations.join(piece)
                if len(operations) >= most or operations.size_bytes >= GROUP_BYTES:
                    return deque((operations,)), False
                piece = self.pieces.get_nowait()
        except queue.Empty:
            return deque((operations,)), False
        return deque((operations,) if operations else ()), True

    def told(self, results: list[Result], done_bytes: int) -> None:
        """A group is durable: tell of it, behind the groups before it."""
        self.held.bytes -= done_bytes
        telling = bool(self._results)
        self._results.extend(results)
        if not telling:
            self._tell()

    def _tell(self) -> None:
        count = min(A_TURN, len(self._results))
        self.pending -= count
        self._ages.done(count)
        for _ in range(count):
            try:
                self._results.popleft()()
            except Exception as e:  # one listener's bug must not keep the others from being told
                self._bug(e)
        if self._results:
            self._later(0.0, self._tell)

    def telling(self) -> bool:
        """Is there anything durable that has not been called back yet?"""
        return bool(self._results)

    def oldest_s(self) -> float:
        """Seconds that the oldest pending operation has been waiting, to within APART_S."""
        return self._ages.oldest_s(self._now())
