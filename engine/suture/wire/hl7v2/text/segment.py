"""One segment: split into fields when one is asked for, joined again when it is written."""

from __future__ import annotations

from collections.abc import Sequence

from suture.wire.hl7v2.text import charsets
from suture.wire.hl7v2.text.delimiters import HEADERS, Delimiters
from suture.wire.hl7v2.text.escapes import unescape
from suture.wire.hl7v2.text.lines import is_name

UNNAMED = "???"
"""What stands for the name of a line that has none, where people are told of places."""
LARGE = 1 << 16
"""Characters from which on a segment's text is not kept beside its fields."""
LONG = 1 << 9
"""Characters from which on the parts of a text are kept for the next look at them, so that looking at each takes one cut."""


class Segment:
    """One segment; `fields` is split when first asked for. fields[0] is the name (MSH-2 is fields[1]).

    Change it with the functions of wire/hl7v2/text/edit.py (or `put`), never in its list.
    """

    __slots__ = ("_cuts", "_text", "delimiters", "known", "name")

    _cuts: dict[str, tuple[str, list[str]]]

    encoding = "utf-8"
    """The codec that its bytes are read with."""

    def __init__(self, text: str, delimiters: Delimiters) -> None:
        self._text: str | None = text
        self.delimiters = delimiters
        self.name = text[:3]
        self.known: list[str] | None = None
        """`fields`, when they have been asked for."""

    def __repr__(self) -> str:
        return f"<Segment {self.name}>"

    @property
    def text(self) -> str:
        """The segment as ER7 text, without its line end."""
        return self._text if self._text is not None else self.delimiters.field.join(self.known or ())

    @property
    def shown(self) -> str:
        """The name, as a place may show it: UNNAMED for a line that is no name and a separator, for it may begin with content."""
        return self.name if is_name(self.name) and self.text[3:4] in ("", self.delimiters.field) else UNNAMED

    @property
    def fields(self) -> list[str]:
        """The raw texts between field separators."""
        fields = self.known
        if fields is None:
            fields = self.known = (self._text or "").split(self.delimiters.field)
        return fields

    def copy(self) -> Segment:
        """A segment of its own, to be changed."""
        return Segment(self.text, self.delimiters)

    def raw(self, field: int) -> str:
        """The whole field as written, with repetitions; "" when absent."""
        if self.name in HEADERS:
            if field == 1:
                return self.delimiters.field
            field -= 1
        fields = self.fields
        return fields[field] if field < len(fields) else ""

    def get(self, field: int, component: int = 1, repetition: int = 1, sub: int = 1) -> str:
        """One value, unescaped; "" when absent."""
        d = self.delimiters
        text = self.raw(field)
        if not text or (field <= 2 and self.name in HEADERS):
            return text
        text = self.nth(text, d.repetition, repetition)
        text = self.nth(text, d.component, component)
        return unescape(self.nth(text, d.subcomponent, sub), d, self.encoding)

    def nth(self, text: str, separator: str, number: int) -> str:
        """The part of that number between separators; "" when there are fewer."""
        if not separator or separator not in text:
            return text if number == 1 else ""
        parts = self.cut(text, separator) if len(text) > LONG else text.split(separator, number)
        return parts[number - 1] if number <= len(parts) else ""

    def cut(self, text: str, separator: str) -> Sequence[str]:
        """All parts between separators (not to be changed); the whole text where there is no such separator."""
        if not separator:
            return (text,)
        if len(text) <= LONG:
            return text.split(separator)
        if not hasattr(self, "_cuts"):
            self._cuts = {}
        cuts = self._cuts
        if separator not in cuts or cuts[separator][0] is not text:
            cuts[separator] = (text, text.split(separator))
        return cuts[separator][1]

    def put(self, index: int, text: str) -> None:
        """Put ER7 text at a position of `fields`, which grows as far as needed; all other fields stay as they are."""
        fields = self.fields
        if len(fields) <= index:
            fields.extend([""] * (index + 1 - len(fields)))
        fields[index] = text
        self._text = None
        self._cuts = {}

    def to_bytes(self) -> bytes | memoryview:
        """The segment as bytes, without its line end. Raises MessageError when its character set lacks a character."""
        return charsets.encode(self.text, self.encoding, self.shown)


class CodedSegment(Segment):
    """A segment of a message that is large or not UTF-8. kept: its bytes as they came, until it is changed; b"" when not needed."""

    __slots__ = ("encoding", "kept")

    def __init__(self, text: str, delimiters: Delimiters, encoding: str, kept: bytes | memoryview = b"") -> None:
        super().__init__(text, delimiters)
        self.encoding = encoding
        self.kept: bytes | memoryview = kept

    @property
    def fields(self) -> list[str]:
        """The raw texts between field separators; the text of a large segment is not kept beside them."""
        if self.known is None:
            self.known = (self._text or "").split(self.delimiters.field)
            if len(self._text or "") > LARGE:
                self._text = None
        return self.known

    def copy(self) -> CodedSegment:
        """A segment of its own, to be changed."""
        return CodedSegment(self.text, self.delimiters, self.encoding, self.kept)

    def put(self, index: int, text: str) -> None:
        """Put ER7 text at a position of `fields`; the bytes that came are not the segment's any more."""
        super().put(index, text)
        self.kept = b""

    def to_bytes(self) -> bytes | memoryview:
        """The bytes that came, or what has been made of them."""
        return self.kept or super().to_bytes()
