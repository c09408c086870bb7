"""How the texts of a message are read, whatever it is written in: all that a mapping asks of a format."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from enum import Enum
from typing import Any, Protocol

from suture.model.value import Value

Record = Any
"""A message as its format has parsed it; nobody else looks into it but for `raw`, the bytes that it was read from."""
Part = Any
"""One of the repeated parts of a record that a mapping goes through, as its format has it; None where a message is one line."""


class Doubt(Enum):
    """Why a place holds no text that a receiver may use."""

    NULL = "null"
    """The sender says that there is no value: nothing else stands in for it."""
    SEVERAL = "several"
    """Different texts, and the path does not say which one is meant."""


class Path(Protocol):
    """A place in a message, as an analyst has written it; equal to others that mean the same, and may be a key."""

    @property
    def text(self) -> str:
        """As it was written."""

    def __hash__(self) -> int: ...


class Place(Value, frozen=True):
    """A path as a mapping reads it that goes through the parts `each`.

    own: it is read in the part in hand, so that it differs from line to line. tell: the text there, without blanks around it,
    "" where there is none; or what is in doubt about it. read: the same, the first of several, and "" for null. Of a path to a
    list both give the texts that there are, as a list. whose: why no line may take its value from there in this record, ""
    where each may; None where each always may.
    """

    path: Path
    own: bool
    tell: Callable[[Record, Part], Any]
    read: Callable[[Record, Part], Any]
    whose: Callable[[Record], str] | None = None


def told(places: Sequence[Place], record: Record, part: Part) -> tuple[Any, ...]:
    """The texts at these places, and whether none is in doubt: what a Reader gives."""
    texts = [place.tell(record, part) for place in places]
    return (*texts, not any(isinstance(text, Doubt) for text in texts))


class Words(Value, frozen=True):
    """How people are told of a format: paths as examples, and what is wrong with texts that are in doubt."""

    of_line: str
    of_message: str
    list: str
    several: str
    null: str


class Reader(Protocol):
    """Reads the texts at some paths in one go, for a mapping that goes through the parts `each`.

    nothing: what is said of a record without such parts.
    """

    nothing: str

    def parts(self, record: Record) -> Sequence[Any]:
        """The parts, in some form, one for each line; one that says nothing where there is no `each`."""

    def part(self, record: Record, line: int) -> Part:
        """The part of a line, counted from 1, for a Place."""

    def check(self, record: Record) -> None:
        """Raise MessageError (stage map) where whose the lines are cannot be told."""

    def read(self, record: Record) -> tuple[tuple[Any, ...], Sequence[Any], Callable[[Record, Any, int], tuple[Any, ...]]]:
        """The texts at the paths that are not `own`; the parts; and what gives the texts that are: line_of(record, one of the
        parts, its number from 1).

        Texts stand in the order in which they were asked for, each one a text, a list of texts, or a Doubt. The last of each tuple
        is whether nothing of it is in doubt (of the first: and each line may take its values from there).
        """


class Reading(Protocol):
    """What a mapping asks of the format that its messages are written in.

    key: paths of what makes a line the same line, where a channel names none. sent_at_place: where a message says when it was
    sent, for a person.
    """

    name: str
    words: Words
    key: Sequence[str]
    sent_at_place: str

    def path(self, text: str) -> Path:
        """Read a path that may name one text. Raises ValueError with the remedy for any other."""

    def path_to_list(self, text: str) -> Path:
        """Read a path to a list of texts. Raises ValueError with the remedy."""

    def check_each(self, text: str) -> None:
        """Raise ValueError with the remedy for a text that names no parts that a mapping could go through."""

    def place(self, path: Any, each: str | None, first: bool = False) -> Place:
        """A path as a mapping with these parts reads it. first: of several places in a record the first will do.

        Raises ValueError with the remedy where the path, by these parts, does not name what it must."""

    def is_name(self, path: Any, tested: Collection[str]) -> bool:
        """Can what stands there be the sender's own name of a thing? It is none where conditions ask for it (tested)."""

    def reader(self, paths: Sequence[Any], each: str | None) -> Reader:
        """Compile paths to what reads them."""

    def identity(self, record: Record, part: Part) -> str:
        """What tells a message from all others: its number, else a digest of its bytes."""

    def sent_at(self, record: Record) -> str:
        """When the sender says that it was sent, "" where it does not."""
