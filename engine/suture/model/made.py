"""What a processing made of a message, as it is kept: its events, remarks and payloads, one list in MessagePack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import DecodeError, msgpack

from suture.model.value import Value


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


_read = msgpack.Decoder(Made).decode
write = msgpack.Encoder().encode


def read(kept: bytes) -> Made:
    """What was written so. Raises ValueError for anything else."""
    try:
        return _read(kept)
    except DecodeError:
        raise ValueError("this is not what a processing made") from None


def counted(events: Iterable[KeptEvent]) -> str:
    """How many events there are of each type and state, as it is kept beside them: `3 charge.raised raised, 1 supply.used duplicate`."""
    found: dict[str, int] = {}
    for e in events:
        name = f"{e.type} {e.state}"
        found[name] = found.get(name, 0) + 1
    return ", ".join([f"{count} {name}" for name, count in found.items()])


def counts(text: str) -> Mapping[tuple[str, str], int]:
    """What `counted` has counted: (type, state) to how many."""
    return {(kind, state): int(count) for count, kind, state in (one.split(" ") for one in text.split(", ") if one)}
