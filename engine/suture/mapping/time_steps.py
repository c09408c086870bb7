"""Steps of an inbound mapping that have to do with time: the parser of a message's times, and the service date."""

from __future__ import annotations

from datetime import date
from functools import lru_cache, partial
from zoneinfo import ZoneInfo

from suture.mapping.codegen import Texts, local
from suture.mapping.rules import Rules
from suture.mapping.sources import RECEIVED, RECORD, Held, Slots
from suture.mapping.times import Time, TimeParser, day_in, day_parser, moment_at, offset_of, time_parser
from suture.model.reading import Reading, Record
from suture.model.remembered import remembered

QUARTER_US = 900_000_000
"""A quarter of an hour: no zone changes its day within one."""
PARSERS_MAX = 64
"""Parsers of one mapping that are kept: one a day of receipt, and offset of a sender."""


class Times:
    """Gives the parser of a message's times: it knows the zone of those without an offset, and refuses those out of bounds.

    form: as that parser, without bounds, and with the zone of a sender that says none.
    """

    def __init__(self, as_: str, rules: Rules, format_: Reading) -> None:
        self._sent_at = format_.sent_at
        self._rules, zone = rules, rules.times or rules.zone
        self.form: TimeParser = day_parser(zone) if as_ == "date" else time_parser(zone)
        self._by_sender = rules.by_sender
        of_day = lru_cache(PARSERS_MAX)(partial(_parser, self.form, rules))
        self._of_quarter = lru_cache(PARSERS_MAX)(lambda quarter, offset: of_day(_day_of(quarter, rules.zone), offset))

    def of(self, record: Record, received_at_us: int | None) -> TimeParser:
        """The parser for one message. received_at_us: microseconds since 1970; None: no time is out of bounds."""
        quarter = received_at_us if received_at_us is None else received_at_us // QUARTER_US
        offset = offset_of(self._sent_at(record)) if self._by_sender else ""
        return self._of_quarter(quarter, offset)

    def why(self, text: str, received_at_us: int) -> str:
        """What is wrong with a time that is out of bounds, without the time."""
        bounds, time = self._rules.bounds, self.form(text)
        if time is not None and day_in(time, self._rules.zone) < moment_at(received_at_us, self._rules.zone).date():
            return f"more than {bounds.past_d} days before the message was received, the channel's bounds.past_d"
        return f"more than {bounds.future_d} days after the message was received, the channel's bounds.future_d"

    def fill(self, slot: int, slots: Slots) -> None:
        slots[slot] = self.of(slots[RECORD], slots[RECEIVED])

    def write(self, slot: int, texts: Texts) -> None:
        texts.code.line(f"{local(slot)} = {texts.code.const(self.of)}(record, received)")


def _day_of(quarter: int | None, zone: ZoneInfo) -> date | None:
    """The day of a quarter of an hour since 1970."""
    return None if quarter is None else moment_at(quarter * QUARTER_US, zone).date()


def _parser(form: TimeParser, rules: Rules, day: date | None, offset: str) -> TimeParser:
    """The parser of messages that came on that day, with that offset."""
    zone, bounds = rules.zone, rules.bounds

    @remembered
    def parse(text: str) -> Time | None:
        time = (form(text + offset) if offset else None) or form(text)  # what has an offset of its own takes no other
        if time is None or day is None:
            return time
        return time if -bounds.past_d <= (day_in(time, zone) - day).days <= bounds.future_d else None

    return parse


class Day:
    """The service date: the day of used_at (its slot) where the site is, else that on which the message was sent."""

    def __init__(self, used_at: int | None, rules: Rules, format_: Reading) -> None:
        self.used_at, self._format = used_at, format_
        self._zone: ZoneInfo = rules.zone
        self._parse = time_parser(rules.times or rules.zone)

    def of(self, time: Time | None, record: Record) -> date | None:
        """The day, of used_at or of the message; None where there is none."""
        if time is None:
            time = self._parse(self._format.sent_at(record))
        return day_in(time, self._zone) if time is not None else None

    def fill(self, slot: int, slots: Slots) -> None:
        slots[slot] = self.of(None if self.used_at is None else slots[self.used_at], slots[RECORD])
        if slots[slot] is None:
            raise Held("used_at", self._format.sent_at_place, "no service date by which a row could be chosen")

    def write(self, slot: int, texts: Texts) -> None:
        used_at = "None" if self.used_at is None else local(self.used_at)
        texts.code.line(f"{local(slot)} = {texts.code.const(self.of)}({used_at}, record)")
        texts.code.stop_if(f"{local(slot)} is None")
        texts.sure.add(slot)
