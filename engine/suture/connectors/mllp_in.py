"""HL7 v2 in, over MLLP: listens, cuts frames, hands each message on, and writes the answer when it is given one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from twisted.internet import defer, error, protocol, tcp
from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from suture.connectors import sockets, tls
from suture.connectors.access import AllowList, Host, Network, Seldom, is_loopback
from suture.connectors.framing import EndBytes, Release, StartByte, framing_of
from suture.connectors.tls import ServerTls
from suture.connectors.writing import write_now
from suture.ports import AckTime, Clock
from suture.wire import mllp

Receive = Callable[[bytes, str, Callable[..., None], Callable[[bytes | None], None]], None]
"""receive(raw, peer, answer, say): answer(payload, stored=True) is called once, after the message is durable or when it could
not be stored; payload None means: say nothing. In release 2, `stored` says which commit acknowledgement goes before it.

say sends one more message to the same peer, later: an application acknowledgement after a commit acknowledgement. Before the
answer, say(None) tells that the message is durable and its answer comes later.
"""
Note = Callable[[str, str], None]
"""note(code, text): a change of state worth a log line; never content."""

REFUSALS_S = 600.0
"""Seconds in which the same address is complained about once."""


class Config(BaseModel):
    """Listen for HL7 v2 over MLLP."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    port: int = Field(ge=0, le=65535, description="TCP port to listen on")
    host: Host = Field("127.0.0.1", description="Address to listen on; beyond loopback only with a reason")
    ack: AckTime = Field("after_store", description="When to answer: after_store (durable), after_process or after_delivery")
    release: Release = Field("1", description="Release of MLLP; 2 = a commit acknowledgement before each HL7 answer")
    allow: list[Network] = Field(default_factory=list, description="Networks that may connect: [10.0.0.0/8, 192.168.1.5]; empty = all")
    tls: ServerTls | None = Field(None, description="TLS; absent: plain TCP")
    limit_bytes: int = Field(16_777_216, ge=1024, description="Largest message, in bytes; a larger one ends the connection (16 MiB)")
    connections: int = Field(2000, ge=1, description="Connections at a time; one more is closed at once (default 2000)")
    unanswered: int = Field(64, ge=1, description="Messages of one connection in work before it is read no further (default 64)")
    frame_timeout_s: float = Field(30, gt=0, description="Seconds from the first byte of a message to its end, or for TLS (default 30)")
    end_wait_s: float = Field(1, gt=0, description="Seconds after which an end byte counts though nothing follows it (default 1)")
    idle_s: float = Field(3600, gt=0, description="Seconds a connection may say nothing before it is closed (default 3600)")
    keepalive_s: float = Field(60, ge=1, description="Seconds of silence before the kernel asks whether the sender is there (default 60)")
    backlog: int = Field(1024, ge=1, description="Connections that the kernel keeps until they are accepted (default 1024)")
    reuse_port: bool = Field(False, description="Other processes may listen on the same port (SO_REUSEPORT; default no)")
    start_byte: StartByte = Field("0b", description="The byte before a message, in hex (default 0b)")
    end_bytes: EndBytes = Field("1c0d", description="The bytes after a message, in hex, one to four (default 1c0d)")

    @model_validator(mode="after")
    def _framed(self) -> Config:
        self.framing()
        return self

    def framing(self) -> mllp.Framing:
        """The bytes around a message."""
        return framing_of(self.start_byte, self.end_bytes, int(self.release))


@implementer(IHandshakeListener, IHalfCloseableProtocol)
class _Connection(protocol.Protocol):
    """One sender. Reading pauses while too many of its messages are unanswered."""

    transport: Any

    def __init__(self, source: Source) -> None:
        self.source = source
        self.unframer = mllp.Unframer(source.config.limit_bytes, source.framing)
        self.unanswered = 0
        self.paused = False
        self.clogged = False
        self.last_at_s = source.clock.seconds()
        self.frame_since_s: float | None = None
        self.peer = ""
        self.host = ""
        self.said: set[str] = set()
        self.spoke = False
        self.closing = False
        self.deaf = False
        self.safe = source.config.tls is None
        self.timer: Any = None

    def connectionMade(self) -> None:  # noqa: N802
        address = self.transport.getPeer()
        self.host, self.peer = address.host, f"{address.host}:{address.port}"
        if not self.source.admit(self):
            self.transport.abortConnection()
            return
        sockets.prepare(self.transport, self.source.config.keepalive_s)
        self.transport.registerProducer(self, True)

    def handshakeCompleted(self) -> None:  # noqa: N802
        """TLS is agreed on."""
        self.safe = True

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
        if self.closing:
            return
        source, unframer = self.source, self.unframer
        self.last_at_s = now_s = source.clock.seconds()
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        try:
            messages = unframer.feed(data)
        except mllp.FrameTooLarge:
            self.refuse("FRAME_TOO_LARGE", f"a message is over {source.config.limit_bytes} bytes; connection closed")
            return
        if unframer.quirks:
            self.complain()
        self.spoke = self.spoke or bool(messages)
        if not unframer.partial and (self.spoke or not unframer.stray):
            self.frame_since_s = None
        else:
            if messages or self.frame_since_s is None:
                self.frame_since_s = now_s
            if unframer.may_have_ended:
                self.timer = source.clock.callLater(source.config.end_wait_s, self.settle)
        self.take(messages)

    def take(self, messages: list[bytes]) -> None:
        """Hand on what has come."""
        source = self.source
        self.unanswered += len(messages)
        for raw in messages:
            way: _Connection | _Turn = _Turn(self) if source.commits else self
            source.receive(raw, self.peer, way.answer, way.say)
        if self.unanswered >= source.config.unanswered:
            self.balance()

    def settle(self) -> None:
        """The sender has said an end byte, and no more."""
        if self.paused:  # what else it said has not been read
            self.timer = self.source.clock.callLater(self.source.config.end_wait_s, self.settle)
            return
        self.timer = None
        messages = self.unframer.settle()
        self.complain()
        self.spoke, self.frame_since_s = True, None
        self.take(messages)

    def complain(self) -> None:
        """Say each quirk of this sender once, and once in a while for one that makes a connection a message."""
        for code in sorted(self.unframer.quirks.keys() - self.said):
            self.said.add(code)
            if self.source.seldom.due(f"{code} {self.host}"):
                self.source.note(code, f"{self.peer}: {mllp.QUIRKS[code]}")

    def answer(self, payload: bytes | None, stored: bool = True) -> None:
        self.answered(b"" if payload is None else self.source.framing.frame(payload))

    def answered(self, data: bytes) -> None:
        """A message has its answer: these bytes."""
        self.unanswered -= 1
        self.write(data)
        if self.paused:
            self.balance()
        if not self.unanswered:
            self.source.answered()
            if self.deaf and self.connected and not self.closing:
                self.end()

    def say(self, payload: bytes | None) -> None:
        """One more message for this peer, if it is still there."""
        if payload is not None:
            self.write(self.source.framing.frame(payload))

    def write(self, data: bytes) -> None:
        if data and self.connected:
            write_now(self.transport, data)

    def balance(self) -> None:
        """Pause or resume reading, as the connection's and the engine's limits say."""
        full = self.source.full or self.clogged or self.unanswered >= self.source.config.unanswered
        if full != self.paused and self.connected:
            self.paused = full
            if full:
                self.transport.pauseProducing()
            elif not self.deaf:
                self.last_at_s = self.source.clock.seconds()  # being held back is not the sender's silence
                self.frame_since_s = None if self.frame_since_s is None else self.last_at_s
                self.transport.resumeProducing()

    def end(self) -> None:
        """Close, when what was answered is on its way."""
        self.transport.unregisterProducer()
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.closing = True
        if not self.deaf:
            self.transport.resumeProducing()  # to see the sender's goodbye; what else it says is not taken
        self.timer = sockets.hang_up(self.transport, self.source.reactor)

    def refuse(self, code: str, text: str) -> None:
        self.closing = True
        self.source.note(code, f"{self.peer}: {text}")
        self.transport.abortConnection()

    def overdue(self, now_s: float) -> None:
        config = self.source.config
        if self.clogged:
            if now_s - self.last_at_s > config.idle_s:
                self.refuse("IDLE", f"answers not read for {config.idle_s:g} s; connection closed")
        elif self.paused:
            return
        elif not self.safe and now_s - self.last_at_s > config.frame_timeout_s:
            self.refuse("TLS_TIMEOUT", f"no agreement on TLS within {config.frame_timeout_s:g} s; connection closed")
        elif self.frame_since_s is not None and now_s - self.frame_since_s > config.frame_timeout_s:
            self.refuse("FRAME_TIMEOUT", f"no whole message within {config.frame_timeout_s:g} s of its first byte; connection closed")
        elif not self.unanswered and now_s - self.last_at_s > config.idle_s:
            self.refuse("IDLE", f"nothing said for {config.idle_s:g} s; connection closed")

    def readConnectionLost(self) -> None:  # noqa: N802
        """The sender says no more, and may still wait for its answers."""
        self.deaf = True
        self.last()
        if not self.unanswered:
            self.end()

    def writeConnectionLost(self) -> None:  # noqa: N802
        """It does not listen any more: its connection is lost next."""

    def last(self) -> None:
        """Take what has come without its end, if it is whole; nothing more comes."""
        if not self.closing:
            messages = self.unframer.close()
            self.complain()
            if not self.source.full:  # what a full engine does not take was not acknowledged
                self.take(messages)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.connected = 0
        self.source.lost(self)
        self.last()
        self.source.quirks.update(self.unframer.quirks)
        if self.source.config.tls is not None:
            self.source.unsafe(self, tls.plain(reason, self.transport.getHandle()))


class _Turn:
    """One message in release 2: the commit acknowledgement comes before everything that is said of it, and comes once."""

    __slots__ = ("_committed", "_connection")

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._committed = False

    def answer(self, payload: bytes | None, stored: bool = True) -> None:
        """The answer of the message, behind its commit acknowledgement."""
        framing = self._connection.source.framing
        self._connection.answered(self._commit(stored) + (b"" if payload is None else framing.frame(payload)))

    def say(self, payload: bytes | None) -> None:
        """The message is durable; with a payload: one more message for the peer."""
        self._connection.write(self._commit(True))
        self._connection.say(payload)

    def _commit(self, stored: bool) -> bytes:
        if self._committed:
            return b""
        self._committed = True
        return self._connection.source.framing.frame(mllp.COMMIT_ACK if stored else mllp.COMMIT_NAK)


class Source:
    """The listener of one channel. Give it `receive`; open, close_to_new, drain and close are its life."""

    SWEEP_S = 5.0

    def __init__(self, config: Config, reactor: Any, receive: Receive, note: Note) -> None:
        self.config, self.reactor, self.receive, self.note = config, reactor, receive, note
        self.clock: Clock = reactor
        self.connections: set[_Connection] = set()
        self.framing, self.commits = config.framing(), config.release == "2"
        self.quirks: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.full = False
        self._allow = AllowList(config.allow)
        self.seldom = Seldom(reactor, REFUSALS_S)
        self.contexts = tls.Contexts(config.tls, reactor, note) if config.tls is not None else None
        self._port: Any = None
        self._sweep: Any = None
        self._drained: defer.Deferred[None] | None = None
        self._over = False

    @property
    def port(self) -> int:
        """The port that is listened on (useful when the configured one is 0)."""
        return int(self._port.getHost().port)

    @property
    def listening(self) -> bool:
        """Whether new senders can connect."""
        return self._port is not None and bool(self._port.connected)

    def open(self) -> None:
        """Start to listen. Raises twisted.internet.error.CannotListenError, also for TLS files that cannot be used."""
        config = self.config
        factory: Any = protocol.ServerFactory()
        factory.buildProtocol = self._met
        if self.contexts is not None:
            try:
                self.contexts.get()
            except tls.TlsError as e:
                raise error.CannotListenError(config.host, config.port, OSError(0, f"tls: {e}")) from None
            creator: Any = tls.Creator(self.contexts)
            factory = _SafeFactory(creator, False, factory, self.reactor)
            factory.admits = self.admits
        elif not self._allow and not is_loopback(config.host):
            self.note("OPEN_TO_ALL", f"{config.host} can be reached from other machines, without TLS and without `allow`; set one of them")
        kind = sockets.SharedPort if config.reuse_port else tcp.Port
        self._port = kind(config.port, factory, config.backlog, config.host, self.reactor)
        try:
            self._port.startListening()
        except error.CannotListenError:
            self._port = None
            raise
        self._sweep = self.clock.callLater(self.SWEEP_S, self._swept)

    def _met(self, address: Any) -> _Connection | None:
        return _Connection(self) if self.contexts is not None or self.admits(address.host) else None

    def admits(self, host: str) -> bool:
        """Whether this address may connect; one that may not is noted once in a while."""
        if self._allow.admits(host):
            return True
        self.refused["NOT_ALLOWED"] += 1
        if self.seldom.due(f"allow {host}"):
            self.note("NOT_ALLOWED", f"{host} may not connect; its connections are closed (see `allow`)")
        return False

    def unsafe(self, connection: _Connection, why: str) -> None:
        """A connection over TLS is over; why: what was wrong with its TLS, if anything."""
        if not why:
            return
        self.refused["TLS_REFUSED"] += 1
        if self.seldom.due(f"tls {connection.host}"):
            self.note("TLS_REFUSED", f"{connection.peer}: {why}")

    def admit(self, connection: _Connection) -> bool:
        """Whether there is room for one more connection."""
        if len(self.connections) >= self.config.connections:
            self.refused["TOO_MANY_CONNECTIONS"] += 1
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

    def counts(self) -> dict[str, Counter[str]]:
        """What was counted since the channel started, by kind (framing, refused) and code."""
        return {"framing": sum((c.unframer.quirks for c in self.connections), self.quirks), "refused": self.refused}

    def held(self) -> sockets.Held:
        """The sockets of its connections."""
        for connection in self.connections:
            yield sockets.bare(connection.transport), connection.transport.abortConnection

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


class _SafeFactory(TLSMemoryBIOFactory):
    """TLS for those who may connect; nobody else gets as far as a handshake."""

    noisy = False
    admits: Callable[[str], bool]

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        return super().buildProtocol(addr) if self.admits(addr.host) else None
