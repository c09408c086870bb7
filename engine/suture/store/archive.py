"""The file of a backup: a ZIP of tables, one row a line, of the site's files, and of a manifest that says what must be in it.

Rows are JSON arrays under the names of their columns, so that a backup of one database fits another, of any kind. The
manifest is the last member: a file that was cut off has none.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

from suture.model.errors import StoreRefused
from suture.store.switch import sync

UNFINISHED = ".suture-unfinished"
FORMAT = 1
"""Of the file; one that is higher needs a newer Suture."""
MANIFEST = "manifest.json"
TABLES, FILES = "store/", "site/"
"""Folders of the tables and of the site's files."""
PIECE_BYTES = 262_144
"""What is written, or read, at a time."""
COMPRESSION = 1
BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, TypeError, ValueError, RuntimeError, OverflowError)
"""What reading a ZIP that was damaged may raise."""
Row = tuple[Any, ...]
Worked = Callable[[str, int, int], None]
"""worked(name, rows, bytes): so much more was written or read of a member."""


@dataclass(frozen=True, slots=True)
class Part:
    """One member, uncompressed. rows: of a table; 0 for a file."""

    bytes: int
    sha256: str
    rows: int = 0


@dataclass(slots=True)
class Manifest:
    """What a backup holds. began_us, ended_us: UTC; the store is as it was when the backup began.

    suture: the version of the program. schema: of the database. site: its name. database: what it was in.
    """

    suture: str
    schema: str
    site: str
    database: str
    began_us: int
    ended_us: int = 0
    format: int = FORMAT
    tables: dict[str, Part] = field(default_factory=dict)
    files: dict[str, Part] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Size of all that is in it, uncompressed."""
        return sum(part.bytes for part in (*self.tables.values(), *self.files.values()))

    def rows(self, *tables: str) -> int:
        """How many rows there are of these tables, as far as it has them: an older schema has others."""
        return sum(self.tables[table].rows for table in tables if table in self.tables)


class Writer:
    """Writes a backup beside its place, under another name, for its owner only; `finish` puts it there, whole and durable.

    Raises StoreRefused when that cannot be done.
    """

    def __init__(self, path: Path, worked: Worked) -> None:
        self._path, self._worked = path, worked
        self._unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
        with _told(path):
            _tidy(path.parent)
            number = os.open(self._unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(number, fcntl.LOCK_EX)
        self._file = os.fdopen(number, "w+b")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, allowZip64=True, compresslevel=COMPRESSION)

    def table(self, name: str, columns: list[str], rows: Iterable[Row]) -> Part:
        """Write a table: its columns, then its rows."""
        return self._write(f"{TABLES}{name}", _pieces(columns, rows))

    def file(self, name: str, source: Path) -> Part:
        """Write one of the site's files."""
        return self._write(f"{FILES}{name}", ((piece, 0) for piece in _read(lambda: source.open("rb"))))

    def _write(self, name: str, pieces: Iterable[tuple[bytes, int]]) -> Part:
        """Write a member of pieces, each with so many rows."""
        digest, size_bytes, rows = hashlib.sha256(), 0, 0
        with _told(self._path), self._zip.open(name, "w", force_zip64=True) as file:
            for piece, count in pieces:
                digest.update(piece)
                file.write(piece)
                size_bytes, rows = size_bytes + len(piece), rows + count
                self._worked(name, count, len(piece))
        return Part(size_bytes, digest.hexdigest(), rows)

    def finish(self, manifest: Manifest, replace: bool) -> None:
        """Write the manifest, and give the file its name; replace: one that is there gives way to it."""
        with _told(self._path):
            self._zip.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
            self._zip.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            _name(self._unfinished, self._path, replace)
            sync(self._path.parent)

    def abandon(self) -> None:
        """Leave nothing behind."""
        for leave in (self._unfinished.unlink, self._zip.close, self._file.close):
            with contextlib.suppress(OSError, ValueError):
                leave()


def _tidy(directory: Path) -> None:
    """Remove what backups that were killed have left: nobody holds the lock of such a file any more."""
    for left in directory.glob(f".*{UNFINISHED}"):
        with contextlib.suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def require_free(path: Path) -> None:
    """Raises StoreRefused where a backup would take the place of something."""
    if os.path.lexists(path):
        raise StoreRefused(f"{path} is there already; name another file, or add --yes to replace it")


def _name(unfinished: Path, path: Path, replace: bool) -> None:
    if not replace:
        try:
            os.link(unfinished, path)  # unlike a rename, it takes nothing's place, however late that came
        except OSError:  # something is there, or it is a file system without links
            require_free(path)
        else:
            unfinished.unlink()
            return
    unfinished.replace(path)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreRefused(f"the backup {path} cannot be written: {error.strerror or type(error).__name__}") from None


class Backup:
    """A backup that is there, to be read. Raises StoreRefused when it is none, is cut off, or is of a newer Suture."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._readable():
            self._zip = zipfile.ZipFile(path)
            self.manifest = _manifest(json.loads(self._zip.read(MANIFEST)))
        if self.manifest.format > FORMAT:
            raise StoreRefused(f"the backup {path} is of a newer Suture ({self.manifest.suture}); use that one")

    def check(self, worked: Worked) -> list[str]:
        """Read all of it against its manifest; what is wrong, in words."""
        parts = {f"{TABLES}{name}": part for name, part in self.manifest.tables.items()}
        parts |= {f"{FILES}{name}": part for name, part in self.manifest.files.items()}
        there = set(self._zip.namelist()) - {MANIFEST}
        wrong = [f"{name} is missing" for name in sorted(set(parts) - there)]
        wrong += [f"{name} is not in the manifest" for name in sorted(there - set(parts))]
        return wrong + [why for name in sorted(there & set(parts)) if (why := self._wrong(name, parts[name], worked))]

    def _wrong(self, name: str, part: Part, worked: Worked) -> str:
        digest, size_bytes = hashlib.sha256(), 0
        try:
            for piece in _read(lambda: self._zip.open(name)):
                digest.update(piece)
                size_bytes += len(piece)
                worked(name, 0, len(piece))
        except (OSError, *BROKEN) as error:
            return f"{name} cannot be read ({type(error).__name__})"
        return "" if (digest.hexdigest(), size_bytes) == (part.sha256, part.bytes) else f"{name} is not what was written"

    def table(self, name: str) -> tuple[list[str], Iterator[Row]]:
        """The columns of a table, and its rows."""
        lines = self._lines(f"{TABLES}{name}")
        return list(orjson.loads(next(lines))), (tuple(orjson.loads(line)) for line in lines)

    def _lines(self, name: str) -> Iterator[bytes]:
        with self._readable(), self._zip.open(name) as file:
            yield from file

    def file(self, name: str) -> bytes:
        """One of the site's files."""
        with self._readable():
            return self._zip.read(f"{FILES}{name}")

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreRefused(f"the backup {self.path} cannot be read: {error.strerror or type(error).__name__}") from None
        except BROKEN:
            raise StoreRefused(f"{self.path} is no backup of Suture's, or was cut off or damaged") from None


def _manifest(given: dict[str, Any]) -> Manifest:
    parts = {kind: {name: Part(**part) for name, part in given.pop(kind).items()} for kind in ("tables", "files")}
    known: dict[str, Any] = {name: value for name, value in given.items() if name in Manifest.__slots__}
    return Manifest(**(known | parts))


def _line(values: Any) -> bytes:
    return orjson.dumps(values, _text, orjson.OPT_APPEND_NEWLINE)


def _pieces(columns: list[str], rows: Iterable[Row]) -> Iterator[tuple[bytes, int]]:
    """The lines of a table, gathered, and how many rows are in each piece."""
    gathered, count = bytearray(_line(columns)), 0
    for row in rows:
        gathered += _line(row)
        count += 1
        if len(gathered) >= PIECE_BYTES:
            yield bytes(gathered), count
            gathered, count = bytearray(), 0
    yield bytes(gathered), count


def _read(opened: Callable[[], IO[bytes]]) -> Iterator[bytes]:
    with opened() as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def _text(value: bytes) -> Any:
    """Bytes as a text where they are UTF-8, for then a backup is smaller and can be looked into; else as {"b64": ...}."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def bytes_of(value: Any) -> Any:
    """What `_text` wrote."""
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else base64.b64decode(value["b64"])
