"""Messages in fragments, so that none is lost: each fragment is stored as a message of its own before it is acknowledged.

Fragments stay in state `received` until the last has come. Then the whole is stored as one more message, with the control
id of the first, and the fragments are settled as `filtered`, with its number. After a crash, whatever is still `received`
is taken in again in its order: fragments are gathered as before, and a whole that was stored already is found to be a
duplicate, so it is not processed twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from suture.conversation.hl7v2.answers import Answers, Asker
from suture.model import states
from suture.model.fault import Fault
from suture.model.finding import ERROR, SEGMENT_SEQUENCE, Finding, Location
from suture.model.message import Message
from suture.pipeline.turns import LARGE_BYTES, Turns
from suture.pipeline.world import World
from suture.ports import Received, Settled
from suture.ports.conversation import Answer, Inside, Say
from suture.wire.hl7v2.exchange.continuation import Assembler, Broken, Chain, Limits, is_fragment, links
from suture.wire.hl7v2.text.header import Header


@dataclass(slots=True)
class Fragment:
    """A stored fragment. asker: who waits for its answer, or later for the application acknowledgement; None after a restart."""

    message: Message
    header: Header
    asker: Asker | None = None


class Fragments:
    """The fragments of one channel, whose whole messages go inside."""

    def __init__(self, limits: Limits, answers: Answers, world: World, inside: Inside, window_us: int, turns: Turns) -> None:
        self._assembler: Assembler[Fragment] = Assembler(limits)
        self._journal, self._clock, self._answers = world.journal, world.clock, answers
        self._inside, self._window_us, self._turns = inside, window_us, turns
        self._timer: Any = None

    def stored(self, header: Header, state: str, message: Message, answer: Answer, say: Say | None) -> None:
        """A fragment is durable. One that came before is answered again, and counts once."""
        asker = Asker(header, message.id, answer, say)
        if state == states.RECEIVED:
            self.take(message, asker)
            return
        waiting = self._accepted(Fragment(message, header, asker))
        if waiting is not None and waiting.answer is not None:
            self._answers.stored(header, state, message, waiting.answer, say)

    def _accepted(self, fragment: Fragment, broken: bool = False) -> Asker | None:
        """Tell the sender that the fragment is kept; who still asks for the application's answer. broken: it was the last straw."""
        if fragment.asker is None:
            return None
        last = not links(fragment.header, fragment.message.raw).points_to
        return self._answers.fragment(fragment.asker, last or broken)

    def take(self, message: Message, asker: Asker | None = None) -> bool:
        """Gather a fragment that is stored; False when the message is none, and to be processed as it is."""
        header = Header.read(message.raw)
        if header is None or not is_fragment(header, message.raw):
            return False
        fragment = Fragment(message, header, asker)
        came = self._assembler.add(message.sender, header, message.raw, fragment, self._clock.seconds())
        fragment.asker = self._accepted(fragment, isinstance(came, Broken) and came.items[-1] is fragment)
        if isinstance(came, Broken):
            self._broken(came)
        elif came is not None:
            self._whole(came)
        self._watch()
        return True

    def _whole(self, chain: Chain[Fragment]) -> None:
        """Join the fragments; many of them beside the reactor, where their sender has nothing else in hand."""
        turns, peer = self._turns, chain.items[-1].message.peer
        if chain.size_bytes <= LARGE_BYTES or peer in turns.busy:
            self._store(chain, chain.joined())
        else:
            turns.begin(peer, chain.size_bytes, chain.joined, partial(self._store_later, chain))

    def _store_later(self, chain: Chain[Fragment], raw: bytes) -> Iterator[None]:
        self._store(chain, raw)
        yield

    def _store(self, chain: Chain[Fragment], raw: bytes) -> None:
        first, last = chain.items[0], chain.items[-1]
        m = first.message
        whole = Message(m.channel, raw, int(self._clock.seconds() * 1e6), m.control_id, m.type, m.sender, last.message.peer)
        self._journal.write(Received(whole, self._window_us, partial(self._joined, chain), partial(self._unjoined, chain)))

    def _joined(self, chain: Chain[Fragment], state: str, whole: Message) -> None:
        first, asker = chain.items[0].header, chain.items[-1].asker
        if asker is not None:
            self._answers.whole(first, asker, state, whole)
        for fragment in chain.items:
            self._inside.settle(fragment.message, Settled.filtered(f"a fragment of message {whole.id}"), None)
        if state == states.RECEIVED:
            self._inside.received(whole)

    def _unjoined(self, chain: Chain[Fragment], error: Exception) -> None:
        self._broken(Broken("STORE", f"the whole message cannot be stored ({type(error).__name__})", chain.items))

    def _broken(self, broken: Broken[Fragment]) -> None:
        """Park every fragment: they wait for a person together. Who sent the last of them is told, when that is durable."""
        finding = Finding(SEGMENT_SEQUENCE, ERROR, Location("DSC"), broken.reason)
        asker = broken.items[-1].asker
        for fragment in broken.items:
            settled = Settled.parked(Fault(broken.code, "map", "", broken.reason), [finding])
            tell = partial(self._answers.broken, asker, finding) if asker and fragment is broken.items[-1] else None
            self._inside.settle(fragment.message, settled, tell)

    def _watch(self) -> None:
        """One timer, for the chain that expires first."""
        self.stop()
        at_s = self._assembler.next_s()
        self._timer = None if at_s is None else self._clock.callLater(max(0.0, at_s - self._clock.seconds()), self._expired)

    def _expired(self) -> None:
        for broken in self._assembler.expired(self._clock.seconds()):
            self._broken(broken)
        self._watch()

    def stop(self) -> None:
        """Gather no more; the fragments are in the store, and are gathered again at the next start."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
