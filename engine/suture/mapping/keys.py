"""Business keys, and what a message is found by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from suture.mapping.sources import PART, RECORD, Slots
from suture.model.events import Event
from suture.model.reading import Part, Record
from suture.model.storable import keepable
from suture.model.value import Value

KEY_CHARACTERS_MAX = 400
SEARCH_CHARACTERS_MAX = 200
"""Longer keys end in a digest, longer search values are cut: databases limit what an index entry may hold."""

Found = dict[tuple[str, str], None]


class BusinessKey(Value, frozen=True):
    """How the business key of a line is made.

    prefix: the channel. slots: of its texts. telling: which of them is the sender's own name for the thing; where it
    is empty, or there is none (None), what tells the message from others (identity) and the line are added: a key that is the
    same for many would make every later charge a duplicate. numbered: every key ends in the line, because nothing else tells
    one line from another. place: the path of the sender's name, or of all that the key is made of.
    """

    prefix: str
    slots: tuple[int, ...]
    telling: int | None
    numbered: bool
    identity: Callable[[Record, Part], str]
    place: str = ""

    def text(self, slots: Slots, line: int) -> str:
        """The key of a line."""
        return self.of([slots[slot] for slot in self.slots], slots[RECORD], slots[PART], line)

    def of(self, values: Sequence[str], record: Record, part: Part, line: int) -> str:
        """The key of a line with these texts."""
        if self.telling is None or not values[self.telling]:
            values = [*values, self.identity(record, part), str(line)]
        elif self.numbered:
            values = [*values, str(line)]
        return _joined(self.prefix, values)


def _joined(prefix: str, values: Sequence[str]) -> str:
    key = "|".join(values)
    if key.count("|") >= len(values) or "\\" in key:
        key = "|".join([value.replace("\\", "\\\\").replace("|", "\\|") for value in values])
    if not key.isascii() or "\x00" in key:
        key = keepable(key)
    if len(key) > KEY_CHARACTERS_MAX:
        key = f"{key[:80]}#{hashlib.sha256(key.encode()).hexdigest()}"
    return f"{prefix}|{key}"


def findable(text: str) -> str:
    """The text as a message is found by it."""
    if text.isascii() and len(text) <= SEARCH_CHARACTERS_MAX and "\x00" not in text:  # as most are
        return text
    return keepable(text)[:SEARCH_CHARACTERS_MAX]


class Clue(Value, frozen=True):
    """One kind of value that a message is found by: the first of its places that is not empty."""

    kind: str
    slots: tuple[int, ...]


class Search(Value, frozen=True):
    """What a message is found by, beside the items of its events: values of the whole message, and values of its lines."""

    whole: list[Clue]
    own: list[Clue]


def find(clues: Iterable[Clue], slots: Slots, found: Found) -> None:
    """Note the values that are not empty."""
    for clue in clues:
        for slot in clue.slots:
            if text := slots[slot]:
                found[clue.kind, findable(text)] = None
                break


def pairs(found: Found, events: Iterable[Event]) -> list[tuple[str, str]]:
    """(kind, value) of what was found, and of the items of the events; each one once."""
    for event in events:
        item = event.data.get("item")
        if item:
            found["item", item[:SEARCH_CHARACTERS_MAX]] = None
    return list(found)
