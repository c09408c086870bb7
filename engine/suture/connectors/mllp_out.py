"""HL7 v2 out, over MLLP: connections that stay open, one message in flight on each, ACKs matched whole on MSA-2."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from twisted.internet import error, protocol
from twisted.python.failure import Failure

from suture.connectors.writing import write_now
from suture.model.outcome import Ambiguous, Outcome, Unavailable
from suture.ports import Clock, Delivery
from suture.wire import ack, mllp

Note = Callable[[str, str], None]
Done = Callable[[Outcome], None]


class Config(BaseModel):
    """Send HL7 v2 over MLLP and read the acknowledgement."""

    model_config = ConfigDict(extra="forbid")
    host: str = Field(description="Host name or address of the peer")
    port: int = Field(ge=1, le=65535, description="TCP port of the peer")
    connections: int = Field(1, ge=1, le=256, description="Connections at a time, one message in flight on each (default 1)")
    connect_timeout_s: float = Field(10, gt=0, description="Seconds to wait for a connection (default 10)")
    ack_timeout_s: float = Field(30, gt=0, description="Seconds to wait for the acknowledgement (default 30)")
    limit_bytes: int = Field(1_048_576, ge=256, description="Largest acknowledgement, in bytes (default 1 MiB)")
    meaning: dict[str, Literal["accept", "reject", "retry", "hold"]] = Field(
        default_factory=dict, description="What MSA-1 codes mean here, over the standard's: AE, AR, ... to accept, reject, retry or hold"
    )


class _Peer(protocol.Protocol):
    """One connection; `waiting` is the delivery whose acknowledgement is due."""

    transport: Any

    def __init__(self, destination: Destination) -> None:
        self.destination = destination
        self.unframer = mllp.Unframer(destination.config.limit_bytes)
        self.waiting: Delivery | None = None
        self.done: Done | None = None
        self.deadline_s = 0.0

    def connectionMade(self) -> None:  # noqa: N802
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)

    def send(self, delivery: Delivery, done: Done) -> None:
        self.waiting, self.done = delivery, done
        self.deadline_s = self.destination.clock.seconds() + self.destination.config.ack_timeout_s
        write_now(self.transport, mllp.frame(delivery.body))

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        try:
            answers = self.unframer.feed(data)
        except mllp.FrameTooLarge:
            self.finish(Ambiguous("ACK_TOO_LARGE", f"the answer is over {self.destination.config.limit_bytes} bytes"), broken=True)
            return
        for answer in answers:
            self.answered(answer)

    def answered(self, answer: bytes) -> None:
        """Give the answer to the delivery that waits for it; quarantine any other."""
        if self.waiting is None:
            self.destination.quarantine("LATE_ACK", "an answer came that nothing waits for")
            return
        outcome = ack.judge(answer, self.waiting.control_id, self.destination.meaning)
        if outcome is None:
            self.destination.quarantine("FOREIGN_ACK", "an answer came for another message than the one that was sent")
            return
        self.finish(outcome, broken=isinstance(outcome, Ambiguous))

    def finish(self, outcome: Outcome, broken: bool = False) -> None:
        done, self.done, self.waiting = self.done, None, None
        if broken:
            # A connection whose answers cannot be placed is never used again.
            self.transport.abortConnection()
        else:
            self.destination.free(self)
        if done:
            done(outcome)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802
        self.destination.lost(self)
        if self.done:
            done, self.done, self.waiting = self.done, None, None
            done(Ambiguous("CONNECTION_LOST", "the connection closed before the acknowledgement came"))


class Destination:
    """A peer that speaks MLLP, over up to `connections` connections."""

    SWEEP_S = 0.5

    def __init__(self, config: Config, reactor: Any, note: Note) -> None:
        self.config, self.reactor, self.note = config, reactor, note
        self.clock: Clock = reactor
        self.meaning = {**ack.BY_THE_STANDARD, **config.meaning}
        self.quarantined = 0
        self._peers: set[_Peer] = set()
        self._idle: deque[_Peer] = deque()
        self._queue: deque[tuple[Delivery, Done]] = deque()
        self._connecting = 0
        self._closed = False
        self._sweep: Any = None

    def send(self, delivery: Delivery, done: Done) -> None:
        """Send over an idle connection, or open one, or wait for one to be free."""
        if self._sweep is None:
            self._sweep = self.clock.callLater(self.SWEEP_S, self._swept)
        if self._idle:
            self._idle.pop().send(delivery, done)
            return
        self._queue.append((delivery, done))
        if len(self._peers) + self._connecting < self.config.connections:
            self._connect()

    def _connect(self) -> None:
        self._connecting += 1
        factory = _Factory(self)
        self.reactor.connectTCP(self.config.host, self.config.port, factory, timeout=self.config.connect_timeout_s)

    def connected(self, peer: _Peer) -> None:
        self._connecting -= 1
        self._peers.add(peer)

    def free(self, peer: _Peer) -> None:
        """A connection has nothing in flight: it takes the next delivery, or rests."""
        if self._queue:
            peer.send(*self._queue.popleft())
        elif self._closed:
            peer.transport.loseConnection()
        else:
            self._idle.append(peer)

    def lost(self, peer: _Peer) -> None:
        self._peers.discard(peer)
        if peer in self._idle:
            self._idle.remove(peer)
        if self._queue and not self._peers and not self._connecting:
            self._connect()

    def failed(self, reason: Failure) -> None:
        """No connection to be had: what waits for one is told, unless another connection can take it."""
        self._connecting -= 1
        if self._peers:
            return
        queue, self._queue = self._queue, deque()
        outcome = Unavailable("CONNECT", f"cannot connect to {self.config.host}:{self.config.port}: {_plain(reason)}")
        for _, done in queue:
            done(outcome)

    def quarantine(self, code: str, text: str) -> None:
        """An answer that completes nothing: counted, said, and never given to a message."""
        self.quarantined += 1
        self.note(code, text)

    def _swept(self) -> None:
        now_s = self.clock.seconds()
        for peer in [p for p in self._peers if p.waiting is not None and p.deadline_s <= now_s]:
            peer.finish(Ambiguous("ACK_TIMEOUT", f"no acknowledgement in {self.config.ack_timeout_s:g} s"), broken=True)
        idle = self._closed and not any(peer.waiting for peer in self._peers)
        self._sweep = None if idle else self.clock.callLater(self.SWEEP_S, self._swept)

    def close(self) -> None:
        """Close idle connections now and the others when their answer has come, or its time is over."""
        self._closed = True
        for peer in list(self._peers):
            if peer.waiting is None:
                peer.transport.loseConnection()
        queue, self._queue = self._queue, deque()
        for _, done in queue:
            done(Unavailable("CONNECT", "the destination was closed before a connection was free"))
        if self._sweep is not None and not any(peer.waiting for peer in self._peers):
            self._sweep.cancel()
            self._sweep = None


class _Factory(protocol.ClientFactory):
    noisy = False

    def __init__(self, destination: Destination) -> None:
        self.destination = destination

    def buildProtocol(self, addr: Any) -> _Peer:  # noqa: N802
        peer = _Peer(self.destination)
        peer.factory = self
        made = peer.connectionMade

        def ready() -> None:
            made()
            self.destination.connected(peer)
            self.destination.free(peer)

        peer.connectionMade = ready  # type: ignore[method-assign]
        return peer

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:  # noqa: N802
        self.destination.failed(reason)


def _plain(reason: Failure) -> str:
    """A connection failure in an operator's words."""
    if reason.check(error.ConnectionRefusedError):
        return "connection refused"
    if reason.check(error.TimeoutError, error.TCPTimedOutError):
        return "no answer to the connection attempt"
    if reason.check(error.DNSLookupError):
        return "the host name is not known"
    return str(reason.type.__name__) if reason.type else "unknown"
