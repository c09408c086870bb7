"""Stock positions: what is on hand where, and when it has to be ordered. Pure: the store keeps what is on hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from suture.model.events import Event, ReplenishmentDue
from suture.ports import StockKey

USED = "supply.used"

_EXACT = Context(prec=120)
_SEPARATOR = "\x1f"
_COLUMNS = ("on_hand", "reorder_point", "par_level", "unit")
LEVELS_KEPT = 4096
"""Positions that are kept as they were asked for; the others are texts, of which a hundred thousand are let go at once."""


@dataclass(frozen=True, slots=True)
class Level:
    """A row of tables/stock.csv, quantities in `unit`. on_hand: the opening stock."""

    on_hand: Decimal
    reorder_point: Decimal
    par_level: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class ReplenishmentData:
    """A stock that fell to its reorder point, quantities in `unit`. cause: the use that took it there."""

    cause: Event
    item: str
    location: str
    on_hand: Decimal
    reorder_point: Decimal
    quantity: Decimal
    unit: str
    description: str | None = None
    supplier: str | None = None

    def data(self) -> dict[str, Any]:
        """The fields of a replenishment.due event, without the absent ones."""
        return {name: value for name in ReplenishmentDue.model_fields if (value := getattr(self, name)) not in (None, "")}


class StockLevels:
    """The stock positions that the site keeps.

    rows: of tables/stock.csv (location, item, on_hand, reorder_point, par_level, unit). Raises ValueError, one line a
    row, for numbers that are none and for a par level that is not above the reorder point.
    """

    def __init__(self, rows: Iterable[Mapping[str, str]]) -> None:
        self._texts: dict[str, str] = {}
        self._made: dict[StockKey, Level] = {}
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

    def opening(self, key: StockKey) -> Decimal:
        """What is on hand before the first movement. Raises KeyError for a position that is not kept."""
        return self._at(key).on_hand

    def _at(self, key: StockKey) -> Level:
        level = self._made.get(key)
        if level is None:
            cells = self._texts[_SEPARATOR.join(key)].split(_SEPARATOR)
            level = _level(dict(zip(_COLUMNS, cells, strict=True)))
            if len(self._made) >= LEVELS_KEPT:
                self._made.clear()
            self._made[key] = level
        return level

    def moves(self, events: Iterable[Event]) -> list[StockKey]:
        """The positions that the events touch, each one once, in order."""
        return list(dict.fromkeys(key for event in events if (key := self._key(event)) is not None))

    def unmoved(self, events: Iterable[Event]) -> list[tuple[Event, str]]:
        """Uses that cannot be counted although the position is kept, and why: another unit than the stock's."""
        kept = [(event, level) for event in events if (level := self._level(event)) is not None]
        return [(event, f"the stock is kept in {level.unit}") for event, level in kept if not _same_unit(event, level)]

    def apply(
        self, events: Sequence[Event], on_hand: Mapping[StockKey, Decimal]
    ) -> tuple[dict[StockKey, Decimal], list[ReplenishmentData]]:
        """Move the stock by the events' quantities, in order.

        on_hand: what the store has; a position that is missing there has its opening stock. Gives the new quantities of
        the positions touched, and a replenishment wherever a use took the stock from above the reorder point to it or
        below; a stock that was below already is not ordered again.
        """
        after: dict[StockKey, Decimal] = {}
        due: list[ReplenishmentData] = []
        for event in events:
            key = self._key(event)
            if key is None:
                continue
            level = self._at(key)
            before = after[key] if key in after else on_hand.get(key, level.on_hand)
            after[key] = _EXACT.subtract(before, event.data["quantity"])
            if before > level.reorder_point >= after[key]:
                due.append(_replenishment(event, key, level, after[key]))
        return after, due

    def _level(self, event: Event) -> Level | None:
        if event.type != USED:
            return None
        key = (event.data.get("location", ""), event.data["item"])
        return self._at(key) if _SEPARATOR.join(key) in self._texts else None

    def _key(self, event: Event) -> StockKey | None:
        level = self._level(event)
        return (event.data["location"], event.data["item"]) if level is not None and _same_unit(event, level) else None


def _same_unit(event: Event, level: Level) -> bool:
    unit = event.data.get("unit")
    return not unit or not level.unit or unit == level.unit


def _replenishment(event: Event, key: StockKey, level: Level, left: Decimal) -> ReplenishmentData:
    location, item = key
    return ReplenishmentData(
        cause=event,
        item=item,
        location=location,
        on_hand=left,
        reorder_point=level.reorder_point,
        quantity=_EXACT.subtract(level.par_level, left),
        unit=level.unit,
        description=event.data.get("description"),
        supplier=event.data.get("supplier"),
    )


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
