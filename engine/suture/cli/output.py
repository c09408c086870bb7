"""What the command prints: aligned tables for people, JSON for scripts."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from suture.cli import times

NARROWEST = 8
"""Columns are cut down to this many places, not further."""
_GAP = "  "


def plain(value: Any) -> Any:
    """A value as JSON has it: times as ISO 8601 under a name without `_us`, bytes as base64, dataclasses as objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(_pair(str(name), each) for name, each in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def _pair(name: str, value: Any) -> tuple[str, Any]:
    if name.endswith("_us") and (value is None or isinstance(value, int)):
        return name.removesuffix("_us"), times.iso(value) if value else None
    return name, plain(value)


def print_json(value: Any) -> None:
    """One JSON document."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, default=str))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[Any]], empty: str = "none") -> None:
    """Rows under their headers, fitted to the terminal; numbers stand to the right. empty: said when there are no rows."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        click.echo(empty)
        return
    numeric = [all(_is_number(row[i]) for row in cells) for i in range(len(headers))]
    widths = [max(_width(row[i]) for row in [list(headers), *cells]) for i in range(len(headers))]
    widths = fitted(widths, screen_width())
    for row in [list(headers), *cells]:
        click.echo(_GAP.join(map(_placed, row, widths, numeric)).rstrip())


def print_facts(facts: Iterable[tuple[str, Any]]) -> None:
    """Name and value, a line each; empty values are left out."""
    shown = [(name, _cell(value)) for name, value in facts if value not in (None, "")]
    place = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{name:<{place}}  {value}")


def screen_width() -> int | None:
    """Places in a line of the terminal (or of COLUMNS); None, which is no limit, when the output goes elsewhere."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return shutil.get_terminal_size().columns
    return None


def fitted(widths: list[int], screen: int | None) -> list[int]:
    """Widths that fit the screen: the widest columns give way first, down to NARROWEST."""
    if screen is None:
        return widths
    widths = list(widths)
    spare = screen - len(_GAP) * (len(widths) - 1) - sum(widths)
    while spare < 0 and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
        spare += 1
    return widths


def say(text: str) -> None:
    """Print text that may hold what others sent: nothing in it can steer the terminal."""
    click.echo("\n".join(map(_cell, text.split("\n"))))


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else "·" for c in text)


def _is_number(text: str) -> bool:
    return not text or text.removeprefix("-").replace(".", "", 1).isdigit()


def _placed(text: str, width: int, numeric: bool) -> str:
    if _width(text) > width:
        text = _cut(text, width)
    pad = " " * (width - _width(text))
    return pad + text if numeric else text + pad


def _cut(text: str, width: int) -> str:
    while _width(text) > width - 1:
        text = text[:-1]
    return text + "…"


def _width(text: str) -> int:
    """Places on the screen: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
