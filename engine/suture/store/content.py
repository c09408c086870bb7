"""What a message held and what was made of it, as bytes that are kept once: compressed, with a dictionary for each channel.

A row's `coding` says how its bytes are kept: AS_IT_IS, ZSTD (RFC 8878, without a dictionary), or the number of a row of
`dictionary`, with which it is compressed (codec.py). What a processing made is written as in model/made.py before that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, select

from suture.model import made as makes
from suture.model.errors import StoreError
from suture.model.made import Made
from suture.store import rows
from suture.store.tables import made, message_body
from suture.store.views import delivery

AS_IT_IS, ZSTD = 0, 1
LEVEL = 3
_BODY = "SELECT body FROM dictionary WHERE id = {}"
_loaded: WeakKeyDictionary[Engine, dict[int, Any]] = WeakKeyDictionary()

Coded = tuple[int, bytes]
"""(coding, bytes as they are kept)"""


def plain(content: bytes) -> Coded:
    """Without a dictionary."""
    import zstandard  # not for whoever lists what there is

    return ZSTD, zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(content)


def content(connection: Connection, coding: int, kept: bytes) -> bytes:
    """What was kept so. Raises StoreError where its dictionary is not there, or it is damaged."""
    if coding == AS_IT_IS:
        return bytes(kept)
    import zstandard

    try:
        if coding == ZSTD:
            return zstandard.ZstdDecompressor().decompress(kept)
        return zstandard.ZstdDecompressor(dict_data=dictionary_of(connection, coding)).decompress(kept)
    except zstandard.ZstdError:
        raise StoreError("the content of a message is damaged: it cannot be decompressed; `suture db verify` tells more") from None


def dictionary_of(connection: Connection, number: int) -> Any:
    """The dictionary with this number, read once. Raises StoreError where it is lost or damaged."""
    import zstandard

    known = _loaded.setdefault(connection.engine, {})
    if number not in known:
        found = rows.query(connection, rows.marked(connection, _BODY, 1), (number,))
        if not found or number_of(bytes(found[0][0])) != number:
            raise StoreError(f"dictionary {number} is lost or damaged: what was compressed with it cannot be read; restore a backup")
        known[number] = zstandard.ZstdCompressionDict(bytes(found[0][0]))
    return known[number]


def number_of(dictionary: bytes) -> int:
    """The number of a dictionary, from its bytes, so that two writers give one number to two of them only if they are the same."""
    return int.from_bytes(hashlib.blake2b(dictionary, digest_size=4).digest(), "big") >> 1 | 1 << 30


def opened(connection: Connection, coding: int, kept: bytes) -> Made:
    """What a row of `made` holds. Raises StoreError as `content`."""
    if not kept:
        return Made()
    try:
        return makes.read(content(connection, coding, kept))
    except ValueError:
        raise StoreError("what was made of a message is damaged: it is not what was written; `suture db verify` tells more") from None


def payload(connection: Connection, delivery_id: int) -> bytes | None:
    """The bytes that go out with a delivery (PHI); None: none could be made."""
    found = connection.execute(select(delivery).where(delivery.c.id == delivery_id, delivery.c.payload.is_not(None))).all()
    return Payloads(connection, found).of(found[0]) if found else None


def raw(connection: Connection, message_id: int) -> bytes | None:
    """The bytes of a message as received (PHI)."""
    b = message_body.c
    row = connection.execute(select(b.coding, b.raw).where(b.message_id == message_id)).first()
    return None if row is None else content(connection, *row)


def makings(connection: Connection, message_id: int) -> dict[int, Made]:
    """What each processing of a message made, by its revision."""
    m = made.c
    rows = connection.execute(select(m.revision, m.coding, m.body).where(m.message_id == message_id, m.part == 0).order_by(m.revision))
    return {row.revision: opened(connection, row.coding, row.body) for row in rows.all()}


class Payloads:
    """The payloads of these rows of `delivery`. What was made of a message is read once, however many deliveries it has."""

    def __init__(self, connection: Connection, deliveries: Sequence[Any]) -> None:
        self._connection = connection
        sql = "SELECT message_id, revision, part, coding, body FROM made WHERE message_id IN ({in})"
        found = rows.select_in(connection, sql, dict.fromkeys(row.message_id for row in deliveries))
        self._kept = {tuple(where): (coding, body) for *where, coding, body in found}
        self._last: tuple[int, ...] = ()
        self._made = Made()

    def of(self, row: Any) -> bytes:
        """The bytes that go out. Raises StoreError where they are lost or damaged."""
        where = row.message_id, row.revision, row.part
        if where not in self._kept:
            raise StoreError(f"the payload of delivery {row.id} is lost; `suture db verify` tells more")
        if where != self._last:
            self._made, self._last = opened(self._connection, *self._kept[where]), where
        payload = self._made.payloads[row.payload]
        if payload is None:
            payload = raw(self._connection, row.message_id)
        if payload is None:
            raise StoreError(f"the bytes of message {row.message_id} are lost; `suture db verify` tells more")
        return payload
