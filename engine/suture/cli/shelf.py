"""Commands that are loaded when they are asked for: to list them takes their names and first sentences alone."""

from __future__ import annotations

import importlib
from collections import UserDict
from collections.abc import Mapping

import click


class Shelf(UserDict[str, click.Command]):
    """Commands by name. places: of each, where it is (module:attribute) and the first sentence of its help.

    `data` has, of a command that is not loaded yet, one that says no more than that sentence.
    """

    def __init__(self, places: Mapping[str, tuple[str, str]]) -> None:
        super().__init__({name: click.Command(name, help=says) for name, (_, says) in places.items()})
        self._places = {name: place for name, (place, _) in places.items()}

    def __getitem__(self, name: str) -> click.Command:
        if place := self._places.pop(name, ""):
            module, _, attribute = place.partition(":")
            self.data[name] = getattr(importlib.import_module(module), attribute)
        return self.data[name]


class Listing(click.Group):
    """A group whose commands stand on a shelf; its help loads none of them."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click does, of what the shelf says of each."""
        commands = self.commands.data if isinstance(self.commands, Shelf) else self.commands
        click.Group(self.name, commands).format_commands(ctx, formatter)
