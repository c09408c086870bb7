"""A document against a model: an instance, or every problem with its file, line and place.

Pydantic's errors are told in our own words: what is wrong, with the remedy, and never a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from suture.config.shape import field_at, is_secret, keys_at
from suture.config.yaml_file import Document, Loc, holds, read_yaml
from suture.model.errors import Problem
from suture.model.meant import did_you_mean, nearest

M = TypeVar("M", bound=BaseModel)
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


def read_filled(path: Path, shown_as: str) -> tuple[Document | None, list[Problem]]:
    """As `read_yaml`; a file that holds nothing but comments is a problem."""
    document, problems = read_yaml(path, shown_as)
    if document is not None and document.data in ({}, ""):
        return None, [*problems, Problem(shown_as, 1, "", "the file is empty")]
    return document, problems


def validate(document: Document, model: type[M], directory: Path | None = None) -> tuple[M | None, list[Problem]]:
    """The document as a model, or None and the problems. Places already known as broken are passed over.

    directory: where relative paths of files in it begin (settings find it in pydantic's context).
    """
    try:
        return model.model_validate(document.data, context={"directory": directory}), []
    except ValidationError as error:
        found = _reduced(document.data, error.errors(include_url=False))
        return None, [_problem(document, model, one) for one in found if not document.is_broken(one["place"])]


def _problem(document: Document, model: type[BaseModel], found: dict[str, Any]) -> Problem:
    loc = found["place"]
    about_key = found["type"] in ("missing", "extra_forbidden")
    return document.problem(loc, _word(found, loc, model, document), place=loc[:-1] if about_key else loc)


def misnamed(document: Document, key: str, name: str, bearer: str = "file") -> list[Problem]:
    """The problem, if the key holds another name than that of the file, or of the directory it is in."""
    written = document.section().get(key)
    if not isinstance(written, str) or written == name:
        return []
    return [document.problem((key,), f"{written!r} is not the {bearer}'s name; write {name!r} or rename the {bearer}")]


def locate(document: Document, loc: Iterable[Any]) -> Loc:
    """The part of a pydantic loc that is in the data: names of union alternatives are left out."""
    place, _ = _walk(document.data, tuple(loc))
    return place


def _walk(data: Any, loc: tuple[Any, ...], keep_last: bool = False) -> tuple[Loc, tuple[int, str] | None]:
    """The place in the data, and the first union alternative on the way as (depth, name)."""
    place: list[str | int] = []
    union: tuple[int, str] | None = None
    for i, step in enumerate(loc):
        if holds(data, step):
            data = data[step]
            place.append(step)
        elif keep_last and i == len(loc) - 1:
            place.append(step)
        elif step != "[key]" and union is None:
            union = (len(place), str(step))
    return tuple(place), union


def _reduced(data: Any, errors: Iterable[Any]) -> list[dict[str, Any]]:
    """The errors with their `place`, and of every union only the alternative that was probably meant."""
    plain: list[dict[str, Any]] = []
    unions: dict[Loc, dict[str, list[dict[str, Any]]]] = {}
    for error in errors:
        place, union = _walk(data, error["loc"], keep_last=error["type"] == "missing")
        found = {**error, "place": place, "whole": union is not None and len(place) == union[0]}
        if union is None:
            plain.append(found)
        else:
            unions.setdefault(place[: union[0]], {}).setdefault(union[1], []).append(found)
    for branches in unions.values():
        plain.extend(_meant_branch(list(branches.values())))
    return plain


def _meant_branch(branches: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Of a union's alternatives the one whose shape fits, then the one with the fewest errors."""
    fitting = [b for b in branches if not (b[0]["whole"] and b[0]["type"].endswith("_type"))]
    return min(fitting or branches, key=len)


def _unit_of(key: str) -> tuple[str, str]:
    """The unit that a key names and an example; ("", "") without one."""
    return next((unit for suffix, unit in UNITS.items() if key.endswith(suffix)), ("", ""))


def _word(error: dict[str, Any], loc: Loc, model: type[BaseModel], document: Document) -> str:
    """The text for one pydantic error. loc: its place in the document."""
    kind = error["type"]
    if kind == "missing":
        return f"{loc[-1]!r} is required"
    if kind == "extra_forbidden":
        return f"unknown key {loc[-1]!r}{did_you_mean(str(loc[-1]), keys_at(model, loc[:-1]))}"
    value = _show(error["input"], loc, model, document)
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
    return _hide(_other(error), document, loc)


def _show(value: Any, loc: Loc, model: type[BaseModel], document: Document) -> str:
    """A value as it may be shown: a secret by its reference or not at all, a collection by its kind."""
    if loc in document.hidden:
        return f"the value of {document.hidden[loc][0][1]}"
    if isinstance(value, dict):
        return "keys with values (key: value)"
    if isinstance(value, list | tuple):
        return "a list"
    if is_secret(model, loc):
        return "the value"
    text = _hide(str(value), document, loc)
    return f"'{text}'" if len(text) <= 60 else f"'{text[:57]}...'"


def _hide(text: str, document: Document, loc: Loc) -> str:
    """The text without the secrets that stand at or below loc, and without passwords inside URLs."""
    for place, pairs in document.hidden.items():
        for secret, reference in pairs:
            if place[: len(loc)] == loc and secret:
                text = text.replace(secret, reference)
    return re.sub(r"//([^/@\s:]*):(?!PASSWORD@)[^/@\s]*@", r"//\1:***@", text)


def _number(kind: str, loc: Loc, model: type[BaseModel]) -> str:
    whole = "whole number" if kind.startswith("int") else "number"
    key = next((step for step in reversed(loc) if isinstance(step, str)), "")
    unit, example = _unit_of(key)
    info = field_at(model, loc)
    if info is not None and isinstance(info.default, int | float) and not isinstance(info.default, bool):
        example = f"{info.default:g}" if isinstance(info.default, float) else str(info.default)
    return f"a {whole}" + (f" of {unit}" if unit else "") + (f", e.g. {example}" if example else "")


def _bound(kind: str, context: dict[str, Any], loc: Loc) -> str:
    _, words, key = _BOUNDS[kind]
    bound, unit = context[key], _unit_of(str(loc[-1]))[0]
    return f"{words} {f'{bound:g}' if isinstance(bound, float) else bound} {unit}".rstrip()


def _other(error: dict[str, Any]) -> str:
    text = str(error["msg"])
    for prefix in ("Value error, ", "Assertion failed, "):
        text = text.removeprefix(prefix)
    return text[:1].lower() + text[1:] if text[:2].istitle() and not text[:3].isupper() else text
