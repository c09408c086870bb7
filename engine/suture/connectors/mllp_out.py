"""HL7 v2 out, over MLLP: connections that stay open, up to `pipeline` messages in flight on each, ACKs matched whole on MSA-2."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from suture.connectors.contract import NOT_SENT, DestinationSettings, Note, Refused
from suture.connectors.mllp.answers import noted
from suture.connectors.mllp.control_ids import ControlIds
from suture.connectors.mllp.dialling import Dialling
from suture.connectors.mllp.framing import EndBytes, Release, StartByte, framing_of
from suture.connectors.mllp.peer import Peer
from suture.connectors.mllp.pool import Habit, Pool
from suture.connectors.net import sockets
from suture.connectors.net.access import Host
from suture.connectors.net.complaints import Complaints
from suture.connectors.net.tls import ClientTls
from suture.model.outcome import Ambiguous, Outcome, Unavailable
from suture.ports import Clock, Delivery, Done
from suture.wire.hl7v2.exchange import ack

RENAMED = "messages whose control id (MSH-10) is empty or was used before go out under one of ours; their attempts say which"
ENDS_EARLY = "the peer ends connections after its first answer; from now on each message has its own (messages_per_connection: 1)"
UNHEARD = "more connections than `listening` wait for what an application says after its CA; the oldest is closed unheard; see `ack`"


def _code(text: str) -> str:
    """A key of `meaning` as answers are compared with it."""
    code = text.strip().upper()
    if code in ack.BY_THE_STANDARD:
        return code
    if code.lower() in (ack.NO_MSA, ack.EMPTY, ack.OTHER):
        return code.lower()
    known = ", ".join(sorted(ack.BY_THE_STANDARD))
    raise ValueError(f"{text!r} is no code of an acknowledgement; write one of {known}, or no_msa, empty or other")


Code = Annotated[str, AfterValidator(_code)]


class Config(DestinationSettings):
    """Send HL7 v2 over MLLP and read the acknowledgement."""

    host: Host = Field(description="Host name or address of the peer")
    port: int = Field(ge=1, le=65535, description="TCP port of the peer")
    connections: int = Field(1, ge=1, le=256, description="Connections at a time (default 1)")
    pipeline: int = Field(1, ge=1, le=64, description="Messages in flight on one connection, of different lanes (default 1)")
    release: Release = Field("1", description="Release of MLLP; 2 = the peer sends a commit acknowledgement for each message")
    ack: Literal["as_asked", "application", "commit"] = Field(
        "as_asked",
        description="What accepts a message: as_asked = AA, or CA where its MSH-16 does not ask for the application's answer; "
        "application = AA alone; commit = CA, or in release 2 the commit acknowledgement (default as_asked)",
    )
    match: Literal["control_id", "order"] = Field(
        "control_id",
        description="Whose answer an answer is: control_id = that of the MSH-10 in its MSA-2; order = that of the message in flight, "
        "for a peer that does not give MSA-2 back as it came (default control_id)",
    )
    tls: ClientTls | None = Field(None, description="TLS; absent: plain TCP")
    source_host: Host = Field("", description="Own address to connect from; absent: as the system routes")
    connect_timeout_s: float = Field(10, gt=0, description="Seconds to wait for a connection, and for TLS on it (default 10)")
    ack_timeout_s: float = Field(30, gt=0, description="Seconds to wait for the acknowledgement (default 30)")
    application_timeout_s: float = Field(
        60, gt=0, description="Seconds to wait for the application's answer after the commit acknowledgement (default 60)"
    )
    messages_per_connection: int = Field(
        0,
        ge=0,
        description="Messages on one connection, then it is closed: 1 for a peer that closes after each answer (default 0: no limit)",
    )
    listening: int = Field(
        16,
        ge=0,
        le=1024,
        description="Connections beside `connections` that stay open for application_timeout_s to hear what follows a CA that was not "
        "asked for; the oldest is closed first (default 16)",
    )
    idle_s: float = Field(300, gt=0, description="Seconds a connection may rest before it is closed and a new one made (default 300)")
    reconnect_max_s: float = Field(5, ge=0, description="Seconds between attempts to connect to a dead peer, at most (default 5)")
    keepalive_s: float = Field(60, ge=1, description="Seconds of silence before the kernel asks whether the peer is there (default 60)")
    sequence: bool = Field(
        False, description="Number the messages in MSH-13, one in flight at a time (sequence number protocol; default no)"
    )
    limit_bytes: int = Field(1_048_576, ge=256, description="Largest acknowledgement, in bytes (default 1 MiB)")
    start_byte: StartByte = Field("0b", description="The byte before a message, in hex (default 0b)")
    end_bytes: EndBytes = Field("1c0d", description="The bytes after a message, in hex, one to four (default 1c0d)")
    meaning: dict[Code, Literal["accept", "reject", "retry", "hold"]] = Field(
        default_factory=dict,
        description="What MSA-1 codes mean here, over the standard's: AE, AR, ... to accept, reject, retry or hold. Also no_msa: an answer "
        "without an MSA; empty: an empty frame; other: a code that HL7 does not have",
    )

    @field_validator("meaning", mode="before")
    @classmethod
    def _once(cls, meaning: Any) -> Any:
        for code, count in Counter(str(code).strip().upper() for code in meaning if isinstance(meaning, dict)).items():
            if count > 1:
                raise ValueError(f"{code} is written twice, for blanks and capitals make no difference; keep one")
        return meaning

    @model_validator(mode="after")
    def _fitting(self) -> Config:
        framing_of(self)
        if self.release == "2" and self.pipeline > 1:
            raise ValueError("pipeline: 1 is needed in release 2; a commit acknowledgement does not say whose it is")
        if self.sequence and (self.connections > 1 or self.pipeline > 1):
            raise ValueError("sequence: true needs connections: 1 and pipeline: 1; numbered messages go one after another")
        if self.sequence and not self.answered:
            raise ValueError("sequence: true needs another ack than commit; a commit acknowledgement of release 2 says no number")
        if self.pipeline > 1 and (self.match == "order" or {ack.EMPTY, ack.NO_MSA} & self.meaning.keys()):
            what = "match: order" if self.match == "order" else "meaning of no_msa and empty"
            raise ValueError(f"{what} needs pipeline: 1; with several messages in flight such an answer does not say whose it is")
        if self.ack == "commit" and "application_timeout_s" in self.model_fields_set:
            raise ValueError("application_timeout_s has no effect with ack: commit, which waits for no application; leave it out")
        if self.match == "order" and not self.answered:
            raise ValueError(
                "match: order has no effect with ack: commit in release 2, whose acknowledgements name no message; leave it out"
            )
        return self

    @property
    def numbered(self) -> bool:
        return self.sequence

    @property
    def answered(self) -> bool:
        return self.release == "1" or self.ack != "commit"

    def meanings(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """What codes mean; and what they do in an answer that follows a commit acknowledgement.

        A peer that has stored a message and then refuses it does not ask for it again, so that AR is final there unless the settings
        say otherwise.
        """
        usual = {**ack.BY_THE_STANDARD, **self.meaning}
        return usual, {**usual, "AR": self.meaning.get("AR", "reject")}


class Destination:
    """A peer that speaks MLLP, over up to `connections` connections. may_send: asked right before a message is written.

    refused(delivery, outcome): called when an application refuses what a commit acknowledgement has accepted.
    """

    SWEEP_S = 0.5

    def __init__(self, config: Config, reactor: Any, note: Note) -> None:
        self.config = config
        self.clock: Clock = reactor
        self.framing = framing_of(config)
        self.meanings = config.meanings()
        self.complaints = Complaints(f"{config.host}:{config.port}", note, reactor)
        self.dialling = Dialling(self, reactor, note)
        self.habit = Habit(config.messages_per_connection)
        self.pool = Pool(config.listening)
        self._ids = ControlIds()
        self._queue: deque[tuple[Delivery, Done]] = deque()
        self._closed = False
        self._sweep: Any = None
        self.may_send: Callable[[], bool] = lambda: True
        self.time_of_day: Callable[[], float] = time.time
        self.refused: Refused = lambda delivery, outcome: None

    def send(self, delivery: Delivery, done: Done) -> None:
        """Send over a connection with room, or open one, or wait for one."""
        if self._sweep is None:
            self._sweep = self.clock.callLater(self.SWEEP_S, self._swept)
        if not self.may_send():
            self.clock.callLater(0, done, NOT_SENT)
            return
        if not self._queue and self._sent(delivery, done):
            return
        self._queue.append((delivery, done))
        self.pump()

    def _sent(self, delivery: Delivery, done: Done) -> bool:
        """Send it on a connection that rests, else on the least busy one when no more may be opened. False: there is none for it."""
        pool = self.pool
        while pool.resting:
            peer = pool.resting.popitem()[0]
            if peer.usable and not peer.waiting:
                if not (self.habit.full(peer.written.messages) or peer.gone) and self._sent_on(peer, delivery, done):
                    return True
                peer.end()
        limit = self.config.pipeline
        if limit == 1 or len(pool.carrying) + self.dialling.under_way < self.config.connections:
            return False
        full = self.habit.full
        free = [peer for peer in pool.carrying if peer.usable and len(peer.waiting) < limit and not full(peer.written.messages)]
        free.sort(key=lambda peer: len(peer.waiting))
        return any(not peer.gone and self._sent_on(peer, delivery, done) for peer in free)

    def _sent_on(self, peer: Peer, delivery: Delivery, done: Done) -> bool:
        """Send it on this connection. False: an answer there could be to another message, or to an earlier attempt."""
        letter = self._ids.letter(delivery, peer.used)
        if letter is None:
            return False
        name, body = letter
        if name != delivery.control_id:
            done = partial(_renamed, name, done)
            self.complaints.once("OWN_CONTROL_ID", RENAMED)
        peer.send(name, body, delivery, done)
        return True

    def pump(self) -> None:
        """Send what waits where there is room for it, and open connections for the rest."""
        if self._queue and not self.may_send():
            self._tell_queue(NOT_SENT)
        while self._queue and self._sent(*self._queue[0]):
            self._queue.popleft()
        wanted = min(len(self._queue), self.config.connections - len(self.pool.carrying)) - self.dialling.under_way
        if wanted > 0:
            self.dialling.open(wanted)

    def connected(self, peer: Peer) -> None:
        """A connection is ready to be sent on."""
        self.dialling.under_way -= 1
        self.pool.carrying.add(peer)
        self.free(peer)

    def free(self, peer: Peer) -> None:
        """A connection has room."""
        if not peer.waiting:
            self.pool.resting[peer] = None
        if self._queue:
            self.pump()
        elif self._closed and not peer.waiting:
            peer.end()

    def listen(self, peer: Peer) -> None:
        """A connection carries no more messages, and is open for what an application may say; another may take its place."""
        oldest = self.pool.listen(peer)
        if oldest is not None:
            self.complaints.once("CLOSED_UNHEARD", UNHEARD)
            oldest.close()
        self.clock.callLater(0, self.pump)

    def lost(self, peer: Peer, cut_short: bool) -> None:
        """A connection is gone; what was in flight on it has its outcome. cut_short: the peer ended it after its first answer."""
        self.pool.drop(peer)
        if not peer.heard.anything and not peer.ending:
            self.dialling.backoff.failed(self.clock.seconds())
        if self.habit.learned(peer.answers, cut_short):
            self.complaints.once("CLOSES_EARLY", ENDS_EARLY)
        self.complaints.quirks.update(peer.heard.unframer.quirks)
        self.pump()

    def failed(self, code: str, why: str) -> None:
        """No connection to be had: what waits for one is told, unless another connection can take it."""
        self.dialling.under_way -= 1
        self.dialling.backoff.failed(self.clock.seconds())
        if self.pool.carrying:
            self.pump()
            return
        self._tell_queue(Unavailable(code, f"cannot connect to {self.config.host}:{self.config.port}: {why}"))

    def _tell_queue(self, outcome: Outcome) -> None:
        queue, self._queue = self._queue, deque()
        for _, done in queue:
            done(outcome)

    def counts(self) -> dict[str, Counter[str]]:
        """What was counted since the channel started, by kind (framing, quarantined) and code."""
        framing = sum((p.heard.unframer.quirks for p in self.pool.all), self.complaints.quirks)
        return {"framing": framing, "quarantined": self.complaints.codes}

    def held(self) -> sockets.Held:
        for peer in self.pool.all | self.dialling.shaking:
            yield sockets.bare(peer.transport), peer.transport.abortConnection

    def _busy(self) -> bool:
        return self.dialling.under_way > 0 or self.pool.busy()

    def _swept(self) -> None:
        now_s = self.clock.seconds()
        for peer in self.pool.all:
            peer.look(now_s)
        self.dialling.look(now_s)
        self._sweep = None if self._closed and not self._busy() else self.clock.callLater(self.SWEEP_S, self._swept)

    def cut(self, code: str, reason: str) -> None:
        """Abort what is in flight, which may have arrived, and refuse what waits for a connection."""
        self._tell_queue(Unavailable(code, reason))
        for peer in [p for p in self.pool.carrying if p.waiting]:
            peer.abort(Ambiguous(code, reason))

    async def close(self) -> None:
        """Close idle connections now and the others when their answer has come, or its time is over.

        Those that are open for what an application may say stay so long; nobody has to wait for them.
        """
        self._closed = True
        for peer in list(self.pool.carrying):
            if not peer.waiting:
                peer.end()
        self.dialling.close()
        self._tell_queue(Unavailable("CONNECT", "the destination was closed before a connection was free"))
        if self._sweep is not None and not self._busy():
            self._sweep.cancel()
            self._sweep = None


def _renamed(name: str, done: Done, outcome: Outcome) -> None:
    """Say under which control id it went, for whoever looks for it at the peer."""
    done(noted(outcome, f"sent under the control id {name}"))
