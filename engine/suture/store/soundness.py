"""Is a store whole: its pages and indexes, and what its rows say of one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, exists, func, not_, select, text
from sqlalchemy.exc import DBAPIError

from suture.model import states
from suture.model.errors import StoreError
from suture.store import content, dialect, rows, schema
from suture.store.tables import attempt, dictionary, exception, made, message_body, metadata, queued, received, sending
from suture.store.views import delivery, message

MOST = 20
"""Damages of pages that are told."""
_INDEXES = """SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND t.relname = ANY(:names) AND pg_table_is_visible(t.oid) ORDER BY 1"""
_CHECKER = "SELECT 1 FROM pg_extension WHERE extname = 'amcheck'"
Doing = Callable[[str], None]


def problems(engine: Engine, quick: bool, doing: Doing) -> Iterator[str]:
    """What is wrong with a store, in words; nothing when it is whole. quick: its pages and indexes are looked at less closely.

    doing(text): what is looked at now. It may be a running engine's store: all looks are of one instant. Raises StoreError.
    """
    with dialect.reading(engine) as connection:
        dialect.unhurried(connection)
        doing("the schema")
        found = schema.revision_of(connection)
        if revision := schema.begun(found):
            yield f"an upgrade to schema {revision} was begun and has not ended; run `suture db upgrade`, and look again then"
            return
        if found != schema.HEAD:
            yield f"it has schema {found or 'none'}, and this Suture needs {schema.HEAD}"
        doing("pages and indexes")
        yield from _pages(connection, quick)
        for what, condition in _REFERENCES:
            doing(what)
            yield from _counted(connection, what, condition())
        if not quick:
            doing("contents")
            yield from _contents(connection)


def notes(engine: Engine) -> list[str]:
    """What could not be looked at."""
    if dialect.file_of(engine):
        return []
    with dialect.reading(engine) as connection:
        if connection.execute(text(_CHECKER)).first() is None:
            return ["the indexes were not compared with their tables: CREATE EXTENSION amcheck lets this be done"]
    return []


def _pages(connection: Connection, quick: bool) -> Iterator[str]:
    if dialect.file_of(connection):
        found = rows.query(connection, f"PRAGMA {'quick_check' if quick else 'integrity_check'}({MOST})")
        yield from (str(row[0]) for row in found if row[0] != "ok")
        return
    for name, table in sorted(metadata.tables.items()):
        large = [f'count(md5("{c.name}"))' for c in table.c if c.name in ("raw", "body", "response")]
        yield from _tried(connection, f"the table {name}", f'SELECT {", ".join(["count(*)", *large])} FROM "{name}"')
    if not quick and connection.execute(text(_CHECKER)).first() is not None:
        for index in list(connection.execute(text(_INDEXES), {"names": list(metadata.tables)}).scalars()):
            yield from _tried(connection, f"the index {index}", f"SELECT bt_index_check('\"{index}\"'::regclass, true)")


def _tried(connection: Connection, what: str, query: str) -> Iterator[str]:
    """Read all of something; what the database says when it cannot."""
    try:
        with connection.begin_nested():
            connection.execute(text(query)).all()
    except DBAPIError as error:
        yield f"{what}: {dialect.explain(error, connection.engine.url)}"


def _contents(connection: Connection) -> Iterator[str]:
    """Contents that cannot be read; those whose dictionary is not there are told of by `_REFERENCES`."""
    known = {content.AS_IT_IS, content.ZSTD}
    for number in connection.execute(select(dictionary.c.id)).scalars().all():
        try:
            content.dictionary_of(connection, number)
            known.add(number)
        except StoreError as error:
            yield str(error)
    for table, body, read in ((message_body, "raw", content.content), (made, "body", content.opened)):
        columns = ("message_id", "coding", body)
        query = f'SELECT {", ".join(columns)} FROM "{table.name}" ORDER BY message_id'
        count = first = 0
        for row in rows.stream(connection, query, table.name, columns):
            if row[1] in known and not _reads(read, connection, row):
                count, first = count + 1, first or row[0]
        if count:
            yield f"{count} rows of {table.name} that cannot be read (the first is of message {first})"


def _reads(read: Callable[[Connection, int, bytes], object], connection: Connection, row: Sequence[Any]) -> bool:
    try:
        read(connection, row[1], row[2])
    except StoreError:
        return False
    return True


def _counted(connection: Connection, what: str, query: Any) -> Iterator[str]:
    """How many rows are such, if any."""
    try:
        with connection.begin_nested():
            count, first = connection.execute(query).one()
    except DBAPIError as error:
        yield f"{what} cannot be counted: {dialect.explain(error, connection.engine.url)}"
        return
    if count:
        yield f"{count} {what} (the first is {first})"


def _these(table: Table, *which: ColumnElement[bool]) -> Any:
    """How many rows of a table are such, and the first of them."""
    return select(func.count(), func.min(next(iter(table.primary_key.columns)))).where(*which)


def _without(one: Table, condition: ColumnElement[bool], *more: ColumnElement[bool]) -> Any:
    """The rows of one table that have no row in another."""
    return _these(one, not_(exists().where(condition).correlate(one)), *more)


def _without_dictionary(table: Table) -> Any:
    return _without(table, dictionary.c.id == table.c.coding, table.c.coding.not_in((content.AS_IT_IS, content.ZSTD)))


_OF_DELIVERY = and_(made.c.message_id == queued.c.message_id, made.c.revision == queued.c.revision, made.c.part == queued.c.part)
_HAS_PAYLOAD = (delivery.c.state.not_in((states.HELD, states.SKIPPED)),)
_REFERENCES: tuple[tuple[str, Callable[[], Any]], ...] = (
    ("messages without their bytes", lambda: _without(received, message_body.c.message_id == received.c.id)),
    ("bodies without a message", lambda: _without(message_body, received.c.id == message_body.c.message_id)),
    ("events and payloads without a message", lambda: _without(made, received.c.id == made.c.message_id)),
    ("deliveries without a message", lambda: _without(queued, received.c.id == queued.c.message_id)),
    ("deliveries without a payload", lambda: _these(delivery, delivery.c.payload.is_(None), *_HAS_PAYLOAD)),
    ("deliveries whose payload is not there", lambda: _without(queued, _OF_DELIVERY, queued.c.payload.is_not(None))),
    ("messages whose dictionary is not there", lambda: _without_dictionary(message_body)),
    ("events and payloads whose dictionary is not there", lambda: _without_dictionary(made)),
    ("attempts without a delivery", lambda: _without(attempt, queued.c.id == attempt.c.delivery_id)),
    ("announced sends without a delivery", lambda: _without(sending, queued.c.id == sending.c.delivery_id)),
    ("exceptions without a message", lambda: _without(exception, received.c.id == exception.c.message_id)),
    ("messages in a state there is none of", lambda: _these(message, message.c.state.not_in(states.MESSAGE_STATES))),
    ("deliveries in a state there is none of", lambda: _these(delivery, delivery.c.state.not_in(states.DELIVERY_STATES))),
)
