"""Alembic's way in. Suture passes its connection; `alembic -c migrations/alembic.ini` (to write a revision) passes -x url=..."""

from alembic import context
from sqlalchemy import Connection

from suture.store import indexes


def _migrate(connection: Connection) -> None:
    # Suture begins SQLite transactions itself, so that DDL is part of them there too: all of an upgrade, or nothing.
    context.configure(connection=connection, target_metadata=indexes.metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


def _standalone() -> None:
    from suture.store import dialect
    from suture.store.engine import open_engine

    url = context.get_x_argument(as_dictionary=True).get("url", "sqlite:///suture.db")
    with dialect.writing(open_engine(url, site=None)) as connection:
        _migrate(connection)


given = context.config.attributes.get("connection")
if given is not None:
    _migrate(given)
else:
    _standalone()
