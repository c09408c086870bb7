"""Open the database a site names."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from suture.model.errors import StoreError
from suture.store import dialect, patience, sqlite, switch
from suture.store import url as urls

__all__ = ["Engine", "fingerprint", "free_bytes", "open_engine", "open_file"]
CACHED_STATEMENTS = 600
"""Prepared statements a SQLite connection keeps: the journal has one for each table and number of rows."""
TIMEOUT_S = 15.0
_OPTIONS: dict[str, Any] = {"hide_parameters": True, "pool_size": 4, "max_overflow": 8, "pool_timeout": 30}


def open_engine(
    url: str,
    *,
    site: Path | None,
    busy_timeout_s: float = 5,
    create: bool = True,
    timeout_s: float = TIMEOUT_S,
    answer_s: float | None = None,
) -> Engine:
    """A SQLAlchemy engine, not yet connected.

    url: sqlite:///relative-to-the-site.db, sqlite:////absolute.db or postgresql://user:password@host:port/database.
    site: the site's directory; None takes the working directory. busy_timeout_s: how long a statement waits for a lock.
    create: a SQLite file that is not there is made (readable by its owner only: it will hold PHI), else refused.
    timeout_s: after how long a silent PostgreSQL counts as lost, and a wait for a lock of its tables as in vain.
    answer_s: how long each look at the store may take, where a person waits for it (patience.py); None: as long as it takes.
    Raises StoreError for a URL that cannot be used.
    """
    parsed = _parse(url, site or Path.cwd())
    if urls.is_file(url):
        engine = _open_sqlite(parsed, min(busy_timeout_s, answer_s or busy_timeout_s), create)
    else:
        engine = _open_postgresql(parsed, min(timeout_s, answer_s or timeout_s))
    if answer_s is None:
        return engine
    return engine.execution_options(**{patience.OPTION: patience.Patience(engine, answer_s, dialect.name_of(engine.url))})


def open_file(path: Path) -> Engine:
    """A SQLite database of this very name, made when it is not there."""
    return _open_sqlite(URL.create("sqlite", database=str(path)), 5, True)


def _parse(url: str, site: Path) -> URL:
    if problem := urls.problem(url):
        raise StoreError(f"the store's url: {problem}")
    try:
        return make_url(urls.located(url, site))
    except (ArgumentError, ValueError):
        raise StoreError(f"the store's url cannot be read; write {urls.DEFAULT} or postgresql://user:password@host/database") from None


def _open_sqlite(url: URL, busy_timeout_s: float, create: bool) -> Engine:
    path = Path(str(url.database))
    if not path.parent.is_dir():
        raise StoreError(f"the database {path} cannot be made: there is no directory {path.parent}")
    switch.complete(str(path))
    if not path.exists():
        if not create:
            raise StoreError(f"there is no database {path} yet; `suture run` or `suture db upgrade` makes it")
        _make_private(path)
    if path.stat().st_nlink > 1:
        raise StoreError(f"the database {path} has another name too (a hard link); its log belongs to one name: remove the other one")
    module = sqlite.module()

    def connect() -> Any:
        uri = f"file:{quote(os.fsencode(os.path.realpath(path)))}?mode=rw"  # never makes a file where there is none
        return module.connect(uri, uri=True, check_same_thread=False, cached_statements=CACHED_STATEMENTS)

    engine = create_engine(url, module=module, creator=connect, **_OPTIONS)
    dialect.prepare_sqlite(engine, busy_timeout_s)
    return engine


def _make_private(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass  # somebody else was quicker; to open and close it would let go of SQLite's locks on it in this process
    except OSError as error:
        raise StoreError(f"the database {path} cannot be made: {error.strerror}") from None


def _open_postgresql(url: URL, timeout_s: float) -> Engine:
    try:
        arguments = dialect.postgresql_arguments(timeout_s) | dict(url.query)
        engine = create_engine(url, pool_pre_ping=True, connect_args=arguments, **_OPTIONS)
    except (ImportError, NoSuchModuleError):
        raise StoreError("PostgreSQL needs the psycopg package: pip install 'suture[postgres]'") from None
    dialect.prepare_postgresql(engine, timeout_s)
    return engine


def fingerprint(engine: Engine) -> str:
    """Of the place of a database, so that programs can tell whether they mean the same one without naming it."""
    file = dialect.file_of(engine)
    name = str(Path(file).resolve()) if file else dialect.name_of(engine.url)
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def free_bytes(engine: Engine) -> int | None:
    """Room left on the disk of a SQLite database; None where the disk is a server's, or does not say."""
    file = dialect.file_of(engine)
    try:
        return shutil.disk_usage(Path(file).parent).free if file else None
    except OSError:
        return None
