"""A site on a migrated database, and the command run on it inside this process."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from suture.cli.main import main
from suture.store.engine import open_engine
from tests.filling import Store

BASE = """\
site: {{name: General Hospital, zone: America/Chicago}}
store: {{url: "{url}"}}
endpoints: {{}}
"""


@dataclass
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str
    bytes: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Suture = Callable[..., Ran]


@pytest.fixture
def suture(monkeypatch: pytest.MonkeyPatch) -> Suture:
    """Run the command with these arguments; nobody is at the keyboard and the output is no terminal."""
    for name in ("COLUMNS", "SUTURE_SITE", "SUTURE_ENV", "SUTURE_DATABASE_URL", "SUTURE_DEBUG", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "nurse")

    def run(*arguments: object) -> Ran:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="", write_through=True) for _ in range(2))
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setattr(sys, "stdin", io.StringIO(""))
            code = main([str(each) for each in arguments])
        raw = out.buffer.getvalue()  # type: ignore[attr-defined]
        return Ran(code, raw.decode("utf-8", "replace"), err.buffer.getvalue().decode(), raw)  # type: ignore[attr-defined]

    return run


@dataclass
class Site:
    """A site's directory, its store, and the command run on it."""

    path: Path
    store: Store
    run: Suture

    def __call__(self, *arguments: object) -> Ran:
        return self.run(*arguments, "--site", self.path)


@pytest.fixture
def site(tmp_path: Path, engine_url: str, suture: Suture) -> Iterator[Site]:
    """A site on SQLite and on PostgreSQL."""
    path = tmp_path / "site"
    write_site(path, engine_url)
    engine = open_engine(engine_url, site=None)
    yield Site(path, Store(engine), suture)
    engine.dispose()


def write_site(path: Path, url: str) -> None:
    """The files that the command needs for looking at the store."""
    (path / "conf").mkdir(parents=True)
    (path / "conf" / "base.yaml").write_text(BASE.format(url=url))
    (path / "channels" / "or-supply").mkdir(parents=True)
    (path / "channels" / "or-supply" / "channel.yaml").write_text("channel: or-supply\n")
