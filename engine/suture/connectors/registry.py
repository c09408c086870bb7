"""The one list of transports: name in the files to module. A module offers `Config` and `Source` or `Destination`."""

from __future__ import annotations

from typing import Any, Protocol

from suture import ports
from suture.connectors import http_out, mllp_in, mllp_out
from suture.connectors.contract import DestinationSettings, Note, Receive, Refuse, SourceSettings


class SourceModule(Protocol):
    """A module of a transport by which messages come."""

    @property
    def Config(self) -> type[SourceSettings]: ...  # noqa: N802

    def Source(self, config: Any, reactor: Any, receive: Receive, refuse: Refuse, note: Note) -> ports.Source: ...  # noqa: N802


class DestinationModule(Protocol):
    """A module of a transport by which deliveries go."""

    @property
    def Config(self) -> type[DestinationSettings]: ...  # noqa: N802

    def Destination(self, config: Any, reactor: Any, note: Note) -> ports.Peer: ...  # noqa: N802


Module = SourceModule | DestinationModule

SOURCES: dict[str, SourceModule] = {"mllp_in": mllp_in}
DESTINATIONS: dict[str, DestinationModule] = {"http_out": http_out, "mllp_out": mllp_out}
