"""Which repetition of a field a path means, where the path says what it has to hold."""

from __future__ import annotations

from collections.abc import Sequence

from suture.wire.hl7v2.text.escapes import unescape
from suture.wire.hl7v2.text.path import Choice, Path
from suture.wire.hl7v2.text.segment import Segment


def meets(segment: Segment, repetition: str, choices: Sequence[Choice]) -> bool:
    """Does a repetition hold in its components what a path asks for?

    A component that is divided is compared as a whole, and by its first subcomponent; "" asks for one that holds nothing.
    """
    components = segment.cut(repetition, segment.delimiters.component)
    for choice in choices:
        text = components[choice.component - 1] if choice.component <= len(components) else ""
        if text != choice.value or choice.sub:
            if not choice.value and not choice.sub:
                return False  # an authority without a name, and with a number, is one
            if _first(segment, text, choice.sub or 1) != choice.value:
                return False
    return True


def _first(segment: Segment, text: str, sub: int) -> str:
    d = segment.delimiters
    return unescape(segment.nth(text, d.subcomponent, sub), d, segment.encoding)


def meant(segment: Segment, text: str, place: Path) -> Sequence[str]:
    """Of a field as written, the repetitions that a path may mean; it names one of them, or the first."""
    repetitions = segment.cut(text, segment.delimiters.repetition)
    if place.choices:
        return [one for one in repetitions if meets(segment, one, place.choices)]
    if place.one_repetition and not place.all_repetitions:
        return repetitions[place.repetition - 1 : place.repetition]
    return repetitions


def chosen(segment: Segment, text: str, choices: Sequence[Choice]) -> str:
    """The first repetition that holds what is asked for, "" when none does."""
    between = segment.delimiters.repetition
    if not between or between not in text:
        return text if meets(segment, text, choices) else ""
    return next((one for one in segment.cut(text, between) if meets(segment, one, choices)), "")
