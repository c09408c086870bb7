"""What a model allows at a place: its keys, types and descriptions, for wording errors and for the reference pages."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, SecretStr
from pydantic.fields import FieldInfo

from suture.config.yaml_file import Loc


def file_keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The model's fields by the key that stands in the file."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def keys_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that may stand at a place, in the model's order; empty where any may."""
    return list(dict.fromkeys(key for kind in types_at(model, loc) if is_model(kind) for key in file_keys(kind)))


def field_at(model: type[BaseModel], loc: Loc) -> FieldInfo | None:
    """The field whose value stands at a place, if a model declares it."""
    kinds = [kind for kind in types_at(model, loc[:-1]) if is_model(kind)] if loc else []
    return next((info for kind in kinds if (info := file_keys(kind).get(str(loc[-1])))), None)


def types_at(model: type[BaseModel], loc: Loc) -> list[Any]:
    """Every type that the value at a place may have."""
    kinds: list[Any] = list(alternatives(model))
    for step in loc:
        kinds = [kind for outer in kinds for kind in _inside(outer, step)]
    return kinds


def is_secret(model: type[BaseModel], loc: Loc) -> bool:
    """May the value at a place never be shown?"""
    return any(isinstance(kind, type) and issubclass(kind, SecretStr) for kind in types_at(model, loc))


def is_model(kind: Any) -> bool:
    """Is this type a pydantic model?"""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def alternatives(annotation: Any) -> Iterator[Any]:
    """The plain types of an annotation: unions, Annotated and root models opened, None left out."""
    origin = get_origin(annotation)
    if origin is typing.Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from alternatives(part)
    elif isinstance(annotation, type) and issubclass(annotation, RootModel):
        yield from alternatives(annotation.model_fields["root"].annotation)
    elif annotation is not type(None):
        yield annotation


def _inside(kind: Any, step: str | int) -> Iterator[Any]:
    if is_model(kind):
        info = file_keys(kind).get(str(step))
        if info is not None:
            yield from alternatives(info.annotation)
        return
    origin, args = get_origin(kind), get_args(kind)
    if isinstance(origin, type) and args:
        if isinstance(step, str) and issubclass(origin, typing.Mapping):
            yield from alternatives(args[1])
        elif isinstance(step, int) and issubclass(origin, Sequence):
            yield from alternatives(args[min(step, len(args) - 1)] if args[-1] is not Ellipsis else args[0])
