"""What the tests of the pipeline share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from suture.store import schema
from suture.store.engine import open_engine


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'suture.db'}", site=None)
    schema.upgrade(engine)
    yield engine
    engine.dispose()
