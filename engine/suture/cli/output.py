"""What the command prints: aligned tables for people, JSON for scripts."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from suture.cli import times
from suture.cli.layout import Table


def plain(value: Any) -> Any:
    """A value as JSON has it: times as ISO 8601 under a name without `_us`, bytes as base64, views, values and dataclasses as objects."""
    if hasattr(value, "public"):
        value = value.public()
    elif hasattr(value, "__struct_fields__"):
        value = {name: getattr(value, name) for name in value.__struct_fields__}
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(_pair(str(name), each) for name, each in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def _pair(name: str, value: Any) -> tuple[str, Any]:
    if name.endswith("_us") and (value is None or isinstance(value, int) or (isinstance(value, str) and value.isdigit())):
        return name.removesuffix("_us"), times.iso(int(value)) if value else None
    return name, plain(value)


def print_json(value: Any) -> None:
    """One JSON document."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=only_ascii(), default=str))


def only_ascii() -> bool:
    """Must JSON be written with escapes, because the output's encoding does not have every character?"""
    return "utf" not in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()


def print_table(headers: Sequence[str], rows: Iterable[Sequence[Any]], empty: str = "none") -> None:
    """Rows under their headers; numbers stand to the right. empty: said when there are no rows.

    On a terminal that is too narrow, columns that do not fit stand below their row, with their names: what a person copies
    from a table (a number, a time, a control id) is never cut.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        click.echo(empty)
        return
    table = Table(list(headers), cells, screen_width())
    for line in table.lines():
        click.echo(line)


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


def say(text: str, aside: bool = False) -> None:
    """Print text that may hold what others sent: nothing in it can steer the terminal. aside: on stderr."""
    click.echo("\n".join(map(_cell, text.split("\n"))), err=aside)


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else "·" for c in text)
