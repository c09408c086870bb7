"""How a mapping reads HL7 v2: its paths, and whose the texts there are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from functools import partial

from suture.model.reading import Place, Words
from suture.model.value import changed
from suture.wire.hl7v2.standard.context import CONTEXT, is_shared, require_one
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.lines import is_name
from suture.wire.hl7v2.text.reader import Lines, Reader
from suture.wire.hl7v2.text.telling import every, first_told, told

_CONTROL_ID, _SENT_AT = er7.getter(er7.path("MSH-10")), er7.getter(er7.path("MSH-7.1"))


class HL7v2Reading:
    """A suture.model.reading.Reading. Paths are those of wire/hl7v2/text/path.py; parts are the segments of one name."""

    name = "hl7v2"
    words = Words(
        of_line="FT1-7.1",
        of_message="PID-3.1",
        list="FT1-26[*].1",
        several="repetitions with different values; say which one, by number or by what is in it",
        null='null ("")',
    )
    key: Sequence[str] = ("MSH-3", "MSH-4", "MSH-10")
    sent_at_place = "MSH-7.1"

    def path(self, text: str) -> er7.Path:
        """Read a path that names one value. Raises ValueError with the remedy for any other text."""
        return er7.path(text)

    def path_to_list(self, text: str) -> er7.Path:
        """Read a path to all repetitions of a field. Raises ValueError with the remedy."""
        path = er7.path_to_many(text)
        if path.all_repetitions and not path.all_segments and not path.all_components:
            return path
        raise ValueError(f"'{text}' does not name all repetitions of a field; write e.g. {self.words.list}")

    def check_each(self, text: str) -> None:
        """Raise ValueError for a text that is no segment's name."""
        if not is_name(text):
            raise ValueError(f"'{text}' is not a segment; write its three letters, e.g. FT1")

    def place(self, path: er7.Path, each: str | None, first: bool = False) -> Place:
        """A path as a mapping reads it that goes through segments `each`. first: of several segments the first will do."""
        if first and _is_sole(path, each):
            path = changed(path, own=False)
        own, whose = path.segment == each and path.own, _whose(path, each) if _is_sole(path, each) else None
        if path.many:
            return Place(path, own, every(path), every(path), whose)
        return Place(path, own, told(path), first_told(path), whose)

    def is_name(self, path: er7.Path, tested: Collection[str]) -> bool:
        """Can what stands there be the sender's own name of a thing? It is none where conditions ask for its field: that holds one
        of a few codes (FT1-6). The fields of MSH say who sent the message and how; of them only MSH-10 names it."""
        codes = {place.partition(".")[0] for place in tested}
        return path.text.partition(".")[0] not in codes and (path.segment != "MSH" or path.field == 10)

    def reader(self, paths: Sequence[er7.Path], each: str | None) -> Reader:
        """Compile paths to what reads them.

        Of MSH, PID and PV1 a message may have one only, whatever is read, unless its structure has more.
        """
        once = frozenset(CONTEXT) - {each or ""}
        soles = {path.segment for path in paths if _is_sole(path, each)}
        hung = sorted(soles - once)
        shared = partial(_are_shared, names=hung, each=each) if each and hung else None
        lines = Lines(each, sorted(soles | once), shared, partial(require_one, names=sorted(once)))
        return Reader([self.place(path, each) for path in paths], lines)

    def identity(self, record: er7.Message, part: er7.Segment | None) -> str:
        """MSH-10, else a digest of the bytes."""
        return _CONTROL_ID(record, part) or hashlib.sha256(record.raw).hexdigest()[:32]

    def sent_at(self, record: er7.Message) -> str:
        """The time of MSH-7."""
        return _SENT_AT(record, None)


def _is_sole(path: er7.Path, each: str | None) -> bool:
    """Is it read from another segment than the repeated one, without saying from which of several?

    A line's value comes from its own segments and from those of the whole message, never from a neighbour's.
    """
    return path.own and path.segment not in (each, "MSH")


def _whose(path: er7.Path, each: str | None) -> Callable[[er7.Message], str]:
    """Why it cannot be told whose the value of a sole path is, "" where it can."""
    name = path.segment
    first = path.text.replace(name, f"{name}(1)", 1)

    def whose(message: er7.Message) -> str:
        if len(message.named(name)) > 1:
            return f"the message has more than one {name}; say which one is meant, e.g. {first}"
        if each and name not in CONTEXT and not is_shared(message, name, each):
            return f"it stands behind one of several {each}, whose alone it may be; where it is meant for all, say so: {first}"
        return ""

    return whose


def _are_shared(message: er7.Message, names: Sequence[str], each: str) -> bool:
    return all(is_shared(message, name, each) for name in names)
