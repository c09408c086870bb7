"""Messages by number: a file with places for an id and an account, cut once and joined a message at a time."""

from __future__ import annotations

import re
from pathlib import Path

PREFIX = b"BENCH"
ID = re.compile(PREFIX + rb"(\d{9})")
ACCOUNTS = 997
"""Messages are spread over this many accounts; a prime, so that no number of connections divides it."""
_PLACES = re.compile(rb"(\{ID\}|\{ACCOUNT\})")


class Template:
    """A message file. `{ID}` becomes BENCH and nine digits, `{ACCOUNT}` six digits; the rest stays as it is."""

    def __init__(self, text: bytes) -> None:
        """Raises ValueError when MSH-10 is not `{ID}`: a sink could not tell the messages apart."""
        lines = text.replace(b"\r\n", b"\r").replace(b"\n", b"\r")
        if lines.split(b"\r")[0].split(b"|")[9:10] != [b"{ID}"]:
            raise ValueError("MSH-10 of a benchmark's message must be {ID}")
        self._pieces = _PLACES.split(lines)
        self._ids = [i for i, piece in enumerate(self._pieces) if piece == b"{ID}"]
        self._accounts = [i for i, piece in enumerate(self._pieces) if piece == b"{ACCOUNT}"]

    @classmethod
    def read(cls, path: Path) -> Template:
        """Read a file. Raises OSError, and ValueError as above."""
        return cls(path.read_bytes())

    def message(self, number: int) -> bytes:
        """The message of a number below 1,000,000,000."""
        pieces, identifier, account = self._pieces[:], control_id(number), b"%06d" % (number % ACCOUNTS)
        for i in self._ids:
            pieces[i] = identifier
        for i in self._accounts:
            pieces[i] = account
        return b"".join(pieces)


def control_id(number: int) -> bytes:
    """MSH-10 of the message of a number."""
    return PREFIX + b"%09d" % number


def numbers(body: bytes) -> set[int]:
    """The numbers of all messages that a body speaks of."""
    return {int(digits) for digits in ID.findall(body)}
