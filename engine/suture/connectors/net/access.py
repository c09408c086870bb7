"""Who may connect."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

from suture.model.hosts import is_host


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text.strip()))
    except ValueError:
        try:
            meant = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            raise ValueError(f"{text[:60]!r} is not an address or network, e.g. 10.0.0.0/8, 192.168.1.5 or fd00::/8") from None
        raise ValueError(f"{text[:60]!r} is an address inside a network; write {meant}, or the address alone") from None


def _host(text: str) -> str:
    if text and not is_host(text):
        raise ValueError("cannot be the name or address of a host; write one such as 10.20.0.7 or erp.hospital.example")
    return text


Host = Annotated[str, AfterValidator(_host)]
"""The name or address of a host."""
Network = Annotated[str, AfterValidator(_network)]
"""An IPv4 or IPv6 network, or one address."""


class AllowList:
    """The networks that may connect; an empty list admits everybody."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(text) for text in networks]

    def __bool__(self) -> bool:
        return bool(self._networks)

    def admits(self, host: str) -> bool:
        """Whether this address may connect; an IPv4 address inside an IPv6 one counts as the IPv4 address."""
        if not self._networks:
            return True
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        inner = getattr(address, "ipv4_mapped", None) or address
        return any(inner in network or address in network for network in self._networks)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
