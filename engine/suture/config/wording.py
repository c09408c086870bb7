"""Pydantic's errors in our own words: what is wrong, with the remedy, and never a secret."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from suture.config.shape import field_at, is_secret, keys_at
from suture.config.yaml_file import Document, Loc
from suture.model.meant import did_you_mean, nearest

UNITS = {
    "_us": ("microseconds", "500"),
    "_ms": ("milliseconds", "500"),
    "_s": ("seconds", "30"),
    "_min": ("minutes", "5"),
    "_h": ("hours", "72"),
    "_days": ("days", "30"),
    "_bytes": ("bytes", "1048576"),
}
"""Suffix of a key: the unit of its number, and an example."""


def unit_of(key: str) -> tuple[str, str]:
    """The unit that a key names and an example; ("", "") without one."""
    return next((unit for suffix, unit in UNITS.items() if key.endswith(suffix)), ("", ""))


def word(error: dict[str, Any], loc: Loc, model: type[BaseModel], document: Document) -> str:
    """The text for one pydantic error. loc: its place in the document."""
    kind = error["type"]
    if kind == "missing":
        return f"{loc[-1]!r} is required"
    if kind == "extra_forbidden":
        return f"unknown key {loc[-1]!r}{did_you_mean(str(loc[-1]), keys_at(model, loc[:-1]))}"
    value = show(error["input"], loc, model, document)
    if kind in _NUMBER_KINDS:
        return f"{value} is not {_number(kind, loc, model)}"
    if kind in _BOUNDS:
        return f"{value} is too {_BOUNDS[kind][0]}; {_bound(kind, error['ctx'], loc)}"
    if kind in _TEXTS:
        return _TEXTS[kind].format(value=value)
    if kind in ("literal_error", "enum"):
        choices = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        meant = nearest(str(error["input"]), choices)
        return f"{value} is none of the choices: {', '.join(choices)}" + (f"; did you mean {meant!r}?" if meant else "")
    return hide(_other(error), document, loc)


def show(value: Any, loc: Loc, model: type[BaseModel], document: Document) -> str:
    """A value as it may be shown: a secret by its reference or not at all, a collection by its kind."""
    if loc in document.hidden:
        return f"the value of {document.hidden[loc][0][1]}"
    if isinstance(value, dict):
        return "keys with values (key: value)"
    if isinstance(value, list | tuple):
        return "a list"
    if is_secret(model, loc):
        return "the value"
    text = hide(str(value), document, loc)
    return f"'{text}'" if len(text) <= 60 else f"'{text[:57]}...'"


def hide(text: str, document: Document, loc: Loc) -> str:
    """The text without the secrets that stand at or below loc, and without passwords inside URLs."""
    for place, pairs in document.hidden.items():
        for secret, reference in pairs:
            if place[: len(loc)] == loc and secret:
                text = text.replace(secret, reference)
    return re.sub(r"//([^/@\s:]*):(?!PASSWORD@)[^/@\s]*@", r"//\1:***@", text)


_NUMBER_KINDS = {"int_parsing", "int_type", "int_from_float", "int_parsing_size", "float_parsing", "float_type", "finite_number"}
_NUMBER_KINDS |= {"decimal_parsing", "decimal_type"}
_BOUNDS = {
    "greater_than_equal": ("small", "at least", "ge"),
    "greater_than": ("small", "more than", "gt"),
    "less_than_equal": ("large", "at most", "le"),
    "less_than": ("large", "less than", "lt"),
}
_TEXTS = {
    "string_type": "a text must stand here, not {value}",
    "list_type": "a list, such as [A, B], must stand here, not {value}",
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "keys with values (key: value) must stand here, not {value}"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "{value} is neither yes nor no"),
    **dict.fromkeys(("url_parsing", "url_type", "url_syntax_violation"), "{value} is not a URL, e.g. http://127.0.0.1:8080/path"),
    "url_scheme": "{value} must begin with http:// or https://",
    "url_too_long": "{value} is too long for a URL",
    **dict.fromkeys(("string_too_short", "too_short"), "must not be empty"),
}


def _number(kind: str, loc: Loc, model: type[BaseModel]) -> str:
    whole = "whole number" if kind.startswith("int") else "number"
    key = next((step for step in reversed(loc) if isinstance(step, str)), "")
    unit, example = unit_of(key)
    info = field_at(model, loc)
    if info is not None and isinstance(info.default, int | float) and not isinstance(info.default, bool):
        example = f"{info.default:g}" if isinstance(info.default, float) else str(info.default)
    return f"a {whole}" + (f" of {unit}" if unit else "") + (f", e.g. {example}" if example else "")


def _bound(kind: str, context: dict[str, Any], loc: Loc) -> str:
    _, words, key = _BOUNDS[kind]
    bound, unit = context[key], unit_of(str(loc[-1]))[0]
    return f"{words} {f'{bound:g}' if isinstance(bound, float) else bound} {unit}".rstrip()


def _other(error: dict[str, Any]) -> str:
    text = str(error["msg"])
    for prefix in ("Value error, ", "Assertion failed, "):
        text = text.removeprefix(prefix)
    return text[:1].lower() + text[1:] if text[:2].istitle() and not text[:3].isupper() else text
