"""Names of hosts."""

from __future__ import annotations


def is_host(text: str) -> bool:
    """Can it be the name or address of a host, as far as its form goes (RFC 1035: labels of 1 to 63 characters)?"""
    try:
        return "\0" not in text and bool(text.encode("idna"))
    except UnicodeError:
        return False
