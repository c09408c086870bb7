"""The names and numbers of the people of one message, and where they stand again: in a description, a comment, a field for codes.

A name is a word in any case, a number its letters and digits with up to two other characters in between: 123-45-6789 is
123 45 6789 and 123456789. Short ones are not looked for, because they may as well be something else.
"""

from __future__ import annotations

import re
from collections.abc import Callable

NUMBER_MIN, PLACE_MIN, NAME_MIN = 5, 4, 3
"""Letters and digits of the shortest number, name of a place and name of a person that is looked for."""
GAP_MAX = 2
"""Characters that may stand between two parts of a name or number."""
PARTS_MAX = 40
"""Parts of the longest one: a UUID has up to 32."""

_PART = re.compile(r"\d+|[^\W\d_]+")


def bare(text: str) -> str:
    """Letters and digits alone, in lower case."""
    return "".join(_PART.findall(text)).casefold()


class Repeated:
    """What is known of the people of a message, with what is written instead."""

    def __init__(self) -> None:
        self._words: dict[str, Callable[[str], str]] = {}
        self._codes: dict[str, Callable[[str], str]] = {}
        self._names: set[str] = set()
        self._parts = 0

    def name(self, text: str, instead: Callable[[str], str], least: int = NAME_MIN) -> None:
        """A name of so many letters at least. instead: what is written for it, as it is written somewhere else."""
        key = bare(text)
        if len(key) >= least and not key.isdigit():
            self._add(self._words, key, instead, text)
            self._names.add(key)

    def number(self, text: str, instead: str, in_codes: bool) -> None:
        """A number. instead: its pseudonym, whose letters and digits are written where the number's are.

        in_codes: also where a code is expected, if it is all that stands there.
        """
        key, other = bare(text), "".join(_PART.findall(instead))
        if len(key) < NUMBER_MIN or key.isalpha():
            return

        def filled(found: str) -> str:
            left = iter(other)
            return re.sub(r"[^\W_]", lambda match: next(left, match[0]), found)

        self._add(self._words, key, filled, text)
        if in_codes:
            self._add(self._codes, key, filled, text)

    def _add(self, among: dict[str, Callable[[str], str]], key: str, instead: Callable[[str], str], text: str) -> None:
        among.setdefault(key, instead)
        self._parts = max(self._parts, min(len(_PART.findall(text)), PARTS_MAX))

    def whole(self, text: str) -> str | None:
        """What is written for a value that is a name or a number and nothing else; None when it is none."""
        instead = self._words.get(bare(text))
        return instead(text) if instead else None

    def in_code(self, text: str, names: bool) -> str:
        """A code, unless it is a number of somebody, or with names a name."""
        key = bare(text)
        instead = self._codes.get(key) or (self._words[key] if names and key in self._names else None)
        return instead(text) if instead else text

    def in_text(self, text: str) -> str:
        """A text with everything that is known replaced, the longest first."""
        if not self._words:
            return text
        parts = list(_PART.finditer(text))
        out, at, index = [], 0, 0
        while index < len(parts):
            count, instead = self._longest(parts[index : index + self._parts])
            if instead:
                begin, end = parts[index].start(), parts[index + count - 1].end()
                out += [text[at:begin], instead(text[begin:end])]
                at = end
            index += count
        return "".join([*out, text[at:]])

    def _longest(self, parts: list[re.Match[str]]) -> tuple[int, Callable[[str], str] | None]:
        """How many of the parts are one name or number, and what is written for it; (1, None) where they begin none."""
        key, keys = "", []
        for number, part in enumerate(parts):
            if number and part.start() - parts[number - 1].end() > GAP_MAX:
                break
            key += part[0].casefold()
            keys.append(key)
        for count in range(len(keys), 0, -1):
            if instead := self._words.get(keys[count - 1]):
                return count, instead
        return 1, None
