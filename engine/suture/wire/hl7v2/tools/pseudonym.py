"""Pseudonyms under a key: the same value gets the same one, and without the key nobody can tell which value it was.

An identifier is permuted within its own format (a Feistel network over its digits and letters), so that two identifiers
never become one; a name is drawn from invented lists. The keyed function is BLAKE2b (RFC 7693).
"""

from __future__ import annotations

import hashlib
import re
from datetime import date, timedelta
from functools import lru_cache
from math import prod
from string import ascii_lowercase, ascii_uppercase, digits

FAMILY = (
    *("Alderidge", "Bexcombe", "Corviston", "Dunmarrow", "Elverstone", "Farrowick", "Gantholm", "Hollowmere", "Iverstead", "Jessamoor"),
    *("Kestrelby", "Larchdale", "Mossgrave", "Netherwell", "Oakshaven", "Pennyfeld", "Quillbrook", "Ravenhurst", "Silverden", "Tarnbeck"),
    *("Umberfield", "Vexley", "Wyndlow", "Yarrowby", "Zellbrook", "Ambermoor", "Brackenroe", "Cindervale", "Driftwell", "Emberlyn"),
    *("Fenwater", "Glimmerholt", "Hartsmead", "Inglewick", "Juniperton", "Kelpmoor", "Lanternby", "Marrowdale", "Nightfen", "Ottervale"),
)
GIVEN = (
    *("Adra", "Bexlin", "Cael", "Dorvin", "Elspa", "Fenn", "Garrin", "Halla", "Ister", "Jorlan", "Kessa", "Lorvin", "Mirel", "Nolwin"),
    *("Orla", "Perrin", "Quenna", "Rilla", "Sorrel", "Tavin", "Ulla", "Verrin", "Willa", "Yorrin", "Zanna", "Ambrin", "Brisa", "Corlan"),
)
STREETS = ("Lantern Way", "Heron Row", "Cobble Lane", "Thistle Court", "Foundry Street", "Orchard Rise", "Quarry Road", "Mill Green")
CITIES = ("Northmere", "Eastwick Falls", "Kingsbarrow", "Lower Fenton", "Port Sorrel", "Ashcombe", "Stonebridge", "Willowdean")
FILLER = "text removed "
KEY_BYTES_MIN = 16
ROUNDS = 8
IDENTIFIER_MAX = 256
_RADIX = (digits, ascii_uppercase, ascii_lowercase)
_DATE = re.compile(r"(\d{4})(\d{2})?(\d{2})?((?:\d{2}){0,3}(?:\.\d{1,4})?(?:[+-]\d{4})?)")


class Pseudonyms:
    """Pseudonyms of one key, which is at least KEY_BYTES_MIN bytes of chance."""

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_BYTES_MIN:
            raise ValueError(f"a key is at least {KEY_BYTES_MIN} bytes")
        self._key = hashlib.blake2b(key).digest()
        self._known = lru_cache(65_536)(self._identifier)
        self.days = lru_cache(65_536)(self._days)

    def number(self, purpose: str, value: str) -> int:
        """A number of 128 bits that belongs to the value."""
        text = f"{purpose}\0{value}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(text, key=self._key, digest_size=16).digest())

    def identifier(self, value: str) -> str:
        """Digits become digits, letters letters of the same case; the rest of ASCII stays. Others count as small letters.

        What is longer than IDENTIFIER_MAX is no identifier, and becomes filler.
        """
        return self._known(value) if len(value) <= IDENTIFIER_MAX else filler(len(value))

    def _identifier(self, value: str) -> str:
        value = "".join(c if c.isascii() else "x" for c in value)
        classes = [next((radix for radix in _RADIX if c in radix), "") for c in value]
        places = [i for i, radix in enumerate(classes) if radix]
        half = len(places) // 2
        shape = "".join("0Aa-"[_RADIX.index(radix) if radix else 3] for radix in classes)
        sides = [_read(value, classes, part) for part in (places[:half], places[half:])]
        sizes = [prod(len(classes[place]) for place in part) for part in (places[:half], places[half:])]
        for turn in range(ROUNDS):
            mine, other = turn % 2, 1 - turn % 2
            sides[mine] = (sides[mine] + self.number(f"id {turn} {shape}", str(sides[other]))) % sizes[mine]
        out = list(value)
        for part, side in zip((places[:half], places[half:]), sides, strict=True):
            _write(out, classes, part, side)
        return "".join(out)

    def choice(self, purpose: str, value: str, among: tuple[str, ...]) -> str:
        """One of a list, in capitals where the value is."""
        known = value.strip().casefold()
        at = self.number(purpose, known) % len(among)
        found = among[at] if among[at].casefold() != known else among[(at + 1) % len(among)]
        return found.upper() if value.isupper() else found

    def street(self, value: str) -> str:
        """A house number and an invented street."""
        number = self.number("house", value.strip().casefold()) % 999 + 1
        return f"{number} {self.choice('street', value, STREETS)}"

    def email(self, value: str) -> str:
        """An address in a domain that is nobody's (RFC 2606)."""
        return f"p{self.number('email', value.strip().casefold()) % 10**9:09d}@example.org"

    def _days(self, person: str) -> int:
        """How far a person's dates are moved: whole weeks, so that a weekday stays one; one to 104, back."""
        return -7 * (1 + self.number("days", person) % 104)

    def moved(self, value: str, person: str) -> str:
        """An HL7 date or time, moved by the person's days; of what is none, each digit and letter is replaced."""
        match = _DATE.fullmatch(value)
        if not match:
            return value if not value.strip("0 ") else self.identifier(value)
        year, month, day, rest = match.groups()
        try:
            moved = date(int(year), int(month or 7), int(day or 1)) + timedelta(self.days(person))
        except (ValueError, OverflowError):
            return value if not value.strip("0") else self.identifier(value)
        return f"{moved:%Y}".zfill(4) + (f"{moved:%m}" if month else "") + (f"{moved:%d}" if day else "") + rest


def _read(value: str, classes: list[str], places: list[int]) -> int:
    number = 0
    for place in places:
        number = number * len(classes[place]) + classes[place].index(value[place])
    return number


def _write(out: list[str], classes: list[str], places: list[int], number: int) -> None:
    for place in reversed(places):
        number, digit = divmod(number, len(classes[place]))
        out[place] = classes[place][digit]


def filler(length: int) -> str:
    """Text that says nothing, so long."""
    return (FILLER * (length // len(FILLER) + 1))[:length].rstrip() if length else ""
