"""Writes the pages of docs/reference/ that come from the code but for the configuration: events and commands.

`make docs` runs it, after `python -m suture.config.reference`; tests/test_docs.py fails when a page is not current.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import click
from pydantic.fields import FieldInfo

from suture.cli import exits
from suture.cli.main import cli
from suture.mapping.functions import FUNCTIONS
from suture.model import ending
from suture.model.events import EVENT_TYPES

FOLDER = Path(__file__).with_name("reference")
WIDTH = 100
NOTE = "Written from the code by `make docs`; change the descriptions there, not here.\n"


def pages() -> dict[str, str]:
    """File name to text."""
    return {"events.md": "\n".join(_events()), "commands.md": "\n".join(_commands())}


def _events() -> Iterator[str]:
    yield f"# Canonical events\n\n{NOTE}"
    for name, model in EVENT_TYPES.items():
        yield f"## `{name}`\n\n{inspect.getdoc(model)}\n\n| field | type | | meaning |\n| --- | --- | --- | --- |"
        yield from (_field(key, field) for key, field in model.model_fields.items())
        yield ""
    yield "## Functions that a mapping may `call`\n\n| name | what it does |\n| --- | --- |"
    yield from (f"| `{name}` | {_first_line(function)} |" for name, function in sorted(FUNCTIONS.items()))
    yield ""


def _field(key: str, field: FieldInfo) -> str:
    return f"| `{key}` | {_kind(field.annotation)} | {'required' if field.is_required() else ''} | {field.description} |"


_WORDS = {"str": "text", "Decimal": "decimal", "datetime": "time", "int": "whole number"}


def _kind(annotation: Any) -> str:
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not NoneType]
    return " or ".join(_WORDS.get(kind.__name__, kind.__name__) for kind in kinds)


def _first_line(function: object) -> str:
    return (inspect.getdoc(function) or "").splitlines()[0].replace("|", "\\|")


def _commands() -> Iterator[str]:
    yield f"# Commands\n\n{NOTE}"
    yield "## Exit codes\n\n| code | meaning |\n| --- | --- |"
    yield from (f"| {code} | {text} |" for code, text in exit_codes())
    yield ""
    yield from _command(cli, "suture", None)


def exit_codes() -> list[tuple[int, str]]:
    """The codes of cli/exits.py, and those of model/ending.py that only `run` ends with, each with the text below it."""
    lines = [*inspect.getsource(exits).splitlines(), *inspect.getsource(ending).splitlines()]
    pairs = [(lines[i].split(" = "), lines[i + 1]) for i in range(len(lines) - 1) if " = " in lines[i]]
    codes: dict[int, str] = {}
    for (_name, code), text in pairs:
        codes.setdefault(int(code), text.strip('"'))
    return sorted(codes.items())


def _command(one: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(
        one, parent=parent, info_name=name, **(one.context_settings | {"terminal_width": WIDTH, "max_content_width": WIDTH})
    )
    yield f"## `{context.command_path}`\n\n```\n{one.get_help(context)}\n```\n"
    for child_name in one.list_commands(context) if isinstance(one, click.Group) else []:
        child = one.get_command(context, child_name)
        if child is not None and not child.hidden:
            yield from _command(child, child_name, context)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, text in pages().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
        print(os.path.relpath(FOLDER / file), "written")
