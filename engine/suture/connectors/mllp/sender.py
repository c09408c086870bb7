"""One sender that speaks MLLP: what it sends, what it is answered, and how its connection ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet import protocol
from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener
from twisted.python.failure import Failure
from zope.interface import implementer

from suture.connectors.mllp.life import GONE, HEARD, OPEN, TABLE, UNWANTED, Act, Event, State
from suture.connectors.net import sockets, tls
from suture.connectors.net.door import Address
from suture.wire import mllp, proxy

if TYPE_CHECKING:
    from suture.connectors.mllp_in import Source


@implementer(IHandshakeListener, IHalfCloseableProtocol)
class Connection(protocol.Protocol):
    """One sender. Its life is the table of life.py. head: what may still become a header of the PROXY protocol, else None.

    spoke: a message came on it. said: the quirks that were told of it. timer: of a lone end byte, later of its end.
    """

    transport: Any

    def __init__(self, source: Source, address: Address) -> None:
        self.source = source
        self.unframer = mllp.Unframer(source.config.limit_bytes, source.framing, source.config.skip_bytes)
        self.unanswered = 0
        self.flow = Flow(self)
        self.host, self.peer = address.host, f"{address.host}:{address.port}"
        self.head: bytes | None = b""
        self.said: set[str] = set()
        self.spoke = False
        self.state: State = OPEN
        self.timer: Any = None

    def happens(self, event: Event) -> None:
        """Go where the table says, and do what it says."""
        self.state, acts = TABLE[self.state][event]
        for act in acts:
            ACTS[act](self)

    def connectionMade(self) -> None:  # noqa: N802
        if not self.source.admit(self):
            self.happens(Event.REFUSED)
            return
        sockets.prepare(self.transport, self.source.config.keepalive_s)
        self.transport.registerProducer(self.flow, True)

    def handshakeCompleted(self) -> None:  # noqa: N802
        """TLS is agreed on."""
        self.flow.safe = True

    def unasked(self, data: bytes) -> bool:
        """Whether it begins with a header of the PROXY protocol, and is from no listed proxy; then it is closed."""
        self.head = (self.head or b"") + data[: proxy.LONGEST_MARK]
        told = proxy.begins(self.head[: proxy.LONGEST_MARK])
        if told:
            why = "it sends a PROXY header and is not in `proxies`; connection closed"
            self.source.door.turned_away("PROXY_NOT_LISTED", self.host, why)
            self.happens(Event.REFUSED)
        elif told is False:
            self.head = None
        return bool(told)

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self.state is not OPEN or (self.head is not None and self.unasked(data)):
            return
        source, unframer, flow = self.source, self.unframer, self.flow
        flow.last_at_s = now_s = source.clock.seconds()
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        messages = unframer.feed(data)
        if unframer.quirks:  # also where something is over the limit, or empty
            messages = self.passed(messages)
            self.complain()
        self.spoke = self.spoke or bool(messages)
        if not unframer.partial and (self.spoke or not unframer.stray):
            flow.frame_since_s = None
        else:
            if messages or flow.frame_since_s is None:
                flow.frame_since_s = now_s
            if unframer.may_have_ended:
                self.timer = source.clock.callLater(source.config.end_wait_s, self.settle)
        self.take(messages)
        if unframer.size_bytes != flow.size_bytes:
            flow.measure()

    def passed(self, messages: list[bytes]) -> list[bytes]:
        """Refuse what is over the limit, after what came before it was handed on; what came after it, without empty frames."""
        while (large := self.unframer.large()) is not None:
            self.take(self.real(messages))
            self.refuse_large(large)
            messages = self.unframer.feed(b"") if not large.endless else []
        return self.real(messages)

    def real(self, messages: list[bytes]) -> list[bytes]:
        """Those that are no sign of life."""
        return [m for m in messages if not mllp.is_empty(m)] if messages and self.unframer.quirks["EMPTY_FRAME"] else messages

    def refuse_large(self, large: mllp.TooLarge) -> None:
        """Have it answered, where its sender waits for that; nothing can be read behind one that does not end."""
        self.spoke, self.flow.frame_since_s = True, None
        if large.endless:
            self.happens(Event.ENDLESS)
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
            self.flow.balance()

    def settle(self) -> None:
        """The sender has said an end byte, and no more."""
        if self.flow.paused:  # what else it said has not been read
            self.timer = self.source.clock.callLater(self.source.config.end_wait_s, self.settle)
            return
        self.timer = None
        messages = self.passed(self.unframer.settle())
        self.complain()
        self.spoke, self.flow.frame_since_s = True, None
        self.take(messages)
        self.flow.measure()

    def complain(self) -> None:
        """Say each quirk of this sender once, and once in a while for one that makes a connection a message."""
        for code in sorted(self.unframer.quirks.keys() - self.said):
            self.said.add(code)
            if self.source.door.seldom.due(f"{code} {self.host}"):
                self.source.note(code, f"{self.peer}: {mllp.QUIRKS[code]}")

    def answer(self, payload: bytes | None, stored: bool = True) -> None:
        self.answered(b"" if payload is None else self.source.framing.frame(payload))

    def answered(self, data: bytes) -> None:
        """A message has its answer: these bytes."""
        self.unanswered -= 1
        self.write(data)
        if self.flow.paused:
            self.flow.balance()
        if not self.unanswered:
            self.source.answered()
            if self.state is not OPEN:
                self.happens(Event.ANSWERED)

    def say(self, payload: bytes | None, stored: bool = True) -> None:
        """One more message for this peer, if it is still there."""
        if payload is not None:
            self.write(self.source.framing.frame(payload))

    def write(self, data: bytes) -> None:
        if data and self.state is not GONE:
            sockets.write_now(self.transport, data)

    def overdue(self, now_s: float) -> None:
        """End it where its sender, or its silence, takes too long."""
        late = self.flow.too_long(now_s) if self.state not in UNWANTED else None
        if late is not None:
            self.unframer.close()
            if (large := self.unframer.large()) is not None:
                self.refuse_large(large)
            self.source.note(late[0], f"{self.peer}: {late[1]}; connection closed")
            self.happens(Event.REFUSED)

    def readConnectionLost(self) -> None:  # noqa: N802
        """The sender says no more, and may still wait for its answers."""
        self.happens(Event.SAID_ALL)
        if not self.unanswered:
            self.happens(Event.ANSWERED)

    def writeConnectionLost(self) -> None:  # noqa: N802
        """It does not listen any more: its connection is lost next."""

    def take_rest(self) -> None:
        """Take what has come without its end, if it is whole; nothing more comes."""
        messages = self.passed(self.unframer.close())
        self.complain()
        if not self.source.full:  # what a full engine does not take was not acknowledged
            self.take(messages)
        self.flow.measure()

    def release(self) -> None:
        """Let go of what was waited for."""
        self.transport.unregisterProducer()
        self.stop_timer()

    def stop_timer(self) -> None:
        """Of a lone end byte, or of the connection's end."""
        if self.timer is not None and self.timer.active():
            self.timer.cancel()

    def hang_up(self, slowly: bool) -> None:
        """Close in good order."""
        self.timer = sockets.hang_up(self.transport, self.source.door.reactor, slowly)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: N802
        self.stop_timer()
        self.source.lost(self)
        self.happens(Event.LOST)
        self.flow.measure()
        self.source.quirks.update(self.unframer.quirks)
        if self.source.config.tls is not None and (why := tls.plain(reason, self.transport.getHandle())):
            self.source.door.turned_away("TLS_REFUSED", self.host, why)


ACTS: Mapping[Act, Callable[[Connection], None]] = {
    Act.TAKE_REST: Connection.take_rest,
    Act.RELEASE: Connection.release,
    Act.LISTEN: lambda connection: connection.transport.resumeProducing(),
    Act.HANG_UP: lambda connection: connection.hang_up(slowly=False),
    Act.HANG_UP_SLOWLY: lambda connection: connection.hang_up(slowly=True),
    Act.GOODBYE: lambda connection: connection.transport.loseConnection(),
    Act.CUT: lambda connection: connection.transport.abortConnection(),
}


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


class Flow:
    """Whether a sender is read: not while something is full that what it says would have to go into. And how long it may say nothing:
    in all, in the middle of a message, before TLS is agreed on, and of answers not taken.

    paused: it is not read. clogged: its sender does not read its answers. waits: there is no room for a frame.

    size_bytes: what has come of a frame that has not ended, as far as it was told to the room. last_at_s: when the sender said
    something. frame_since_s: when a message began that has not ended. safe: TLS stands.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.size_bytes = 0
        self.paused = self.clogged = self.waits = False
        self.last_at_s = connection.source.clock.seconds()
        self.frame_since_s: float | None = None
        self.safe = connection.source.config.tls is None

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

    def make_wait(self, waits: bool) -> None:
        """There is no room for the rest of the frame, or there is again."""
        self.waits = waits
        self.balance()

    def measure(self) -> None:
        """Tell how much there is now of a frame that has not ended."""
        one = self._connection
        before, self.size_bytes = self.size_bytes, one.unframer.size_bytes
        if one.source.room is not None:
            one.source.room.changed(self, before, self.size_bytes)

    def balance(self) -> None:
        """Pause or resume reading, as the connection's and the engine's limits say."""
        one, source = self._connection, self._connection.source
        full = source.full or self.clogged or self.waits or one.unanswered >= source.config.unanswered
        if full != self.paused and one.state is not GONE:
            self.paused = full
            if full:
                one.transport.pauseProducing()
            elif one.state not in HEARD:
                self.last_at_s = source.clock.seconds()  # being held back is not the sender's silence
                self.frame_since_s = None if self.frame_since_s is None else self.last_at_s
                one.transport.resumeProducing()

    def too_long(self, now_s: float) -> tuple[str, str] | None:
        """What takes too long, as a code and in words; None: nothing."""
        config, silent_s = self._connection.source.config, now_s - self.last_at_s
        if self.clogged:
            return ("IDLE", f"answers not read for {config.idle_s:g} s") if silent_s > config.idle_s else None
        if self.paused:
            return None
        if not self.safe and silent_s > config.frame_timeout_s:
            return "TLS_TIMEOUT", f"no agreement on TLS within {config.frame_timeout_s:g} s"
        if self.frame_since_s is not None and now_s - self.frame_since_s > config.frame_timeout_s:
            return "FRAME_TIMEOUT", f"no whole message within {config.frame_timeout_s:g} s of its first byte"
        if not self._connection.unanswered and silent_s > config.idle_s:
            return "IDLE", f"nothing said for {config.idle_s:g} s"
        return None
