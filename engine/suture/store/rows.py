"""Writing many rows with few statements.

One statement with many rows instead of one statement a row: the interpreter lock changes hands once a statement, and
the reactor's thread is on the other end of it.
"""

from __future__ import annotations

import select
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, Table, text
from sqlalchemy.exc import DBAPIError

LARGE_BYTES = 65_536
"""A body of more is written by a statement of its own."""
ANY = 24
CHUNKS = (96, 72, 64, 56, 48, 40, 32, *range(ANY, 0, -1))
"""Rows a statement, any number up to ANY: the usual groups go in one, and the sizes are few enough for the cache of prepared statements."""

_TYPES = """SELECT a.attname, a.atttypid::int FROM pg_attribute a
WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped"""
_COUNT_ON = "SELECT setval(pg_get_serial_sequence('{0}', 'id'), greatest((SELECT coalesce(max(id), 0) FROM {0}), 1))"


def is_sqlite(bind: Engine | Connection) -> bool:
    """Is the database SQLite?"""
    return bind.dialect.name == "sqlite"


def marked(connection: Connection, sql: str, count: int) -> str:
    """The statement with the driver's placeholders where {} stands, so many times."""
    return sql.format(*_marks(is_sqlite(connection), count))


@lru_cache(maxsize=1024)
def _marks(sqlite: bool, count: int) -> tuple[str, ...]:
    return ("?",) * count if sqlite else tuple(f"${number}" for number in range(1, count + 1))


def chunks(rows: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """Cut rows into pieces of the sizes in CHUNKS, largest first."""
    if len(rows) <= ANY:
        return (rows,) if rows else ()
    return _cut(rows)


def _cut(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    start, left = 0, len(rows)
    for size in CHUNKS:
        while left >= size:
            yield rows[start : start + size]
            start, left = start + size, left - size


def execute(connection: Connection, sql: str, values: Sequence[Any] = ()) -> None:
    """Run a statement on the driver's own cursor, within the connection's transaction; what it answers is not looked at.

    This is the journal's way in: the statements are few and fixed, and what SQLAlchemy adds to each of them (compiling,
    contexts, result objects) was a quarter of the engine's time. Errors are SQLAlchemy's all the same; in a pipeline
    (`dialect.Pipelined`) they come with a later statement.
    """
    raw: Any = connection.connection.dbapi_connection
    try:
        if is_sqlite(connection):
            raw.execute(sql, values)
        else:
            connection.dialect.loaded_dbapi.RawCursor(raw).execute(sql, values)
            _push(raw)
    except connection.dialect.loaded_dbapi.Error as e:
        raise wrapped(connection, e) from None


def _push(raw: Any) -> None:
    """Send all of the statement.

    What the socket does not take at once, libpq keeps; and in a pipeline psycopg comes back to it with the next statement,
    or not at all: it waits for the answer to a statement of which the server has a part, and so both wait for ever.
    """
    pq = raw.pgconn
    while pq.flush():
        ready = select.poll()
        ready.register(pq.socket, select.POLLIN | select.POLLOUT)
        if any(event & select.POLLIN for _, event in ready.poll()):
            pq.consume_input()  # or the server waits, too, until its answers are taken


def query(connection: Connection, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows that a statement answers with; otherwise as `execute`."""
    raw: Any = connection.connection.dbapi_connection
    try:
        # psycopg's usual cursor reads every statement anew; its raw one takes the driver's own placeholders as they are.
        cursor = raw.cursor() if is_sqlite(connection) else connection.dialect.loaded_dbapi.RawCursor(raw)
        cursor.execute(sql, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    except connection.dialect.loaded_dbapi.Error as e:
        raise wrapped(connection, e) from None
    return found


class Asked:
    """A question whose rows are fetched later: in a pipeline what is sent meanwhile goes the same way, and waits for no answer.

    The text holds {in} for a list of placeholders; there may be no value, and then no row.
    """

    def __init__(self, connection: Connection, sql: str, values: Iterable[Any]) -> None:
        self._connection = connection
        marked = partial(_in_place, sql, is_sqlite(connection))
        self._cursors = [self._ask(marked(len(part)), part) for part in _padded(list(values))]

    @classmethod
    def inserted(cls, connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]], told: str) -> Asked:
        """Put in those rows whose key is free; answered by the column `told` of each that was put in."""
        asked = cls(connection, "", ())
        for part in chunks(rows):
            sql = f"{_insert_sql(table.name, columns, len(part), is_sqlite(connection))} ON CONFLICT DO NOTHING RETURNING {told}"
            asked._cursors.append(asked._ask(sql, list(chain.from_iterable(part))))
        return asked

    def _ask(self, asked: str, part: list[Any]) -> Any:
        connection, raw = self._connection, self._connection.connection.dbapi_connection
        driver: Any = connection.dialect.loaded_dbapi
        try:
            cursor: Any = raw.cursor() if is_sqlite(connection) else driver.RawCursor(raw)  # type: ignore[union-attr]
            cursor.execute(asked, part)
            if is_sqlite(connection):  # a statement that is not at its end would keep the transaction from ending
                return cursor.fetchall()
            _push(raw)
        except driver.Error as e:
            raise wrapped(connection, e) from None
        return cursor

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows; once."""
        try:
            if is_sqlite(self._connection):
                return list(chain.from_iterable(self._cursors))
            return [row for cursor in self._cursors for row in cursor.fetchall()]
        except self._connection.dialect.loaded_dbapi.Error as e:
            raise wrapped(self._connection, e) from None


def wrapped(connection: Connection, error: Exception) -> Exception:
    """The driver's error as SQLAlchemy's."""
    raw = connection.connection.dbapi_connection
    base = connection.dialect.loaded_dbapi.Error
    lost = connection.dialect.is_disconnect(error, raw, None)  # type: ignore[arg-type]
    return DBAPIError.instance(None, None, error, base, connection_invalidated=lost, dialect=connection.dialect)


def insert(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows; columns name the places of each tuple."""
    for part in chunks(rows):
        sql = _insert_sql(table.name, columns, len(part), is_sqlite(connection))
        execute(connection, sql, list(chain.from_iterable(part)))


def insert_bodies(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows whose last column is a body, a large one by itself: SQLite copies what a statement is given, and a statement
    that is kept for the next time keeps the copies; of each number of rows there is one."""
    small = [row for row in rows if len(row[-1]) <= LARGE_BYTES]
    insert(connection, table, columns, small)
    if len(small) < len(rows):
        for row in rows:
            if len(row[-1]) > LARGE_BYTES:
                insert(connection, table, columns, [row])


@lru_cache(maxsize=1024)
def _insert_sql(table: str, columns: tuple[str, ...], rows: int, sqlite: bool) -> str:
    return f'INSERT INTO "{table}" ({", ".join(columns)}) VALUES {_values(_marks(sqlite, rows * len(columns)), rows)}'


def _values(places: Sequence[str], rows: int) -> str:
    width = len(places) // rows
    return ", ".join(f"({', '.join(places[i : i + width])})" for i in range(0, len(places), width))


def update(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Update rows by id: columns name the places of each tuple after the first, which is the id."""
    for part in chunks(rows):
        sql = _update_sql(table, columns, len(part), connection.dialect)
        execute(connection, sql, list(chain.from_iterable(part)))


@lru_cache(maxsize=256)
def _update_sql(table: Table, columns: tuple[str, ...], rows: int, dialect: Dialect) -> str:
    places = list(_marks(dialect.name == "sqlite", rows * (len(columns) + 1)))
    if dialect.name != "sqlite":  # PostgreSQL takes a list of values for text unless the first row says what they are
        kinds = [table.c[name].type.compile(dialect) for name in ("id", *columns)]
        places[: len(kinds)] = [f"{place}::{kind}" for place, kind in zip(places, kinds, strict=False)]
    given = ", ".join(f"{c} = v.column{i}" for i, c in enumerate(columns, start=2))
    return f'UPDATE "{table.name}" SET {given} FROM (VALUES {_values(places, rows)}) AS v WHERE "{table.name}".id = v.column1'


def execute_in(connection: Connection, sql: str, first: Any, values: Iterable[Any]) -> None:
    """Run a statement whose text holds {first} for one placeholder and behind it {in} for a list of them, in few statements."""
    for part in _padded(list(values)):
        one, *others = _marks(is_sqlite(connection), 1 + len(part))
        execute(connection, sql.replace("{first}", one).replace("{in}", ", ".join(others)), [first, *part])


def _in_place(sql: str, sqlite: bool, count: int) -> str:
    return sql.replace("{in}", ", ".join(_marks(sqlite, count)))


def select_in(connection: Connection, sql: str, values: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Rows of a query whose text holds {in} for a list of placeholders, asked in few statements."""
    return Asked(connection, sql, values).rows()


def _padded(values: list[Any]) -> Iterator[list[Any]]:
    """Pieces of the sizes in CHUNKS; the last is filled up with a value that is asked for anyway."""
    largest = CHUNKS[0]
    for start in range(0, len(values), largest):
        part = values[start : start + largest]
        size = min(n for n in CHUNKS if n >= len(part))
        yield part + part[-1:] * (size - len(part))


def stream(connection: Connection, query: str, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The rows of a query for these columns of a table, one at a time.

    COPY sends a row at a time, and no more than are asked for: a SELECT of psycopg would bring all of them into memory first.
    """
    raw: Any = connection.connection.dbapi_connection
    try:
        if is_sqlite(connection):
            yield from raw.cursor().execute(query)
            return
        types = {name: oid for name, oid in connection.execute(text(_TYPES), {"name": f'"{table}"'})}  # noqa: C416
        with raw.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)") as copy:
            copy.set_types([types[column] for column in columns])
            yield from copy.rows()
    except connection.dialect.loaded_dbapi.Error as e:
        raise wrapped(connection, e) from None


def fill(connection: Connection, table: str, columns: Sequence[str], given: Iterable[Sequence[Any]]) -> None:
    """Put rows of these columns into a table, one at a time."""
    raw: Any = connection.connection.dbapi_connection
    named = ", ".join(columns)
    try:
        if is_sqlite(connection):
            raw.cursor().executemany(f'INSERT INTO "{table}" ({named}) VALUES ({", ".join("?" * len(columns))})', given)
            return
        with raw.cursor() as cursor, cursor.copy(f'COPY "{table}" ({named}) FROM STDIN') as copy:
            for row in given:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as e:
        raise wrapped(connection, e) from None


def count_on(connection: Connection, tables: Iterable[str]) -> None:
    """After rows with numbers of their own: PostgreSQL counts on from the highest, as SQLite does by itself."""
    if not is_sqlite(connection):
        for name in tables:
            connection.execute(text(_COUNT_ON.format(name)))
