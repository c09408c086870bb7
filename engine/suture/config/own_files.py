"""The site's own files: what says how its messages are read, and must be kept with them to understand them later."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from suture.config.conf import Conf
from suture.config.shape import is_secret
from suture.config.yaml_file import Loc, read_yaml, shown

SUFFIXES = {".yaml", ".yml", ".csv", ".py", ".hl7", ".json", ".xml", ".txt", ".md"}
"""Keys, certificates and databases are none of these: they are not to be in a backup."""
DIRECTORIES = {"conf": {".yaml", ".yml"}, "channels": SUFFIXES, "mappings": SUFFIXES, "orchestration": SUFFIXES}
"""The site's directories, and what is taken of each: beside conf's own files there may be files with secrets."""


def own_files(directory: Path) -> dict[str, Path]:
    """The site's files by their names in it, conf/base.yaml."""
    found: dict[str, Path] = {}
    for top, suffixes in DIRECTORIES.items():
        for place, directories, names in os.walk(directory / top):
            directories[:] = sorted(name for name in directories if not name.startswith((".", "__")))
            paths = [Path(place) / name for name in sorted(names) if not name.startswith(".")]
            found |= {path.relative_to(directory).as_posix(): path for path in paths if path.suffix in suffixes and path.is_file()}
    return found


def written_secrets(directory: Path) -> list[str]:
    """Where conf holds a secret itself, and not a reference to it: conf/base.yaml:7: endpoints.erp.http_out.auth.bearer."""
    found = []
    for path in sorted((directory / "conf").glob("*.yaml")):
        document, _ = read_yaml(path, f"conf/{path.name}")
        if document is not None:
            places = [loc for loc in document.marks if _is_written(loc, document.at(loc))]
            found += [f"conf/{path.name}:{document.problem(loc, '').line}: {shown(loc)}" for loc in places]
    return found


def _is_written(loc: Loc, text: Any) -> bool:
    if not isinstance(text, str) or "${" in text or not is_secret(Conf, loc):
        return False
    return loc != ("store", "url") or ":" in text.partition("://")[2].rpartition("@")[0]
