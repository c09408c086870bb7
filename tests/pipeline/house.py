"""A channel with its real journal on a database, a clock moved by hand, and destinations that answer as they are told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine
from twisted.internet.task import Clock

from suture.conversation.hl7v2.rules import AnswerRules
from suture.model.outcome import Accepted, Outcome
from suture.model.value import changed
from suture.pipeline.channel import Channel
from suture.pipeline.lanes import Lanes
from suture.pipeline.retry import Policy
from suture.ports import Delivery, Work
from suture.store.backlog import received
from suture.store.journal import Journal
from suture.wire.hl7v2.text import er7
from tests.doubles import Silent, world
from tests.plans import Output, Plan, dealt

BEGIN_S = 1_772_640_000.0


@dataclass
class Heard:
    """What one sender was told, in order: ("answer" or "said", the payload)."""

    told: list[tuple[str, bytes | None]] = field(default_factory=list)
    stored: list[bool] = field(default_factory=list)

    def answer(self, payload: bytes | None, stored: bool = True) -> None:
        self.stored.append(stored)
        assert not [1 for how, _ in self.told if how == "answer"], "answered twice"
        self.told.append(("answer", payload))

    def say(self, payload: bytes | None, stored: bool = True) -> None:
        if payload is None:
            assert not self.told, "stored, after the answer"
            self.stored.append(stored)
        else:
            self.told.append(("said", payload))

    @property
    def codes(self) -> list[str]:
        """MSA-1 of each thing told; "-" for nothing."""
        return [er7.Message.parse(payload).get("MSA-1") if payload else "-" for _, payload in self.told]

    @property
    def messages(self) -> list[er7.Message]:
        """What was told, read."""
        return [er7.Message.parse(payload) for _, payload in self.told if payload]


class Peer:
    """A destination that answers with the next outcome of its script when it is told to, and Accepted after that."""

    def __init__(self, script: Sequence[Outcome]) -> None:
        self.script, self.asked = list(script), []

    def send(self, delivery: Delivery, done: Callable[[Outcome], None]) -> None:
        self.asked.append((delivery, done))

    def answer(self) -> None:
        """Answer what was sent."""
        asked, self.asked = self.asked, []
        for _, done in asked:
            done(self.script.pop(0) if self.script else Accepted("AA"))

    def close(self) -> None: ...


class House:
    """One run of a channel c, from receiving to delivering. script: the outcomes of each destination, by name."""

    def __init__(
        self,
        database: Engine,
        rules: AnswerRules,
        script: dict[str, Sequence[Outcome]] | None = None,
        inbound: Any = None,
        backlog: Any = None,
    ) -> None:
        self.database, self.rules, self.clock, self.calls = database, rules, Clock(), []
        self.clock.advance(BEGIN_S)
        self._lock = threading.Lock()
        self.journal = Journal(database, self._soon, Silent(), self._bug, self._bug, retry_s=0.01)
        self.journal.start()
        self.peers = {name: Peer(outcomes) for name, outcomes in (script or {"d": []}).items()}
        self.world = world(self.journal, self.clock, backlog)
        policy = Policy(first_s=1, jitter=0)
        self.lanes = {name: Lanes("c", name, peer, policy, self.world, lambda lanes: None) for name, peer in self.peers.items()}
        plan = Plan("c", [Output(name) for name in self.peers], inbound=inbound, window_us=10**12, answer=rules)
        self.open(plan)
        for lanes in self.lanes.values():
            lanes.start(0)
        self.bugs: list[Any] = []

    def dealing(self, **given: Any) -> None:
        """The same channel with these of its conversation: continuation, sequence."""
        self.open(changed(self.channel.plan, **dealt("c", 10**12, self.rules, **given)))

    def open(self, plan: Any, validator: Any = None, **world: Any) -> None:
        """The channel of this plan, in a world that is as always but for these."""
        self.channel = Channel(plan, self.lanes, changed(self.world, **world), lambda reason: None, validator)

    def _soon(self, call: Callable[[], None]) -> None:
        with self._lock:
            self.calls.append(call)

    def _bug(self, error: Any) -> None:
        self.bugs.append(error)

    def receive(self, raw: bytes, settle: bool = True) -> Heard:
        """One message from a sender of its own."""
        heard = Heard()
        self.channel.conversation.arrived(raw, "peer", heard.answer, heard.say)
        if settle:
            self.settle()
        return heard

    def settle(self) -> None:
        """Wait until all that was handed to the journal is durable and told."""
        done = threading.Event()
        self.journal.write(Work("settle", lambda c: done.set(), lambda r: None, lambda e: None))
        assert done.wait(10)
        while self.journal.pending():
            with self._lock:
                ready, self.calls[:] = list(self.calls), []
            for call in ready:
                call()
        assert not self.bugs

    def deliver(self, name: str = "d") -> None:
        """Let a destination answer what it was sent."""
        self.peers[name].answer()
        self.settle()

    def unprocessed(self) -> int:
        """Messages that are stored and not processed."""
        with self.database.connect() as connection:
            return len(received(connection, "c", 0, 1000))

    def stop(self) -> None:
        """End, as a crash would: nothing more is told."""
        self.channel.conversation.stop()
        self.journal.stop()
        self.journal.join(10)


class Parked:
    """A mapping that parks every message."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def run(self, message: er7.Message, received_at_us: int) -> Any:
        raise self.error
