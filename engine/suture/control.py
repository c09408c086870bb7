"""The operator's verbs for whoever may wait: the command line. looking.py has what may not.

Looking reads the store. Acting leaves a row in `command`, which a running engine obeys within a second and a stopped
one when it starts; both write the audit, and so does every look at content (PHI).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from suture.model.errors import CommandError, StoreError
from suture.model.value import changed
from suture.model.verbs import OfChannel, OfMany, Release, Verb, answered, plain, ranges
from suture.model.views import Answer, ChannelStatus, Status
from suture.store import dialect, fitness, look, orders, queries, standing, summary
from suture.store.engine import Engine
from suture.store.look import Audited

P = ParamSpec("P")
T = TypeVar("T")

MOST_IDS = 10_000
"""Most messages or deliveries in one request of an operator."""
IDS_A_COMMAND = 500
POLL_S = 0.05
OBSERVE_S = 2.0
"""Seconds that an engine is watched whose heartbeat says nothing by itself: it beats once a second."""
SAY_AFTER_S = 1.0
"""Seconds of waiting for the engine after which it is said what is waited for."""


class Control:
    """actor: who acts, for the audit. now: seconds since 1970. known: channels that the site's files name. tell(text): what is
    waited for.
    """

    def __init__(
        self,
        engine: Engine,
        actor: str,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        known: Iterable[str] = (),
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._engine, self._actor, self._now, self._sleep, self._tell = engine, actor, now, sleep, tell
        self.known = frozenset(known)

    def _now_us(self) -> int:
        return int(self._now() * 1e6)

    # -- looking ---------------------------------------------------------------------------------------------------

    def look(self, query: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a function of look.py finds. Raises as it does."""
        with dialect.reading(self._engine) as connection:
            return query(connection, *args, **kwargs)

    def look_inside(self, query: Callable[Concatenate[Any, P], Audited[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for one that finds content, or whom somebody searched for; audited. Raises as it does."""
        found = self.look(query, *args, **kwargs)
        if found.lines:
            with dialect.writing(self._engine) as connection:
                look.record(connection, found.lines, self._actor, self._now_us())
        return found.shown

    def status(self, since_us: int | None = None, everything: bool = False, within_s: float | None = None) -> Status:
        """How everything is. Finished work is counted since then (default: the last day, or less when that was much).

        within_s: what cannot be had in that time is left out, and `missing` says so. Raises StoreError for a store that does
        not even say who its engine is.
        """
        deadline_s = self._now() + within_s if within_s is not None else None
        with dialect.reading(self._engine, within_s) as connection:
            found = summary.begin(connection, self._now_us())
        try:
            with dialect.reading(self._engine, self._left_s(deadline_s)) as connection:
                if since_us is None and not everything:
                    since_us = summary.recently(connection, self._now_us())
                summary.count(connection, found, since_us)
        except StoreError as error:
            if within_s is None:
                raise
            found.missing.append(f"messages, deliveries and exceptions are not counted, or not all of them: {error}")
        self._observe(found, OBSERVE_S if deadline_s is None else self._left_s(deadline_s) or 0.0)
        if damage := fitness.damage_noted(self._engine):
            found.engine[fitness.DAMAGE] = damage
        for name in self.known - set(found.channels):
            found.channels[name] = ChannelStatus(name)
        found.channels = dict(sorted(found.channels.items()))
        return found

    def _left_s(self, deadline_s: float | None) -> float | None:
        return None if deadline_s is None else max(0.0, deadline_s - self._now())

    def _observe(self, found: Status, seconds: float) -> None:
        """An engine whose heartbeat is old or in the future, as far as this clock can say, is watched for a while."""
        until_s, seen_us = self._now() + seconds, found.heartbeat_us
        while found.state == standing.SILENT and self._now() < until_s:
            self._sleep(POLL_S)
            with dialect.reading(self._engine) as connection:
                summary.stands(found, standing.standing(connection, self._now_us(), seen_us))

    # -- acting ----------------------------------------------------------------------------------------------------

    def ask(self, verb: OfChannel, reason: str = "", wait_s: float = 0.0) -> Answer:
        """Have something done to a channel. What it keeps of it, it keeps over restarts of the engine. Raises NotFound."""
        if verb.reasoned:
            _require_reason(reason)
        with dialect.writing(self._engine) as connection:
            look.require_channel(connection, verb.channel, self.known)
            if verb.keeps:
                orders.desire(connection, verb.channel, verb.keeps, self._now_us())
            number = self._order(connection, verb, reason)
        return self._wait(verb, number, wait_s)

    def ask_for(self, verb: OfMany, wait_s: float = 0.0) -> list[Answer]:
        """Have something done to many messages or deliveries, a part after another; a reason is required. Raises NotFound."""
        _require_reason(verb.reason)
        wanted = sorted(set(verb.ids))
        if not wanted:
            raise CommandError("there is nothing to do")
        _require_few(verb.noun, wanted)
        if isinstance(verb, Release):
            self.look(look.deliveries_by_id, wanted)
        parts = [changed(verb, ids=part) for part in queries.parts(wanted, IDS_A_COMMAND)]
        with dialect.writing(self._engine) as connection:
            numbers = [self._order(connection, part, verb.reason) for part in parts]
        deadline = self._now() + wait_s
        return [self._wait(verb, number, deadline - self._now()) for number in numbers]

    def resolve(self, exception_ids: Sequence[int], reason: str) -> list[int]:
        """Close exceptions that need no more; returns those that were open. Raises NotFound; reason is required."""
        _require_reason(reason)
        _require_few("exceptions", set(exception_ids))
        self.look(look.exceptions_by_id, exception_ids)
        with dialect.writing(self._engine) as connection:
            closed = orders.resolve(connection, exception_ids, reason, self._now_us())
            orders.record(connection, self._actor, "exception_resolve", f"exceptions {ranges(exception_ids)}", reason, self._now_us())
        return closed

    def _order(self, connection: Any, verb: Verb, reason: str) -> int:
        now_us = self._now_us()
        orders.record(connection, self._actor, verb.name, verb.target(), reason, now_us)
        return orders.order(connection, verb.name, plain(verb), self._actor, now_us)

    def _wait(self, verb: Verb, command_id: int, wait_s: float) -> Answer:
        """Ask every POLL_S for the engine's answer; an engine that there is not is not waited for."""
        begin_s, seen_us, told = self._now(), None, False
        while True:
            with dialect.reading(self._engine) as connection:
                answer = orders.answer(connection, command_id)
                found = standing.standing(connection, self._now_us(), seen_us)
            seen_us = seen_us or found.heartbeat_us
            if answer is not None:
                return Answer(command_id, True, answer[0], answered(verb.name, answer[1]), found.at_work, found.state)
            if found.state in standing.ABSENT or self._now() - begin_s >= wait_s:
                return Answer(command_id, False, False, None, found.at_work, found.state)
            if not told and self._now() - begin_s >= SAY_AFTER_S:
                told = True
                self._tell(f"waiting for the engine ({found.owner or 'unknown'}; it is {found.state}) to obey command {command_id}")
            self._sleep(POLL_S)


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise CommandError("a reason is required; it is kept in the audit")


def _require_few(noun: str, ids: Collection[int]) -> None:
    if len(ids) > MOST_IDS:
        raise CommandError(f"{len(ids)} {noun} at a time are too many; the most is {MOST_IDS}")
