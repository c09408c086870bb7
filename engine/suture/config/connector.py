"""A connector's settings as they stand in a file: one key, the connector's name, with its own settings below."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from suture.config.yaml_file import Document, Loc
from suture.connectors.registry import Module
from suture.model.errors import Problem
from suture.model.meant import nearest
from suture.model.section import Section


class OneConnector(Section):
    """A section with exactly one connector in it; `one_connector` checks that before the section is used."""

    @property
    def connector(self) -> tuple[str, Any]:
        """The connector's name and its settings."""
        return next((name, value) for name, value in self if value is not None and is_connector(type(self).model_fields[name]))


def with_connectors(modules: Mapping[str, Module]) -> Callable[[type[OneConnector]], Any]:
    """Gives a section one optional key for every connector."""
    fields: dict[str, Any] = {
        name: (module.Config | None, Field(None, description=_about(module), json_schema_extra={"connector": True}))
        for name, module in modules.items()
    }
    return lambda base: create_model(base.__name__, __base__=base, __doc__=base.__doc__, __module__=base.__module__, **fields)


def is_connector(info: FieldInfo) -> bool:
    """Is this the key of a connector?"""
    return info.json_schema_extra == {"connector": True}


def _about(module: Module) -> str:
    return str(module.Config.__doc__ or "").strip().split("\n")[0].rstrip(".")


def one_connector(document: Document, loc: Loc, names: list[str]) -> Iterator[Problem]:
    """The problem, if the section at loc does not hold exactly one connector."""
    section = document.at(loc)
    if not isinstance(section, dict) or document.is_broken(loc):
        return
    found = [name for name in section if name in names]
    if len(found) > 1:
        yield document.problem((*loc, found[-1]), f"{' and '.join(found)} are two connectors; keep one", place=loc)
    # A mistyped connector is an unknown key already, with the right name in its text.
    elif not found and not any(nearest(key, names) for key in section):
        yield document.problem(loc, f"a connector is required: {' or '.join(names)}")
