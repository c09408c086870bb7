"""`suture db upgrade`: what it says, on the way and at its end, and what the others say while it has not ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from suture.cli import db, exits, keeping
from suture.store import schema
from suture.store.engine import open_engine
from tests.cli.conftest import Suture, write_site
from tests.store import older
from tests.store.test_upgrade import COUNT, PORTION, SIZE_BYTES, ended_after


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Path:
    """A site whose store is of an older schema, with a few messages."""
    write_site(tmp_path / "site", database_url)
    engine = open_engine(database_url, site=None)
    older.fill(engine, "0001", COUNT, SIZE_BYTES)
    engine.dispose()
    return tmp_path / "site"


def ended_early(url: str) -> None:
    engine = open_engine(url, site=None)
    ended_after(engine, 2)
    engine.dispose()


def test_it_says_how_much_is_to_be_moved_and_what_it_has_done(suture: Suture, site: Path) -> None:
    ran = suture("db", "upgrade", "--site", site)
    assert (ran.code, ran.out) == (exits.OK, f"upgraded from 0001 to {schema.HEAD}; {COUNT} messages were moved\n")
    assert ran.err == (
        f"to schema 0005: {COUNT} messages of {COUNT} are to be moved;"
        " when this is ended early, `suture db upgrade` goes on where it stopped\n"
    )
    assert suture("db", "upgrade", "--site", site).out == f"the schema is {schema.HEAD}, and was that before\n"
    assert suture("db", "verify", "--site", site).code == exits.OK


def test_a_terminal_is_told_how_far_it_is(suture: Suture, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(keeping.Progress):
        def __init__(self, doing: str) -> None:
            super().__init__(doing)
            self._visible = True

    monkeypatch.setattr(keeping, "SHOWN_S", 0.0)
    monkeypatch.setattr(db, "Progress", Terminal)
    shown = [part.strip() for part in suture("db", "upgrade", "--site", site).err.partition("\n")[2].split("\r")]
    steps = [
        f"upgrade: to schema 0005, {done} of {COUNT} messages moved ({100 * done // COUNT} %)" for done in range(0, COUNT + 1, PORTION)
    ]
    assert [part for part in shown if part] == steps


def test_scripts_get_json_alone(suture: Suture, site: Path) -> None:
    ran = suture("db", "upgrade", "--site", site, "--json")
    assert ran.json == {"before": "0001", "after": schema.HEAD, "moved_messages": COUNT} and ran.err == ""


def test_while_it_has_not_ended_all_others_say_so(suture: Suture, site: Path, database_url: str, tmp_path: Path) -> None:
    ended_early(database_url)
    words = "to schema 0005 was begun and has not ended"
    for command in (("status",), ("message", "list"), ("db", "backup", tmp_path / "b.zip")):
        ran = suture(*command, "--site", site)
        assert ran.code != exits.OK and words in ran.err and "run `suture db upgrade`" in ran.err, command
        assert "Traceback" not in ran.err
    ran = suture("db", "current", "--site", site)
    assert ran.code == exits.FAILED and words in ran.out and f"this Suture needs {schema.HEAD}: run `suture db upgrade`" in ran.out
    assert suture("db", "current", "--site", site, "--json").json == {"current": "0005 begun", "needed": schema.HEAD}
    ran = suture("db", "verify", "--site", site)
    assert ran.code == exits.FAILED and words in ran.out


def test_it_goes_on_where_it_was_ended(suture: Suture, site: Path, database_url: str) -> None:
    ended_early(database_url)
    left = COUNT - 2 * PORTION
    ran = suture("db", "upgrade", "--site", site)
    assert ran.out == f"upgraded from an unfinished 0005 to {schema.HEAD}; {left} messages were moved\n"
    assert f"to schema 0005: {left} messages of {COUNT} are to be moved" in ran.err
