"""What a message held and what was made of it, as bytes that are kept once: compressed, with a dictionary for each channel.

A row's `coding` says how its bytes are kept: AS_IT_IS, ZSTD (RFC 8878, without a dictionary), or the number of a row of
`dictionary`, with which it is compressed. What a processing made (its events, remarks and payloads, table `made`) is one list in
MessagePack before that; a payload that is the message itself is not in it a second time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import zstandard
from msgspec import msgpack
from sqlalchemy import Connection, Engine, select

from suture.mapping.payload import data_json
from suture.model.errors import StoreError
from suture.model.message import Note
from suture.model.value import Value
from suture.ports import Settled
from suture.store import rows
from suture.store.tables import dictionary

AS_IT_IS, ZSTD = 0, 1
RAW, MADE = "raw", "made"
"""Kinds of content, each with dictionaries of its own."""
SMALL_BYTES, LARGE_BYTES = 64, 65_536
"""What is smaller is kept as it is, and what is larger is compressed without a dictionary: neither is gained by one."""
LEVEL = 3
SAMPLES, SAMPLE_BYTES = 200, 1_000_000
"""A dictionary is made of so many of a channel's messages that come one after another, or of fewer that are so large together."""
DICTIONARY_BYTES = 16_384
RENEWED = 200_000
"""After so many messages a dictionary is made anew, for what a channel carries changes."""
NOTES_MAX = 1000
"""Notes of one message that are kept."""
DICTIONARY = ("id", "channel", "kind", "made_at_us", "body")

Coded = tuple[int, bytes]
"""(coding, bytes as they are kept)"""


class KeptEvent(Value, frozen=True, array_like=True):
    """An event as it is kept. state: raised or duplicate. body: its data as JSON."""

    number: int
    event_id: str
    type: str
    line: int
    state: str
    key: str
    body: bytes


class Made(Value, frozen=True, array_like=True):
    """What a processing made. notes: (line, code, place, reason). payloads: in the order of the deliveries; None: the message itself."""

    events: Sequence[KeptEvent] = ()
    notes: Sequence[tuple[int, str, str, str]] = ()
    payloads: Sequence[bytes | None] = ()


_read_made = msgpack.Decoder(Made).decode
write_made = msgpack.Encoder().encode


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


def counted(events: Iterable[KeptEvent]) -> str:
    """How many events there are of each type and state, as it is kept beside them: `3 charge.raised raised, 1 supply.used duplicate`."""
    found: dict[str, int] = {}
    for e in events:
        name = f"{e.type} {e.state}"
        found[name] = found.get(name, 0) + 1
    return ", ".join([f"{count} {name}" for name, count in found.items()])


class Codec:
    """One writer's dictionaries. now_us: UTC in microseconds, when a dictionary is made."""

    def __init__(self, now_us: Any = lambda: 0) -> None:
        self._now_us = now_us
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._fresh: list[tuple[Any, ...]] = []

    def load(self, connection: Connection) -> None:
        """Go on with the newest dictionaries that there are; what is not known to be there is not used."""
        self._kinds.clear()
        self._fresh.clear()
        d = dictionary.c
        for row in connection.execute(select(dictionary).order_by(d.made_at_us, d.id)):
            self._kinds[row.channel, row.kind] = _Kind(row.id, bytes(row.body))

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


_BODY = "SELECT body FROM dictionary WHERE id = {}"
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
        self._compressor = _compressor(made)

    def compress(self, content: bytes) -> bytes:
        self._left -= 1
        if self._left <= 0 and self.samples is None:
            self.samples, self._sample_bytes = [], 0
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
        self._use(number_of(made), made) if made else self._use(self.coding, b"")
        return made


def _compressor(made: bytes) -> zstandard.ZstdCompressor:
    if not made:
        return zstandard.ZstdCompressor(level=LEVEL)
    data = zstandard.ZstdCompressionDict(made)
    data.precompute_compress(level=LEVEL)
    return zstandard.ZstdCompressor(dict_data=data, level=LEVEL, write_dict_id=False)


def trained(samples: Sequence[bytes]) -> bytes:
    """A dictionary for what is like these; nothing where they are too few or have too little in common."""
    size_bytes = min(DICTIONARY_BYTES, max(1024, sum(map(len, samples)) // 10))
    try:
        return bytes(zstandard.train_dictionary(size_bytes, list(samples), k=200, d=8, level=LEVEL).as_bytes())
    except zstandard.ZstdError:
        return b""


def number_of(made: bytes) -> int:
    """The number of a dictionary, from its bytes, so that two writers give one number to two of them only if they are the same."""
    return int.from_bytes(hashlib.blake2b(made, digest_size=4).digest(), "big") >> 1 | 1 << 30


def plain(content: bytes) -> Coded:
    """Without a dictionary."""
    return ZSTD, zstandard.ZstdCompressor(level=LEVEL).compress(content)


_loaded: WeakKeyDictionary[Engine, dict[int, zstandard.ZstdCompressionDict]] = WeakKeyDictionary()


def content(connection: Connection, coding: int, kept: bytes) -> bytes:
    """What was kept so. Raises StoreError where its dictionary is not there, or it is damaged."""
    if coding == AS_IT_IS:
        return bytes(kept)
    try:
        if coding == ZSTD:
            return zstandard.ZstdDecompressor().decompress(kept)
        return zstandard.ZstdDecompressor(dict_data=_dictionary(connection, coding)).decompress(kept)
    except zstandard.ZstdError:
        raise StoreError("the content of a message is damaged: it cannot be decompressed; `suture db check` tells more") from None


def _dictionary(connection: Connection, number: int) -> zstandard.ZstdCompressionDict:
    known = _loaded.setdefault(connection.engine, {})
    if number not in known:
        found = rows.query(connection, rows.marked(connection, _BODY, 1), (number,))
        if not found:
            raise StoreError(f"the store has lost dictionary {number}: what was compressed with it cannot be read; restore a backup")
        known[number] = zstandard.ZstdCompressionDict(bytes(found[0][0]))
    return known[number]


def made(connection: Connection, coding: int, kept: bytes) -> Made:
    """What a row of `made` holds. Raises StoreError as `content`."""
    return _read_made(content(connection, coding, kept))


def counts(text: str) -> Mapping[tuple[str, str], int]:
    """What `counted` has counted: (type, state) to how many."""
    return {(kind, state): int(count) for count, kind, state in (one.split(" ") for one in text.split(", ") if one)}
