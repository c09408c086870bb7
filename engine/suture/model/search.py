"""What a message is found by: kinds of values, which mappings name and the index holds."""

from __future__ import annotations

import re

from suture.model.meant import nearest

USUAL = ("patient", "account", "item")
"""Kinds that every site has, the most selective first; items are filed without a mapping's saying so."""
_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")


def wrong_kind(kind: str) -> str:
    """Why a kind cannot be meant, "" where it can: a site may have kinds of its own, and a slip of the pen is none."""
    if not _KIND.fullmatch(kind):
        return f"{kind!r} is no kind of value; a kind is a word of small letters, digits and _ (encounter)"
    near = "" if kind in USUAL else nearest(kind, USUAL, 0.8)
    return f"unknown kind {kind!r}; did you mean {near!r}?" if near else ""


def selective_first(keys: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """(kind, value) pairs, those that fewer messages have before others: items are the same for many."""
    return sorted(keys, key=lambda key: USUAL.index(key[0]) if key[0] in USUAL[:2] else len(USUAL) + (key[0] == "item"))
