"""JSON (RFC 8259) as a format: objects and arrays in, with paths that are a small part of JSONPath (RFC 9535).

$.patient.id                a member of a member; $['patient id'] one whose name is no plain word
$.lines[0].code             an element by its index, from 0 as in RFC 9535
$.lines[*]                  all elements: what a mapping's `each` names, and $.lines[*].code is a line's own
$.lines[*].modifiers[*]     a list, of a line
$.names.last                of an array without an index, all elements are meant, and must not differ

A number is the text that it is written as (1.10 stays 1.10), true and false are words. null is the sender's word that there is
no value, as "" is HL7's: no default and no other path stands in for it. A member that is absent, {} and [] say nothing. An
object, or an array whose elements differ, is in doubt where one text is wanted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from suture.model.errors import MessageError
from suture.model.fault import Fault
from suture.model.finding import Finding
from suture.model.message import Message, Note
from suture.model.payload import Payload
from suture.model.reading import Doubt, Place, Words, told
from suture.model.value import Value
from suture.ports.format import Envelope, Look, Passing

Key = str | int
"""A member's name or an element's index; EVERY for all elements."""
EVERY = -1
_STEP = re.compile(r"\.(?P<name>[^\W\d][\w-]*)|\['(?P<quoted>(?:[^'\\]|\\['\\])*)'\]|\[(?P<index>0|[1-9]\d{0,8})\]|(?P<every>\[\*\])")
_PATH = re.compile(rf"\$(?:{_STEP.pattern})+")
Texts = tuple[Any, ...]


class Path(Value, frozen=True):
    """A place in a message. keys: the way there. many: a list of texts is meant."""

    text: str
    keys: tuple[Key, ...]
    many: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """A message; its numbers are texts. made: what has been made of the whole of it so far, for the next of its lines."""

    raw: bytes
    data: Any
    made: dict[Any, Any] = field(default_factory=dict, compare=False)

    def __repr__(self) -> str:
        return f"<Record of {len(self.raw)} bytes>"


class Json:
    """A suture.model.reading.Reading, whose parts are the elements of one array; and a suture.ports.format.Format."""

    name = "json"
    words = Words(
        of_line="$.lines[*].code",
        of_message="$.patient.id",
        list="$.lines[*].modifiers[*]",
        several="an object, or an array of different values; say which one, by name or by index",
        null="null",
    )
    key: Sequence[str] = ()
    sent_at_place = ""

    def parse(self, raw: bytes) -> Record:
        """Read the bytes. Raises MessageError (stage parse) where they are no JSON in UTF-8, or not an object or array; and where a
        name stands twice in an object, of which nobody knows which is meant."""
        try:
            text = raw.decode("utf-8-sig")
            data = json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_number, object_pairs_hook=_object)
            if "\\u" in text:
                json.dumps(data, ensure_ascii=False).encode()  # half a surrogate pair, escaped, is no character
        except UnicodeError:
            raise MessageError("parse", "CHARSET", "", "bytes or escapes that are not characters of UTF-8") from None
        except json.JSONDecodeError as error:
            raise MessageError("parse", "NOT_JSON", "", f"what stands in line {error.lineno}, column {error.colno} is no JSON") from None
        except RecursionError:
            raise MessageError("parse", "NOT_JSON", "", "nested too deeply") from None
        if not isinstance(data, dict | list):
            raise MessageError("parse", "NOT_JSON", "", "the message is neither an object nor an array")
        return Record(raw, data)

    def envelope(self, raw: bytes) -> Envelope | Fault:
        """Nothing: no standard says where a message has its number and its type."""
        return Envelope()

    def unprocessed(self, message: Message) -> str:
        """Each is processed."""
        return ""

    def look(self, accept: Collection[str], message: Message) -> Look:
        """None has a type."""
        return Look(False)

    def remarks(self, record: Record, reporting: bool) -> Sequence[Note]:
        """What is odd is refused by `parse`."""
        return ()

    def check(self, record: Record, reporting: bool) -> None:
        """The values are the sender's."""

    def whole(self, order_by: str) -> Callable[[Record], None]:
        """A record is one message."""
        return lambda record: None

    def judge(self, raw: bytes, standard: Any) -> Sequence[Finding]:
        """There is no standard."""
        return ()

    def getter(self, place: str) -> Callable[[Record, None], str]:
        """What gives the text at a path."""
        return self.place(self.path(place), None).read

    def passing(self, changes: Mapping[str, str], answered: bool, to: Any) -> Passing:
        """The message goes as it came: a path of another format is none of a place in it."""
        return _passed if not changes else partial(_refused, next(iter(changes)))

    def path(self, text: str) -> Path:
        """Read a path. Raises ValueError with the remedy for a text that is none."""
        if not _PATH.fullmatch(text):
            raise ValueError(f"{text[:80]!r} is not a path; {_remedy(text[:80])}")
        return Path(text, tuple(_key(step) for step in _STEP.finditer(text, 1)))

    def path_to_list(self, text: str) -> Path:
        """Read a path with a `[*]`. Raises ValueError with the remedy."""
        path = self.path(text)
        if EVERY in path.keys:
            return Path(text, path.keys, many=True)
        raise ValueError(f"{text!r} does not name all elements of an array; write e.g. {text}[*]")

    def check_each(self, text: str) -> None:
        """Raise ValueError for a text that is not the path to all elements of one array."""
        if _way_to(self.path(text).text) is None:
            raise ValueError(f"{text!r} is not all elements of one array; write e.g. $.lines[*]")

    def place(self, path: Path, each: str | None, first: bool = False) -> Place:
        """A path as a mapping reads it that goes through the elements `each`. Raises ValueError where it names many and is not to."""
        parts = _way_to(each)
        own = parts is not None and path.keys[: len(parts)] == parts
        keys = path.keys[len(parts) :] if parts and own else path.keys
        if path.many is not (EVERY in keys):
            raise ValueError(f"{path.text!r} {_MANY if EVERY in keys else _ONE}")
        if path.many:
            get = partial(_list_at, keys, own)
            return Place(path, own, get, get)
        tell = partial(_text_at, keys, own)
        return Place(path, own, tell, lambda record, part: text if isinstance(text := tell(record, part), str) else "")

    def is_name(self, path: Path, tested: Collection[str]) -> bool:
        """Can what stands there be the sender's own name of a thing? It is none where conditions ask for it."""
        return path.text not in tested

    def reader(self, paths: Sequence[Path], each: str | None) -> Reader:
        """Compile paths to what reads them."""
        return Reader([self.place(path, each) for path in paths], each)

    def identity(self, record: Record, part: Any) -> str:
        """A digest of the bytes: where a message has its number, no standard says."""
        if "" not in record.made:
            record.made[""] = hashlib.sha256(record.raw).hexdigest()[:32]
        return str(record.made[""])

    def sent_at(self, record: Record) -> str:
        """Nothing: no standard says where."""
        return ""


class Reader:
    """Reads these places, as model.reading.Reader says."""

    def __init__(self, places: Sequence[Place], each: str | None) -> None:
        self.nothing = f"the message has nothing at {each}, and comes to nothing"
        self._keys = _way_to(each)
        self._whole, self._own = [one for one in places if not one.own], [one for one in places if one.own]

    def parts(self, record: Record) -> Sequence[Any]:
        """The elements of the array; an object that stands in its place is the only one."""
        if self._keys is None:
            return (None,)
        if self._keys not in record.made:
            record.made[self._keys] = list(_found(record.data, self._keys))
        found: list[Any] = record.made[self._keys]
        return found

    def part(self, record: Record, line: int) -> Any:
        """One of them, counted from 1."""
        return self.parts(record)[line - 1]

    def check(self, record: Record) -> None:
        """A path says whose a value is."""

    def read(self, record: Record) -> tuple[Texts, Sequence[Any], Callable[[Record, Any, int], Texts]]:
        """The texts of the record, the parts, and what gives the texts of each."""
        return told(self._whole, record, None), self.parts(record), self._line

    def _line(self, record: Record, part: Any, line: int) -> Texts:
        return told(self._own, record, part)


def _passed(record: Record, raw: bytes, shared: bool) -> Payload:
    return Payload(raw, "application/json")


def _refused(place: str, record: Record, raw: bytes, shared: bool) -> Payload:
    raise MessageError("render", "NOT_SETTABLE", place, "a JSON message is passed on as it came; drop `message`, or map it")


def _way_to(each: str | None) -> tuple[Key, ...] | None:
    """The way to the elements of one array; None for a text that does not name them."""
    keys = tuple(_key(step) for step in _STEP.finditer(each, 1)) if each and _PATH.fullmatch(each) else (0,)
    return keys if keys[-1] == EVERY and keys.count(EVERY) == 1 else None


def _found(data: Any, keys: Sequence[Key]) -> Iterator[Any]:
    """All that stands at the end of the way: the elements of an array without an index are gone through, as are those of EVERY; an
    array in an array is what stands there."""
    if not keys:
        yield data
        return
    key, rest = keys[0], keys[1:]
    if isinstance(data, list):
        if isinstance(key, int) and key != EVERY:
            yield from _found(data[key], rest) if key < len(data) else ()
            return
        for one in data:
            if key == EVERY:
                yield from _found(one, rest)
            else:
                yield from (one,) if isinstance(one, list) else _found(one, keys)
    elif isinstance(data, dict):
        if key == EVERY:
            yield from _found(data, rest)
        elif key in data:
            yield from _found(data[key], rest)


def _text_at(keys: Sequence[Key], own: bool, record: Record, part: Any) -> str | Doubt:
    values = _found(part if own else record.data, keys)
    found = {_text(one) for value in values for one in (value if isinstance(value, list) else (value,))} - {""}
    if len(found) > 1:
        return Doubt.SEVERAL
    return found.pop() if found else ""


def _list_at(keys: Sequence[Key], own: bool, record: Record, part: Any) -> list[str]:
    found = _found(part if own else record.data, keys)
    return [text for one in found if isinstance(text := _text(one), str) and text]


def _text(value: Any) -> str | Doubt:
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return Doubt.NULL
    if isinstance(value, bool):
        return "true" if value else "false"
    return Doubt.SEVERAL if value else ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise MessageError("parse", "NOT_JSON", "", "a name stands twice in an object, and which is meant cannot be told")
    return found


def _no_number(text: str) -> Any:
    raise MessageError("parse", "NOT_JSON", "", f"{text} is no number of JSON")


_MANY = "names several values where one is wanted; say which one by its index, e.g. [0], or let `each` be the array"
_ONE = "names one value of a line where a list is wanted; write [*] behind an array in it"


def _key(step: re.Match[str]) -> Key:
    if step["every"]:
        return EVERY
    if step["index"]:
        return int(step["index"])
    return step["name"] or re.sub(r"\\(.)", r"\1", step["quoted"])


def _remedy(text: str) -> str:
    path = re.sub(r"[./](\d+)(?=[./\[]|$)", r"[\1]", text.strip().replace("[]", "[*]").replace(".*", "[*]").replace('"', "'"))
    meant = "$" + path.removeprefix("$") if path[:1] in ("$", "[", ".", "/") else f"$.{path}"
    meant = re.sub(r"\[([A-Za-z_][\w-]*)\]", r".\1", meant.replace("/", "."))
    if _PATH.fullmatch(meant):
        return f"did you mean {meant}?"
    return "write $ and the names of members behind dots, e.g. $.patient.id or $.lines[0].code"
