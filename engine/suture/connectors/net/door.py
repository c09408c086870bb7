"""Who may come in to a source: by address, by the proxies that it listens to, and by how many are in already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sized
from typing import Any

from suture.connectors.contract import Note
from suture.connectors.net.access import AllowList, Seldom
from suture.connectors.net.proxied import Gate
from suture.ports import Clock

REFUSALS_S = 600.0
"""Seconds in which the same address is complained about once."""


class Door:
    """Of one source. inside: its connections. clock: of what waits at it. build: makes the protocol of an address, once it is open.

    gates: connections whose PROXY header is still to come. refused: connections that were closed, by code.
    """

    build: Callable[[Any], Any]

    def __init__(self, config: Any, clock: Clock, note: Note, inside: Sized) -> None:
        self.config, self.clock, self._note, self._inside = config, clock, note, inside
        self.gates: set[Gate] = set()
        self.refused: Counter[str] = Counter()
        self.seldom = Seldom(clock, REFUSALS_S)
        self._allow, self._proxies = AllowList(config.allow), AllowList(config.proxies)
        self._over = False

    def met(self, address: Any) -> Any:
        """The protocol of a new connection; None where it is closed at once."""
        return Gate(self, address) if self._proxies and self._proxies.admits(address.host) else self.begun(address)

    def begun(self, address: Any) -> Any:
        """The protocol of a sender at this address; None where it may not connect: nobody else gets as far as a handshake."""
        return self.build(address) if self._admits(address.host) else None

    def _admits(self, host: str) -> bool:
        if self._allow.admits(host):
            return True
        self.turned_away("NOT_ALLOWED", host, "it may not connect; its connections are closed (see `allow`)")
        return False

    def turned_away(self, code: str, host: str, text: str) -> None:
        """Count a connection that is closed, and say so once in a while for an address."""
        self.refused[code] += 1
        if self.seldom.due(f"{code} {host}"):
            self._note(code, f"{host}: {text}")

    def has_room(self) -> bool:
        """Whether there is room for one more connection."""
        if len(self._inside) + len(self.gates) >= self.config.connections:
            self.refused["TOO_MANY_CONNECTIONS"] += 1
            if not self._over:
                self._over = True
                self._note("TOO_MANY_CONNECTIONS", f"more than {self.config.connections} connections; new ones are closed")
            return False
        self._over = False
        return True

    def expects(self, gate: Gate) -> bool:
        """Whether there is room for one more connection of a proxy."""
        if not self.has_room():
            return False
        self.gates.add(gate)
        return True

    def forget(self, gate: Gate) -> None:
        """The header of the connection is read, or it is over."""
        self.gates.discard(gate)
