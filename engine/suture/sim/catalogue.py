"""What the simulated hospital uses: items, rooms and stock, read from the site's own tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the item master, as far as a cabinet cares."""

    number: str
    description: str
    gtin: str
    unit: str
    cost: Decimal
    chargeable: bool
    implant: bool


@dataclass(frozen=True, slots=True)
class Catalogue:
    """items: by number. rooms: room to stock location. shelves: stock location to the items kept there."""

    items: Mapping[str, Item]
    rooms: Mapping[str, str]
    shelves: Mapping[str, list[Item]]

    @classmethod
    def read(cls, tables: Path) -> Catalogue:
        """From mappings/tables. Raises OSError or KeyError when a table or a column is missing."""
        items = {row["item"]: _item(row) for row in _rows(tables / "item_master.csv") if row["status"] == "active"}
        rooms = {row["location"]: row["to"] for row in _rows(tables / "location.csv") if row["location"] != row["to"]}
        shelves: dict[str, list[Item]] = {}
        for row in _rows(tables / "stock.csv"):
            if row["item"] in items:
                shelves.setdefault(row["location"], []).append(items[row["item"]])
        return cls(items, rooms, shelves)


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _item(row: Mapping[str, str]) -> Item:
    return Item(
        row["item"],
        row["description"],
        row["gtin"],
        row["issue_unit"],
        Decimal(row["unit_cost"]),
        row["chargeable"] == "Y",
        row["implant"] == "Y",
    )
