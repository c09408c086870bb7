"""Writes docs/reference.md from the code: every key of a site's files, every canonical field, every command.

Run it with `make docs`; tests/test_docs.py fails when the page is not what it would write.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from suture.cli.main import main as command
from suture.config.channel import Channel
from suture.config.conf import Conf
from suture.connectors.registry import DESTINATIONS, SOURCES
from suture.mapping.functions import FUNCTIONS
from suture.mapping.spec import Emit, InboundSpec, OutboundSpec
from suture.model.events import EVENT_TYPES

WIDTH = 100
PAGE = Path(__file__).with_name("reference.md")
HEAD = """# Reference

Written from the code by `make docs`; do not edit. [Channels and mappings](channels.md) explains how it all fits together.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_site(), *_mappings(), *_events(), *_functions(), *_commands()]).rstrip() + "\n"


def _site() -> Iterator[str]:
    yield "## conf/base.yaml and conf/<environment>.yaml\n"
    yield from _table(Conf)
    yield "## channels/<name>/channel.yaml\n"
    yield from _table(Channel)
    for title, registry in (("Sources", SOURCES), ("Destinations", DESTINATIONS)):
        yield f"## {title}\n"
        for name, module in registry.items():
            yield f"### `{name}`\n\n{inspect.getdoc(module.Config)}\n"
            yield from _table(module.Config)


def _mappings() -> Iterator[str]:
    yield "## mappings/<name>.yaml\n"
    for title, model in (("Inbound", InboundSpec), ("An entry of `emit`", Emit), ("Outbound", OutboundSpec)):
        yield f"### {title}\n"
        yield from _table(model)


def _events() -> Iterator[str]:
    yield "## Canonical events\n"
    for name, model in EVENT_TYPES.items():
        yield f"### `{name}`\n\n{inspect.getdoc(model)}\n"
        yield from _table(model)


def _functions() -> Iterator[str]:
    yield "## Functions a mapping may call\n"
    yield "| name | what it does |\n| --- | --- |"
    for name, function in sorted(FUNCTIONS.items()):
        yield f"| `{name}` | {_cell((inspect.getdoc(function) or '').splitlines()[0])} |"
    yield ""


def _commands() -> Iterator[str]:
    yield "## Commands\n"
    yield from _command(command, "suture", None)


def _command(one: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(one, parent=parent, info_name=name, max_content_width=WIDTH, terminal_width=WIDTH)
    yield f"### `{context.command_path}`\n\n```\n{one.get_help(context)}\n```\n"
    for child_name in one.list_commands(context) if isinstance(one, click.Group) else []:
        child = one.get_command(context, child_name)
        if child is not None and not child.hidden:
            yield from _command(child, child_name, context)


def _table(model: type[BaseModel]) -> Iterator[str]:
    """A table of the model's keys, and of those of the sections inside it, as dotted keys."""
    yield "| key | what | default | meaning |\n| --- | --- | --- | --- |"
    yield from _rows("", model)
    yield ""


def _rows(prefix: str, model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        inner, step = _model_in(field.annotation)
        if inner and inner in {module.Config for module in (*SOURCES.values(), *DESTINATIONS.values())}:
            yield f"| `{key}` | connector | | the keys of `{field.alias or name}`, below |"
        elif inner:
            yield f"| `{key}` | section | {_default(field)} | {_cell(field.description or '')} |"
            yield from _rows(f"{key}.{step}", inner)
        else:
            yield f"| `{key}` | {_cell(_kind(field.annotation))} | {_default(field)} | {_cell(field.description or '')} |"


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The section that a key holds, with `<name>.` when it holds many by name."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation, ""
    for part in get_args(annotation):
        model, step = _model_in(part)
        if model and get_origin(annotation) is not list:
            return model, ("<name>." if get_origin(annotation) is dict else step)
    return None, ""


_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", SecretStr: "secret", Any: "anything"}


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), [part for part in get_args(annotation) if part is not type(None)]
    if origin is Annotated:
        return _kind(arguments[0])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(_kind, arguments)))
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in arguments)
    if origin is list:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"{_kind(arguments[1])} by name"
    return _WORDS.get(annotation) or getattr(annotation, "__name__", str(annotation)).lower().replace("httpurl", "URL")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value is PydanticUndefined or isinstance(value, BaseModel) or value in ({}, [], ""):
        return ""
    shown = value.get_secret_value() if isinstance(value, SecretStr) else value
    return f"`{_cell(str(shown))}`"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}", file=sys.stderr)
