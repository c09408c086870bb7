"""What a command works on: the site, its database and who is asking."""

from __future__ import annotations

import getpass
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suture.cli import times
from suture.model.errors import ConfigError, Problem
from suture.store import url

if TYPE_CHECKING:
    from suture.control import Control
    from suture.store.engine import Engine


@dataclass
class Session:
    """One run of the command. directory: the site. environment: of conf/<environment>.yaml, or None. as_json: print JSON.

    answer_s: how long each look at the store may take; None: as long as it takes.

    Only what a look at the store needs is read of the site's files, so that a mistake in one channel's file does not
    keep an operator from the others; `suture check` reads them all.
    """

    directory: Path
    environment: str | None = None
    as_json: bool = False
    answer_s: float | None = None
    _opened: Engine | None = None

    @cached_property
    def control(self) -> Control:
        """The verbs, on the site's database, whose schema is checked. Raises StoreError."""
        from suture.control import Control
        from suture.store import schema

        engine = self.engine()
        schema.check(engine)
        return Control(engine, actor(), known=self.channels(), tell=_aside)

    def engine(self, create: bool = False) -> Engine:
        """The site's database, opened once. create: make the SQLite file when there is none."""
        if self._opened is None:
            from suture.store.engine import open_engine

            given = os.environ.get(url.VARIABLE) or self._setting("store", "url") or url.DEFAULT
            self._opened = open_engine(given, site=self.directory, create=create, answer_s=self.answer_s)
        return self._opened

    @property
    def page(self) -> tuple[str, int]:
        """Where the engine's pages are: host, and port (0: nowhere)."""
        port = self._setting("http", "port") or "8080"
        return self._setting("http", "host") or "127.0.0.1", int(port) if port.isdigit() else 0

    def close(self) -> None:
        """Let go of the database."""
        if self._opened is not None:
            self._opened.dispose()

    def channels(self) -> list[str]:
        """The channels the site's files name."""
        return sorted(path.parent.name for path in self.directory.glob("channels/*/channel.yaml"))

    @cached_property
    def zone(self) -> tzinfo:
        """The site's time zone, else UTC."""
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            return ZoneInfo(self._setting("site", "zone") or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return UTC

    @property
    def site_name(self) -> str:
        """What the site calls itself, else its directory's name."""
        return self._setting("site", "name") or self.directory.resolve().name

    @property
    def now_us(self) -> int:
        """Now, UTC, microseconds since 1970."""
        return int(time.time() * 1e6)

    def time(self, at_us: int | None, precise: bool = False) -> str:
        """A time for people, in the site's zone."""
        return times.shown(at_us, self.zone, precise)

    def ago(self, at_us: int | None) -> str:
        """How long ago, for people; "" for none."""
        return times.span(self.now_us - at_us) if at_us else ""

    def _setting(self, section: str, key: str) -> str | None:
        """A text of conf/<environment>.yaml, else of conf/base.yaml, with its references resolved. Raises ConfigError."""
        for document in self._documents:
            values = document.data.get(section) if isinstance(document.data, Mapping) else None
            if isinstance(values, Mapping) and isinstance(values.get(key), str):
                return self._resolved(document, section, key)
        return None

    @cached_property
    def _documents(self) -> list[Any]:
        from suture.config.yaml_file import read_yaml, unreadable

        if problems := unreadable(self.directory):
            raise ConfigError(problems)
        base = self.directory / "conf" / "base.yaml"
        if not base.is_file():
            if os.environ.get(url.VARIABLE):
                return []
            text = "there is no such file, so this is no site; name one with --site or make one with `suture init`"
            raise ConfigError([Problem(str(base), 1, "", text)])
        names = [f"{self.environment}.yaml", "base.yaml"] if self.environment else ["base.yaml"]
        read = [read_yaml(self.directory / "conf" / name, f"conf/{name}") for name in names]
        problems = [problem for document, found in read if document is None for problem in found]
        if problems:
            raise ConfigError(problems)
        return [document for document, _ in read]

    def _resolved(self, document: Any, section: str, key: str) -> str:
        from suture.config.references import resolve
        from suture.config.yaml_file import Document

        part = Document(document.file, {section: {key: document.data[section][key]}}, document.marks)
        problems = resolve(part, self.directory, os.environ)
        if problems:
            raise ConfigError(problems)
        return str(part.data[section][key])


def _aside(text: str) -> None:
    """Said beside the output, which may be read by a script."""
    print(f"suture: {text}", file=sys.stderr, flush=True)


def actor() -> str:
    """Who is asking, for the audit: the user of the operating system."""
    name = os.environ.get("SUDO_USER")
    if not name:
        try:
            name = getpass.getuser()
        except (OSError, KeyError):
            name = f"uid {os.getuid()}"
    return f"cli:{name}"
