"""One connection to an MLLP peer: what is in flight on it, whose answer an answer is, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet import protocol
from twisted.internet.interfaces import IHandshakeListener
from twisted.python.failure import Failure
from zope.interface import implementer

from suture.connectors.mllp.answers import Answers, InFlight, cut_off, timed_out
from suture.connectors.mllp.control_ids import Used, identity
from suture.connectors.net import sockets, tls
from suture.connectors.net.complaints import Complaints
from suture.model.outcome import Accepted, Ambiguous, Outcome, TryLater, Unavailable
from suture.ports import Delivery, Done
from suture.wire import mllp

if TYPE_CHECKING:
    from suture.connectors.mllp_out import Destination

END_WAIT_S = 1.0
"""Seconds after which an end byte counts though nothing follows it."""
ODD_BYTES = 1024
"""As much as is kept of what came and is no whole frame."""
EARLY = Ambiguous("EARLY_ANSWER", "the peer accepted it before the whole message was written")
UNSEEN = TryLater("NOT_SENT", "the connection ended before the whole message was written, so that the peer cannot have taken it")


class Heard:
    """What a peer has said on one connection, as far as it is no answer yet. anything: it has sent something.

    odd: how that begins which came since its last answer.
    """

    def __init__(self, limit_bytes: int, framing: mllp.Framing, complaints: Complaints) -> None:
        self.unframer = mllp.Unframer(limit_bytes, framing)
        self._complaints = complaints
        self.anything = False
        self.odd = b""
        self._quirks = 0
        self._lone_end_s: float | None = None

    def settled(self, now_s: float) -> list[bytes]:
        """The answer that ends with a lone end byte, when nothing has followed it for long enough; else none."""
        if not self.unframer.may_have_ended:
            self._lone_end_s = None
        elif self._lone_end_s is None:
            self._lone_end_s = now_s
        elif now_s - self._lone_end_s >= END_WAIT_S:
            return self.unframer.settle()
        return []

    def complain(self) -> None:
        """Say what is odd about the framing."""
        if len(self.unframer.quirks) != self._quirks:
            self._quirks = len(self.unframer.quirks)
            for code in self.unframer.quirks:
                self._complaints.framing(code)


class Written:
    """Of one connection. at_s: when it was last written on, or begun. size_bytes: all that was written; messages: in so many."""

    __slots__ = ("at_s", "messages", "size_bytes")

    def __init__(self, now_s: float) -> None:
        self.at_s, self.messages, self.size_bytes = now_s, 0, 0

    def lacks(self, whole_at: int, transport: Any) -> bool:
        """Whether so many of the bytes have not all left."""
        return self.size_bytes - sockets.unsent_bytes(transport) < whole_at


@implementer(IHandshakeListener)
class Peer(protocol.Protocol):
    """One connection; `waiting` are the messages whose answers are due, the oldest first.

    usable: more may be sent on it. ready: it was, once. used: what went out on it. answers: messages that have their answer.
    listening: it is open for what applications may still say.
    """

    transport: Any

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.heard = Heard(destination.config.limit_bytes, destination.framing, destination.complaints)
        self.written = Written(destination.clock.seconds())
        self.waiting: list[InFlight] = []
        self.used = Used()
        self._judge = Answers(self)
        self.answers = 0
        self.ready = self.usable = self.ending = self.listening = False
        self.why = ""

    def connectionMade(self) -> None:  # noqa: N802
        self._socket = sockets.bare(self.transport)
        sockets.prepare(self.transport, self.destination.config.keepalive_s)
        if self.destination.config.tls is None:
            self._open()
        else:
            self.destination.dialling.shaking.add(self)

    def handshakeCompleted(self) -> None:  # noqa: N802
        """TLS is agreed on; nothing is sent to a server whose certificate is another's."""
        name = self.destination.dialling.server_name
        if tls.is_for(self.transport.getHandle(), name):
            self._open()
        else:
            self.cut(f"its certificate is not for {name}")

    def _open(self) -> None:
        if self.gone:
            self.cut("it ends connections as soon as they are made")
            return
        self.ready = self.usable = True
        self.destination.dialling.shaking.discard(self)
        self.destination.connected(self)

    def cut(self, why: str) -> None:
        """Give the connection up before it was of use."""
        self.why = why
        self.transport.abortConnection()

    @property
    def gone(self) -> bool:
        """Whether the peer has ended it, be it told or not: what is not written on it now, the peer cannot have seen."""
        return sockets.tcp_info(self._socket)[0] in sockets.ENDED

    def send(self, control_id: str, body: bytes, delivery: Delivery, done: Done) -> None:
        """Send a delivery with this body, whose MSH-10 is control_id; done is called once, later."""
        destination, written = self.destination, self.written
        frame = destination.framing.frame(body)
        written.size_bytes += len(frame)
        written.messages += 1
        written.at_s = destination.clock.seconds()
        self.used.add(control_id, identity(delivery), delivery.id)
        whole_at = written.size_bytes - len(destination.framing.end) + 1
        self.waiting.append(InFlight(control_id, body, delivery, done, written.at_s + destination.config.ack_timeout_s, whole_at))
        sockets.write_now(self.transport, frame)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        heard = self.heard
        heard.anything = True
        try:
            answers = heard.unframer.feed(data)
        except mllp.FrameTooLarge:
            self.abort(Ambiguous("ACK_TOO_LARGE", f"the answer is over {self.destination.config.limit_bytes} bytes"))
            return
        for answer in answers:
            self._answered(answer)
        heard.odd = b"" if answers else heard.odd + data[: ODD_BYTES - len(heard.odd)]
        if heard.unframer.quirks:
            heard.complain()

    def _answered(self, answer: bytes) -> None:
        self._judge.take(answer, self.waiting)
        if self.listening and not self._judge.listens:
            self.close()

    def doubt(self) -> None:
        """Whose the next answer is cannot be known: no more is sent on it."""
        self.usable = False
        if not self.waiting:
            self.end()

    def finish(self, one: InFlight, outcome: Outcome) -> None:
        """A message in flight has its outcome."""
        self.waiting.remove(one)
        self.answers += 1
        if self.destination.config.release == "2" and not one.committed:
            self.usable = False  # a commit acknowledgement that still comes would be taken for the next message's
        if self.written.lacks(one.whole_at, self.transport):
            self.usable = False
            self._judge.forget(one.control_id)
            outcome = EARLY if isinstance(outcome, Accepted) else outcome
        if self.answers == 1:
            self.destination.dialling.backoff.worked()
        if self.usable and not self.destination.habit.full(self.written.messages):
            self.destination.free(self)
        elif not self.waiting:
            self.end()
        one.done(outcome)

    def abort(self, outcome: Outcome) -> None:
        """Answers on this connection cannot be placed any more: it is never used again, and all on it have this outcome."""
        self.usable, waiting, self.waiting = False, self.waiting, []
        unseen = [one for one in waiting if self.written.lacks(one.whole_at, self.transport)]
        self.transport.abortConnection()
        for one in waiting:
            one.done(UNSEEN if one in unseen else outcome)

    def look(self, now_s: float) -> None:
        """What time has brought: answers that did not come, one without its last byte, a rest that was too long."""
        for answer in (settled := self.heard.settled(now_s)):
            self._answered(answer)
        if settled:
            self.heard.complain()
        late = [one for one in self.waiting if one.deadline_s <= now_s]
        for one in late[:]:
            if (accepted := self._judge.silence(one)) is not None:
                late.remove(one)
                self.finish(one, accepted)
        if late:
            self._give_up(late)
        elif self.usable and not self.waiting and now_s - self.written.at_s > self.destination.config.idle_s:
            self.end()  # a firewall may have forgotten it
        elif self.listening and not self._judge.listens:
            self.close()

    def _give_up(self, late: list[InFlight]) -> None:
        """Wait no longer for these; the connection stays until the others have their answers, or their time is over."""
        self.usable = False
        self.waiting = [one for one in self.waiting if one not in late]
        unseen = [] if self.waiting else [one for one in late if self.written.lacks(one.whole_at, self.transport)]
        if not self.waiting and (unseen or not self._listen()):
            self.transport.abortConnection()
        for one in late:
            one.done(UNSEEN if one in unseen else timed_out(self.destination.config, one, self.heard.odd))

    def end(self) -> None:
        """Send no more on it, and close it; nothing is in flight. It stays open for what an application may still say."""
        if not self._listen():
            self.close()

    def _listen(self) -> bool:
        """Stay open beside the connections that carry messages, if there is anything to be heard."""
        self.usable = False
        if self.connected and self.destination.config.listening and self._judge.listens and not self.listening:
            self.listening = self.ending = True
            self.destination.listen(self)
        return self.listening

    def close(self) -> None:
        """Close it; nothing is in flight, and nothing is waited for."""
        self.usable, self.ending, self.listening = False, True, False
        if self.destination.config.tls is not None or self.gone or sockets.unsent_bytes(self.transport):
            self.transport.abortConnection()  # over TLS it says goodbye, and does not wait for the peer's
        else:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802
        self.usable = self.listening = False
        self.connected = 0
        config = self.destination.config
        why = tls.plain(reason, self.transport.getHandle() if config.tls else None)
        if not self.ready:
            self.destination.dialling.shaking.discard(self)
            self.destination.failed("TLS" if config.tls else "CONNECT", self.why or why or tls.ENDED)
            return
        for answer in self.heard.unframer.close() if self.waiting or self._judge.expects else ():
            self._answered(answer)
        waiting, self.waiting = self.waiting, []
        self.destination.lost(self, cut_short=self.answers == 1 and bool(waiting))
        refused = Unavailable("TLS", why) if not self.heard.anything and tls.refused_us(why) else None
        for one in waiting:
            one.done(UNSEEN if self.written.lacks(one.whole_at, self.transport) else refused or cut_off(config, one, self.heard.odd))
