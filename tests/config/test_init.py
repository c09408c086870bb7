"""`suture init`: the example site is copied whole, and over nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from suture.config import init
from suture.config.check import check_site
from suture.model.errors import CommandError


def test_the_example_site_is_copied_and_right(tmp_path: Path):
    files = init.write_example_site(tmp_path / "mysite")
    assert tmp_path / "mysite" / "conf" / "base.yaml" in files
    result = check_site(tmp_path / "mysite", None, {})
    assert result.problems == [] and result.tests and [test.differences for test in result.tests if not test.ok] == []


def test_an_empty_directory_is_filled(tmp_path: Path):
    assert init.write_example_site(tmp_path)


def test_nothing_is_written_over(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(CommandError, match="is not empty; name a new directory, or empty this one"):
        init.write_example_site(tmp_path)
    with pytest.raises(CommandError, match=r"mine\.txt is a file; name a directory"):
        init.write_example_site(tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_site_inside_an_installed_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "lib" / "suture"
    for part in init.PARTS:
        (package / "_site" / part).mkdir(parents=True)
    monkeypatch.setattr(init.suture, "__file__", str(package / "__init__.py"))
    assert init.example_site() == package / "_site"


def test_an_installation_without_the_site_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(init.suture, "__file__", str(tmp_path / "lib" / "suture" / "__init__.py"))
    with pytest.raises(CommandError, match="this installation has no example site; install Suture again"):
        init.example_site()


def test_a_target_that_cannot_be_written_is_explained(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CommandError, match="cannot write the site to"):
        init.write_example_site(tmp_path / "file" / "site")


def test_a_name_that_no_directory_can_have_is_said(tmp_path: Path):
    with pytest.raises(CommandError, match="File name too long"):
        init.write_example_site(tmp_path / ("x" * 5000))
