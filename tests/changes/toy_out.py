"""A toy: deliveries as files of a directory, one each, there wholly or not at all. It becomes connectors/toy_out.py of a scratch copy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from suture.connectors.contract import DestinationSettings, Note, Refused
from suture.model.outcome import Accepted, Outcome, Unavailable
from suture.ports import Delivery, Done


class Config(DestinationSettings):
    """Write each delivery to a file of a directory."""

    directory: Path = Field(description="Where the files go; it has to be there")
    suffix: str = Field(".json", description="How their names end (default .json)")


class Destination:
    """A suture.ports.Peer. One file a delivery, named by its idempotency key: what is written twice is one file all the same."""

    def __init__(self, config: Config, reactor: Any, note: Note) -> None:
        self._config, self._reactor = config, reactor
        self.may_send: Callable[[], bool] = lambda: True
        self.time_of_day: Callable[[], float] = reactor.seconds
        self.refused: Refused = lambda delivery, outcome: None

    def send(self, delivery: Delivery, done: Done) -> None:
        """Write it; done is called later, once."""
        self._reactor.callLater(0, lambda: done(self._written(delivery)))

    def _written(self, delivery: Delivery) -> Outcome:
        if not self.may_send():
            return Unavailable("NO_LEAVE", "nothing may be sent now")
        path = self._config.directory / f"{delivery.idempotency_key}{self._config.suffix}"
        unfinished = path.with_suffix(".part")
        try:
            unfinished.write_bytes(delivery.body)
            os.replace(unfinished, path)
        except OSError as error:
            return Unavailable("NOT_WRITTEN", f"the file cannot be written: {error.strerror}")
        return Accepted("WRITTEN")

    def cut(self, code: str, reason: str) -> None:
        """Nothing is on its way for long."""

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        return {}

    def held(self) -> Iterable[tuple[Any, Callable[[], None]]]:
        return ()

    async def close(self) -> None:
        """Nothing is open."""
