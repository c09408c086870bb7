"""The URL of a store: what it may be, and where its file is. It imports no database, so that whoever reads only files may ask."""

from __future__ import annotations

import re
from pathlib import Path

VARIABLE = "SUTURE_DATABASE_URL"
"""Environment variable that takes the place of the site's URL."""
DEFAULT = "sqlite:///suture.db"
_SERVERS = ("postgresql", "postgresql+psycopg", "postgres")
_IN_MEMORY = re.compile(r"[?&]mode=")


def is_file(url: str) -> bool:
    """Is it SQLite's?"""
    return url.startswith("sqlite:")


def problem(url: str) -> str:
    """What is wrong with a URL, or "". The text holds no part of the URL but its scheme."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme = ""
    if scheme == "sqlite" and (rest.partition("?")[0].strip("/") in ("", ":memory:") or _IN_MEMORY.search(rest)):
        return f"names no file, and messages cannot be kept in memory; write {DEFAULT}"
    if scheme == "sqlite" or scheme in _SERVERS:
        return ""
    named = f"the scheme {scheme!r} is not supported" if re.fullmatch(r"[a-z0-9+]+", scheme) else "this is not a database URL"
    return f"{named}; write {DEFAULT} or postgresql://USER:PASSWORD@HOST/NAME"


def located(url: str, directory: Path) -> str:
    """The URL with its file's whole path, a relative one from this directory on; a server's with its driver."""
    scheme, _, rest = url.partition("://")
    if scheme in _SERVERS:
        return f"postgresql+psycopg://{rest}"
    file, question, query = rest.removeprefix("/").partition("?")
    return f"sqlite:///{directory.resolve() / Path(file).expanduser()}{question}{query}"
