"""The command as a whole: help, errors, exit codes, start-up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from suture.cli import exits
from suture.cli.main import cli
from tests.cli.conftest import Site, Suture, write_site


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands())


def test_the_verbs_are_all_there() -> None:
    assert {" ".join(path) for path in ALL} == {
        *("init", "run", "demo", "check", "status", "send", "listen", "completion"),
        *(f"db {verb}" for verb in ("upgrade", "current", "backup", "restore", "verify")),
        *(f"hl7 {verb}" for verb in ("show", "diff", "get", "validate", "anonymize", "generate")),
        *(f"channel {verb}" for verb in ("list", "show", "start", "stop", "restart", "reload", "resync")),
        *(f"message {verb}" for verb in ("list", "show", "trace", "resend", "reprocess")),
        *("delivery list", "delivery show", "delivery release", "exception list", "exception show", "exception resolve", "audit list"),
    }


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_verb_helps_with_an_example(suture: Suture, path: tuple[str, ...]) -> None:
    ran = suture(*path, "--help")
    assert ran.code == exits.OK
    assert "Example" in ran.out and f"suture {' '.join(path)}" in ran.out
    options = [option for option in ALL[path].params if isinstance(option, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("path", [path for path in ALL if path[0] not in ("run", "completion")], ids=" ".join)
def test_every_verb_has_json(path: tuple[str, ...]) -> None:
    assert "--json" in {option for parameter in ALL[path].params for option in parameter.opts}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["status", "--sight", "x"], "No such option"),
        (["massage"], "No such command"),
        (["message", "show", "abc"], "'abc' is not a number"),
        (["message", "show"], "Missing argument"),
        (["message", "list", "--state", "lost"], "'lost' is not one of"),
        (["delivery", "release", "1"], "Missing option '--reason'"),
    ],
)
def test_wrong_use_is_said_and_is_code_2(suture: Suture, arguments: list[str], says: str) -> None:
    ran = suture(*arguments)
    assert (ran.code, ran.out) == (exits.WRONG, "")
    assert says in ran.err


def test_a_directory_that_is_no_site_is_named_with_the_remedy(suture: Suture, tmp_path: Path) -> None:
    ran = suture("status", "--site", tmp_path)
    assert ran.code == exits.WRONG
    assert "base.yaml:1: there is no such file, so this is no site" in ran.err and "suture init" in ran.err


def test_a_database_that_is_not_there_yet_is_code_4(suture: Suture, tmp_path: Path) -> None:
    write_site(tmp_path / "site", "sqlite:///suture.db")
    ran = suture("message", "list", "--site", tmp_path / "site")
    assert ran.code == exits.NO_ANSWER
    assert "there is no database" in ran.err and "`suture run`" in ran.err
    assert not (tmp_path / "site" / "suture.db").exists()


def test_a_database_that_cannot_be_reached_is_code_4_and_hides_its_password(suture: Suture, tmp_path: Path) -> None:
    write_site(tmp_path / "site", "postgresql://u:SECRET@127.0.0.1:1/d")
    ran = suture("status", "--site", tmp_path / "site")
    assert ran.code == exits.NO_ANSWER
    assert "nothing answers there" in ran.err and "SECRET" not in ran.err


def test_the_url_may_come_from_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    url = site.store.engine.url.render_as_string(hide_password=False)
    (site.path / "conf" / "base.yaml").write_text('site: {zone: UTC}\nstore: {url: "${env:HOSPITAL_DB}"}\n')
    ran = site("message", "list")
    assert ran.code == exits.WRONG and "the environment variable 'HOSPITAL_DB' is not set" in ran.err
    monkeypatch.setenv("HOSPITAL_DB", url)
    assert site("message", "list").code == exits.OK
    monkeypatch.delenv("HOSPITAL_DB")
    monkeypatch.setenv("SUTURE_DATABASE_URL", url)
    assert site("message", "list").code == exits.OK


def test_an_environments_file_comes_first(site: Site) -> None:
    (site.path / "conf" / "prod.yaml").write_text('store: {url: "sqlite:///elsewhere.db"}\n')
    ran = site("message", "list", "--env", "prod")
    assert ran.code == exits.NO_ANSWER and "elsewhere.db" in ran.err


def test_a_wrong_channel_file_does_not_keep_an_operator_from_looking(site: Site) -> None:
    (site.path / "channels" / "or-supply" / "channel.yaml").write_text("[[[[")
    assert site("message", "list").code == exits.OK


def test_a_fault_of_our_own_is_one_line_without_its_content(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_(*_: object) -> None:
        raise RuntimeError("DOE^JANE")

    monkeypatch.setattr("suture.store.queries.messages", break_)
    ran = site("message", "list")
    assert (ran.code, ran.out) == (exits.FAILED, "")
    assert ran.err.count("\n") == 1 and "RuntimeError" in ran.err and "JANE" not in ran.err


def test_ctrl_c_ends_it_cleanly(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("suture.store.queries.messages", interrupt)
    ran = site("message", "list")
    assert ran.code == exits.INTERRUPTED and "Traceback" not in ran.err


def test_ctrl_c_while_it_is_still_loading_ends_it_cleanly(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    environ = {"PYTHONPATH": ":".join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-m", "suture.cli.start"], capture_output=True, text=True, check=False, env=environ)
    assert (done.returncode, done.stdout, done.stderr) == (exits.INTERRUPTED, "", "\nended\n")


def test_no_command_loads_anything_heavy_before_it_is_run() -> None:
    heavy = ("sqlalchemy", "twisted", "pydantic", "aiohttp", "yaml", "alembic")
    load = "import sys; from suture.cli.main import cli; list(cli.commands.values())"
    code = f"{load}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.stdout.strip() == "[]"


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = f'"{sys.executable}" -m suture.cli.main completion bash | head -c 1 >/dev/null; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert (done.stdout.strip(), done.stderr) == ("0", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(suture: Suture, shell: str) -> None:
    ran = suture("completion", shell)
    assert ran.code == exits.OK and "_SUTURE_COMPLETE" in ran.out


def in_bash(command: str) -> subprocess.CompletedProcess[str]:
    line = command.replace("suture", f'"{sys.executable}" -m suture.cli.main', 1)
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, env={"PYTHONPATH": ":".join(sys.path)})


def test_a_reader_that_goes_away_in_the_middle_of_much_output_is_no_error() -> None:
    done = in_bash('suture hl7 generate ORU^R01 --count 2000 --json | head -n 1 >/dev/null; echo "${PIPESTATUS[0]}"')
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_lead_nowhere(closed: str) -> None:
    done = in_bash(f"suture --version {closed}")
    assert (done.returncode, done.stdout, done.stderr) == (exits.OK, "", "")


def test_a_closed_standard_input_is_an_empty_one() -> None:
    done = in_bash("suture hl7 show - <&-")
    assert done.returncode == exits.WRONG and "there is no message in it" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_behind_the_output_is_named() -> None:
    done = in_bash("suture completion bash > /dev/full")
    assert done.returncode == exits.FAILED and done.stderr == "suture: the output cannot be written: No space left on device\n"
