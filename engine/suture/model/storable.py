"""Text that any database takes: without NUL, and without what is no character (half a surrogate pair)."""

from __future__ import annotations


def storable(text: str) -> str:
    """The text without what cannot be kept."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode() if not text.isascii() or "\x00" in text else text


def keepable(text: str) -> str:
    """The text with what cannot be kept spelled out, so that different texts stay different."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    return text.replace("\x00", "\\x00")
