"""One sender that speaks MLLP: what it sends, what it is answered, and how its connection ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet import protocol
from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener
from twisted.python.failure import Failure
from zope.interface import implementer

from suture.connectors.net import sockets, tls
from suture.connectors.net.proxied import Address
from suture.connectors.net.writing import write_now
from suture.wire import mllp, proxy

if TYPE_CHECKING:
    from suture.connectors.mllp_in import Source


@implementer(IHandshakeListener, IHalfCloseableProtocol)
class Connection(protocol.Protocol):
    """One sender. Reading pauses while too many of its messages are unanswered."""

    transport: Any

    def __init__(self, source: Source, address: Address) -> None:
        self.source = source
        self.unframer = mllp.Unframer(source.config.limit_bytes, source.framing, source.config.skip_bytes)
        self.unanswered = 0
        self.size_bytes = 0
        self.waits = self.paused = self.clogged = False
        self.last_at_s = source.clock.seconds()
        self.frame_since_s: float | None = None
        self.host, self.peer = address.host, f"{address.host}:{address.port}"
        self.head: bytes | None = b""
        self.said: set[str] = set()
        self.spoke = False
        self.closing = self.deaf = self.over = False
        self.safe = source.config.tls is None
        self.timer: Any = None

    def connectionMade(self) -> None:  # noqa: N802
        if not self.source.admit(self):
            self.closing = True
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

    def unasked(self, data: bytes) -> bool:
        """Whether it begins with a header of the PROXY protocol, and is from no listed proxy; then it is closed."""
        self.head = (self.head or b"") + data[: proxy.LONGEST_MARK]
        told = proxy.begins(self.head[: proxy.LONGEST_MARK])
        if told:
            self.closing = True
            self.source.turned_away("PROXY_NOT_LISTED", self.host, "it sends a PROXY header and is not in `proxies`; connection closed")
            self.transport.abortConnection()
        elif told is False:
            self.head = None
        return bool(told)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self.closing or self.over or (self.head is not None and self.unasked(data)):
            return
        source, unframer = self.source, self.unframer
        self.last_at_s = now_s = source.clock.seconds()
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        messages = unframer.feed(data)
        if unframer.quirks:  # also where something is over the limit, or empty
            messages = self.passed(messages)
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
        if unframer.size_bytes != self.size_bytes:
            self.measure()

    def measure(self) -> None:
        """Tell how much there is now of a frame that has not ended."""
        before, self.size_bytes = self.size_bytes, self.unframer.size_bytes
        if self.source.room is not None:
            self.source.room.changed(self, before, self.size_bytes)

    def make_wait(self, waits: bool) -> None:
        """There is no room for the rest of the frame, or there is again."""
        self.waits = waits
        self.balance()

    def passed(self, messages: list[bytes]) -> list[bytes]:
        """Refuse what is over the limit, after what came before it was handed on; what came after it, without empty frames."""
        while (large := self.unframer.large()) is not None:
            self.take(self.real(messages))
            self.refuse_large(large)
            messages = self.unframer.feed(b"") if not self.over else []
        return self.real(messages)

    def real(self, messages: list[bytes]) -> list[bytes]:
        """Those that are no sign of life."""
        return [m for m in messages if not mllp.is_empty(m)] if messages and self.unframer.quirks["EMPTY_FRAME"] else messages

    def refuse_large(self, large: mllp.TooLarge) -> None:
        """Have it answered, where its sender waits for that; nothing can be read behind one that does not end."""
        self.over, self.spoke, self.frame_since_s = large.endless, True, None
        way: Connection | Turn = Turn(self) if self.source.commits else self
        waits = large.ended or large.endless
        self.unanswered += waits
        self.source.refuse(large, self.source.config.limit_bytes, self.peer, way.answer if waits else _unheard)

    def take(self, messages: list[bytes]) -> None:
        """Hand on what has come."""
        source = self.source
        self.unanswered += len(messages)
        for raw in messages:
            way: Connection | Turn = Turn(self) if source.commits else self
            source.receive(raw, self.peer, way.answer, way.say)
        if self.unanswered >= source.config.unanswered:
            self.balance()

    def settle(self) -> None:
        """The sender has said an end byte, and no more."""
        if self.paused:  # what else it said has not been read
            self.timer = self.source.clock.callLater(self.source.config.end_wait_s, self.settle)
            return
        self.timer = None
        messages = self.passed(self.unframer.settle())
        self.complain()
        self.spoke, self.frame_since_s = True, None
        self.take(messages)
        self.measure()

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
            if (self.deaf or self.over) and self.connected and not self.closing:
                self.end()

    def say(self, payload: bytes | None, stored: bool = True) -> None:
        """One more message for this peer, if it is still there."""
        if payload is not None:
            self.write(self.source.framing.frame(payload))

    def write(self, data: bytes) -> None:
        if data and self.connected:
            write_now(self.transport, data)

    def balance(self) -> None:
        """Pause or resume reading, as the connection's and the engine's limits say."""
        full = self.source.full or self.clogged or self.waits or self.unanswered >= self.source.config.unanswered
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
        self.timer = (sockets.hang_up_slowly if self.over else sockets.hang_up)(self.transport, self.source.reactor)

    def refuse(self, code: str, text: str) -> None:
        self.unframer.close()
        if (large := self.unframer.large()) is not None:
            self.refuse_large(large)
        self.closing = True
        self.source.note(code, f"{self.peer}: {text}")
        self.transport.abortConnection()

    def overdue(self, now_s: float) -> None:
        config = self.source.config
        if self.closing:
            return
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
        if self.closing:
            self.transport.loseConnection()
            return
        self.last()
        if not self.unanswered:
            self.end()

    def writeConnectionLost(self) -> None:  # noqa: N802
        """It does not listen any more: its connection is lost next."""

    def last(self) -> None:
        """Take what has come without its end, if it is whole; nothing more comes."""
        if not self.closing:
            messages = self.passed(self.unframer.close())
            self.complain()
            if not self.source.full:  # what a full engine does not take was not acknowledged
                self.take(messages)
            self.measure()

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.connected = 0
        self.source.lost(self)
        self.last()
        self.measure()
        self.source.quirks.update(self.unframer.quirks)
        if self.source.config.tls is not None:
            self.source.unsafe(self, tls.plain(reason, self.transport.getHandle()))


class Turn:
    """One message in release 2: the commit acknowledgement comes before everything that is said of it, and comes once."""

    __slots__ = ("_committed", "_connection")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._committed = False

    def answer(self, payload: bytes | None, stored: bool = True) -> None:
        """The answer of the message, behind its commit acknowledgement."""
        framing = self._connection.source.framing
        self._connection.answered(self._commit(stored) + (b"" if payload is None else framing.frame(payload)))

    def say(self, payload: bytes | None, stored: bool = True) -> None:
        """The message is durable, or is not; with a payload: one more message for the peer."""
        self._connection.write(self._commit(stored))
        self._connection.say(payload)

    def _commit(self, stored: bool) -> bytes:
        if self._committed:
            return b""
        self._committed = True
        return self._connection.source.framing.frame(mllp.COMMIT_ACK if stored else mllp.COMMIT_NAK)


def _unheard(payload: bytes | None, stored: bool = True) -> None:
    """Nobody waits for this answer."""
