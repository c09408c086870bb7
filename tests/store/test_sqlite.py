"""Which SQLite is used, and which release is told of; and the store's tests on the other one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import suture
from suture.store import sqlite

TOP = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("release", "fixed"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 9), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_a_release_that_can_damage_a_database_is_told_of_with_the_remedy(release: tuple[int, ...], fixed: bool) -> None:
    assert sqlite.is_fixed(release) == fixed
    warning = sqlite.warning_of(release)
    assert bool(warning) != fixed
    if warning:
        assert ".".join(map(str, release)) in warning
        assert "pip install 'suture[sqlite]'" in warning


@pytest.mark.parametrize(
    ("found", "best"),
    [
        ({"sqlite3": (3, 40, 1)}, "sqlite3"),
        ({"pysqlite3": (3, 53, 4), "sqlite3": (3, 40, 1)}, "pysqlite3"),
        ({"pysqlite3": (3, 51, 3), "sqlite3": (3, 53, 0)}, "pysqlite3"),
        ({"pysqlite3": (3, 51, 1), "sqlite3": (3, 53, 0)}, "sqlite3"),
        ({"pysqlite3": (3, 51, 1), "sqlite3": (3, 50, 7)}, "sqlite3"),
        ({"pysqlite3": (3, 51, 1), "sqlite3": (3, 46, 1)}, "pysqlite3"),
    ],
)
def test_the_first_fixed_one_is_used_where_there_is_one_else_the_newest(found: dict[str, tuple[int, ...]], best: str) -> None:
    assert sqlite.best(found.items()) == best


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {name: value for name, value in os.environ.items() if name != sqlite.CHOICE and not name.startswith("PYTEST_")}
    given |= {"PYTHONPATH": str(Path(suture.__file__).parents[1])} | environment
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=TOP, env=given, check=False, timeout=900)


SHOW = "from suture.store import sqlite; print(sqlite.module().__name__.partition('.')[0], sqlite.title(), bool(sqlite.warning()))"


@pytest.mark.parametrize("driver", ["pysqlite3", "sqlite3"])
def test_the_choice_of_the_environment_is_obeyed(driver: str) -> None:
    found = run("-c", SHOW, SUTURE_SQLITE=driver)
    assert found.stdout.split()[0] == driver, found.stderr


def test_the_tests_run_on_a_fixed_one() -> None:
    """The lock file brings it; without a choice it is used, unless Python's own is fixed and newer."""
    assert run("-c", SHOW).stdout.split()[-1] == "False"


def test_a_choice_that_there_is_not_is_refused() -> None:
    found = run("-c", SHOW, SUTURE_SQLITE="sqlite4")
    assert found.returncode
    assert "SUTURE_SQLITE asks for 'sqlite4'; there is pysqlite3 and sqlite3" in found.stderr


def test_python_that_has_no_other_uses_its_own() -> None:
    without = "import sys; sys.modules['pysqlite3'] = None; " + SHOW
    assert run("-c", without).stdout.split()[0] == "sqlite3"


@pytest.mark.slow
@pytest.mark.parametrize("driver", ["pysqlite3", "sqlite3"])
def test_the_store_on_either(driver: str) -> None:
    """All the store's tests on SQLite, in a process that uses this driver."""
    found = run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/store", "-k", "not postgresql and not on_either", SUTURE_SQLITE=driver
    )
    assert found.returncode == 0, found.stdout[-5000:]


def test_the_journal_on_either() -> None:
    """The same for what differs most, quickly: whichever of the two this process does not use."""
    driver = {"pysqlite3": "sqlite3", "sqlite3": "pysqlite3"}[sqlite.module().__name__.partition(".")[0]]
    files = ("tests/store/test_faults.py", "tests/store/test_journal.py", "tests/store/test_engine.py", "tests/store/test_refusals.py")
    found = run("-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", "sqlite", SUTURE_SQLITE=driver)
    assert found.returncode == 0, found.stdout[-5000:]
