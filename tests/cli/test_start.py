"""What the command loads: a list of commands none of them, a look at the store what a look needs, and nothing of an engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from suture.cli.main import COMMANDS, cli
from suture.cli.shelf import Shelf
from tests.cli.conftest import Site

RUN = """
import sys
before = set(sys.modules)
from suture.cli.start import main
try:
    main()
finally:
    import gc
    print(*sorted(set(sys.modules) - before), f"frozen:{gc.get_freeze_count()}", file=sys.__stderr__)
"""
FOR_HELP = {
    *("suture", "suture.cli", "suture.cli.start", "suture.cli.main", "suture.cli.exits", "suture.cli.shelf"),
    *("suture.model", "suture.model.errors"),
}
FOR_A_LOOK = {"click", "yaml", "sqlalchemy", "cython_runtime", "msgspec", "typing_extensions", "pysqlite3"}
DRIVERS = {"sqlite": set(), "postgresql": {"psycopg", "psycopg_binary"}}


def loaded(*arguments: object) -> list[str]:
    """The names of what a run of the command loads."""
    environ = {**os.environ, "PYTHONPATH": ":".join(sys.path), "COLUMNS": "120"}
    command = [sys.executable, "-c", RUN, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, timeout=120)
    return done.stderr.splitlines()[-1].split()


def ours(names: list[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] == "suture"}


def others(names: list[str]) -> set[str]:
    """The third parties, by the names of their packages; what begins with _ is of one that is there under its own name."""
    tops = {name.split(".")[0] for name in names if ":" not in name}
    return {top for top in tops if top not in sys.stdlib_module_names and not top.startswith("_")} - {"suture"}


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"], ["massage"], []], ids=" ".join)
def test_a_list_of_the_commands_loads_none(arguments: list[str]) -> None:
    names = loaded(*arguments)
    assert ours(names) == FOR_HELP
    assert others(names) == {"click"}


def test_the_help_of_a_command_loads_no_other() -> None:
    names = loaded("message", "list", "--help")
    assert {"suture.cli.message"} == {f"suture.cli.{name}" for name in COMMANDS} & set(names)
    assert others(names) == {"click"}


def test_a_directory_that_is_no_site_is_said_without_the_store(tmp_path: Path) -> None:
    names = loaded("status", "--site", tmp_path)
    assert "sqlalchemy" not in names and "suture.cli.status" in names


@pytest.mark.parametrize("arguments", [["status"], ["message", "list"]], ids=" ".join)
def test_a_look_loads_what_it_needs(site: Site, arguments: list[str]) -> None:
    names = loaded(*arguments, "--site", site.path)
    kind = site.store.engine.dialect.name
    assert "suture.store.queries" in names
    assert {name.split(".")[1] for name in ours(names) if "." in name} == {"cli", "config", "control", "model", "store"}
    assert others(names) <= FOR_A_LOOK | DRIVERS[kind]
    assert ("sqlalchemy.dialects.postgresql" in names) == (kind == "postgresql")
    assert not {"http.client", "suture.store.archive", "suture.store.indexes"} & set(names)


def test_what_a_command_holds_at_its_end_is_not_looked_through() -> None:
    assert int(loaded("--version")[-1].removeprefix("frozen:")) > 10_000


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("limit", [20, 45, 1000])
def test_what_is_kept_beside_a_name_is_what_its_command_says(name: str, limit: int) -> None:
    command, kept = cli.commands[name], Shelf(COMMANDS).data[name]
    assert command.name == name and not command.hidden and not command.deprecated
    assert command.get_short_help_str(limit) == kept.get_short_help_str(limit)


def test_the_help_is_that_of_a_group_that_has_loaded_all() -> None:
    plain = click.Group("suture", dict(cli.commands), help=cli.help, params=cli.params, context_settings=cli.context_settings)
    context = {"info_name": "suture", **cli.context_settings}
    fresh = type(cli)("suture", Shelf(COMMANDS), help=cli.help, params=cli.params, context_settings=cli.context_settings)
    assert fresh.get_help(click.Context(fresh, **context)) == plain.get_help(click.Context(plain, **context))


@pytest.mark.parametrize(("words", "found"), [("suture mes", "plain,message"), ("suture message re", "plain,reprocess\nplain,resend")])
def test_the_shell_completes_commands(words: str, found: str) -> None:
    environ = {**os.environ, "PYTHONPATH": ":".join(sys.path), "_SUTURE_COMPLETE": "bash_complete", "COMP_WORDS": words}
    environ["COMP_CWORD"] = str(len(words.split()) - 1)
    command = [sys.executable, "-m", "suture.cli.start"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, timeout=120)
    assert done.stdout.strip() == found
