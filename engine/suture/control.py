"""The operator's verbs, once: the command line, the API and the console call these.

Looking reads the store. Acting leaves a row in `command`, which a running engine obeys within a second and a stopped
one when it starts; both write the audit, and so does every look at content (PHI).
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from suture.model.errors import CommandError, StoreError
from suture.store import dialect, fitness, journey, orders, preview, queries, search, standing, summary
from suture.store.engine import Engine
from suture.store.queries import DeliveryFilter, ExceptionFilter, MessageFilter, ReleaseFilter, Row, with_words

MOST_IDS = 10_000
"""Most messages or deliveries in one request of an operator."""
IDS_A_COMMAND = 500
_ARGUMENTS = {"messages": "message_ids", "deliveries": "delivery_ids"}
POLL_S = 0.05
OBSERVE_S = 2.0
"""Seconds that an engine is watched whose heartbeat says nothing by itself: it beats once a second."""
SAY_AFTER_S = 1.0
"""Seconds of waiting for the engine after which it is said what is waited for."""


class NotFound(CommandError):
    """There is no such message, delivery, exception or channel."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command. done: the engine has answered; ok and result are its answer (result: JSON or a text).

    running: there is an engine at work; state: as in store/standing.py. A command that is not done stays, and is obeyed when
    the engine can.
    """

    command_id: int
    done: bool
    ok: bool
    result: Any
    running: bool
    state: str = ""


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
        self._known = set(known)

    def _now_us(self) -> int:
        return int(self._now() * 1e6)

    # -- looking ---------------------------------------------------------------------------------------------------

    def status(self, since_us: int | None = None, everything: bool = False, within_s: float | None = None) -> summary.Status:
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
        for name in self._known - set(found.channels):
            found.channels[name] = summary.ChannelStatus(name)
        found.channels = dict(sorted(found.channels.items()))
        return found

    def _left_s(self, deadline_s: float | None) -> float | None:
        return None if deadline_s is None else max(0.0, deadline_s - self._now())

    def _observe(self, found: summary.Status, seconds: float) -> None:
        """An engine whose heartbeat is old or in the future, as far as this clock can say, is watched for a while."""
        until_s, seen_us = self._now() + seconds, found.heartbeat_us
        while found.state == standing.SILENT and self._now() < until_s:
            self._sleep(POLL_S)
            with dialect.reading(self._engine) as connection:
                found.stands(standing.standing(connection, self._now_us(), seen_us))

    def balance(self, channel: str) -> summary.Balance:
        """The books of a channel: every input accounted for."""
        with dialect.reading(self._engine) as connection:
            self._require_channel(connection, channel)
            return summary.balance(connection, channel)

    def messages(self, wanted: MessageFilter) -> list[Row]:
        """Messages newest first; a search for anything but an item is audited (by the value's hash).

        Raises NotFound for a channel that there is not.
        """
        with dialect.reading(self._engine) as connection:
            found = queries.messages(connection, wanted)
            self._require_filter(connection, wanted.channel, found)
        for kind, value in wanted.find:
            if kind != "item":
                self._audit("find", f"{kind} #{search.search_hash(kind, value) & (1 << 64) - 1:016x}", f"{len(found)} found")
        return found

    def message(self, message_id: int) -> Row:
        """One message without content. Raises NotFound."""
        with dialect.reading(self._engine) as connection:
            return _found(queries.message_row(connection, message_id), "message", message_id)

    def raw(self, message_id: int) -> bytes:
        """A message's bytes as received; audited. Raises NotFound."""
        with dialect.reading(self._engine) as connection:
            body = _found(queries.raw(connection, message_id), "message", message_id)
        self._audit("look", f"message {message_id} raw")
        return body

    def events(self, message_id: int) -> list[Row]:
        """A message's canonical events as of its newest processing, with content; audited. Raises NotFound."""
        with dialect.reading(self._engine) as connection:
            row = _found(queries.message_row(connection, message_id), "message", message_id)
            found = [each for each in queries.events(connection, message_id) if each["revision"] == row["revision"]]
        self._audit("look", f"message {message_id} events")
        return found

    def journey(self, message_id: int) -> journey.Journey:
        """All that happened to a message, without content. Raises NotFound."""
        with dialect.reading(self._engine) as connection:
            return _found(journey.journey(connection, message_id), "message", message_id)

    def deliveries(self, wanted: DeliveryFilter) -> list[Row]:
        """Deliveries newest first, without content (and without the lane, which may be an account number). Raises NotFound."""
        with dialect.reading(self._engine) as connection:
            found = queries.deliveries(connection, wanted)
            self._require_filter(connection, wanted.channel, found)
        return [with_words(_without_lane(row)) for row in found]

    def delivery(self, delivery_id: int) -> tuple[Row, list[Row]]:
        """One delivery and its attempts, without content. Raises NotFound."""
        with dialect.reading(self._engine) as connection:
            row = _found(queries.delivery_row(connection, delivery_id), "delivery", delivery_id)
            attempts = queries.attempts(connection, delivery_id)
        return with_words(_without_lane(row)), [with_words({**each, "response": None}) for each in attempts]

    def payload(self, delivery_id: int) -> tuple[Row, bytes, list[Row]]:
        """One delivery, the bytes that go out, and the attempts with the answers; audited. Raises NotFound."""
        with dialect.reading(self._engine) as connection:
            row = _found(queries.delivery_row(connection, delivery_id), "delivery", delivery_id)
            body = queries.payload(connection, delivery_id) or b""
            attempts = queries.attempts(connection, delivery_id)
        self._audit("look", f"delivery {delivery_id} body")
        return with_words(row), body, [with_words(each) for each in attempts]

    def exceptions(self, wanted: ExceptionFilter) -> list[Row]:
        """Exceptions newest first. Raises NotFound for a channel that there is not."""
        with dialect.reading(self._engine) as connection:
            found = queries.exceptions(connection, wanted)
            self._require_filter(connection, wanted.channel, found)
        return [with_words(row) for row in found]

    def releasable(self, wanted: ReleaseFilter) -> list[int]:
        """Held and dead deliveries of which an exception is open, the oldest first. Raises NotFound for a channel that there is not."""
        with dialect.reading(self._engine) as connection:
            found = queries.releasable(connection, wanted)
            self._require_filter(connection, wanted.channel, found)
        return found

    def audit(self, limit: int, wanted: orders.AuditFilter) -> list[Row]:
        """Who did what, when and why: lines of the audit, the newest first."""
        with dialect.reading(self._engine) as connection:
            return orders.audited(connection, limit, wanted)

    def exception(self, exception_id: int) -> Row:
        """One exception. Raises NotFound."""
        with dialect.reading(self._engine) as connection:
            return with_words(_found(queries.exception_row(connection, exception_id), "exception", exception_id))

    # -- previews --------------------------------------------------------------------------------------------------

    def preview_resend(
        self, message_ids: Sequence[int], delivery_ids: Sequence[int], destinations: Sequence[str], insist: bool
    ) -> list[preview.Item]:
        """What a resend would send and what it would double. Raises NotFound, and CommandError for a destination that has none."""
        with dialect.reading(self._engine) as connection:
            _require_ids("message", message_ids, [row["id"] for row in queries.message_rows(connection, list(message_ids))])
            named = queries.delivery_rows(connection, list(delivery_ids))
            _require_ids("delivery", delivery_ids, [row["id"] for row in named])
            found = [*named, *preview.newest(queries.deliveries_of(connection, list(message_ids)))]
            _require_destinations(destinations, found)
            found = [row for row in found if not destinations or row["destination"] in destinations]
            related = queries.deliveries_of(connection, [row["message_id"] for row in found])
            bare = queries.bare(connection, [row["message_id"] for row in found])
        return preview.resend(found, related, insist, bare)

    def preview_release(self, delivery_ids: Sequence[int]) -> list[preview.Item]:
        """What a release would let go. Raises NotFound."""
        with dialect.reading(self._engine) as connection:
            found = queries.delivery_rows(connection, list(delivery_ids))
            _require_ids("delivery", delivery_ids, [row["id"] for row in found])
            messages = [row["message_id"] for row in found]
            return preview.release(found, queries.deliveries_of(connection, messages), queries.bare(connection, messages))

    def preview_resolve(self, exception_ids: Sequence[int]) -> list[Row]:
        """The exceptions that would be closed, and those that are. Raises NotFound."""
        with dialect.reading(self._engine) as connection:
            found = queries.exception_rows(connection, list(exception_ids))
        _require_ids("exception", exception_ids, [row["id"] for row in found])
        return [with_words(row) for row in found]

    def preview_reprocess(self, message_ids: Sequence[int], insist: bool) -> list[preview.Item]:
        """What reprocessing would do. Raises NotFound."""
        with dialect.reading(self._engine) as connection:
            found = queries.message_rows(connection, list(message_ids))
            _require_ids("message", message_ids, [row["id"] for row in found])
            related, bare = queries.deliveries_of(connection, list(message_ids)), queries.bare(connection, message_ids)
            return preview.reprocess(found, related, insist, bare)

    # -- acting ----------------------------------------------------------------------------------------------------

    def channel(self, verb: str, name: str, reason: str = "", wait_s: float = 0.0) -> Answer:
        """start, stop, restart or reload a channel; start and stop are kept over restarts of the engine. Raises NotFound."""
        with dialect.writing(self._engine) as connection:
            self._require_channel(connection, name)
            if verb != "reload":
                orders.desire(connection, name, orders.STOPPED if verb == "stop" else orders.RUNNING, self._now_us())
            number = self._order(connection, f"channel_{verb}", {"channel": name}, f"channel {name}", reason)
        return self._wait(number, wait_s)

    def resync(self, name: str, destination: str, reason: str, wait_s: float = 0.0) -> Answer:
        """Let a destination with sequence numbers go on, whatever its peer expects. Raises NotFound; reason is required."""
        _require_reason(reason)
        with dialect.writing(self._engine) as connection:
            self._require_channel(connection, name)
            arguments = {"channel": name, "destination": destination}
            number = self._order(connection, "channel_resync", arguments, f"channel {name} destination {destination}", reason)
        return self._wait(number, wait_s)

    def resend(self, delivery_ids: Sequence[int], reason: str, insist: bool = False, wait_s: float = 0.0) -> list[Answer]:
        """Send the same payloads again, as new deliveries linked to the old; reason is required."""
        return self._for_ids("resend", "deliveries", delivery_ids, {"insist": insist}, reason, wait_s)

    def reprocess(self, message_ids: Sequence[int], reason: str, insist: bool = False, wait_s: float = 0.0) -> list[Answer]:
        """Put raw messages through today's mapping again; reason is required."""
        return self._for_ids("reprocess", "messages", message_ids, {"insist": insist}, reason, wait_s)

    def release(self, delivery_ids: Sequence[int], reason: str, wait_s: float = 0.0) -> list[Answer]:
        """Put held and dead deliveries back to their lanes; reason is required. Raises NotFound."""
        _require_reason(reason)
        with dialect.reading(self._engine) as connection:
            _require_ids("delivery", delivery_ids, [row["id"] for row in queries.delivery_rows(connection, list(delivery_ids))])
        return self._for_ids("delivery_release", "deliveries", delivery_ids, {}, reason, wait_s)

    def resolve(self, exception_ids: Sequence[int], reason: str) -> list[int]:
        """Close exceptions that need no more; returns those that were open. Raises NotFound; reason is required."""
        _require_reason(reason)
        _require_few("exceptions", set(exception_ids))
        self.preview_resolve(exception_ids)
        with dialect.writing(self._engine) as connection:
            closed = orders.resolve(connection, exception_ids, reason, self._now_us())
            orders.record(connection, self._actor, "exception_resolve", f"exceptions {_ranges(exception_ids)}", reason, self._now_us())
        return closed

    def _for_ids(self, verb: str, noun: str, ids: Sequence[int], more: dict[str, Any], reason: str, wait_s: float) -> list[Answer]:
        _require_reason(reason)
        wanted = sorted(set(ids))
        if not wanted:
            raise CommandError("there is nothing to do")
        _require_few(noun, wanted)
        numbers = []
        with dialect.writing(self._engine) as connection:
            for start in range(0, len(wanted), IDS_A_COMMAND):
                part = wanted[start : start + IDS_A_COMMAND]
                arguments = {_ARGUMENTS[noun]: part, "reason": reason, **more}
                target = f"{noun} {_ranges(part)}" + (", insisted" if more.get("insist") else "")
                numbers.append(self._order(connection, verb, arguments, target, reason))
        deadline = self._now() + wait_s
        return [self._wait(number, deadline - self._now()) for number in numbers]

    def _order(self, connection: Any, verb: str, arguments: dict[str, Any], target: str, reason: str) -> int:
        now_us = self._now_us()
        orders.record(connection, self._actor, verb, target, reason, now_us)
        return orders.order(connection, verb, arguments, self._actor, now_us)

    def _wait(self, command_id: int, wait_s: float) -> Answer:
        """Ask every POLL_S for the engine's answer; an engine that there is not is not waited for."""
        begin_s, seen_us, told = self._now(), None, False
        while True:
            with dialect.reading(self._engine) as connection:
                answer = orders.answer(connection, command_id)
                found = standing.standing(connection, self._now_us(), seen_us)
            seen_us = seen_us or found.heartbeat_us
            if answer is not None:
                return Answer(command_id, True, answer[0], answer[1], found.at_work, found.state)
            if found.state in standing.ABSENT or self._now() - begin_s >= wait_s:
                return Answer(command_id, False, False, None, found.at_work, found.state)
            if not told and self._now() - begin_s >= SAY_AFTER_S:
                told = True
                self._tell(f"waiting for the engine ({found.owner or 'unknown'}; it is {found.state}) to obey command {command_id}")
            self._sleep(POLL_S)

    def _audit(self, verb: str, target: str, reason: str = "") -> None:
        with dialect.writing(self._engine) as connection:
            orders.record(connection, self._actor, verb, target, reason, self._now_us())

    def _require_filter(self, connection: Any, channel: str | None, found: Sequence[Any]) -> None:
        """An empty list for a channel whose name is mistyped would read as good news."""
        if channel is not None and not found:
            self._require_channel(connection, channel)

    def _require_channel(self, connection: Any, name: str) -> None:
        names = self._known | {row["channel"] for row in orders.channels(connection)}
        if name not in names:
            raise NotFound(f"there is no channel {name!r}{_meant(name, names)}")


def _found(value: Any, noun: str, number: int) -> Any:
    if value is None:
        raise NotFound(f"there is no {noun} {number}")
    return value


def _without_lane(row: Row) -> Row:
    return {key: value for key, value in row.items() if key != "lane"}


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise CommandError("a reason is required; it is kept in the audit")


def _require_ids(noun: str, wanted: Sequence[int], there: Sequence[int]) -> None:
    missing = sorted(set(wanted) - set(there))
    if missing:
        raise NotFound(f"there is no {noun} {_ranges(missing)}")


def _require_few(noun: str, ids: Collection[int]) -> None:
    if len(ids) > MOST_IDS:
        raise CommandError(f"{len(ids)} {noun} at a time are too many; the most is {MOST_IDS}")


def _require_destinations(wanted: Sequence[str], found: list[Row]) -> None:
    names = {row["destination"] for row in found}
    for name in wanted:
        if name not in names:
            raise CommandError(f"none of these went to a destination {name!r}{_meant(name, names)}")


def _meant(name: str, names: Iterable[str]) -> str:
    names = sorted(names)
    close = difflib.get_close_matches(name, names, 1, 0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are: {', '.join(names)}" if names else ""


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers in short: 1-3,7"""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
