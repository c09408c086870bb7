"""The PostgreSQL server of the tests starts wherever the repository lies: other users may have no way in."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest

from tests import postgres


@pytest.fixture
def private_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The server's wheel, installed where only its owner may enter, as in root's home."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    installed = postgres._installed()
    for part in (installed.parent, installed.parent.with_name(f"{installed.parent.name}.libs")):
        if part.is_dir():
            shutil.copytree(part, private / part.name, symlinks=True, ignore=shutil.ignore_patterns("include", "__pycache__"))
    monkeypatch.setattr(postgres, "_installed", lambda: private / installed.parent.name / installed.name)
    return private


def test_it_starts_from_a_directory_that_others_may_not_enter(private_wheel: Path) -> None:
    assert _answers()


def test_it_starts_through_a_link_in_a_directory_that_others_may_not_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = postgres._installed()
    (tmp_path / "link").symlink_to(installed.parent.parent)
    tmp_path.chmod(0o700)
    monkeypatch.setattr(postgres, "_installed", lambda: tmp_path / "link" / installed.parent.name / installed.name)
    assert _answers()


def test_it_starts_from_files_that_others_may_not_read(private_wheel: Path) -> None:
    for path in private_wheel.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)  # as an installation under umask 077 leaves them
    private_wheel.chmod(0o755)
    assert _answers()


def test_it_starts_where_the_directory_for_temporary_files_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = tmp_path / "tmp"
    private.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    assert _answers()


def test_it_starts_where_the_directory_for_temporary_files_has_a_long_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert _answers()


def test_it_starts_under_a_umask_that_closes_everything(private_wheel: Path) -> None:
    before = os.umask(0o077)
    try:
        assert _answers()
    finally:
        os.umask(before)


def _answers() -> bool:
    server = postgres.Server(postgres.FAST)
    try:
        with psycopg.connect(server.url()) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        server.stop()
