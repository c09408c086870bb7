"""The engine of a round: started, ended, frozen and asked; every end of it is noted."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from tests.campaign.judge import STOP_S
from tests.campaign.ledger import End, History
from tests.campaign.sinks import host_of
from tests.crash.hospital import Hospital, free_ports, listens
from tests.crash.load import Load

READY_S = 60.0
"""How long an engine may take to be ready, once nothing is in its way."""


class Ward(Hospital):
    """The campaign's hospital. life: the number of the engine's run, from 1; a second engine has one of its own."""

    site = Path(__file__).parent / "site"

    def __init__(self, directory: Path, database_url: str, sinks: dict[str, Any], history: History) -> None:
        super().__init__(directory, database_url, sinks["lab"], sinks["erp"], (sinks["billing"], sinks["registry"]))
        self.history, self.life, self.lives = history, 0, 0
        self.file_bytes = 0
        self._extra, self._was_ready = sinks, False
        self._starting, self._over, self._others = threading.Lock(), False, list[subprocess.Popen[bytes]]()

    @property
    def environment(self) -> dict[str, str]:
        """With the ports of all sinks, and the name of the run."""
        ports = {f"{name.upper()}_PORT": str(sink.port) for name, sink in self._extra.items()}
        return super().environment | ports | {"ENGINE_LIFE": str(self.life), "ENGINE_HOST": host_of(self.life)}

    # -- its life --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the engine, and do not wait for it."""
        with self._starting:
            self._require_going()
            self.life = self.new_life()
            self._was_ready = False
            self.start(wait=False)
            if self.file_bytes:
                self.file_limit(self.file_bytes)

    def new_life(self) -> int:
        """The number of the next run."""
        self.lives += 1
        return self.lives

    def ended(self) -> int | None:
        """Its exit code; None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def is_up(self) -> bool:
        """Whether it runs and says that it takes messages."""
        if self.ended() is not None or self.page("readyz")[0] != 200 or not all(map(listens, (self.charges_port, self.adt_port))):
            return False
        self._was_ready = True
        return True

    def see_to_it(self, timeout_s: float = READY_S) -> bool:
        """Wait until it is ready; one that has ended by itself is noted, and started again. False when the time is over."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            self._revive()
            if self.is_up():
                return True
            time.sleep(0.1)
        return False

    def _revive(self) -> None:
        if self.ended() is not None:
            self.note_end("", 0.0)
            time.sleep(0.3)
            self.begin()

    def note_end(self, asked: str, took_s: float) -> None:
        """Write down that this run is over."""
        self.history.ends.append(End(self.life, time.time(), asked, self.ended() or 0, took_s, self._was_ready))

    def cut_down(self) -> None:
        """SIGKILL."""
        if self.ended() is not None:
            self.note_end("", 0.0)
            return
        self.kill()
        self.note_end("kill", 0.0)

    def ask_to_end(self) -> None:
        """SIGTERM, and SIGKILL to one that does not obey."""
        if self.ended() is not None:
            self.note_end("", 0.0)
            return
        took_s = end(self._process)
        self.note_end("stop", took_s)

    def send_signal(self, number: int) -> None:
        """SIGSTOP or SIGCONT to a living engine."""
        if self.ended() is None:
            assert self._process is not None
            self._process.send_signal(number)

    def send(self, load: Load) -> None:
        """Begin to send."""
        self._send(load)

    def close_quietly(self) -> None:
        """End whatever still runs, also where something went wrong; the sinks are theirs who opened them."""
        with self._starting:
            self._over = True
        for process in [*self._others, *([self._process] if self._process else [])]:
            if process.poll() is None:
                process.kill()
                process.wait(10)
        for load in self.loads:
            load.stop()

    def _require_going(self) -> None:
        if self._over:
            raise RuntimeError("the round is over")

    # -- its store, its command, another engine -----------------------------------------------------------------------

    def limit_files(self, size: int) -> None:
        """From now on, no file of the engine grows over this; 0: any size. A run that starts meanwhile is limited too."""
        with self._starting:
            self.file_bytes = size
            if self.ended() is None:
                self.file_limit(size or resource.RLIM_INFINITY)

    def ask(self, *arguments: str) -> tuple[int, str]:
        """Exit code and words of the command; it is waited for, but not for ever (code -1)."""
        try:
            done = self.suture(*arguments)
        except subprocess.TimeoutExpired:
            return -1, "no answer"
        return done.returncode, (done.stdout + done.stderr).strip()

    def start_channel(self, name: str, timeout_s: float = READY_S) -> str:
        """`suture channel start`, again until the engine has heard it; what it said last."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            self._revive()
            code, words = self.ask("channel", "start", name)
            if not code or time.monotonic() > deadline_s:
                return f"{code} {words.splitlines()[-1] if words else ''}"
            time.sleep(0.5)

    def another(self, life: int) -> subprocess.Popen[bytes]:
        """A second engine on the same store, on ports of its own."""
        charges, adt = free_ports(2)
        own = {"CHARGES_PORT": str(charges), "ADT_PORT": str(adt), "PAGES_PORT": "0"}
        names = {"ENGINE_LIFE": str(life), "ENGINE_HOST": host_of(life)}
        with self._starting, (self.log.parent / f"engine-{life}.log").open("ab") as log:
            self._require_going()
            self._others.append(subprocess.Popen(self.command, stdout=log, stderr=log, env=self.environment | own | names))
        return self._others[-1]

    def logs(self) -> list[Path]:
        """What all engines have written."""
        return sorted(self.log.parent.glob("engine*.log"))


def end(process: subprocess.Popen[bytes] | None, timeout_s: float = STOP_S + 10) -> float:
    """SIGTERM, and SIGKILL after a while; the seconds it took."""
    assert process is not None
    begin_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
    return time.monotonic() - begin_s


class Sockets:
    """Which of a process's sockets lead nowhere: open descriptors that the kernel has no connection for, or half of one."""

    STAYS_S = 10.0
    """One that is about to be closed leads nowhere too, for a moment."""
    _CLOSE_WAIT = "08"

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self.leaked: set[str] = set()

    def look(self, pid: int, now_s: float) -> None:
        """Look at the process; to be called every second or so."""
        try:
            lost = _open_sockets(pid) - self._connected(pid)
        except OSError:  # it has ended
            lost = set()
        self.note(lost, now_s)

    def note(self, lost: set[str], now_s: float) -> None:
        """These lead nowhere now."""
        self._since = {name: self._since.get(name, now_s) for name in lost}
        self.leaked |= {name for name, since_s in self._since.items() if now_s - since_s >= self.STAYS_S}

    def _connected(self, pid: int) -> set[str]:
        found: set[str] = set()
        for table, place in (("tcp", 9), ("tcp6", 9), ("udp", 9), ("udp6", 9), ("unix", 6), ("netlink", 9)):
            path = Path(f"/proc/{pid}/net/{table}")
            for line in path.read_text().splitlines()[1:] if path.exists() else ():
                words = line.split()
                if len(words) > place and not (table.startswith("tcp") and words[3] == self._CLOSE_WAIT):
                    found.add(words[place])
        return found


def _open_sockets(pid: int) -> set[str]:
    names = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith("socket:["):
            names.add(f"{target[8:-1]}")
    return names
