"""Stock positions: what is on hand where, and when it has to be ordered. Pure: the store keeps what is on hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Context, Decimal
from functools import partial
from typing import Any

from suture.model.events import Event
from suture.model.remembered import Remembered, is_there
from suture.model.value import Value
from suture.ports import StockKey

USED = "supply.used"

_EXACT = Context(prec=120)
_SEPARATOR = "\x1f"
_COLUMNS = ("on_hand", "reorder_point", "par_level", "unit")
LEVELS_KEPT = 4096
"""Positions that are kept as they were asked for; the others are texts, of which a hundred thousand are let go at once."""


class Level(Value, frozen=True):
    """A row of tables/stock.csv, quantities in `unit`. on_hand: the opening stock."""

    on_hand: Decimal
    reorder_point: Decimal
    par_level: Decimal
    unit: str


class Due(Value, frozen=True):
    """A stock that fell to its reorder point. cause: the use that took it there. data: the fields of a replenishment.due event."""

    cause: Event
    data: dict[str, Any]


class StockLevels:
    """The stock positions that the site keeps.

    rows: of tables/stock.csv (location, item, on_hand, reorder_point, par_level, unit). Raises ValueError, one line a
    row, for numbers that are none and for a par level that is not above the reorder point.
    """

    def __init__(self, rows: Iterable[Mapping[str, str]]) -> None:
        self._texts: dict[str, str] = {}
        self._levels = Remembered(partial(_kept, self._texts), LEVELS_KEPT, is_there)
        wrong: list[str] = []
        for row in rows:
            key = (row["location"], row["item"])
            try:
                _level(row)
                self._texts[_SEPARATOR.join(key)] = _SEPARATOR.join([row.get(column, "") for column in _COLUMNS])
            except ValueError as error:
                wrong.append(f"{' '.join(key)}: {error}")
        if wrong:
            raise ValueError("\n".join(wrong))

    def __len__(self) -> int:
        return len(self._texts)

    def moves(self, events: Iterable[Event]) -> list[StockKey]:
        """The positions that the events touch, each one once, in order."""
        return list(dict.fromkeys(key for event, key, level in self._uses(events) if _same_unit(event, level)))

    def unmoved(self, events: Iterable[Event]) -> list[tuple[Event, str]]:
        """Uses that cannot be counted although the position is kept, and why: another unit than the stock's."""
        uses = self._uses(events)
        return [(event, f"the stock is kept in {level.unit}") for event, _, level in uses if not _same_unit(event, level)]

    def apply(self, events: Sequence[Event], on_hand: Mapping[StockKey, Decimal]) -> tuple[dict[StockKey, Decimal], list[Due]]:
        """Move the stock by the events' quantities, in order.

        on_hand: what the store has; a position that is missing there has its opening stock. Gives the new quantities of
        the positions touched, and what is due wherever a use took the stock from above the reorder point to it or
        below; a stock that was below already is not ordered again.
        """
        after: dict[StockKey, Decimal] = {}
        due: list[Due] = []
        for event, key, level in self._uses(events):
            if not _same_unit(event, level):
                continue
            before = after[key] if key in after else on_hand.get(key, level.on_hand)
            after[key] = _EXACT.subtract(before, event.data["quantity"])
            if before > level.reorder_point >= after[key]:
                due.append(_due(event, key, level, after[key]))
        return after, due

    def _uses(self, events: Iterable[Event]) -> Iterator[tuple[Event, StockKey, Level]]:
        """The uses of positions that are kept."""
        for event in events:
            if event.type == USED:
                key = (event.data.get("location", ""), event.data["item"])
                level = self._levels[_SEPARATOR.join(key)]
                if level is not None:
                    yield event, key, level


def _same_unit(event: Event, level: Level) -> bool:
    unit = event.data.get("unit")
    return not unit or not level.unit or unit == level.unit


def _due(event: Event, key: StockKey, level: Level, left: Decimal) -> Due:
    location, item = key
    data = {
        "item": item,
        "description": event.data.get("description"),
        "location": location,
        "supplier": event.data.get("supplier"),
        "on_hand": left,
        "reorder_point": level.reorder_point,
        "quantity": _EXACT.subtract(level.par_level, left),
        "unit": level.unit,
    }
    return Due(event, {name: value for name, value in data.items() if value not in (None, "")})


def _kept(texts: Mapping[str, str], position: str) -> Level | None:
    """The level of a position, None where it is not kept."""
    text = texts.get(position)
    return None if text is None else _level(dict(zip(_COLUMNS, text.split(_SEPARATOR), strict=True)))


def _level(row: Mapping[str, str]) -> Level:
    on_hand, reorder_point, par_level = (_number(row, column) for column in ("on_hand", "reorder_point", "par_level"))
    if par_level <= reorder_point:
        raise ValueError("par_level must be above reorder_point, or nothing would be ordered")
    return Level(on_hand, reorder_point, par_level, row.get("unit", ""))


def _number(row: Mapping[str, str], column: str) -> Decimal:
    text = row.get(column, "")
    digits = text.removeprefix("-").replace(".", "", 1)
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{column} '{text}' is not a number, e.g. 12")
    return Decimal(text)
