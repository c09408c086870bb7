"""All rows of a database, out of it and into it, one at a time: neither a large table nor a large body fills the memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, LargeBinary, inspect

from suture.model.value import Value
from suture.store import rows
from suture.store.archive import Row, bytes_of
from suture.store.tables import metadata

FORMER = frozenset(("message", "delivery", "event", "note", "delivery_body", "search_key"))
"""Tables of older schemas, which a backup may be of."""


class Shape(Value, frozen=True):
    """A table as it is in a database. key: the columns of its primary key; binary: those that hold bytes."""

    name: str
    columns: list[str]
    key: list[str]
    binary: frozenset[str]


def shapes(connection: Connection) -> list[Shape]:
    """The store's tables that are in a database, in the order of their names."""
    there = inspect(connection)
    return [_shape(there, name) for name in sorted(set(there.get_table_names()) & (metadata.tables.keys() | FORMER))]


def _shape(there: Any, name: str) -> Shape:
    columns = there.get_columns(name)
    binary = frozenset(column["name"] for column in columns if isinstance(column["type"], LargeBinary))
    return Shape(name, [column["name"] for column in columns], there.get_pk_constraint(name)["constrained_columns"], binary)


def unload(connection: Connection, shape: Shape) -> Iterator[Row]:
    """All rows of a table in the order of its key, as they are in the connection's transaction."""
    query = f'SELECT {", ".join(shape.columns)} FROM "{shape.name}" ORDER BY {", ".join(shape.key)}'
    return rows.stream(connection, query, shape.name, shape.columns)


def load(connection: Connection, shape: Shape, columns: list[str], given: Iterable[Row]) -> None:
    """Put rows of these columns into a table."""
    binary = [name in shape.binary for name in columns]
    if any(binary):
        given = (tuple([bytes_of(value) if is_bytes else value for value, is_bytes in zip(row, binary, strict=True)]) for row in given)
    rows.fill(connection, shape.name, columns, given)
