"""What was probably meant by a word that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, words: Iterable[str], likeness: float = 0.6) -> str:
    """The known word that was probably meant, or "". likeness: how much of it must be there, from 0 to 1."""
    by_lower = {w.lower(): w for w in words}
    found = difflib.get_close_matches(word.lower(), by_lower, 1, likeness)
    return by_lower[found[0]] if found else ""


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """The end of a sentence: the word that was probably meant, else the words there are."""
    words = list(words)
    if meant := nearest(word, words):
        return f"; did you mean {meant!r}?"
    return f"; there are: {', '.join(words)}" if words else ""
