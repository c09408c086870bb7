"""All rows of a database, out of it and into it, one at a time: neither a large table nor a large body fills the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, LargeBinary, inspect, text

from suture.store import rows
from suture.store.archive import Row, bytes_of
from suture.store.tables import metadata

_TYPES = """SELECT a.attname, a.atttypid::int AS oid FROM pg_attribute a
WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped"""
_NUMBERS = "SELECT setval(pg_get_serial_sequence('{0}', 'id'), greatest((SELECT coalesce(max(id), 0) FROM {0}), 1))"


@dataclass(frozen=True, slots=True)
class Shape:
    """A table as it is in a database. key: the columns of its primary key; binary: those that hold bytes."""

    name: str
    columns: list[str]
    key: list[str]
    binary: frozenset[str]


def shapes(connection: Connection) -> list[Shape]:
    """The store's tables that are in a database, in the order of their names."""
    there = inspect(connection)
    names = sorted(set(there.get_table_names()) & set(metadata.tables))
    return [_shape(there, name) for name in names]


def _shape(there: Any, name: str) -> Shape:
    columns = there.get_columns(name)
    binary = frozenset(column["name"] for column in columns if isinstance(column["type"], LargeBinary))
    return Shape(name, [column["name"] for column in columns], there.get_pk_constraint(name)["constrained_columns"], binary)


def unload(connection: Connection, shape: Shape) -> Iterator[Row]:
    """All rows of a table in the order of its key, as they are in the connection's transaction."""
    columns, key = ", ".join(shape.columns), ", ".join(shape.key)
    query = f'SELECT {columns} FROM "{shape.name}" ORDER BY {key}'
    raw: Any = connection.connection.dbapi_connection
    try:
        if rows.is_sqlite(connection):
            yield from raw.cursor().execute(query)
        else:
            yield from _copied_out(raw, query, _types(connection, shape))
    except connection.dialect.loaded_dbapi.Error as e:
        raise rows.wrapped(connection, e) from None


def _types(connection: Connection, shape: Shape) -> list[int]:
    found = {row.attname: int(row.oid) for row in connection.execute(text(_TYPES), {"name": f'"{shape.name}"'})}
    return [found[column] for column in shape.columns]


def _copied_out(raw: Any, query: str, types: list[int]) -> Iterator[Row]:
    """COPY sends a row at a time, and no more than are asked for: a SELECT would bring all of them into memory first."""
    with raw.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)") as copy:
        copy.set_types(types)
        yield from copy.rows()


def load(connection: Connection, shape: Shape, columns: list[str], given: Iterable[Row]) -> None:
    """Put rows of these columns into a table."""
    read = _reader([name in shape.binary for name in columns])
    put = _insert if rows.is_sqlite(connection) else _copy_in
    try:
        put(connection.connection.dbapi_connection, shape.name, columns, map(read, given))
    except connection.dialect.loaded_dbapi.Error as e:
        raise rows.wrapped(connection, e) from None


def _reader(binary: list[bool]) -> Callable[[Row], Row]:
    if not any(binary):
        return lambda row: row
    return lambda row: tuple([bytes_of(value) if is_bytes else value for value, is_bytes in zip(row, binary, strict=True)])


def _insert(raw: Any, name: str, columns: list[str], given: Iterable[Row]) -> None:
    raw.cursor().executemany(f'INSERT INTO "{name}" ({", ".join(columns)}) VALUES ({", ".join("?" * len(columns))})', given)


def _copy_in(raw: Any, name: str, columns: list[str], given: Iterable[Row]) -> None:
    with raw.cursor() as cursor, cursor.copy(f'COPY "{name}" ({", ".join(columns)}) FROM STDIN') as copy:
        for row in given:
            copy.write_row(row)


def go_on(connection: Connection) -> None:
    """After rows with numbers of their own: PostgreSQL counts on from the highest, as SQLite does by itself."""
    if rows.is_sqlite(connection):
        return
    for name in ("exception", "command", "audit"):
        connection.execute(text(_NUMBERS.format(name)))


def counts(connection: Connection) -> dict[str, int]:
    """Rows of each table."""
    return {shape.name: int(connection.execute(text(f'SELECT count(*) FROM "{shape.name}"')).scalar_one()) for shape in shapes(connection)}
