"""A site's directories."""

from __future__ import annotations

import os
from pathlib import Path

from suture.model.errors import Problem

_NAMES = ("", "conf", "channels", "mappings", "mappings/tables", "mappings/profiles")


def unreadable(directory: Path) -> list[Problem]:
    """A problem for each directory of the site that is there and cannot be listed: what is in it would seem to be missing."""
    problems = []
    for name in _NAMES:
        try:
            os.listdir(directory / name)
            (directory / name / "x").exists()  # a directory may be listed, and what is in it not be opened
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            remedy = "; look at the directory's permissions" if isinstance(error, PermissionError) else ""
            problems.append(Problem(name or str(directory), 1, "", f"cannot be read: {error.strerror}{remedy}"))
            if not name:
                break
    return problems
