"""HL7 v2 in, over MLLP: listens, cuts frames, hands each message on, and writes the answer when it is given one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from twisted.internet import defer, protocol
from twisted.python.failure import Failure

from suture.connectors.writing import write_now
from suture.ports import AckTime, Clock
from suture.wire import mllp

Receive = Callable[[bytes, str, Callable[[bytes | None], None], Callable[[bytes], None]], None]
"""receive(raw, peer, answer, say): answer is called once, after the message is durable; None means: say nothing.

say sends one more message to the same peer, later: an application acknowledgement after a commit acknowledgement.
"""
Note = Callable[[str, str], None]
"""note(code, text): a change of state worth a log line; never content."""


class Config(BaseModel):
    """Listen for HL7 v2 over MLLP."""

    model_config = ConfigDict(extra="forbid")
    port: int = Field(ge=0, le=65535, description="TCP port to listen on")
    host: str = Field("127.0.0.1", description="Address to listen on; beyond loopback only with a reason")
    ack: AckTime = Field("after_store", description="When to answer: after_store (durable), after_process or after_delivery")
    limit_bytes: int = Field(16_777_216, ge=1024, description="Largest message, in bytes; a larger one ends the connection (16 MiB)")
    connections: int = Field(2000, ge=1, description="Connections at a time; one more is closed at once (default 2000)")
    unanswered: int = Field(64, ge=1, description="Messages of one connection in work before it is read no further (default 64)")
    frame_timeout_s: float = Field(30, gt=0, description="Seconds from the first byte of a message to its end (default 30)")
    idle_s: float = Field(3600, gt=0, description="Seconds a connection may say nothing before it is closed (default 3600)")


class _Connection(protocol.Protocol):
    """One sender. Reading pauses while too many of its messages are unanswered."""

    transport: Any

    def __init__(self, source: Source) -> None:
        self.source = source
        self.unframer = mllp.Unframer(source.config.limit_bytes)
        self.unanswered = 0
        self.paused = False
        self.clogged = False
        self.last_at_s = source.clock.seconds()
        self.frame_since_s: float | None = None
        self.peer = ""
        self.strayed = False
        self.spoke = False

    def connectionMade(self) -> None:  # noqa: N802
        address = self.transport.getPeer()
        self.peer = f"{address.host}:{address.port}"
        if not self.source.admit(self):
            self.transport.abortConnection()
            return
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)

    def pauseProducing(self) -> None:  # noqa: N802
        """The sender does not read its answers."""
        self.clogged = True
        self.balance()

    def resumeProducing(self) -> None:  # noqa: N802
        """It has read them."""
        self.clogged = False
        self.balance()

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is gone."""

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        source, unframer = self.source, self.unframer
        self.last_at_s = now_s = source.clock.seconds()
        try:
            messages = unframer.feed(data)
        except mllp.FrameTooLarge:
            self.refuse("FRAME_TOO_LARGE", f"a message is over {source.config.limit_bytes} bytes; connection closed")
            return
        if unframer.stray and not self.strayed:
            self.strayed = True
            source.note("STRAY_BYTES", f"{self.peer} sends bytes outside MLLP frames; they are dropped")
        self.spoke = self.spoke or bool(messages)
        if not unframer.partial and (self.spoke or not unframer.stray):
            self.frame_since_s = None
        elif messages or self.frame_since_s is None:
            self.frame_since_s = now_s
        self.unanswered += len(messages)
        for raw in messages:
            source.receive(raw, self.peer, self.answer, self.say)
        if self.unanswered >= source.config.unanswered:
            self.balance()

    def answer(self, payload: bytes | None) -> None:
        self.unanswered -= 1
        if payload is not None and self.connected:
            write_now(self.transport, mllp.frame(payload))
        if self.paused:
            self.balance()
        if not self.unanswered:
            self.source.answered()

    def say(self, payload: bytes) -> None:
        """One more message for this peer, if it is still there."""
        if self.connected:
            write_now(self.transport, mllp.frame(payload))

    def balance(self) -> None:
        """Pause or resume reading, as the connection's and the engine's limits say."""
        full = self.source.full or self.clogged or self.unanswered >= self.source.config.unanswered
        if full != self.paused and self.connected:
            self.paused = full
            if full:
                self.transport.pauseProducing()
            else:
                self.last_at_s = self.source.clock.seconds()  # being held back is not the sender's silence
                self.frame_since_s = None if self.frame_since_s is None else self.last_at_s
                self.transport.resumeProducing()

    def end(self) -> None:
        """Close, when what was answered is on its way."""
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def refuse(self, code: str, text: str) -> None:
        self.source.note(code, f"{self.peer}: {text}")
        self.transport.abortConnection()

    def overdue(self, now_s: float) -> None:
        config = self.source.config
        if self.clogged:
            if now_s - self.last_at_s > config.idle_s:
                self.refuse("IDLE", f"answers not read for {config.idle_s:g} s; connection closed")
        elif self.paused:
            return
        elif self.frame_since_s is not None and now_s - self.frame_since_s > config.frame_timeout_s:
            self.refuse("FRAME_TIMEOUT", f"no whole message within {config.frame_timeout_s:g} s of its first byte; connection closed")
        elif not self.unanswered and now_s - self.last_at_s > config.idle_s:
            self.refuse("IDLE", f"nothing said for {config.idle_s:g} s; connection closed")

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802
        self.source.lost(self)


class Source:
    """The listener of one channel. Give it `receive`; open, close_to_new, drain and close are its life."""

    SWEEP_S = 5.0

    def __init__(self, config: Config, reactor: Any, receive: Receive, note: Note) -> None:
        self.config, self.reactor, self.receive, self.note = config, reactor, receive, note
        self.clock: Clock = reactor
        self.connections: set[_Connection] = set()
        self.full = False
        self._port: Any = None
        self._sweep: Any = None
        self._drained: defer.Deferred[None] | None = None
        self._over = False

    @property
    def port(self) -> int:
        """The port that is listened on (useful when the configured one is 0)."""
        return int(self._port.getHost().port)

    def open(self) -> None:
        """Start to listen. Raises twisted.internet.error.CannotListenError."""
        factory = protocol.ServerFactory()
        factory.buildProtocol = lambda addr: _Connection(self)  # type: ignore[method-assign]
        self._port = self.reactor.listenTCP(self.config.port, factory, backlog=1024, interface=self.config.host)
        self._sweep = self.clock.callLater(self.SWEEP_S, self._swept)

    def admit(self, connection: _Connection) -> bool:
        """Whether there is room for one more connection."""
        if len(self.connections) >= self.config.connections:
            if not self._over:
                self._over = True
                self.note("TOO_MANY_CONNECTIONS", f"more than {self.config.connections} connections; new ones are closed")
            return False
        self._over = False
        self.connections.add(connection)
        if self.full:
            connection.balance()
        return True

    def lost(self, connection: _Connection) -> None:
        self.connections.discard(connection)
        self.answered()

    def set_full(self, full: bool) -> None:
        """Stop or resume reading from every connection (the journal or a queue is at its limit)."""
        if full != self.full:
            self.full = full
            for connection in list(self.connections):
                connection.balance()

    def _swept(self) -> None:
        self._sweep = self.clock.callLater(self.SWEEP_S, self._swept)
        now_s = self.clock.seconds()
        for connection in list(self.connections):
            connection.overdue(now_s)

    def answered(self) -> None:
        if self._drained is not None and not any(c.unanswered for c in self.connections):
            drained, self._drained = self._drained, None
            drained.callback(None)

    def _give_up_draining(self) -> None:
        if self._drained is not None:
            self._drained.callback(None)

    async def close(self, drain_s: float) -> None:
        """Stop listening and reading, wait until what was read is answered (at most drain_s), close connections."""
        if self._port is None:
            return
        self.set_full(True)
        await defer.maybeDeferred(self._port.stopListening)
        self._port = None
        if any(c.unanswered for c in self.connections):
            self._drained = defer.Deferred()
            timer = self.clock.callLater(drain_s, self._give_up_draining)
            await self._drained
            self._drained = None
            if timer.active():
                timer.cancel()
        self._sweep.cancel()
        for connection in list(self.connections):
            connection.end()
