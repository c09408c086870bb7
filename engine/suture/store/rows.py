"""Writing many rows with few statements.

One statement with many rows instead of one statement a row: the interpreter lock changes hands once a statement, and
the reactor's thread is on the other end of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

CHUNKS = (48, 32, *range(24, 0, -1))
"""Rows a statement: the usual groups go in one, and the sizes are few enough for the driver's cache of prepared statements."""


def mark(connection: Connection) -> str:
    """The driver's placeholder."""
    return "?" if connection.dialect.name == "sqlite" else "%s"


def chunks(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut rows into pieces of the sizes in CHUNKS, largest first."""
    start, left = 0, len(rows)
    for size in CHUNKS:
        while left >= size:
            yield rows[start : start + size]
            start, left = start + size, left - size


def execute(connection: Connection, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement on the driver's own cursor, within the connection's transaction; the rows, if it has any.

    This is the journal's way in: the statements are few and fixed, and what SQLAlchemy adds to each of them (compiling,
    contexts, result objects) was a quarter of the engine's time. Errors are SQLAlchemy's all the same.
    """
    driver = connection.dialect.loaded_dbapi
    raw: Any = connection.connection.dbapi_connection
    try:
        cursor = raw.execute(sql, values)
        return cursor.fetchall() if cursor.description else []
    except driver.Error as e:
        lost = connection.dialect.is_disconnect(e, raw, None)
        raise DBAPIError.instance(None, None, e, driver.Error, connection_invalidated=lost, dialect=connection.dialect) from None


@lru_cache(maxsize=256)
def _insert_sql(table: str, columns: tuple[str, ...], rows: int, placeholder: str) -> str:
    row = f"({', '.join([placeholder] * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"


def insert(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows; columns name the places of each tuple."""
    name, placeholder = f'"{table.name}"', mark(connection)
    for part in chunks(rows):
        sql = _insert_sql(name, columns, len(part), placeholder)
        execute(connection, sql, [value for row in part for value in row])


def update(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Update rows by id: columns name the places of each tuple after the first, which is the id."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        for part in chunks(rows):
            execute(connection, _update_sql(table.name, columns, len(part)), [value for row in part for value in row])
        return
    sql = f'UPDATE "{table.name}" SET {", ".join(f"{c} = %s" for c in columns)} WHERE id = %s'
    connection.exec_driver_sql(sql, [(*row[1:], row[0]) for row in rows])


@lru_cache(maxsize=64)
def _update_sql(table: str, columns: tuple[str, ...], rows: int) -> str:
    row = f"({', '.join('?' * (len(columns) + 1))})"
    given = ", ".join(f"{c} = v.column{i}" for i, c in enumerate(columns, start=2))
    return f'UPDATE "{table}" SET {given} FROM (VALUES {", ".join([row] * rows)}) AS v WHERE "{table}".id = v.column1'


def select_in(connection: Connection, sql: str, values: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Rows of a query whose text holds {in} for a list of placeholders, asked in few statements."""
    found: list[tuple[Any, ...]] = []
    placeholder = mark(connection)
    for part in _padded(list(values)):
        text = sql.replace("{in}", ", ".join([placeholder] * len(part)))
        found.extend(execute(connection, text, part))
    return found


def _padded(values: list[Any]) -> Iterator[list[Any]]:
    """Pieces of the sizes in CHUNKS; the last is filled up with a value that is asked for anyway."""
    largest = CHUNKS[0]
    for start in range(0, len(values), largest):
        part = values[start : start + largest]
        size = min(n for n in CHUNKS if n >= len(part))
        yield part + part[-1:] * (size - len(part))
