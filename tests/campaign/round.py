"""One round: an engine under load, the faults of a schedule, then peace, an operator, and the judge."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.campaign import aftermath
from tests.campaign.judge import judge
from tests.campaign.ledger import CHANNEL_OF, Finding, History
from tests.campaign.schedule import POISON, Fault, written
from tests.campaign.senders import Cabinets
from tests.campaign.sinks import Sink, sinks
from tests.campaign.stores import Postgres, Sqlite
from tests.campaign.strikes import STRIKES, Field
from tests.campaign.ward import Sockets, Ward
from tests.crash.mortal_postgres import MortalServer

LOOK_S = 0.5
"""Between two looks at the engine's readiness and its sockets."""
MUTE_S = 30.0
"""So soon after the faults every connection of a sender has to see an acknowledgement."""
LATE_S = 10.0
"""A fault that would begin so long after the last one was to begin is left out: those before it took their time."""
ALONE_S = 4.0
"""So long an account of which nothing is taken is tried with nothing beside it: enough to open a breaker."""
CONNECTIONS = {"C": 4, "A": 2}


class Round:
    """One round in a directory of its own; progress(text) is called about twice a second."""

    def __init__(
        self,
        directory: Path,
        seed: int,
        faults: Sequence[Fault],
        server: MortalServer | None,
        progress: Callable[[str], None],
    ) -> None:
        directory.mkdir(parents=True)
        self.directory, self.seed, self.faults, self._progress = directory, seed, faults, progress
        self.history = History()
        self.sinks: dict[str, Sink] = sinks(self.history.arrivals, seed)
        self.store: Any = Sqlite(directory, self.history) if server is None else Postgres(server, f"round_{time.time_ns()}", self.history)
        self.ward = Ward(directory, self.store.url, self.sinks, self.history)
        self.cabinets: list[Cabinets] = []
        self._over, self._broken = threading.Event(), list[BaseException]()
        self._done = Counter[str]()
        self._doing: dict[str, str] = {}
        self._diary = (directory / "diary.txt").open("w")
        self._begin_s = 0.0

    def run(self) -> list[Finding]:
        """Everything, from the first start to the judgement."""
        try:
            with self.ward.sinks:
                self._act()
        finally:
            self._over.set()
            self.ward.close_quietly()
            self.store.close()
            self._keep()
            self._diary.close()
        return judge(self.history)

    def _act(self) -> None:
        self.ward.begin()
        assert self.ward.see_to_it(), f"the engine does not start:\n{self.ward.said()[-2000:]}"
        self.store.opened(self.ward)
        for kind, port in (("C", self.ward.charges_port), ("A", self.ward.adt_port)):
            self.cabinets.append(Cabinets(port, kind, CONNECTIONS[kind], self.seed))
            self.ward.send(self.cabinets[-1])
        watcher = threading.Thread(target=self._watch, daemon=True)
        watcher.start()
        self._strike()
        self._peace()
        aftermath.operate(self.ward, self.history, self._moved)
        aftermath.books(self.ward, self.history)
        self._over.set()
        watcher.join(20)
        self.ward.ask_to_end()
        aftermath.read_store(self.ward, self.history)
        aftermath.read_logs(self.ward, self.history)
        aftermath.read_sinks(self.sinks, self.history)

    # -- faults ----------------------------------------------------------------------------------------------------

    def _strike(self) -> None:
        """The tracks, each on a thread of its own, until all are over."""
        self._begin_s = time.monotonic()
        tracks = {fault.track for fault in self.faults}
        threads = [threading.Thread(target=self._track, args=(track,), daemon=True) for track in sorted(tracks)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._broken:
            raise self._broken[0]

    def _track(self, track: str) -> None:
        about = Field(self.ward, self.store, self.sinks, self.cabinets, self.history, self._say)
        for fault in (fault for fault in self.faults if fault.track == track):
            if self._broken or self._over.wait(max(0.0, self._begin_s + fault.at_s - time.monotonic())):
                return
            if time.monotonic() - self._begin_s > self.faults[-1].at_s + LATE_S:
                self._say(f"left out, it is late: {fault}")
                continue
            self._say(f"begins: {fault}")
            self._doing[track] = fault.kind
            try:
                STRIKES[fault.kind](about, fault)
            except BaseException as e:
                self._broken.append(e)
                return
            finally:
                self._doing.pop(track, None)
            self._done[fault.kind] += 1
            self._say(f"over:   {fault.kind}")

    def _say(self, text: str) -> None:
        self._diary.write(f"{time.monotonic() - self._begin_s:7.2f} {text}\n")
        self._diary.flush()

    # -- afterwards ------------------------------------------------------------------------------------------------

    def _peace(self) -> None:
        """No more faults; the engine has to be well, take messages from everybody, and bring all to its end."""
        self._doing["after"] = "peace"
        self._say("peace")
        poison = [fault for fault in self.faults if fault.track == POISON][-1:]
        for fault in poison:
            self.sinks[fault.detail["sink"]].never.add(fault.detail["account"])
        for channel in CHANNEL_OF.values():
            self._say(f"channel start {channel}: {self.ward.start_channel(channel)}")
        if not self.ward.see_to_it():
            self.history.notes.append(
                ("unready", f"the engine is not ready though nothing is wrong any more: {self.ward.page('readyz')[1][:200]}")
            )
            self.ward.ask_to_end()
            self.ward.begin()
            self.ward.see_to_it()
        self._hear_everybody()
        self._drain({fault.detail["sink"]: {fault.detail["account"]} for fault in poison})

    def _hear_everybody(self) -> None:
        """Every connection of a sender sees another acknowledgement."""
        since_s, silent = time.time(), {1}
        deadline_s = time.monotonic() + MUTE_S
        while silent and time.monotonic() < deadline_s:
            time.sleep(0.2)
            heard = {
                (cabinets.kind, one.number % CONNECTIONS[cabinets.kind])
                for cabinets in self.cabinets
                for one in list(cabinets.sent.values())[-200:]
                if one.acked_s > since_s
            }
            silent = {(kind, n) for kind, count in CONNECTIONS.items() for n in range(count)} - heard
        for kind, n in silent:
            self.history.notes.append(("mute", f"connection {n} of the senders of {kind} got no answer in {MUTE_S:g} s of peace"))

    def _drain(self, poisoned: Mapping[str, set[str]]) -> None:
        """Bring everything to its end: first what a peer takes, then what it would not take so far."""
        if poisoned:
            self._rest(poisoned)
        for cabinets in self.cabinets:
            cabinets.stop()
        left = aftermath.drain(self.ward, poisoned, self._moved)
        self._say(f"left: {left[:20]}")
        if poisoned and (starved := Counter(destination for destination, *_ in left if destination in poisoned)):
            text = f"{dict(starved)} wait while one account is never taken at {', '.join(poisoned)}"
            self.history.notes.append(("starved", text))
        for sink in self.sinks.values():
            sink.never.clear()
        if poisoned:
            self._say(f"left: {aftermath.drain(self.ward, {}, self._moved)[:20]}")

    def _rest(self, poisoned: Mapping[str, set[str]]) -> None:
        """Let the one account fail alone for a while, then let all the others come again."""
        for resting in (True, False):
            for cabinets in self.cabinets:
                cabinets.resting = resting
            if resting:
                aftermath.drain(self.ward, poisoned, self._moved)
            time.sleep(ALONE_S)

    def _moved(self) -> int:
        """What peers have taken: attempts alone are no progress."""
        return sum(sink.taken for sink in self.sinks.values())

    # -- looking ---------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        sockets = Sockets()
        while not self._over.wait(LOOK_S):
            status = self.ward.page("readyz")[0]
            self.history.ready.append((time.time(), status))
            if self.ward.ended() is None and "freeze" not in self._doing.values():
                with suppress(psutil.NoSuchProcess):  # it may have ended since
                    sockets.look(self.ward.process.pid, time.monotonic())
            self.history.leaked = len(sockets.leaked)
            self._progress(self._line(status))

    def _line(self, status: int) -> str:
        acked = sum(len(cabinets.acked) for cabinets in self.cabinets)
        arrived = " ".join(f"{name} {sink.taken}" for name, sink in self.sinks.items())
        doing = ", ".join(self._doing.values()) or "load"
        return f"{time.monotonic() - self._begin_s:5.0f} s  acknowledged {acked}  {arrived}  ready {status or '-'}  now: {doing}"

    def counts(self) -> dict[str, int]:
        """What there was, for the table."""
        history = self.history
        legs = {(a.sink, a.origin) for a in history.arrivals}
        return {
            "sent": len(history.sent),
            "acknowledged": sum(bool(one.acked_s) for one in history.sent),
            "arrivals": len(history.arrivals),
            "came again": len(history.arrivals) - len(legs),
            "waited for a person": len(history.parked),
            "of them at sinks that hold": aftermath.holding(history),
            "lies": sum(a.did not in ("answer", "never taken") and not a.did.startswith("slow") for a in history.arrivals),
            "resets by senders": sum(cabinets.resets for cabinets in self.cabinets),
            "runs of the engine": self.ward.lives,
            "faults": sum(self._done.values()),
        }

    def struck(self) -> dict[str, int]:
        """Faults that were done, by kind."""
        return dict(self._done)

    def _keep(self) -> None:
        """Everything for looking, in the directory."""
        self.history.sent = [one for cabinets in self.cabinets for one in list(cabinets.sent.values())]
        self.history.notes += [("confused", text) for cabinets in self.cabinets for text in cabinets.confused]
        (self.directory / "schedule.json").write_text(json.dumps(written(self.faults), indent=1))
        for name in ("sent", "arrivals", "messages", "deliveries", "attempts", "ends", "blackouts", "troubles", "frozen", "seconds"):
            rows = (json.dumps(dataclasses.asdict(row)) for row in getattr(self.history, name))
            (self.directory / f"{name}.jsonl").write_text("".join(f"{row}\n" for row in rows))
        shutil.rmtree(self.directory / "site" / "mappings", ignore_errors=True)
