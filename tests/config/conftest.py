"""A small site in a directory of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.site_files import SiteFiles


@pytest.fixture
def site(tmp_path: Path) -> SiteFiles:
    return SiteFiles(tmp_path)
