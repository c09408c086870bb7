"""The hospital of the crash tests: the real command in a process of its own, its senders, its sinks, and its books."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Connection, Engine, text

import suture
from suture.model import ending
from suture.store.engine import open_engine
from tests import contents
from tests.crash.load import Load, adt, dft
from tests.faults.peer import Elsewhere, FaultyPeer, Seen

SITE = Path(__file__).parent / "site"
START_TIMEOUT_S = 30
MARKER = "ZZMARKER"
"""The name of every patient; it may be in the store and at the sinks, and nowhere else."""


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on, and that the system gives to nobody by itself: a sink or a connection would have them soon."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(10_000, _first_given())
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            if port not in ports:
                ports.append(port)
    return ports


def _first_given() -> int:
    """The first port that the system gives to whoever asks for any."""
    return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def wait_until(true: Callable[[], Any], timeout_s: float = 20, what: str = "") -> Any:
    """Look every few milliseconds until something is true; what it was. Fails when the time is over."""
    deadline_s = time.monotonic() + timeout_s
    while not (found := true()):
        assert time.monotonic() < deadline_s, f"not within {timeout_s:g} s: {what or true}"
        time.sleep(0.01)
    return found


def kept_charge(seen: Seen) -> tuple[str, str, str]:
    """(control id, idempotency key, account) of a charge at the ERP."""
    body = json.loads(seen.body)
    return body["message"]["control_id"], seen.key, body["events"][0]["data"]["account"]


def kept_adt(seen: Seen) -> tuple[str, str, str]:
    """The same of a message at the laboratory, which has no key but the control id."""
    pid = next(line for line in seen.body.decode().split("\r") if line.startswith("PID"))
    return seen.control_id, seen.control_id, pid.split("|")[18]


class Hospital:
    """One site with one engine; erp and lab are its sinks (on a thread of their own), and `others` beside them."""

    site = SITE

    def __init__(
        self,
        directory: Path,
        database_url: str = "",
        lab: FaultyPeer | None = None,
        erp: FaultyPeer | None = None,
        others: tuple[FaultyPeer, ...] = (),
        **environment: str,
    ) -> None:
        self.directory = directory / "site"
        shutil.copytree(self.site, self.directory)
        self.url = database_url or f"sqlite:///{self.directory / 'suture.db'}"
        self.charges_port, self.adt_port, self.pages_port = free_ports(3)
        self.erp = erp or FaultyPeer("http", keep=kept_charge)
        self.lab = lab or FaultyPeer("mllp", keep=kept_adt)
        self.sinks = Elsewhere(self.erp, self.lab, *others)
        self.loads: list[Load] = []
        self.log = directory / "engine.log"
        self.limit: Callable[[], None] | None = None
        self.starts = 0
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Hospital:
        self.sinks.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        assert MARKER not in self.said(), "a patient's name is in the log"
        assert "Traceback" not in self.said()

    def close(self) -> None:
        """End whatever still runs."""
        for load in self.loads:
            load.stop()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        self.sinks.__exit__()

    # -- the engine ------------------------------------------------------------------------------------------------

    @property
    def command(self) -> list[str]:
        """What starts the engine."""
        return [sys.executable, "-m", "suture.cli.main", "run", "--site", str(self.directory)]

    @property
    def environment(self) -> dict[str, str]:
        """The engine's environment: where it listens, where the sinks are, and its store."""
        ports = {
            "CHARGES_PORT": self.charges_port,
            "ADT_PORT": self.adt_port,
            "PAGES_PORT": self.pages_port,
            "ERP_PORT": self.erp.port,
            "LAB_PORT": self.lab.port,
        }
        given = os.environ | self._environment | {name: str(port) for name, port in ports.items()}
        return given | {"SUTURE_DATABASE_URL": self.url, "PYTHONPATH": str(Path(suture.__file__).parents[1])}

    def start(self, wait: bool = True) -> None:
        """Start the engine; wait until it takes messages."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log, env=self.environment, preexec_fn=self.limit)
        self.starts += 1
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until the engine takes messages."""
        wait_until(self.is_ready, START_TIMEOUT_S, "the engine is ready")

    @property
    def process(self) -> psutil.Process:
        """The engine's process."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def is_ready(self) -> bool:
        """Whether it says that it takes messages (it has to live)."""
        assert self._process is None or self._process.poll() is None, f"the engine has ended:\n{self.said()[-3000:]}"
        return self.page("readyz")[0] == 200 and all(map(listens, (self.charges_port, self.adt_port)))

    def page(self, name: str) -> tuple[int, str]:
        """Status and text of one of the engine's pages; (0, "") when there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.pages_port}/{name}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.read().decode()
        except OSError:
            return 0, ""

    def kill(self) -> None:
        """End the engine at this instant."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)

    def terminate(self, timeout_s: float = 10, expected: int = ending.CLEAN) -> float:
        """Ask the engine to end; the seconds it took. It has to say that all is well, or what is expected."""
        assert self._process is not None
        begin_s = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(timeout_s)
        assert code == expected, f"exit code {code}:\n{self.said()[-3000:]}"
        return time.monotonic() - begin_s

    def suture(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command on this site, as from another terminal."""
        command = [sys.executable, "-m", "suture.cli.main", *arguments, "--site", str(self.directory)]
        return subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=30)

    def second_engine(self, url: str = "", says: str = "another engine works on this store") -> str:
        """Start another engine on this store, under this name; it has to end and say why. What it said."""
        other = self.environment | {"PAGES_PORT": "0"} | ({"SUTURE_DATABASE_URL": url} if url else {})
        second = subprocess.run(self.command, env=other, capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode > 0
        assert says in second.stderr
        return second.stderr

    def said(self) -> str:
        """All that the engine has written to stdout and stderr."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def rss_bytes(self) -> int:
        """Memory of the engine."""
        return int(self.process.memory_info().rss)

    def file_limit(self, size: int) -> None:
        """Let no file of the running engine grow over this size (resource.RLIM_INFINITY: any size)."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    # -- its senders -----------------------------------------------------------------------------------------------

    def send_charges(self, count: int | None = None, connections: int = 4) -> Load:
        """Begin to send charges (without end, when there is no count)."""
        return self._send(Load(self.charges_port, dft, "C", count, connections))

    def send_adt(self, count: int | None = None, connections: int = 2) -> Load:
        """Begin to send ADT."""
        return self._send(Load(self.adt_port, adt, "A", count, connections))

    def _send(self, load: Load) -> Load:
        self.loads.append(load)
        load.start()
        return load

    # -- its books -------------------------------------------------------------------------------------------------

    def database(self) -> Engine:
        """The store, to look at."""
        return open_engine(self.url, site=None)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the store."""
        with self.connected() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    @contextlib.contextmanager
    def connected(self) -> Iterator[Connection]:
        """A connection to the store, for a while."""
        engine = self.database()
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def execute(self, sql: str) -> None:
        """Change the store, of which no engine is at work."""
        engine = self.database()
        try:
            with engine.begin() as connection:
                connection.execute(text(sql))
        finally:
            engine.dispose()

    def wait_for_delivery(self, timeout_s: float = 30) -> None:
        """Wait until the sinks have all that was acknowledged."""
        for load in self.loads:
            load.stop()
        sinks = ((self.erp, "C"), (self.lab, "A"))
        for sink, kind in sinks:
            acked = {i for load in self.loads if load.kind == kind for i in load.acked}
            wait_until(lambda sink=sink, acked=acked: acked <= {row[0] for row in list(sink.seen)}, timeout_s, f"all {kind} delivered")

    def check(self) -> None:
        """After an orderly end: nothing lost, nothing doubled, order kept, and the books balance."""
        charges = [load for load in self.loads if load.kind == "C"]
        adts = [load for load in self.loads if load.kind == "A"]
        check_sink(self.erp.seen, {i for load in charges for i in load.acked}, self.starts - 1)
        check_sink(self.lab.seen, {i for load in adts for i in load.acked}, self.starts - 1)
        self._check_store()

    def _check_store(self) -> None:
        states = dict(self.query("SELECT state, count(*) FROM message GROUP BY state"))
        assert set(states) <= {"processed", "duplicate"}, states
        firsts = self.query("SELECT channel, control_id, count(*) FROM message WHERE state = 'processed' GROUP BY channel, control_id")
        assert [row for row in firsts if row[2] != 1] == [], "a message is in the store twice"
        stored = {(channel, control_id) for channel, control_id, _ in firsts}
        acked = {("charges" if load.kind == "C" else "adt", i) for load in self.loads for i in load.acked}
        assert acked <= stored, "acknowledged and not in the store"
        assert self.query("SELECT DISTINCT state FROM delivery WHERE state <> 'accepted'") == []
        assert self.query("SELECT count(*) FROM delivery")[0][0] == len(stored)
        assert self.query("SELECT message_id FROM delivery GROUP BY message_id HAVING count(*) > 1") == []
        charges = sum(channel == "charges" for channel, _ in stored)
        with self.connected() as connection:
            raised = [event.event_id for _, _, event in contents.events(connection) if event.state == "raised"]
        assert (len(raised), len(set(raised))) == (2 * charges, 2 * charges)
        assert self.query("SELECT count(*) FROM claim")[0][0] == 2 * charges
        assert self.query("SELECT count(DISTINCT delivery_id) FROM attempt WHERE outcome = 'accepted'")[0][0] == len(stored)
        assert self.query("SELECT reason FROM exception") == []


def check_sink(rows: list[tuple[str, str, str]], acked: set[str], restarts: int = 0) -> None:
    """What one sink saw: all that was acknowledged, each under one key, in order per account.

    An engine that was killed sends again, in order, what it could not note as delivered: an account's numbers may step
    back once a restart.
    """
    keys: dict[str, set[str]] = {}
    control_ids: dict[str, set[str]] = {}
    before: dict[str, int] = {}
    latest: dict[str, int] = {}
    steps_back: dict[str, int] = {}
    for control_id, key, account in rows:
        number, first = int(control_id[1:]), control_id not in keys
        keys.setdefault(control_id, set()).add(key)
        control_ids.setdefault(key, set()).add(control_id)
        assert not first or number > latest.get(account, -1), f"{control_id} of account {account} came after {latest[account]}"
        steps_back[account] = steps_back.get(account, 0) + (number < before.get(account, -1))
        before[account], latest[account] = number, max(number, latest.get(account, -1))
    assert max(steps_back.values(), default=0) <= restarts, f"an account went back: {steps_back}"
    assert acked - set(keys) == set(), "acknowledged and never delivered"
    assert [i for i, each in keys.items() if len(each) > 1] == [], "one message under two keys"
    assert [k for k, each in control_ids.items() if len(each) > 1] == [], "one key for two messages"
