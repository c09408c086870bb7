"""An engine's hold on a store, without the engine: the lock, the tenure, and a heartbeat of any time."""

from __future__ import annotations

import fcntl
import os

from sqlalchemy import Engine, text

from suture.store import dialect, ownership, state
from suture.store.tenure import Tenure
from tests.faults.kernel import wait_until


class AtWork:
    """Holds the store until `leave` (in order) or `die` (as a kill would)."""

    def __init__(self, engine: Engine, beat_us: int, phase: str = state.RUNNING) -> None:
        self.engine, self.tenure, self._phase = engine, Tenure("srv1"), phase
        self._file = -1
        if engine.dialect.name == "sqlite":
            self._file = os.open(ownership._beside(engine), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._connection = dialect.writer(engine)
        self.tenure.begin(self._connection)
        self.beat(beat_us)

    def beat(self, at_us: int) -> None:
        """A sign of life."""
        with dialect.writing(self.engine) as connection:
            state.put_engine(connection, self.tenure.node, {state.HEARTBEAT: at_us, state.PHASE: self._phase}, at_us)

    def leave(self) -> None:
        """Say goodbye, and end."""
        self.tenure.end(self._connection)
        self.die()

    def die(self) -> None:
        """End without a word; the store knows of it when this returns."""
        session = None if self._file >= 0 else self._connection.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]
        self._connection.invalidate()
        self._connection.close()
        if session is None:
            os.close(self._file)
        else:
            wait_until(lambda: not self._has(session))

    def _has(self, session: int) -> bool:
        """Whether the server still has this session, which may keep its locks for a while after its client has gone."""
        with self.engine.connect() as connection:
            found = connection.execute(text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid"), {"pid": session})
            return bool(found.scalar_one())
