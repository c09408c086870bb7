"""How long a person waits for a store: a command that looks at it ends by itself, though a frozen server never answers.

What asks does not come back from a driver that waits, so a signal interrupts it: only in the main thread of a process of its
own (the command line). The engine has no use for it; its threads may wait.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from sqlalchemy import Engine, event

from suture.model.errors import StoreError

OPTION = "suture_patience"
"""The engine's execution option that holds its Patience, if it has one."""

MIN_S = 0.1
"""Shortest wait, in seconds: what answers at all has answered by then."""


class _Late(Exception):
    pass


class Patience:
    """Of one SQLAlchemy engine. name: of the database, for texts."""

    def __init__(self, engine: Engine, seconds: float, name: str) -> None:
        self._seconds, self._name = seconds, name
        self._open: WeakSet[Any] = WeakSet()

        @event.listens_for(engine, "connect")
        def connect(connection: Any, _record: Any) -> None:
            if hasattr(connection, "pgconn"):
                self._open.add(connection)

    @contextmanager
    def limited(self, seconds: float | None = None) -> Iterator[None]:
        """Raises StoreError in the middle of what is done here when it takes longer; connections are closed then.

        seconds: where less are left than usual.
        """
        if threading.current_thread() is not threading.main_thread() or signal.getitimer(signal.ITIMER_REAL)[0]:
            yield
            return
        late, limit_s = False, max(MIN_S, min(self._seconds, self._seconds if seconds is None else seconds))

        def ring(_number: int, _frame: Any) -> None:
            nonlocal late
            late = True
            for connection in list(self._open):  # what tidies up would wait for an answer on them
                with suppress(Exception):
                    connection.close()
            raise _Late

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        try:
            yield
        except Exception as error:
            if not late:
                raise
            raise StoreError(
                f"the database {self._name} has not answered within {limit_s:.3g} s; it hangs, is locked, or has much to look through:"
                " look at the server, or wait longer with --timeout"
            ) from error
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
