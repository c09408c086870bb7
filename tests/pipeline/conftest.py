"""What the tests of the pipeline share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from twisted.internet.task import Clock

from suture.model.outcome import Outcome
from suture.pipeline.lanes import Lanes
from suture.pipeline.retry import Policy
from suture.store import schema
from suture.store.engine import open_engine
from tests.doubles import ByHand, Scripted, world


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'suture.db'}", site=None)
    schema.upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def quick_db(database: Engine) -> Engine:
    """A store that does not wait for the disk, for tests of what comes in which order."""
    event.listen(database, "connect", lambda connection, record: connection.execute("PRAGMA synchronous=OFF"))
    database.dispose()
    return database


@pytest.fixture
def build(quick_db: Engine) -> Iterator[Callable[..., Any]]:
    """Make the lanes of one destination over an empty store, with a peer that follows a script. wall(clock): what tells the time of day."""
    stores: list[ByHand] = []

    def built(
        policy: Policy,
        script: Sequence[Outcome] = (),
        wall: Callable[[Clock], Any] = lambda clock: clock,
        may_send: Callable[[], bool] = lambda: True,
    ) -> tuple[Clock, ByHand, Scripted, Lanes]:
        while stores:
            stores.pop().close()
        clock = Clock()
        store, peer = ByHand(quick_db, clock), Scripted(clock, script)
        stores.append(store)
        lanes = Lanes("c", "d", peer, policy, world(store, wall(clock), store, may_send=may_send), lambda lanes: None)
        lanes.start(0)
        clock.advance(0)
        return clock, store, peer, lanes

    yield built
    for store in stores:
        store.close()
