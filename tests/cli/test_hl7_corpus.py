"""Every message of the corpus goes through every command of `suture hl7`, and none makes it stumble."""

from __future__ import annotations

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from suture.cli import exits
from suture.wire.hl7v2.text import cut
from tests.cli.conftest import Suture

SHARED = Path(os.environ.get("SUTURE_SHARED") or Path(__file__).parents[2].parent / "shared")
FOLDERS = sorted(path for path in (SHARED / "corpus" / "hl7v2").glob("*") if path.is_dir())
FINE = (exits.OK, exits.FAILED)


@pytest.mark.skipif(not FOLDERS, reason="the corpus is not beside the repository")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_file_passes_through(suture: Suture, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUTURE_DEBUG", "1")  # a fault of ours is raised, not told
    monkeypatch.setenv("SUTURE_ANONYMIZE_KEY", "a key that is long enough")
    for path in sorted(folder.iterdir()):
        check(suture, path)


def check(suture: Suture, path: Path) -> None:
    raw = path.read_bytes()
    if not list(cut.messages(cut.units([raw], len(raw) + 1))):
        return  # nothing but batch segments or blanks: the commands say so
    assert b"".join(cut.units([raw], len(raw) + 1)) == raw, path.name
    assert suture("hl7", "show", path).code in FINE, path.name
    assert suture("hl7", "show", path, "--hex").code == exits.OK, path.name
    assert isinstance(json.loads(suture("hl7", "show", path, "--json").out), list), path.name
    ElementTree.fromstring(suture("hl7", "show", path, "--xml").out)
    assert suture("hl7", "get", path, "MSH-9", "PID-3.1").code in FINE, path.name
    same = suture("hl7", "diff", path, path)
    assert (same.code, same.out) == (exits.OK, ""), path.name
    assert suture("hl7", "validate", path).code in FINE, path.name
    anonymous = suture("hl7", "anonymize", path)
    assert anonymous.code == exits.OK, path.name
    count = len(list(cut.messages(cut.units([raw], len(raw) + 1))))
    assert len(list(cut.messages(cut.units([anonymous.bytes], 1 << 30)))) == count, path.name
