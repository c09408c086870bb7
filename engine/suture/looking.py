"""Looking from the reactor, for who may not wait on it: the API and the console. control.py has the same for the command line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from twisted.internet import defer

from suture.model.errors import CommandError
from suture.store import look
from suture.store.backlog import Reader
from suture.store.look import Audited

P = ParamSpec("P")
T = TypeVar("T")


class Looking:
    """reader: reads on threads of its own, until it can. write(name, run): a durable write, through the journal. actor: who looks.

    now: seconds since 1970.
    """

    def __init__(
        self, reader: Reader, write: Callable[[str, Callable[[Any], None]], defer.Deferred[None]], actor: str, now: Callable[[], float]
    ) -> None:
        self._reader, self._write, self._actor, self._now = reader, write, actor, now

    async def look(self, query: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function of store/look.py finds. Raises as it does, but StoreError: the reader waits for the database."""
        found: defer.Deferred[T | CommandError] = defer.Deferred()
        self._reader.read(partial(_answer, partial(query, *args, **kwargs)), found.callback)
        answer = await found
        if isinstance(answer, CommandError):
            raise answer
        return answer

    async def look_inside(self, query: Callable[Concatenate[Any, P], Audited[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for one that finds content, or whom somebody searched for: it is in the audit before anybody sees it."""
        found = await self.look(query, *args, **kwargs)
        if found.lines:
            now_us = int(self._now() * 1e6)
            await self._write("audit", lambda connection: look.record(connection, found.lines, self._actor, now_us))
        return found.shown


def _answer(query: Callable[[Any], T], connection: Any) -> T | CommandError:
    """A refusal is an answer: the reader would ask again."""
    try:
        return query(connection)
    except CommandError as error:
        return error
