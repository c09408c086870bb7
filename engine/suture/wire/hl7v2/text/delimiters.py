"""The separators of one message, as its first segment defines them (HL7 2.5.1 section 2.5.4; truncation: 2.7 section 2.5.5.2)."""

from __future__ import annotations

from suture.model.errors import MessageError
from suture.model.value import Value

NULL_TEXT, NULL_BYTES = '""', b'""'
"""HL7's word for "delete this value" (2.5.1 section 2.5.3)."""
HEADERS = frozenset({"MSH", "BHS", "FHS"})
"""Segments whose field 1 is the separator itself, so that what stands behind the n-th separator is field n+1."""


class Delimiters(Value, frozen=True):
    """MSH-1, then the characters of MSH-2 in their order; "" for one that the message does not have.

    repeats: DOUBLED, NEEDLESS or UNCLEAR where MSH-2 names a character twice, else "".
    """

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""
    repeats: str = ""


DOUBLED = "doubled escape"
r"""`^~\\&` of a program that doubled the backslash: read as `^~\&`."""
NEEDLESS = "needless character"
"""A character in the fifth place has another meaning already, which stays; nothing is cut differently."""
UNCLEAR = "unclear separators"
"""One character has two of the first four meanings: what it means in a value cannot be known."""
_BACKSLASH = "\\"

STANDARD = Delimiters()
STANDARD_27 = Delimiters(truncation="#")
USUAL = (STANDARD, STANDARD_27)
"""Delimiters that cut every message in the same way; delimiters_of gives these very objects."""

_NEVER = "\r\n\x0b\x1b\x1c"
"""Characters that are never separators: line ends, those that MLLP frames messages with, and ESC, which switches character sets."""
_CUTTING_ORDER = ("repetition", "component", "subcomponent", "escape", "truncation")
"""From the outermost cut to the innermost: a character that MSH-2 names twice has the first role here."""


def delimiters_of(text: str, header: str = "MSH") -> Delimiters:
    """Read MSH-1 and MSH-2 (header: BHS or FHS, for those of a batch or file).

    A role that MSH-2 leaves out, gives to a letter, a digit, ESC or a character that has a role already, is not there: values
    with such a character stay whole. Raises MessageError when the text does not begin with the header and a separator.
    """
    if header == "MSH" and text.startswith("MSH|^~\\&|"):
        return STANDARD
    if len(text) < 4 or text[:3] != header:
        raise MessageError("parse", "NOT_HL7", header, f"the message does not begin with an {header} segment")
    if text.startswith("|^~\\&", 3):
        following = text[8:10]
        if following[:1] in ("|", "\r", ""):
            return STANDARD
        if following in ("#|", "#\r", "#"):
            return STANDARD_27
    return _unusual(text)


def _unusual(text: str) -> Delimiters:
    field = text[3]
    if field.isalnum() or field in _NEVER:
        raise MessageError("parse", "BAD_DELIMITER", "MSH-1", "the field separator is a letter, a digit or a control character")
    ends = (text.find(field, 4), text.find("\r", 4), text.find("\n", 4), len(text))
    given = text[4 : min(i for i in ends if i >= 0)]
    if not given:
        raise MessageError("parse", "BAD_DELIMITER", "MSH-2", "the encoding characters are missing")
    repeats = ""
    if given[2:4] == 2 * _BACKSLASH and len(given) > 4:
        given, repeats = given[:3] + given[4:], DOUBLED
    names = ("component", "repetition", "escape", "subcomponent", "truncation")
    roles = dict(zip(names, given, strict=False))
    if len(set(given[:4])) < len(given[:4]):
        repeats = UNCLEAR
    elif given[4:5] and given[4:5] in given[:4] and not repeats:
        repeats = NEEDLESS
    taken = {field, *_NEVER}
    for role in _CUTTING_ORDER:
        character = roles.get(role, "")
        if character.isalnum() or character in taken:
            character = ""
        taken.add(character)
        roles[role] = character
    found = Delimiters(field, **roles, repeats=repeats)
    return next((one for one in USUAL if one == found), found)
