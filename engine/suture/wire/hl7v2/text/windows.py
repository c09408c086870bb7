"""Bytes 80 to 9F under ISO 8859, which has only control characters there: what programs for Windows mean by them.

Some parts of ISO 8859 lie in a code page of Windows that has the same characters from A0 on and signs such as quotation
marks in 80 to 9F; Latin-9 differs from Windows-1252 in eight signs, which stay its own. With these the bytes are read as
that code page has them. Any other part differs from its neighbour among the code pages in letters too: there such a byte
puts all letters in doubt, and is not of the character set. A byte that the code page leaves open is not either.
"""

from __future__ import annotations

import codecs
import re
from typing import Any

PARTS = (*range(1, 12), *range(13, 17))
"""Parts of ISO 8859 (12 was never published)."""
NAMES = {"iso8859-1": "cp1252", "iso8859-15": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874"}
"""Codec of a part of ISO 8859 to that of the code page that its bytes 80 to 9F are read with."""
C1 = re.compile(rb"[\x80-\x9f]")
_SUFFIX = "_windows"
READERS = {f"iso8859-{n}": f"iso8859-{n}{_SUFFIX}" for n in PARTS}
"""Codec of a part of ISO 8859 to the codec here that reads its texts with such bytes; any other codec has none."""


def part_of(codec: str) -> str:
    """The part of ISO 8859 that a codec of READERS reads; any other codec is its own."""
    return codec.removesuffix(_SUFFIX)


def _codec(name: str) -> codecs.CodecInfo | None:
    """The codec of READERS that Python asks for, with `_` for `-`; it asks for each once."""
    part = part_of(name).replace("_", "-")
    if name == part_of(name) or part not in READERS:
        return None
    characters = [_read(bytes((byte,)), part) for byte in range(256)]
    reading = "".join(characters)
    # What stands last counts: a sign that the part has of its own, above 9F, is written as it has it.
    writing = {ord(character): byte for byte, character in enumerate(characters) if character != _NOTHING}

    def decode(raw: Any, errors: str = "strict") -> tuple[str, int]:
        return codecs.charmap_decode(raw, errors, reading)

    def encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
        return codecs.charmap_encode(text, errors, writing)

    return codecs.CodecInfo(encode, decode, name=READERS[part])


_NOTHING = "\ufffe"
"""What the tables of Python's codecs have for a byte that is no character."""


def _read(byte: bytes, part: str) -> str:
    try:
        return byte.decode(NAMES.get(part, "ascii") if C1.match(byte) else part)
    except UnicodeError:
        return _NOTHING


codecs.register(_codec)
