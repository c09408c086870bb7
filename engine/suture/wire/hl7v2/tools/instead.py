"""What is written instead of one value of a message: a pseudonym, filler, a moved date, or the value itself.

A value goes through as it is written, with its escape sequences: those that hold data are taken out, formatting ones stay.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping

from suture.wire.hl7v2.text.delimiters import Delimiters
from suture.wire.hl7v2.text.escapes import unescape
from suture.wire.hl7v2.tools import identifying as known
from suture.wire.hl7v2.tools.pseudonym import CITIES, FAMILY, GIVEN, Pseudonyms, filler
from suture.wire.hl7v2.tools.repeated import NAME_MIN, PLACE_MIN, Repeated

_KEPT_ESCAPES = re.compile(r"[FSTREHNP]|\.(?:br|sp|fi|nf|in|ti|sk|ce)[ +-]?\d{0,4}")
_DATE = re.compile(
    r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:(?:[01]\d|2[0-3])(?:[0-5]\d){1,2}(?:\.\d{1,4})?)?(?:[+-]\d{4})?"
)
"""What is taken for a date where the standard does not say what stands there."""


class Instead:
    """One message's values. person: whose dates they are, which changes with each PID. learning: values are only noted.

    encoding: the message's codec. of_people: the segment is about people. unsure: the version does not have the field, so that
    anything may stand there.
    What is written where it belongs is noted (`Repeated`), and found again where it does not.
    """

    def __init__(self, pseudonyms: Pseudonyms, delimiters: Delimiters, encoding: str = "utf-8") -> None:
        self._p, self._d, self._encoding = pseudonyms, delimiters, encoding
        self._repeated = Repeated()
        self.learning, self.person, self.of_people, self.unsure = False, "", False, False
        self.kinds: Mapping[str, Callable[[str], str]] = {
            known.KEEP: self.code,
            known.ID: lambda text: self._numbered(text, in_codes=True),
            known.ENTITY: lambda text: self._numbered(text, in_codes=False),
            known.FAMILY: self._drawn("family", FAMILY),
            known.GIVEN: self._drawn("given", GIVEN),
            known.TITLE: lambda text: text if text.strip(". ").upper().replace(".", "") in known.TITLES else self.token(text),
            known.STREET: lambda text: self._named(text, self._p.street, PLACE_MIN),
            known.PLACE: self._place,
            known.DATE: self.moved,
            known.CITY: self._drawn("city", CITIES, PLACE_MIN),
            known.TEXT: self.free,
            known.DATA: lambda text: base64.b64encode(b"data removed").decode(),
        }

    def stated(self, text: str) -> str:
        """A plain value that is replaced: a number where it looks like one."""
        return self.token(text) if " " in text.strip() else self._numbered(text, self.of_people)

    def moved(self, text: str) -> str:
        """A date or time."""
        found = self._p.moved(text, self.person)
        if self.learning and self.of_people and text[:8].isdigit() and found[:8].isdigit():
            for old, new in zip(_orders(text[:8]), _orders(found[:8]), strict=True):
                self._repeated.number(old, new, in_codes=False)
        return found

    def token(self, text: str) -> str:
        """Any value of which nothing is known."""
        return self._p.email(text) if "@" in text else self._pieces(text, self._p.identifier)

    def unknown(self, text: str) -> str:
        """A value where the standard does not say what stands: somebody's name or number, a date, or anything."""
        whole = self._repeated.whole(text)
        if whole is not None:
            return whole
        return self._p.moved(text, self.person) if _DATE.fullmatch(text) else self.token(text)

    def free(self, text: str) -> str:
        """Free text."""
        return self._pieces(text, lambda piece: filler(len(piece)))

    def code(self, text: str) -> str:
        """A code, which stays unless it is a number of somebody; in a segment about people, or a name. With a blank it is a text."""
        if self.unsure or " " in text.strip():
            return self.text(text)
        return self._repeated.in_code(text, self.of_people)

    def text(self, text: str) -> str:
        """A text that stays, but for names and numbers in it; all of it goes where an escape hides one."""
        found = self._repeated.in_text(text)
        if self._d.escape and self._d.escape in found:
            plain = self._plain(found)
            if self._repeated.in_text(plain) != plain:
                return self.free(text)
        return found

    def any(self, text: str) -> str:
        """A part of a code that names somebody: a date, or a number or a name."""
        return self._p.moved(text, self.person) if _DATE.fullmatch(text) else self.stated(text)

    def _place(self, text: str) -> str:
        return self._p.moved(text, self.person) if _DATE.fullmatch(text) else self._named(text, self.token, PLACE_MIN)

    def _drawn(self, purpose: str, among: tuple[str, ...], least: int = NAME_MIN) -> Callable[[str], str]:
        return lambda text: self._named(text, lambda found: self._p.choice(purpose, found, among), least)

    def _named(self, text: str, instead: Callable[[str], str], least: int = NAME_MIN) -> str:
        if self.learning:
            whole = self._plain(text)
            self._repeated.name(whole, instead, least)
            for part in whole.split("-"):  # one half of a double name
                self._repeated.name(part, instead, PLACE_MIN)
        return instead(text)

    def _numbered(self, text: str, in_codes: bool) -> str:
        found = self.token(text)
        if self.learning and "@" in text:
            self._repeated.name(self._plain(text), self._p.email)
        elif self.learning:
            plain = self._plain(text)
            self._repeated.number(plain, found if plain == text else self.token(plain), in_codes)
        return found

    def _plain(self, text: str) -> str:
        return unescape(text, self._d, self._encoding)

    def _pieces(self, text: str, replace: Callable[[str], str]) -> str:
        """What is between escape sequences; those that hold data are taken out."""
        mark = self._d.escape
        if not mark or mark not in text:
            return replace(text)
        pieces = text.split(mark)
        out = [replace(pieces[0])]
        for index in range(1, len(pieces), 2):
            if index + 1 < len(pieces):
                code = pieces[index]
                out.append(f"{mark}{code}{mark}" if _KEPT_ESCAPES.fullmatch(code) else "")
                out.append(replace(pieces[index + 1]))
            else:
                out.append(mark + replace(pieces[index]))
        return "".join(out)


def _orders(day: str) -> tuple[str, str, str]:
    """A day as people write it: the year, the month or the day first."""
    year, month, of_month = day[:4], day[4:6], day[6:8]
    return year + month + of_month, month + of_month + year, of_month + month + year
