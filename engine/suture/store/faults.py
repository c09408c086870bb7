"""Whose fault an error of the database is, and what a person can do about it: one table, for both drivers. Pure.

What is not provably the data's own counts as the store's. The codes are those of https://sqlite.org/rescode.html and of
appendix A of PostgreSQL's manual (SQLSTATE; a class is its first two characters).
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolTimeout

from suture.model.errors import StoreError, SutureError
from suture.model.value import Value

OWN = "own"
"""The data's own: it would be refused by any healthy store."""
UNCLEAR = "unclear"
"""Not provably anybody's: the data's own only when it fails again and again beside a store that proves healthy."""
LOST = "lost"
"""The connection went, or was never had. What was asked over it may have been done."""
STORE = "store"
"""The store's own: full, locked, refused, unreachable. Never any data's, however long it lasts."""
DAMAGED = "damaged"
"""What is stored is damaged: nothing more may be acknowledged on top of it."""
GONE = "gone"
"""The files that this process writes are not the store's any more: only a new process can go on."""
FOR_GOOD = (DAMAGED, GONE)
"""Kinds that waiting does not mend."""

WAIT, AGAIN, CUT = "wait", "again", "cut"
UNCLEAR_TRIES = 3
"""Times that one operation alone may fail unclearly, beside a healthy store, before it is taken for the culprit."""
LOST_TRIES = 2
"""Times that the connection may go over the same operations, having lasted well without them, before the same."""

_RESTORE = "stop the engine and restore a backup (docs/operations.md: A damaged store)"
_DAMAGE = f"what is stored there is damaged; {_RESTORE}"
_FULL = "the disk is full; free some space"
_LOCKED = "another process holds it locked; try again, and look for a process that keeps it open"
_READ_ONLY = "its file is read-only for this user"
_UNOPENED = "its file cannot be opened; look at the permissions of the file and its directory"
_NO_RIGHT = "this user has no right to do that"
_NO_SCHEMA = "it holds no schema; `suture db upgrade` makes one"
_SILENT = "nothing answers there; is PostgreSQL running?"

_CONSTRAINT, _UNIQUE = 19, 2067
_SQLITE: Mapping[int, tuple[str, str]] = {
    2: (UNCLEAR, "SQLite reports a fault of its own"),  # INTERNAL
    3: (STORE, _NO_RIGHT),  # PERM
    4: (UNCLEAR, "a statement was ended"),  # ABORT
    5: (STORE, _LOCKED),  # BUSY
    6: (STORE, _LOCKED),  # LOCKED
    7: (UNCLEAR, "there is not enough memory"),  # NOMEM
    8: (STORE, _READ_ONLY),  # READONLY
    9: (STORE, "a statement was interrupted"),  # INTERRUPT
    10: (STORE, "the disk reports an error"),  # IOERR
    11: (DAMAGED, f"the file is damaged; {_RESTORE}"),  # CORRUPT
    13: (STORE, _FULL),  # FULL
    14: (STORE, _UNOPENED),  # CANTOPEN
    15: (STORE, "its locks do not work; keep the file on a local disk"),  # PROTOCOL
    17: (UNCLEAR, "its schema changes"),  # SCHEMA
    18: (OWN, "a value is too large"),  # TOOBIG
    19: (OWN, "a value breaks a rule of its table"),  # CONSTRAINT
    20: (OWN, "a value is of the wrong kind"),  # MISMATCH
    22: (STORE, "its file grew larger than this system can have them"),  # NOLFS
    23: (STORE, _NO_RIGHT),  # AUTH
    25: (OWN, "a value has no place"),  # RANGE
    26: (DAMAGED, f"the file is not a SQLite database, or its beginning was overwritten; {_RESTORE}"),  # NOTADB
    522: (DAMAGED, f"a file of it is shorter than it was; {_RESTORE}"),  # IOERR_SHORT_READ
    8202: (DAMAGED, f"the file is damaged; {_RESTORE}"),  # IOERR_DATA: a checksum is wrong
    8458: (DAMAGED, f"its file system is damaged; {_RESTORE}"),  # IOERR_CORRUPTFS
    1032: (STORE, "its file was deleted or replaced; put it back, or stop the engine"),  # READONLY_DBMOVED
    # Numbers are given by the journal and not by the data, so that one that is taken says that somebody else writes too.
    1555: (UNCLEAR, "a number is taken already"),  # CONSTRAINT_PRIMARYKEY
    2067: (UNCLEAR, "a key is taken already"),  # CONSTRAINT_UNIQUE
    2579: (UNCLEAR, "a number is taken already"),  # CONSTRAINT_ROWID
}
"""By extended result code, else by its last byte: kind, and what to tell ("" = what SQLite says). What is in neither is unclear."""

_SQLSTATE: Mapping[str, tuple[str, str]] = {
    "08": (LOST, ""),  # connection
    "22": (OWN, "a value is of the wrong kind or size"),
    "23": (OWN, "a value breaks a rule of its table"),
    "23505": (UNCLEAR, "a key is taken already"),
    "25006": (STORE, "it takes no writes (a standby, or default_transaction_read_only)"),
    "25P03": (LOST, "it ended our session (idle_in_transaction_session_timeout)"),
    "25P04": (LOST, "it ended our session (transaction_timeout)"),
    "28": (STORE, "it refuses the user or the password"),
    "3D": (STORE, "there is no such database on that server; `createdb` makes one"),
    "3F": (STORE, "it has not the schema that search_path names"),
    "40": (STORE, "it rolled the transaction back, for the sake of others"),
    "40002": (OWN, "a value breaks a rule of its table"),
    "40003": (LOST, ""),
    "42501": (STORE, _NO_RIGHT),
    "42P01": (STORE, _NO_SCHEMA),
    "42703": (STORE, "its schema lacks a column; `suture db current` says which schema it has"),
    "44": (OWN, "a value breaks a rule of its table"),
    "53": (STORE, "the server is short of something"),
    "53100": (STORE, _FULL),
    "53200": (UNCLEAR, "the server has not enough memory"),
    "53300": (STORE, "the server takes no more connections; raise max_connections, or look who has them"),
    "54": (OWN, "a value is too large"),
    "55": (STORE, "it is not ready for that, or another process holds it locked"),
    "55P03": (STORE, "another session holds a lock that this needs, longer than `store.timeout_s`; look for it in pg_locks"),
    "57": (LOST, ""),  # the server is being stopped, was stopped, or starts
    "57014": (STORE, "a statement was cancelled (statement_timeout, or by a person)"),
    "57P04": (STORE, "the database was dropped"),
    "58": (STORE, "the server reports an error of its disk or system"),
    "58P01": (DAMAGED, f"a file of it is missing on the server; {_RESTORE}"),
    "72": (STORE, ""),
    "F0": (STORE, "the server's configuration is wrong"),
    "XX": (UNCLEAR, "the server reports a fault of its own"),
    "XX001": (DAMAGED, _DAMAGE),  # data_corrupted
    "XX002": (DAMAGED, f"an index there is damaged; {_RESTORE}"),  # index_corrupted
}
"""By SQLSTATE, else by its class. What is in neither is unclear."""

_CLASSES: Mapping[str, str] = {
    "PipelineAborted": UNCLEAR,  # the error that aborted it comes with another statement
    "DataError": OWN,
    "IntegrityError": OWN,
    "OperationalError": LOST,
    "InterfaceError": LOST,
}
"""By the class of DB-API 2.0 (PEP 249), where there is no code: psycopg itself speaks, or SQLAlchemy."""

_NO_ROOM = {errno.ENOSPC: _FULL, errno.EDQUOT: _FULL}
_SYSTEM = frozenset(_NO_ROOM) | {errno.EIO, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM}

_WORDS = (
    ("no such table", _NO_SCHEMA),
    ("no space left", "its disk is full; free some space there"),
    ("password authentication failed", "it refuses the user or the password"),
    ("no password supplied", "it asks for a password and the URL has none"),
    ("connection refused", _SILENT),
    ("timeout expired", "no answer in time; look at the host, the port and any firewall"),
    ("could not translate host name", "the host name is unknown"),
    ("failed to resolve host", "the host name is unknown"),
    ("permission denied", _NO_RIGHT),
)
"""What the drivers say of a connection that they could not have, for which there are no codes."""


class StoreMoved(StoreError):
    """The store's files are not what they were. for_good: putting them back does not help the process that wrote them."""

    def __init__(self, text: str, for_good: bool = False) -> None:
        super().__init__(text)
        self.for_good = for_good


class Fault(Value, frozen=True):
    """kind: one of the above. text: what happened and what to do, for an operator; holds no data."""

    kind: str
    text: str


def sort(error: BaseException) -> Fault:
    """Whose fault an error is: one of a driver, bare or as SQLAlchemy's, or any other that came up while writing."""
    if isinstance(error, StoreMoved):
        return Fault(GONE if error.for_good else STORE, str(error))
    if isinstance(error, SutureError):
        return Fault(STORE if isinstance(error, StoreError) else OWN, str(error))
    if isinstance(error, PoolTimeout):
        return Fault(STORE, "no connection came free in time")
    driver = getattr(error, "orig", None) or error
    kind, words = _by_code(driver) or _by_class(error, driver)
    if kind == UNCLEAR and getattr(error, "connection_invalidated", False):
        kind = LOST
    return Fault(kind, words or _told(driver, kind))


def verdict(kind: str, fails: int, alone: bool) -> str:
    """What becomes of operations that have failed so often in a row: WAIT and try again, try AGAIN at once, or CUT.

    A group is cut into its operations; one that is alone is taken for the culprit. UNCLEAR: cut only if the store is healthy.
    fails: of LOST, those over a connection that had proven to last (trouble.py).
    """
    if kind == OWN:
        return CUT
    if kind == UNCLEAR:
        return CUT if not alone or fails >= UNCLEAR_TRIES else AGAIN
    return CUT if kind == LOST and fails >= LOST_TRIES else WAIT


def is_busy(error: BaseException) -> bool:
    """Does SQLite say that somebody else holds the lock?"""
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (5, 6)


def _by_code(driver: Any) -> tuple[str, str] | None:
    code, state = getattr(driver, "sqlite_errorcode", None), getattr(driver, "sqlstate", None)
    if code is not None:
        if code == _CONSTRAINT and str(driver).startswith("UNIQUE"):  # pysqlite3 gives no extended codes
            code = _UNIQUE
        return _SQLITE.get(code) or _SQLITE.get(code & 0xFF) or (UNCLEAR, "")
    if state:
        return _SQLSTATE.get(state) or _SQLSTATE.get(state[:2]) or (UNCLEAR, "")
    return None


def _by_class(error: BaseException, driver: BaseException) -> tuple[str, str]:
    if isinstance(driver, OSError):
        words = _NO_ROOM.get(driver.errno or 0, driver.strerror or "")
        return (STORE if driver.errno in _SYSTEM else UNCLEAR), words
    if "sqlite" in type(driver).__module__:
        return (OWN if type(driver).__name__ == "DataError" else UNCLEAR), ""
    names = [base.__name__ for base in (*type(driver).__mro__, *type(error).__mro__)]
    return next((_CLASSES[name] for name in names if name in _CLASSES), UNCLEAR), ""


def _told(driver: BaseException, kind: str) -> str:
    """What the driver says, without details, which may quote rows; of what may be about data, only what it is called."""
    diagnosis = getattr(getattr(driver, "diag", None), "message_primary", None)
    said = str(diagnosis or driver).strip()
    for words, meaning in _WORDS:
        if words in said.lower():
            return meaning
    if kind in (STORE, LOST) and said:
        return said.splitlines()[0][:200]
    code = getattr(driver, "sqlite_errorname", None) or getattr(driver, "sqlstate", None)
    return f"unexpected {type(driver).__name__}" + (f" ({code})" if code else "")
