"""init, check, run, demo and db."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from suture.cli import exits
from suture.model.errors import ConfigError, Problem
from suture.store import schema, sqlite
from tests.cli.conftest import Suture, write_site


def test_init_makes_a_site_and_says_what_is_next(suture: Suture, tmp_path: Path) -> None:
    ran = suture("init", tmp_path / "mysite")
    assert ran.code == exits.OK
    assert (tmp_path / "mysite" / "conf" / "base.yaml").is_file()
    assert f"suture run --site {tmp_path / 'mysite'}" in ran.out


def test_init_never_writes_over_something(suture: Suture, tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    ran = suture("init", tmp_path)
    assert ran.code == exits.WRONG and "not empty" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_check_tells_every_problem_with_file_and_line(suture: Suture, tmp_path: Path) -> None:
    suture("init", tmp_path / "site")
    (tmp_path / "site" / "conf" / "base.yaml").write_text("site: {zone: Mars/Olympus}\nstorre: {}\n")
    ran = suture("check", "--site", tmp_path / "site")
    assert ran.code == exits.WRONG
    assert "conf/base.yaml:1: site.zone: 'Mars/Olympus' is not a time zone" in ran.err
    assert "conf/base.yaml:2:" in ran.err and "'storre'" in ran.err


def test_check_of_the_example_site_passes(suture: Suture, tmp_path: Path) -> None:
    suture("init", tmp_path / "site")
    ran = suture("check", "--site", tmp_path / "site", "--json")
    assert ran.code == exits.OK, ran.json["problems"]
    assert ran.json["ok"] is True and ran.json["tests"]


def test_a_failed_test_of_a_channel_is_told_with_file_and_line(suture: Suture, tmp_path: Path) -> None:
    suture("init", tmp_path / "site")
    tests = tmp_path / "site" / "channels" / "or-supply" / "tests.yaml"
    text = tests.read_text(encoding="utf-8")
    tests.write_text(text.replace('{item: SUT-1003, quantity: "3"}', '{item: SUT-1003, quantity: "4"}'), encoding="utf-8")
    lines = text.splitlines()
    place = next(n for n, line in enumerate(lines, 1) if 'item: SUT-1003, quantity: "3"' in line)
    name = next(n for n, line in enumerate(lines, 1) if "an unknown item waits" in line)
    ran = suture("check", "--site", tmp_path / "site")
    assert ran.code == exits.FAILED
    failed = next(n for n, line in enumerate(ran.lines) if line.startswith("FAILED"))
    assert ran.lines[failed].endswith(f" (channels/or-supply/tests.yaml:{name})")
    assert ran.lines[failed + 1] == f"        channels/or-supply/tests.yaml:{place}: supply.used 1: quantity is 3, expected 4"
    differences = next(
        test["differences"] for test in suture("check", "--site", tmp_path / "site", "--json").json["tests"] if test["differences"]
    )
    assert differences == [
        {"file": "channels/or-supply/tests.yaml", "line": place, "place": "", "text": "supply.used 1: quantity is 3, expected 4"}
    ]


def test_check_shows_the_database_and_what_is_wrong_with_it(suture: Suture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suture("init", tmp_path / "site")
    monkeypatch.setattr(sqlite, "warning", lambda: sqlite.warning_of((3, 40, 1)))
    ran = suture("check", "--site", tmp_path / "site")
    assert ran.code == exits.OK
    assert f"store: {sqlite.title()}" in ran.out
    assert "SQLite 3.40.1 can damage a database" in ran.err and "pip install 'suture[sqlite]'" in ran.err


def test_a_driver_of_sqlite_that_is_not_there_is_a_problem_as_it_is_to_run(
    suture: Suture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suture("init", tmp_path / "site")
    monkeypatch.setenv("SUTURE_SQLITE", "sqlite9")
    sqlite.module.cache_clear()
    for verb in ("check", "run"):
        ran = suture(verb, "--site", tmp_path / "site")
        assert ran.code != exits.OK
        assert "SUTURE_SQLITE asks for 'sqlite9'; there is " in ran.err
    monkeypatch.delenv("SUTURE_SQLITE")
    assert suture("check", "--site", tmp_path / "site").code == exits.OK


def test_a_server_that_may_lose_what_was_acknowledged_is_a_problem_in_production(
    suture: Suture, tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    suture("init", tmp_path / "site")
    for name in ("ERP", "BILLING", "ANALYTICS", "ARCHIVE"):
        monkeypatch.setenv(f"{name}_TOKEN", "x")
    (tmp_path / "site" / "conf" / "prod.yaml").write_text("{}\n")
    with psycopg.connect(postgres_database) as admin:
        (fsync,) = admin.execute("SHOW fsync").fetchone() or ("",)
    monkeypatch.setenv("SUTURE_DATABASE_URL", postgres_database)
    told = suture("check", "--site", tmp_path / "site")
    assert told.code == exits.OK, told.err
    assert ("fsync is off" in told.err) == (fsync == "off")
    assert f"fsync {fsync}" in told.out
    if fsync == "off":
        for verb in ("check", "run"):
            refused = suture(verb, "--site", tmp_path / "site", "--env", "prod")
            assert refused.code != exits.OK
            assert "may lose what was acknowledged: fsync is off" in refused.err
        (tmp_path / "site" / "conf" / "prod.yaml").write_text("store: {accept_unsafe: true}\n")
        assert suture("check", "--site", tmp_path / "site", "--env", "prod").code == exits.OK


def test_a_database_that_cannot_be_reached_from_here_is_no_mistake_in_a_file(
    suture: Suture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suture("init", tmp_path / "site")
    monkeypatch.setenv("SUTURE_DATABASE_URL", f"postgresql://nobody@/none?host={tmp_path}")
    ran = suture("check", "--site", tmp_path / "site")
    assert ran.code == exits.OK
    assert "its release and settings are not known" in ran.err


def test_run_hands_the_site_to_the_engine(suture: Suture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("suture.app.run", lambda site, environment: asked.append((site, environment)) or 0)
    assert suture("run", "--site", tmp_path, "--env", "prod").code == exits.OK
    assert asked == [(tmp_path, "prod")]


def test_run_with_wrong_files_is_code_2(suture: Suture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise ConfigError([Problem("conf/base.yaml", 3, "http.port", "'x' is not a whole number")])

    monkeypatch.setattr("suture.app.run", refuse)
    ran = suture("run", "--site", tmp_path)
    assert (ran.code, ran.err) == (exits.WRONG, "conf/base.yaml:3: http.port: 'x' is not a whole number\n")


def test_demo_passes_on_its_code(suture: Suture, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr("suture.sim.demo.main", lambda **options: asked.append(options) or 1)
    assert suture("demo", "--keep", "--messages", "50").code == exits.FAILED
    assert asked == [{"keep": True, "messages": 50, "as_json": False}]


def test_upgrade_makes_the_schema_and_current_tells_it(suture: Suture, tmp_path: Path, database_url: str) -> None:
    write_site(tmp_path / "site", database_url)
    site = ("--site", tmp_path / "site")
    ran = suture("db", "upgrade", *site)
    assert (ran.code, ran.out) == (exits.OK, f"upgraded from nothing to {schema.HEAD}\n")
    assert suture("db", "upgrade", *site).out == f"the schema is {schema.HEAD}, and was that before\n"
    assert suture("db", "current", *site, "--json").json == {"current": schema.HEAD, "needed": schema.HEAD}
    assert suture("message", "list", *site).code == exits.OK


def test_an_empty_database_is_told_apart(suture: Suture, tmp_path: Path, postgres_database: str) -> None:
    write_site(tmp_path / "site", postgres_database)
    ran = suture("status", "--site", tmp_path / "site")
    assert ran.code == exits.NO_ANSWER and "has no schema yet" in ran.err
    ran = suture("db", "current", "--site", tmp_path / "site")
    assert ran.code == exits.FAILED and "the database has schema none" in ran.out
