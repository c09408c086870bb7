"""Writes the pages of docs/reference/ that come from the code: the configuration, events and commands.

`make docs` runs it, to another folder where one is named; tests/test_docs.py fails when a page is not current.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import BaseModel, HttpUrl, RootModel, SecretStr
from pydantic.fields import FieldInfo

from suture.cli import exits
from suture.cli.main import cli
from suture.config.channel import Channel
from suture.config.conf import Conf
from suture.config.connector import is_connector
from suture.config.profile import ProfileFile
from suture.config.shape import alternatives, file_keys, is_model
from suture.config.tests_file import TestsFile
from suture.connectors.contract import DestinationSettings
from suture.connectors.registry import DESTINATIONS, SOURCES, Module
from suture.mapping.functions import FUNCTIONS
from suture.mapping.spec import InboundSpec, OutboundSpec
from suture.model import ending
from suture.model.events import EVENT_TYPES

FOLDER = Path(__file__).with_name("reference")
WIDTH = 100
NOTE = "Written from the code by `make docs`; change the descriptions there, not here.\n"


def pages() -> dict[str, str]:
    """File name to text."""
    return {"configuration.md": _configuration(), "events.md": "\n".join(_events()), "commands.md": "\n".join(_commands())}


SITE = """A site is a directory of text files. Every value is read as text and typed by its key: `NO` is not false and `010` is
not eight. Yes and no may be written as yes/no, true/false or on/off. The unit of a number stands in its key (`_s`
seconds, `_h` hours, `_bytes` bytes). `suture check` names everything that is wrong, with its file, line and remedy.

In `conf/` and `channel.yaml` a value may hold `${env:NAME}`, `${env:NAME:-default}` or `${file:path}` (from the site's
directory, without its last line end); `$${` stands for `${` itself. What a reference gives is never shown.
"""

CONF = """`conf/base.yaml`, with `conf/<environment>.yaml` over it when SUTURE_ENV names one: key by key, and lists whole. An endpoint
whose connector differs in the environment's file is replaced there. SUTURE_DATABASE_URL takes the place of `store.url`."""

SECTIONS: list[tuple[str, str, type[BaseModel]]] = [
    ("conf", CONF, Conf),
    ("channel.yaml", "`channels/<name>/channel.yaml`, one directory a channel; the same in every environment.", Channel),
    ("tests.yaml", "`channels/<name>/tests.yaml`: a list of tests that `suture check` runs.", TestsFile),
    ("Inbound mapping", "`mappings/<name>.yaml` with `from:`: from a received message to events.", InboundSpec),
    ("Outbound mapping", "`mappings/<name>.yaml` with `to:`: from events to a payload.", OutboundSpec),
    (
        "Site profile",
        "`mappings/profiles/<name>.yaml`: a site's own rules about messages, used by `hl7v2.validate.profile` of a channel.",
        ProfileFile,
    ),
]


def _configuration() -> str:
    parts = [f"# Configuration reference\n\n{NOTE}", SITE]
    for title, text, model in SECTIONS:
        parts.append(f"## {title}\n\n{text}\n\n{_table(model)}")
    parts.append("## Connectors\n\nBelow `source:` of a channel or in an endpoint of conf, under the connector's name.\n")
    kinds: dict[str, Mapping[str, Module]] = {"source": SOURCES, "destination": DESTINATIONS}
    for kind, modules in kinds.items():
        for name, module in sorted(modules.items()):
            about = str(module.Config.__doc__ or "").strip()
            parts.append(f"### {name} ({kind})\n\n{about}\n\n{_table(module.Config)}")
    return "\n".join(parts)


def _table(model: type[BaseModel]) -> str:
    rows = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for key, info in fields(model, ""):
        meaning = (info.description or "").replace("<", "&lt;") + ("; see below" if is_connector(info) else "")
        cells = (f"`{key}`", _value(info.annotation), _default(info), meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def fields(model: type[BaseModel], prefix: str, depth: int = 0) -> Iterator[tuple[str, FieldInfo]]:
    """Every key with its place, nested ones as a.b, `<name>` for free keys and `[]` for the items of a list."""
    if issubclass(model, RootModel):
        for suffix, inner in _nested(model.model_fields["root"].annotation):
            yield from fields(inner, f"{prefix}{suffix}.".lstrip("."), depth)
        return
    shared = DestinationSettings.model_fields if issubclass(model, DestinationSettings) else ()
    for key, info in sorted(file_keys(model).items(), key=lambda one: one[0] in shared):  # what is its own comes first
        yield f"{prefix}{key}", info
        if is_connector(info) or depth > 6:
            continue
        for suffix, inner in _nested(info.annotation):
            yield from fields(inner, f"{prefix}{key}{suffix}.", depth + 1)


def _nested(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    for kind in alternatives(annotation):
        origin, args = get_origin(kind), get_args(kind)
        if is_model(kind):
            yield "", kind
        elif origin is list:
            yield from ((f"[]{suffix}", inner) for suffix, inner in _nested(args[0]))
        elif origin is dict:
            yield from ((f".<name>{suffix}", inner) for suffix, inner in _nested(args[1]))


_NAMES: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    Decimal: "number",
    bool: "yes or no",
    SecretStr: "text (secret)",
    HttpUrl: "URL",
    Any: "anything",
}


def _value(annotation: Any) -> str:
    return " or ".join(dict.fromkeys(map(_alternative, alternatives(annotation))))


def _alternative(kind: Any) -> str:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in args)
    if origin is list:
        return f"list of {_value(args[0])}"
    if origin is dict:
        return f"keys with {_value(args[1])}"
    return _NAMES.get(kind) or ("section" if is_model(kind) else kind.__name__)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ("", [], {}) or isinstance(value, BaseModel):
        return ""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{', '.join(value)}`" if isinstance(value, list | tuple) else f"`{value}`"


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
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(exist_ok=True)
    for file, text in pages().items():
        (folder / file).write_text(text, encoding="utf-8")
        print(os.path.relpath(folder / file), "written")
