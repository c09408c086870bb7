"""One connection to an MLLP peer: what is in flight on it, whose answer an answer is, and how it ends."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet import error, protocol
from twisted.internet.interfaces import IHandshakeListener
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from suture.connectors.mllp.answers import Answers, Doubts, Ends, InFlight, Letter, Refuses, Strays, Waits
from suture.connectors.mllp.control_ids import Used
from suture.connectors.net import sockets, tcp_info, tls
from suture.connectors.net.writing import unsent_bytes, write_now
from suture.model.outcome import Accepted, Ambiguous, Outcome, TryLater, Unavailable
from suture.wire import mllp

if TYPE_CHECKING:
    from suture.connectors.mllp_out import Destination

END_WAIT_S = 1.0
"""Seconds after which an end byte counts though nothing follows it."""
ODD_BYTES = 1024
"""As much as is kept of what came and is no whole frame."""

EARLY = Ambiguous("EARLY_ANSWER", "the peer accepted it before the whole message was written")
UNASKED = "the peer answers CA to what does not ask for it: that counts as accepted, and its application speaks later; see `ack`"
UNSEEN = TryLater("NOT_SENT", "the connection ended before the whole message was written, so that the peer cannot have taken it")


class Backoff:
    """When to try again to connect: after 0.2 s, then twice as long each time up to max_s, less up to a fifth by chance."""

    FIRST_S = 0.2

    def __init__(self, max_s: float, chance: Callable[[], float] = random.random) -> None:
        self.max_s, self._chance = max_s, chance
        self._failures = 0
        self._next_s = 0.0

    def failed(self, now_s: float) -> None:
        """An attempt came to nothing, or a connection ended before it was of use."""
        wait_s = min(self.max_s, self.FIRST_S * 2 ** min(self._failures, 30))
        self._failures += 1
        self._next_s = now_s + wait_s * (1 - 0.2 * self._chance())

    def worked(self) -> None:
        """The peer has answered."""
        self._failures, self._next_s = 0, 0.0

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next attempt may be made; never more than max_s, whatever the clock did."""
        return min(self.max_s, max(0.0, self._next_s - now_s))


@implementer(IHandshakeListener)
class Peer(protocol.Protocol):
    """One connection; `waiting` are the messages whose answers are due, the oldest first.

    usable: more may be sent on it. ready: it was, once. heard: the peer has sent something on it. used: what went out on it.
    answers: messages that have their answer. cut_short: the peer ended it when one had, and more were on their way.
    listening: it is open for what applications may still say, until listens_until_s at the latest.
    """

    transport: Any

    def __init__(self, destination: Destination) -> None:
        self.destination, self.config = destination, destination.config
        self.unframer = mllp.Unframer(self.config.limit_bytes, destination.framing)
        self.waiting: list[InFlight] = []
        self.used = Used()
        self._judge = Answers(destination.rules, self.used, destination.elsewhere, destination.early)
        self.answers = 0
        self.ready = self.usable = self.heard = False
        self.ending = self.listening = self.cut_short = self._worked = False
        self.why = ""
        self.used_s = self.listens_until_s = destination.clock.seconds()
        self._sent = self._written_bytes = self._quirks = 0
        self._lone_end_s: float | None = None
        self._odd = b""

    def connectionMade(self) -> None:  # noqa: N802
        self._socket = sockets.bare(self.transport)
        sockets.prepare(self.transport, self.config.keepalive_s)
        if self.config.tls is None:
            self._open()
        else:
            self.destination.shaking.add(self)

    def handshakeCompleted(self) -> None:  # noqa: N802
        """TLS is agreed on; nothing is sent to a server whose certificate is another's."""
        name = self.destination.server_name
        if tls.is_for(self.transport.getHandle(), name):
            self._open()
        else:
            self.cut(f"its certificate is not for {name}")

    def _open(self) -> None:
        if self.gone:
            self.cut("it ends connections as soon as they are made")
            return
        self.ready = self.usable = True
        self.destination.shaking.discard(self)
        self.destination.connected(self)

    def cut(self, why: str) -> None:
        """Give the connection up before it was of use."""
        self.why = why
        self.transport.abortConnection()

    @property
    def gone(self) -> bool:
        """Whether the peer has ended it, be it told or not: what is not written on it now, the peer cannot have seen."""
        return tcp_info.look(self._socket)[0]

    @property
    def full(self) -> bool:
        """Whether it has had all the messages that one connection gets."""
        return 0 < self.destination.messages_per_connection <= self._sent

    @property
    def listens(self) -> bool:
        """Whether an application may say more of what a commit acknowledgement accepted, and there is time for it."""
        return self._judge.expects and self.destination.clock.seconds() < self.listens_until_s

    def send(self, letter: Letter) -> None:
        """Send it; done is called once, later."""
        framing = self.destination.framing
        frame = framing.frame(letter.body)
        self._written_bytes += len(frame)
        self.used_s = self.destination.clock.seconds()
        self.used.add(letter.control_id, letter.identity, letter.delivery.id)
        whole_at = self._written_bytes - len(framing.end) + 1
        self.waiting.append(InFlight(letter, self.used_s + self.config.ack_timeout_s, whole_at))
        self._sent += 1
        write_now(self.transport, frame)

    def _unseen(self, one: InFlight) -> bool:
        """Whether a part of it has not left, without which the peer cannot take it."""
        return self._written_bytes - unsent_bytes(self.transport) < one.whole_at

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self.heard = True
        try:
            answers = self.unframer.feed(data)
        except mllp.FrameTooLarge:
            self.abort(Ambiguous("ACK_TOO_LARGE", f"the answer is over {self.config.limit_bytes} bytes"))
            return
        for answer in answers:
            self._answered(answer)
        self._odd = b"" if answers else self._odd + data[: ODD_BYTES - len(self._odd)]
        if self.unframer.quirks:
            self._complain()

    def _complain(self) -> None:
        if len(self.unframer.quirks) != self._quirks:
            self._quirks = len(self.unframer.quirks)
            for code in self.unframer.quirks:
                self.destination.complaints.framing(code)

    def _answered(self, answer: bytes) -> None:
        """Give the answer to the delivery that it is for; quarantine any other."""
        match self._judge.step(answer, self.waiting):
            case Ends(one, outcome, unasked):
                if unasked:
                    self.listens_until_s = self.destination.clock.seconds() + self.config.application_timeout_s
                    self.destination.complaints.once("COMMIT_UNASKED", UNASKED)
                self._finish(one, outcome)
            case Waits(one):
                one.deadline_s = self.destination.clock.seconds() + self.config.application_timeout_s
            case Strays(code, text, ends):
                self.destination.complaints.stray(code, text)
                self.usable = self.usable and not ends
                if ends and not self.waiting:
                    self.end()
            case Refuses(delivery, outcome):
                self.destination.complaints.refusal(delivery.id, outcome.code)
                self.destination.refused(delivery, outcome)
            case Doubts(outcome):
                self.abort(outcome)
        if self.listening and not self.listens:
            self.close()

    def _finish(self, one: InFlight, outcome: Outcome) -> None:
        self.waiting.remove(one)
        self.answers += 1
        if self.config.release == "2" and not one.committed:
            self.usable = False  # a commit acknowledgement that still comes would be taken for the next message's
        if self._unseen(one):
            self.usable = False
            self._judge.doubted(one)
            outcome = EARLY if isinstance(outcome, Accepted) else outcome
        if not self._worked:
            self._worked = True
            self.destination.backoff.worked()
        if self.usable and not self.full:
            self.destination.free(self)
        elif not self.waiting:
            self.end()
        one.letter.done(outcome)

    def abort(self, outcome: Outcome) -> None:
        """Answers on this connection cannot be placed any more: it is never used again, and all on it have this outcome."""
        self.usable, waiting, self.waiting = False, self.waiting, []
        unseen = [one for one in waiting if self._unseen(one)]
        self.transport.abortConnection()
        for one in waiting:
            one.letter.done(UNSEEN if one in unseen else outcome)

    def look(self, now_s: float) -> None:
        """What time has brought: answers that did not come, one without its last byte, a rest that was too long."""
        self._settle(now_s)
        late = [one for one in self.waiting if one.deadline_s <= now_s]
        for one in late[:]:
            if (step := self._judge.silence(one)) is not None:
                late.remove(one)
                self._finish(one, step.outcome)
        if late:
            self._give_up(late)
        elif self.usable and not self.waiting and now_s - self.used_s > self.config.idle_s:
            self.end()  # a firewall may have forgotten it
        elif self.listening and not self.listens:
            self.close()

    def _give_up(self, late: list[InFlight]) -> None:
        """Wait no longer for these; the connection stays until the others have their answers, or their time is over."""
        self.usable = False
        self.waiting = [one for one in self.waiting if one not in late]
        unseen = [] if self.waiting else [one for one in late if self._unseen(one)]
        if not self.waiting and (unseen or not self._listen()):
            self.transport.abortConnection()
        for one in late:
            one.letter.done(UNSEEN if one in unseen else self._judge.timed_out(one, self.config.ack_timeout_s, self._odd))

    def _settle(self, now_s: float) -> None:
        if not self.unframer.may_have_ended:
            self._lone_end_s = None
        elif self._lone_end_s is None:
            self._lone_end_s = now_s
        elif now_s - self._lone_end_s >= END_WAIT_S:
            for answer in self.unframer.settle():
                self._answered(answer)
            self._complain()

    def end(self) -> None:
        """Send no more on it, and close it; nothing is in flight. It stays open for what an application may still say."""
        if not self._listen():
            self.close()

    def _listen(self) -> bool:
        """Stay open beside the connections that carry messages, if there is anything to be heard."""
        self.usable = False
        if self.connected and self.config.listening and self.listens and not self.listening:
            self.listening = self.ending = True
            self.destination.listen(self)
        return self.listening

    def close(self) -> None:
        """Close it; nothing is in flight, and nothing is waited for."""
        self.usable, self.ending, self.listening = False, True, False
        if self.config.tls is not None or self.gone or unsent_bytes(self.transport):
            self.transport.abortConnection()  # over TLS it says goodbye, and does not wait for the peer's
        else:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802
        self.usable = self.listening = False
        self.connected = 0
        handle = self.transport.getHandle() if self.config.tls is not None else None
        if not self.ready:
            self.destination.shaking.discard(self)
            code = "TLS" if self.config.tls else "CONNECT"
            self.destination.failed(code, self.why or tls.plain(reason, handle) or tls.ENDED)
            return
        for answer in self.unframer.close() if self.waiting or self._judge.expects else ():
            self._answered(answer)
        waiting, self.waiting = self.waiting, []
        self.cut_short = self.answers == 1 and bool(waiting)
        self.destination.lost(self)
        why = tls.plain(reason, handle)
        refused = Unavailable("TLS", why) if not self.heard and tls.refused_us(why) else None
        for one in waiting:
            one.letter.done(UNSEEN if self._unseen(one) else refused or self._judge.cut_off(one, self._odd))


class _Factory(protocol.ClientFactory):
    noisy = False

    def __init__(self, destination: Destination) -> None:
        self.destination = destination

    def buildProtocol(self, addr: Any) -> Peer:  # noqa: N802
        return Peer(self.destination)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:  # noqa: N802
        self.destination.failed("CONNECT", _plain(reason))


class _SafeFactory(TLSMemoryBIOFactory):
    noisy = False


def connect(destination: Destination) -> None:
    """Begin a connection; the destination's `connected` or `failed` is called, once and later."""
    config, reactor = destination.config, destination.reactor
    factory: Any = _Factory(destination)
    if destination.contexts is not None:
        try:
            destination.contexts.get()
        except tls.TlsError as e:
            destination.clock.callLater(0, destination.failed, "TLS", str(e))
            return
        creator: Any = tls.Creator(destination.contexts, destination.server_name)
        factory = _SafeFactory(creator, True, factory, reactor)
    own = (config.source_host, 0) if config.source_host else None
    reactor.connectTCP(config.host, config.port, factory, timeout=config.connect_timeout_s, bindAddress=own)


def _plain(reason: Failure) -> str:
    """A connection failure in an operator's words."""
    if reason.check(error.ConnectionRefusedError):
        return "connection refused"
    if reason.check(error.TimeoutError, error.TCPTimedOutError):
        return "no answer to the connection attempt"
    if reason.check(error.DNSLookupError):
        return "the host name is not known"
    if reason.check(error.ConnectBindError):
        return "the address of source_host is not this machine's"
    return str(reason.type.__name__) if reason.type else "unknown"
