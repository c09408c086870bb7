"""The one list of transports: name in the files to module. A module offers `Config` and `Source` or `Destination`."""

from __future__ import annotations

from types import ModuleType

from suture.connectors import http_out, mllp_in, mllp_out

SOURCES: dict[str, ModuleType] = {"mllp_in": mllp_in}
DESTINATIONS: dict[str, ModuleType] = {"http_out": http_out, "mllp_out": mllp_out}
