"""HL7 v2 in, over MLLP: listens, cuts frames, hands each message on, and writes the answer when it is given one."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any, Literal

from pydantic import Field, model_validator
from twisted.internet import defer

from suture.connectors.contract import Note, Receive, Refuse, SourceSettings
from suture.connectors.mllp.framing import EndBytes, Release, StartByte, framing_of
from suture.connectors.mllp.life import Event
from suture.connectors.mllp.sender import Connection
from suture.connectors.net import sockets
from suture.connectors.net.access import Host, Network
from suture.connectors.net.door import Door
from suture.connectors.net.room import Room
from suture.connectors.net.tls import ServerTls
from suture.ports import AckTime


class Config(SourceSettings):
    """Listen for HL7 v2 over MLLP."""

    port: int = Field(ge=0, le=65535, description="TCP port to listen on")
    host: Host = Field("127.0.0.1", description="Address to listen on; beyond loopback only with a reason")
    ack: AckTime = Field("after_store", description="When to answer: after_store (durable), after_process or after_delivery")
    release: Release = Field("1", description="Release of MLLP; 2 = a commit acknowledgement before each HL7 answer")
    allow: list[Network] = Field(default_factory=list, description="Networks that may connect: [10.0.0.0/8, 192.168.1.5]; empty = all")
    proxies: list[Network] = Field(
        default_factory=list, description="Proxies whose PROXY header (v1 or v2) says who the sender is: [10.0.0.5]; empty = none"
    )
    proxy_header: Literal["required", "optional"] = Field(
        "required", description="Whether a listed proxy may connect without a header, as itself: required or optional"
    )
    proxy_timeout_s: float = Field(5, gt=0, description="Seconds a listed proxy may take to send its header (default 5)")
    tls: ServerTls | None = Field(None, description="TLS; absent: plain TCP")
    limit_bytes: int = Field(16_777_216, ge=1024, description="Largest message, in bytes; a larger one is refused, AR (default 16 MiB)")
    skip_bytes: int = Field(
        268_435_456, ge=0, description="Bytes of a message over the limit that are passed over; more end the connection (default 256 MiB)"
    )
    connections: int = Field(2000, ge=1, description="Connections at a time; one more is closed at once (default 2000)")
    unanswered: int = Field(64, ge=1, description="Messages of one connection in work before it is read no further (default 64)")
    frame_timeout_s: float = Field(30, gt=0, description="Seconds from the first byte of a message to its end, or for TLS (default 30)")
    end_wait_s: float = Field(1, gt=0, description="Seconds after which an end byte counts though nothing follows it (default 1)")
    idle_s: float = Field(3600, gt=0, description="Seconds a connection may say nothing before it is closed (default 3600)")
    keepalive_s: float = Field(60, ge=1, description="Seconds of silence before the kernel asks whether the sender is there (default 60)")
    backlog: int = Field(1024, ge=1, le=65_535, description="Connections that the kernel keeps until they are accepted (default 1024)")
    reuse_port: bool = Field(False, description="Other processes may listen on the same port (SO_REUSEPORT; default no)")
    start_byte: StartByte = Field("0b", description="The byte before a message, in hex (default 0b)")
    end_bytes: EndBytes = Field("1c0d", description="The bytes after a message, in hex, one to four (default 1c0d)")

    @model_validator(mode="after")
    def _fitting(self) -> Config:
        framing_of(self)
        idle = sorted({"proxy_header", "proxy_timeout_s"} & self.model_fields_set) if not self.proxies else []
        if idle:
            raise ValueError(f"{idle[0]} has no effect without `proxies`; list them, or leave it out")
        return self

    @property
    def when(self) -> AckTime:
        return self.ack

    @property
    def listens_on(self) -> tuple[str, int]:
        return self.host, self.port


class Source:
    """The listener of one channel.

    room: for the unfinished frames of all sources of the engine; without one each connection's `limit_bytes` alone counts.
    """

    SWEEP_S = 5.0

    def __init__(self, config: Config, reactor: Any, receive: Receive, refuse: Refuse, note: Note) -> None:
        self.config, self.receive, self.refuse, self.note = config, receive, refuse, note
        self.clock = reactor
        self.connections: set[Connection] = set()
        self.door = Door(config, reactor, note, self.connections)
        self.framing, self.commits = framing_of(config), config.release == "2"
        self.quirks: Counter[str] = Counter()
        self.full = False
        self.room: Room | None = None
        self._sweep: Any = None
        self._drained: defer.Deferred[None] | None = None

    @property
    def port(self) -> int:
        """The port that is listened on (useful when the configured one is 0)."""
        return self.door.port

    @property
    def listening(self) -> bool:
        return self.door.listens

    def open(self) -> None:
        """Start to listen. Raises SutureError where the port cannot be had, and for TLS files that cannot be used."""
        self.door.clock = self.clock
        self.door.open(lambda address: Connection(self, address))
        self._sweep = self.clock.callLater(self.SWEEP_S, self._swept)

    def admit(self, connection: Connection) -> bool:
        """Whether there is room for one more connection."""
        if not self.door.has_room():
            return False
        self.connections.add(connection)
        if self.full:
            connection.flow.balance()
        return True

    def lost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.answered()

    def counts(self) -> dict[str, Counter[str]]:
        """What was counted since the channel started, by kind (framing, refused) and code."""
        return {"framing": sum((c.unframer.quirks for c in self.connections), self.quirks), "refused": self.door.refused}

    def held(self) -> sockets.Held:
        for connection in self.connections | self.door.gates:
            yield sockets.bare(connection.transport), connection.transport.abortConnection

    def set_full(self, full: bool) -> None:
        """Stop or resume reading from every connection (the journal or a queue is at its limit)."""
        if full != self.full:
            self.full = full
            for connection in list(self.connections):
                connection.flow.balance()

    def _swept(self) -> None:
        self._sweep = self.clock.callLater(self.SWEEP_S, self._swept)
        now_s = self.clock.seconds()
        for connection in list(self.connections):
            connection.overdue(now_s)

    def answered(self) -> None:
        if self._drained is not None and not any(c.unanswered for c in self.connections):
            drained, self._drained = self._drained, None
            drained.callback(None)

    async def close(self, drain_s: float) -> None:
        """Stop listening and reading, wait until what was read is answered (at most drain_s), close connections."""
        if not self.door.is_open:
            return
        self.set_full(True)
        await self.door.close()
        if any(c.unanswered for c in self.connections):
            self._drained = defer.Deferred()
            with contextlib.suppress(defer.TimeoutError):
                await self._drained.addTimeout(drain_s, self.clock)
            self._drained = None
        self._sweep.cancel()
        for connection in list(self.connections):
            connection.happens(Event.STOPPED)
        for gate in list(self.door.gates):
            gate.end()
