"""All rows of a database, out of it and into it, one at a time: neither a large table nor a large body fills the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, LargeBinary, inspect, text

from suture.model.value import Value
from suture.store import rows
from suture.store.archive import Row, bytes_of
from suture.store.tables import metadata


class Shape(Value, frozen=True):
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
    yield from rows.stream(connection, query, shape.name, shape.columns)


def load(connection: Connection, shape: Shape, columns: list[str], given: Iterable[Row]) -> None:
    """Put rows of these columns into a table."""
    read = _reader([name in shape.binary for name in columns])
    rows.fill(connection, shape.name, columns, map(read, given))


def _reader(binary: list[bool]) -> Callable[[Row], Row]:
    if not any(binary):
        return lambda row: row
    return lambda row: tuple([bytes_of(value) if is_bytes else value for value, is_bytes in zip(row, binary, strict=True)])


def counts(connection: Connection) -> dict[str, int]:
    """Rows of each table."""
    return {shape.name: int(connection.execute(text(f'SELECT count(*) FROM "{shape.name}"')).scalar_one()) for shape in shapes(connection)}
