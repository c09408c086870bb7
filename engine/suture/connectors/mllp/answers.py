"""Whose answer an answer is, and what it does to the messages in flight on a connection.

An acknowledgement is matched whole on MSA-2. A commit acknowledgement (CA) says that a message is stored (HL7 2.9.1 section
2.8.3): where the application's answer is waited for it only moves the deadline, else it accepts the message, and what the
application says afterwards is still this message's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from suture.connectors.mllp.control_ids import REMEMBERED, likeness
from suture.connectors.net import words
from suture.model.outcome import Accepted, Ambiguous, Outcome, Rejected, TryLater
from suture.model.value import changed
from suture.ports import Delivery, Done
from suture.wire import mllp
from suture.wire.hl7v2.exchange import ack, due
from suture.wire.hl7v2.exchange.ack import Said
from suture.wire.hl7v2.text.header import Header

if TYPE_CHECKING:
    from suture.connectors.mllp.peer import Peer
    from suture.connectors.mllp_out import Config

STORED = "CA"
"""MSA-1 of a commit acknowledgement that says: stored."""
COMMITTED = "COMMIT_ACK"
"""Code of an acceptance by a commit acknowledgement of release 2."""
LATE, FOREIGN, AFTERWARDS = "LATE_ACK", "FOREIGN_ACK", "AFTER_COMMIT"
NOTHING_WAITS = "an answer came that nothing waits for"
UNASKED = "the peer answers CA to what does not ask for it: that counts as accepted, and its application speaks later; see `ack`"


@dataclass(slots=True, eq=False)
class InFlight:
    """A message whose answer is due at deadline_s. control_id: MSH-10 of the body that goes out.

    committed: its commit acknowledgement of release 2 has come; stored: its CA.
    whole_at: of all bytes that were written on the connection, so many have to leave before the peer can have it whole.
    odd, odd_answer: an answer that came meanwhile and may be meant for it, in words and as it came.
    """

    control_id: str
    body: bytes
    delivery: Delivery
    done: Done
    deadline_s: float
    whole_at: int
    committed: bool = False
    stored: bytes = b""
    odd: str = ""
    odd_answer: bytes = b""


def with_words(outcome: Outcome, answer: bytes) -> Outcome:
    """The outcome with what the partner says of it, unless it has accepted."""
    return outcome if isinstance(outcome, Accepted) else changed(outcome, words=words.of_hl7(answer))


class Early(dict[str, "Answers | None"]):
    """Whose answers know the deliveries of a destination that a commit acknowledgement has accepted, by control id, the newest.

    Also when the connection is gone: an answer that comes over another connection than its message went by is found here.
    """

    def add(self, name: str, answers: Answers) -> None:
        """It was accepted under this control id. None: two connections know one of this name, and nobody can say which is meant."""
        earlier = self.pop(name, answers)
        self[name] = answers if earlier is answers else None
        if len(self) > REMEMBERED:
            del self[next(iter(self))]

    def drop(self, name: str, answers: Answers) -> None:
        """It has its last answer."""
        if self.get(name) is answers:
            del self[name]


def noted(outcome: Outcome, what: str) -> Outcome:
    """The outcome with one more thing that an operator should know of it."""
    return changed(outcome, reason=f"{outcome.reason}; {what}" if outcome.reason else what)


class Answers:
    """The answers of one connection of a destination."""

    def __init__(self, peer: Peer) -> None:
        destination = self._destination = peer.destination
        config = self._config = destination.config
        self._peer, self._pool, self._used = peer, destination.pool, peer.used
        self._stray = destination.complaints.stray
        self._meaning, self._after_commit = destination.meanings
        self._by_order, self._commits = config.match == "order", config.release == "2"
        self._only_commits = not config.answered
        self._early: dict[str, Delivery] = {}
        self._unheard: set[str] = set()
        self._listens_until_s = 0.0

    @property
    def expects(self) -> bool:
        """Whether more may follow: something was accepted by a CA that it did not ask for, and its application has not spoken."""
        return bool(self._unheard)

    @property
    def listens(self) -> bool:
        """Whether more may follow, and there is time for it."""
        return self.expects and self._destination.clock.seconds() < self._listens_until_s

    def take(self, answer: bytes, waiting: list[InFlight]) -> None:
        """Give the answer to the delivery that it is for; quarantine any other."""
        if self._commits and answer in (mllp.COMMIT_ACK, mllp.COMMIT_NAK):
            self._committed(answer, waiting)
            return
        said = ack.read(answer)
        if self._only_commits:
            self._unasked(said)
        elif said.flaw:
            self._without_msa(said, waiting)
        elif one := next((one for one in waiting if one.control_id == said.control_id), None):
            self._of(one, said)
        else:
            self._mismatched(said, waiting)

    def silence(self, one: InFlight) -> Accepted | None:
        """What it means that nothing came after a commit acknowledgement, where that means something: ER asks to be told of errors only."""
        if not (one.stored or one.committed) or one.odd or awaited(self._config, one) != "ER":
            return None
        code, answer = (STORED, one.stored) if one.stored else (COMMITTED, mllp.COMMIT_ACK)
        said = f"stored, and no error came in {self._config.application_timeout_s:g} s; the message asks for errors only (MSH-16 ER)"
        self._keep(one)
        return Accepted(code, answer, None, said)

    def _of(self, one: InFlight, said: Said, how: str = "") -> None:
        """An answer to this message. how: what is to be said of it beside."""
        if said.code == STORED and self._meaning[STORED] == "accept":
            self._commit(one, said, how)
            return
        outcome = with_words(ack.outcome(said, self._after_commit if one.stored else self._meaning), said.raw)
        self._peer.finish(one, noted(outcome, how) if how else outcome)

    def _committed(self, answer: bytes, waiting: list[InFlight]) -> None:
        """A commit acknowledgement of release 2, which names no message: it is for the one that waits for it, or for none."""
        one = waiting[0] if waiting else None
        if one is None or one.committed:
            self._stray(LATE, "a commit acknowledgement came that nothing waits for")
            self._peer.doubt()
            return
        one.committed = True
        if answer == mllp.COMMIT_NAK:
            self._peer.finish(one, TryLater("COMMIT_NAK", "the peer could not store it (negative commit acknowledgement)"))
        elif self._only_commits:
            self._keep(one)
            self._peer.finish(one, Accepted(COMMITTED, answer))
        else:
            one.deadline_s = self._application_due_s()

    def _unasked(self, said: Said) -> None:
        """An HL7 answer where only commit acknowledgements of release 2 are waited for."""
        if not said.flaw and (accepted := self._accepted(said.control_id)) is not None:
            accepted._spoken(said)
        else:
            self._stray("UNASKED_ACK", "an HL7 answer came where only commit acknowledgements are waited for")

    def _commit(self, one: InFlight, said: Said, how: str) -> None:
        if one.stored:
            self._stray(LATE, "a second commit acknowledgement came for a message that waits for its application")
            return
        wanted = awaited(self._config, one)
        if wanted in ("AL", "ER", "SU"):
            one.stored, one.deadline_s = said.raw, self._application_due_s()
            return
        self._keep(one)
        if not wanted:
            self._unheard.add(one.control_id)
            self._listens_until_s = self._application_due_s()
            self._destination.complaints.once("COMMIT_UNASKED", UNASKED)
        self._peer.finish(one, Accepted(said.code, said.raw, None, how))

    def _application_due_s(self) -> float:
        return self._destination.clock.seconds() + self._config.application_timeout_s

    def _keep(self, one: InFlight) -> None:
        """It is accepted, and its application may have something to say later."""
        if one.delivery.id:
            self._early[one.control_id] = changed(one.delivery, body=b"")
            self._pool.early.add(one.control_id, self)
        if len(self._early) > REMEMBERED:
            self.forget(next(iter(self._early)))

    def forget(self, name: str) -> None:
        """What was accepted early under this control id has its last answer, or is not accepted after all."""
        self._early.pop(name, None)
        self._unheard.discard(name)
        self._pool.early.drop(name, self)

    def _without_msa(self, said: Said, waiting: list[InFlight]) -> None:
        """It does not say whose it is: it is that of the one in flight, where the settings say what it means."""
        outcome = with_words(ack.outcome(said, self._meaning), said.raw)
        known = not isinstance(outcome, Ambiguous)
        if not waiting:
            self._stray(LATE, NOTHING_WAITS)
            if known:
                self._peer.doubt()
        elif known:
            self._peer.finish(waiting[0], outcome)
        else:
            self._peer.abort(outcome)

    def _mismatched(self, said: Said, waiting: list[InFlight]) -> None:
        """An answer that names nothing that is in flight here."""
        name = said.control_id
        if name in self._early:
            self._spoken(said)
        elif (number := self._used.delivery(name)) is not None:
            what = f"delivery {number}" if number else "a request for a sequence number"
            self._stray(LATE, f"an answer came for {what}, which has its answer or is no longer waited for")
        elif not (self._by_order and waiting) and (accepted := self._accepted(name)) is not None:
            accepted._spoken(said)
        elif self._by_order:
            self._in_turn(said, waiting)
        else:
            self._foreign(said, waiting)

    def _foreign(self, said: Said, waiting: list[InFlight]) -> None:
        """An answer to nothing that went out on this connection; it may be meant for what is in flight."""
        name = said.control_id
        if numbers := self._pool.elsewhere(name):
            what = f"the control id of delivery {min(numbers)}, which went over another connection"
        else:
            what = next(filter(None, (likeness(name, one.control_id) for one in waiting)), "of no message that was sent here")
        for one in waiting:
            one.odd, one.odd_answer = f"an answer came whose MSA-2 is {what}", said.raw
        if waiting:
            self._stray(FOREIGN, f"an answer came whose MSA-2 is {what}; delivery {waiting[0].delivery.id} was in flight")
        else:
            self._stray(LATE, f"{NOTHING_WAITS}; its MSA-2 is {what}")

    def _accepted(self, name: str) -> Answers | None:
        """The answers of the connection on which it was accepted early: this one, or another where no other delivery has the name."""
        if name in self._early:
            return self
        other = self._pool.early.get(name)
        return other if other is not None and self._pool.elsewhere(name) <= {other._early[name].id} else None

    def _in_turn(self, said: Said, waiting: list[InFlight]) -> None:
        """The answer of the one that is in flight, unless it is rather that of an earlier one."""
        name = said.control_id
        how = likeness(name, waiting[0].control_id) if waiting else ""
        early = None if how else self._alike(name, waiting)
        if early is not None:
            self._spoken(changed(said, control_id=early))
        elif not waiting:
            self._stray(LATE, NOTHING_WAITS)
            self._peer.doubt()
        elif not how and self._used.like(name):
            self._stray(LATE, "an answer came whose MSA-2 is like that of an earlier message")
        else:
            self._of(waiting[0], said, f"matched by its order, for its MSA-2 is {how or 'of no message that was sent here'}")

    def _alike(self, name: str, waiting: list[InFlight]) -> str | None:
        """The control id of an early acceptance that this one is like; where nothing is in flight, that of the last message."""
        found = next((sent for sent in self._early if name and likeness(name, sent)), None)
        if found is None and not waiting and self._used.last in self._early:
            return self._used.last
        return found

    def _spoken(self, said: Said) -> None:
        """The application's answer to a delivery that is accepted already."""
        outcome = ack.outcome(said, self._after_commit)
        delivery = self._early[said.control_id]
        if said.code == STORED or isinstance(outcome, Ambiguous):
            self._stray(LATE, f"an answer came for delivery {delivery.id}, which has its answer")
            return
        self.forget(said.control_id)
        if isinstance(outcome, Accepted):
            text = f"an application accepts delivery {delivery.id}, which its commit acknowledgement had accepted already"
            self._stray(AFTERWARDS, text)
            return
        self._destination.complaints.refusal(delivery.id, outcome.code)
        self._destination.refused(delivery, with_words(Rejected(outcome.code, outcome.reason, said.raw), said.raw))


def awaited(config: Config, one: InFlight) -> str:
    """The application's answer that is waited for after a CA (HL7 table 0155); "" where the message asks for neither kind.

    What is no delivery (a request for a sequence number) has one answer, of whichever kind.
    """
    if not one.delivery.id or config.ack == "commit":
        return "NE"
    if config.ack == "application":
        return "AL"
    asked = due.wants(Header.read(one.body))
    return asked.application.decode() if asked.enhanced else ""


def timed_out(config: Config, one: InFlight, odd: bytes) -> Ambiguous:
    """Its time is over. odd: bytes that came and were no frame."""
    if one.stored or one.committed:
        return _unsaid(config, one, f"its application did not answer in {config.application_timeout_s:g} s")
    return _doubt(config, one, odd, Ambiguous("ACK_TIMEOUT", f"no acknowledgement in {config.ack_timeout_s:g} s"))


def cut_off(config: Config, one: InFlight, odd: bytes) -> Ambiguous:
    """The connection has ended. odd: bytes that came and were no frame."""
    if one.stored or one.committed:
        return _unsaid(config, one, "the connection closed before its application answered")
    return _doubt(config, one, odd, Ambiguous("CONNECTION_LOST", "the connection closed before the acknowledgement came"))


def _unsaid(config: Config, one: InFlight, what: str) -> Ambiguous:
    asks = "; it was asked to answer only what succeeds (MSH-16 SU)" if awaited(config, one) == "SU" else ""
    odd = f"; {one.odd}" if one.odd else ""
    answer = one.odd_answer or one.stored
    return Ambiguous("NO_APPLICATION_ACK", f"the peer has stored it, and {what}{asks}{odd}", answer, words=words.of_hl7(answer))


def _doubt(config: Config, one: InFlight, odd: bytes, usual: Ambiguous) -> Ambiguous:
    """Why it is in doubt: an answer that did not fit, bytes that were no frame, or nothing at all."""
    if one.odd:
        return Ambiguous("ACK_MISMATCH", f"{one.odd}; {usual.reason}", one.odd_answer, words=words.of_hl7(one.odd_answer))
    if not odd.strip(b"\x00\t\n\r "):
        return usual
    if bytes.fromhex(config.start_byte) in odd:
        what, code = "an answer began and did not end as an MLLP frame does", usual.code
    else:
        what, code = f"{'an acknowledgement' if b'MSA' in odd else 'something'} came without an MLLP frame around it", "ACK_UNFRAMED"
    return Ambiguous(code, f"{what}; {usual.reason}", odd, words=words.of_hl7(odd))
