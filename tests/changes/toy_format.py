"""A toy: a format of lines `name=value`, with `[use]` before what is of one use. It becomes formats/toy.py of a scratch copy.

patient     what stands before the first `[use]`
use/item    what stands below a `[use]`, which is what a mapping's `each` may name
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suture.model.errors import MessageError
from suture.model.fault import Fault
from suture.model.finding import Finding
from suture.model.message import Message, Note
from suture.model.payload import Payload
from suture.model.reading import Place, Words
from suture.ports.format import Envelope, Look, Passing

PART = "use"
_PATH = re.compile(rf"(?P<part>{PART}/)?(?P<name>[a-z_]+)")


@dataclass(frozen=True, slots=True)
class Path:
    """A place in a message. own: below a `[use]`."""

    text: str
    name: str
    own: bool


@dataclass(frozen=True, slots=True)
class Record:
    """A message: what stands in front, and what is of each use."""

    raw: bytes
    front: Mapping[str, str]
    parts: Sequence[Mapping[str, str]]


class Toy:
    """A suture.model.reading.Reading and a suture.ports.format.Format."""

    name = "toy"
    words = Words("use/item", "patient", "none", "several values", "null")
    key: Sequence[str] = ("number",)
    sent_at_place = ""

    def parse(self, raw: bytes) -> Record:
        """Read the lines. Raises MessageError for one that is none."""
        front: dict[str, str] = {}
        parts: list[dict[str, str]] = []
        for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
            name, equals, value = line.partition("=")
            if line == f"[{PART}]":
                parts.append({})
            elif equals and _PATH.fullmatch(name):
                (parts[-1] if parts else front)[name] = value.strip()
            elif line:
                raise MessageError("parse", "NOT_TOY", "", f"line {number} is neither name=value nor [{PART}]")
        return Record(raw, front, parts)

    def envelope(self, raw: bytes) -> Envelope | Fault:
        """The number of the message."""
        try:
            return Envelope(control_id=self.parse(raw).front.get("number", ""))
        except MessageError as error:
            return Fault(error.code, error.stage, error.place, error.reason)

    def unprocessed(self, message: Message) -> str:
        return ""

    def look(self, accept: Collection[str], message: Message) -> Look:
        return Look(False)

    def remarks(self, record: Record, reporting: bool) -> Sequence[Note]:
        return ()

    def check(self, record: Record, reporting: bool) -> None:
        """The values are the sender's."""

    def whole(self, order_by: str) -> Callable[[Record], None]:
        """A record is one message."""
        return lambda record: None

    def judge(self, raw: bytes, standard: Any) -> Sequence[Finding]:
        return ()

    def getter(self, place: str) -> Callable[[Record, None], str]:
        return self.place(self.path(place), None).read

    def passing(self, changes: Mapping[str, str], answered: bool, to: Any) -> Passing:
        return lambda record, raw, shared: Payload(raw, "text/plain")

    def path(self, text: str) -> Path:
        """Raises ValueError for a text that is no path."""
        found = _PATH.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not a path; write e.g. patient or use/item")
        return Path(text, found["name"], bool(found["part"]))

    def path_to_list(self, text: str) -> Path:
        raise ValueError(f"{text!r} does not name a list; there is none")

    def check_each(self, text: str) -> None:
        if text != PART:
            raise ValueError(f"{text!r} names no parts; write {PART}")

    def place(self, path: Path, each: str | None, first: bool = False) -> Place:
        """Raises ValueError for the path of a use where a mapping goes through none."""
        if path.own and each != PART:
            raise ValueError(f"{path.text!r} is in a [{PART}]; write `each: {PART}`")

        def tell(record: Record, part: Any) -> str:
            return (part if path.own else record.front).get(path.name, "")

        return Place(path, path.own, tell, tell)

    def is_name(self, path: Path, tested: Collection[str]) -> bool:
        return path.text not in tested

    def reader(self, paths: Sequence[Path], each: str | None) -> Reader:
        return Reader([self.place(path, each) for path in paths], each)

    def identity(self, record: Record, part: Any) -> str:
        return hashlib.sha256(record.raw).hexdigest()[:32]

    def sent_at(self, record: Record) -> str:
        return ""


class Reader:
    """A suture.model.reading.Reader of these places."""

    nothing = "the message has no [use]"

    def __init__(self, places: Sequence[Place], each: str | None) -> None:
        self._each = each
        self._whole, self._own = [one for one in places if not one.own], [one for one in places if one.own]

    def parts(self, record: Record) -> Sequence[Any]:
        return record.parts if self._each else (None,)

    def part(self, record: Record, line: int) -> Any:
        return self.parts(record)[line - 1]

    def check(self, record: Record) -> None:
        """A path says whose a value is."""

    def read(self, record: Record) -> tuple[tuple[Any, ...], Sequence[Any], Callable[[Record, Any, int], tuple[Any, ...]]]:
        return (*(one.tell(record, None) for one in self._whole), True), self.parts(record), self._line

    def _line(self, record: Record, part: Any, line: int) -> tuple[Any, ...]:
        return (*(one.tell(record, part) for one in self._own), True)
