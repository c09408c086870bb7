"""`suture init`: the example site, copied to where a new one begins."""

from __future__ import annotations

import shutil
from pathlib import Path

import suture
from suture.model.errors import CommandError

PARTS = ("conf", "channels", "mappings")


def write_example_site(target: Path) -> list[Path]:
    """Copy the example site to target, which must be empty or not exist; returns the files written.

    Raises CommandError with the remedy.
    """
    source = example_site()
    try:
        if target.is_dir() and any(target.iterdir()):
            raise CommandError(f"{target} is not empty; name a new directory, or empty this one")
        if target.exists() and not target.is_dir():
            raise CommandError(f"{target} is a file; name a directory")
        for part in PARTS:
            shutil.copytree(source / part, target / part, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    except (OSError, shutil.Error) as error:
        raise CommandError(f"cannot write the site to {target}: {getattr(error, 'strerror', None) or error}") from None
    return sorted(path for path in target.rglob("*") if path.is_file())


def example_site() -> Path:
    """Where the example site is: in the installed package, or at the top of a source checkout."""
    package = Path(suture.__file__).resolve().parent
    for place in (package / "_site", package.parents[1]):
        if all((place / part).is_dir() for part in PARTS):
            return place
    raise CommandError("this installation has no example site; install Suture again")
