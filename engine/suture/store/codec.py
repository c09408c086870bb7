"""How what is kept of messages is compressed: each channel's with a dictionary of its own, made of what it carried before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import zstandard
from sqlalchemy import Connection, select

from suture.mapping.payload import data_json
from suture.model.made import KeptEvent, Made
from suture.model.message import Note
from suture.ports import Settled
from suture.store import rows
from suture.store.content import AS_IT_IS, LEVEL, ZSTD, Coded, number_of, plain
from suture.store.tables import dictionary

RAW, MADE = "raw", "made"
"""Kinds of content, each with dictionaries of its own."""
SMALL_BYTES, LARGE_BYTES = 64, 65_536
"""What is smaller is kept as it is, and what is larger is compressed without a dictionary: neither gains by one."""
SAMPLES, SAMPLE_BYTES = 200, 262_144
"""A dictionary is made of so many of a channel's messages that come one after another, or of fewer that are so large together."""
DICTIONARY_BYTES = 16_384
RENEWED = 200_000
"""After so many messages a dictionary is made anew, for what a channel carries changes."""
NOTES_MAX = 1000
"""Notes of one message that are kept."""
DICTIONARY = ("id", "channel", "kind", "made_at_us", "body")


def made_of(settled: Settled, raw: bytes) -> Made | None:
    """What is kept of a settled message; None: nothing."""
    if not (settled.events or settled.duplicates or settled.deliveries or settled.notes):
        return None
    events = [
        KeptEvent(e.number, e.id, e.type, e.line, state, e.key, data_json(e))
        for state, those in (("raised", settled.events), ("duplicate", settled.duplicates))
        for e in those
    ]
    payloads = [None if d.body is raw or d.body == raw else d.body for d in settled.deliveries]
    return Made(events, [_note(n) for n in settled.notes[:NOTES_MAX]], payloads)


def _note(n: Note) -> tuple[int, str, str, str]:
    return n.line, n.code, n.place, n.reason


class Codec:
    """One writer's dictionaries. now_us: UTC in microseconds, when a dictionary is made."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._fresh: list[tuple[Any, ...]] = []

    def load(self, connection: Connection) -> None:
        """Go on with the newest dictionaries that there are; what is not known to be there is not used."""
        self._kinds.clear()
        self._fresh.clear()
        d = dictionary.c
        found = connection.execute(select(dictionary).order_by(d.made_at_us, d.id))
        newest = {(row.channel, row.kind): (row.id, bytes(row.body)) for row in found}
        self._kinds.update({of: _Kind(*one) for of, one in newest.items()})

    def coded(self, channel: str, kind: str, content: bytes) -> Coded:
        """The content as it is kept."""
        size_bytes = len(content)
        if size_bytes < SMALL_BYTES:
            return AS_IT_IS, content
        if size_bytes > LARGE_BYTES:
            return plain(content)
        found = self._kinds.get((channel, kind))
        if found is None:
            found = self._kinds[channel, kind] = _Kind()
        if found.samples is not None and (made := found.learn(content)):
            self._fresh.append((found.coding, channel, kind, self._now_us(), made))
        return found.coding, found.compress(content)

    def write(self, connection: Connection) -> None:
        """Put new dictionaries into the store, in the transaction that uses them first; again until it is known to be `committed`."""
        for row in self._fresh:
            rows.execute(connection, rows.marked(connection, _PUT, len(row)), row)

    def committed(self) -> None:
        """The last transaction was."""
        self._fresh.clear()


_PUT = f"INSERT INTO dictionary ({', '.join(DICTIONARY)}) VALUES ({{}}, {{}}, {{}}, {{}}, {{}}) ON CONFLICT (id) DO NOTHING"


class _Kind:
    """A channel's contents of one kind. coding, compress: of the next ones. samples: those that the next dictionary is made of;
    None while none is to be made."""

    def __init__(self, coding: int = ZSTD, made: bytes = b"") -> None:
        self.samples: list[bytes] | None = None if made else []
        self._sample_bytes = 0
        self._use(coding, made)

    def _use(self, coding: int, made: bytes) -> None:
        self.coding, self._left = coding, RENEWED
        self._dictionary = made
        self._compressor: zstandard.ZstdCompressor | None = None

    def compress(self, content: bytes) -> bytes:
        self._left -= 1
        if self._left <= 0 and self.samples is None:
            self.samples, self._sample_bytes = [], 0
        if self._compressor is None:  # a quarter of a megabyte: for the channels that carry something
            self._compressor = _compressor(self._dictionary)
        return self._compressor.compress(content)

    def learn(self, content: bytes) -> bytes:
        """Note one more; the dictionary, when it has been made of them and is used from now on, else nothing."""
        assert self.samples is not None
        self.samples.append(content)
        self._sample_bytes += len(content)
        if len(self.samples) < SAMPLES and self._sample_bytes < SAMPLE_BYTES:
            return b""
        samples, self.samples = self.samples, None
        made = trained(samples)
        if made:
            self._use(number_of(made), made)
        self._left = RENEWED
        return made


def _compressor(made: bytes) -> zstandard.ZstdCompressor:
    if not made:
        return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    data = zstandard.ZstdCompressionDict(made)
    data.precompute_compress(level=LEVEL)
    return zstandard.ZstdCompressor(dict_data=data, level=LEVEL, write_dict_id=False, write_checksum=True)


def trained(samples: Sequence[bytes]) -> bytes:
    """A dictionary for what is like these; nothing where they are too few or have too little in common."""
    size_bytes = min(DICTIONARY_BYTES, max(1024, sum(map(len, samples)) // 10))
    try:
        return bytes(zstandard.train_dictionary(size_bytes, list(samples), k=200, d=8, level=LEVEL).as_bytes())
    except zstandard.ZstdError:
        return b""
