"""A document against a model: an instance, or every problem with its file, line and place."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from suture.config.wording import word
from suture.config.yaml_file import Document, Loc, holds, read_yaml
from suture.model.errors import Problem

M = TypeVar("M", bound=BaseModel)


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
    return document.problem(loc, word(found, loc, model, document), place=loc[:-1] if about_key else loc)


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
