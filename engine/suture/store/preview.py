"""What a resend or a reprocess would do, before it is done: pure decisions over rows, the same as the engine's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from suture.model import states
from suture.store.queries import Row

SEND, SKIP = "send", "skip"
NO_PAYLOAD = "no payload could be made for it: mend the cause, then release it, or reprocess its message"
NONE: frozenset[int] = frozenset()
_CUT = "FRAME_TOO_LARGE: "
"""The reason of a message of which only the header was kept begins so."""


_ENVELOPES = ("BATCH_", "STRAY_SEGMENT: ")
"""So do those of an envelope that came without messages, or with too many."""


@dataclass(frozen=True, slots=True)
class Item:
    """One message or delivery of a request. action: send or skip, and why; doubles: who would get it a second time."""

    message_id: int
    delivery_id: int | None
    channel: str
    destination: str
    state: str
    action: str
    why: str
    doubles: tuple[str, ...] = ()


def newest(deliveries: Sequence[Row]) -> list[Row]:
    """Of every payload the newest delivery: an earlier one that was sent again is history."""
    found: dict[tuple[int, str, str], Row] = {}
    for row in deliveries:
        found[row["message_id"], row["destination"], row["idempotency_key"]] = row
    return sorted(found.values(), key=lambda row: int(row["id"]))


def resend(wanted: Sequence[Row], related: Sequence[Row], insist: bool, bare: frozenset[int] = NONE) -> list[Item]:
    """wanted: deliveries to send again, each once; related: all deliveries of their messages; bare: those without a payload."""
    chosen = sorted({row["id"]: row for row in wanted}.items())
    items: list[Item] = []
    going: dict[tuple[int, str], int] = {}
    for number, row in chosen:
        item = _resend(row, _same_payload(row, related), insist, number in bare)
        same = going.setdefault((row["message_id"], row["idempotency_key"]), number) if item.action == SEND else number
        if same != number:
            item = replace(item, action=SKIP, why=f"it holds the same as delivery {same}, which is sent again", doubles=())
        items.append(item)
    return items


def _same_payload(row: Row, related: Sequence[Row]) -> list[Row]:
    key = ("message_id", "destination", "idempotency_key")
    return [other for other in related if all(other[name] == row[name] for name in key)]


def _resend(row: Row, same: Sequence[Row], insist: bool, bare: bool) -> Item:
    def item(action: str, why: str, doubles: tuple[str, ...] = ()) -> Item:
        return Item(row["message_id"], row["id"], row["channel"], row["destination"], row["state"], action, why, doubles)

    if row["state"] in states.WAITING:
        return item(SKIP, "it waits and will be sent")
    if bare:
        return item(SKIP, NO_PAYLOAD)
    taken = [other for other in same if other["state"] in states.DELIVERED]
    if taken:
        why = f"{row['destination']} took it already, as delivery {taken[-1]['id']}"
        return item(SEND, why, (row["destination"],)) if insist else item(SKIP, why)
    going = [other for other in same if other["state"] in states.WAITING]
    if going:
        why = f"it waits as delivery {going[-1]['id']} and will be sent"
        return item(SEND, why, (row["destination"],)) if insist else item(SKIP, why)
    if row["state"] == states.HELD:
        return item(SEND, f"{row['destination']} may have taken it: its answer was not clear")
    return item(SEND, "")


def release(wanted: Sequence[Row], related: Sequence[Row], bare: frozenset[int] = NONE) -> list[Item]:
    """wanted: deliveries to let go; related: all deliveries of their messages; bare: those whose payload is still to be made."""
    items: list[Item] = []
    going: dict[tuple[int, str], int] = {}
    for number, row in sorted({row["id"]: row for row in wanted}.items()):
        action, why = _release(row, _same_payload(row, related), number in bare)
        same = going.setdefault((row["message_id"], row["idempotency_key"]), number) if action == SEND else number
        if same != number:
            action, why = SKIP, f"it holds the same as delivery {same}, which goes out"
        items.append(Item(row["message_id"], number, row["channel"], row["destination"], row["state"], action, why))
    return items


def _release(row: Row, same: Sequence[Row], bare: bool) -> tuple[str, str]:
    if row["state"] not in (states.HELD, states.DEAD):
        return SKIP, f"it is {row['state']}, neither held nor dead"
    if any(other["state"] in (*states.DELIVERED, *states.WAITING) for other in same):
        return SKIP, f"{row['destination']} has it already, or it waits under another number"
    if bare:
        return SEND, "its payload is made by today's mapping; it has not been sent"
    return SEND, f"{row['destination']} may have taken it: its answer was not clear" if row["state"] == states.HELD else ""


def reprocess(messages: Sequence[Row], deliveries: Sequence[Row], insist: bool, bare: frozenset[int] = NONE) -> list[Item]:
    """messages: what to process again; deliveries: all that was made of them before; bare: those without a payload."""
    return [_reprocess(row, [d for d in deliveries if d["message_id"] == row["id"]], insist, bare) for row in messages]


def left_alone(state: str, duplicate_of: int | None, reason: str) -> str:
    """Why a message in this state is not processed again, "" when it is.

    It is still to be, it repeats another one, or only its header was kept.
    """
    if state == states.RECEIVED:
        return "it waits to be processed"
    if state == states.DUPLICATE and duplicate_of:
        return f"it has the bytes of message {duplicate_of}; reprocess that one"
    if state == states.PARKED and reason.startswith(_ENVELOPES):
        return "it is a batch without its messages, or what stood outside of them; have the batch sent again"
    if state == states.PARKED and reason.startswith(_CUT):
        return "it was over the limit, and only its header was kept; have it sent again"
    return ""


def _reprocess(row: Row, deliveries: Sequence[Row], insist: bool, bare: frozenset[int]) -> Item:
    def item(action: str, why: str, doubles: tuple[str, ...] = ()) -> Item:
        return Item(row["id"], None, row["channel"], "", row["state"], action, why, doubles)

    if why := left_alone(row["state"], row["duplicate_of"], row["reason"]):
        return item(SKIP, why)
    going = [d for d in deliveries if d["state"] in (*states.DELIVERED, *states.WAITING, states.HELD)]
    anew = sorted({d["destination"] for d in going if d["id"] in bare})
    kept = sorted({d["destination"] for d in going if d["id"] not in bare})
    why = f"with the payload for {', '.join(anew)}, which could not be made" if anew else ""
    if not kept:
        return item(SEND, why)
    if insist:
        return item(SEND, f"again to {', '.join(kept)}", tuple(kept))
    without = f"without the events that {', '.join(kept)} has or gets"
    return item(SEND, f"{why}; {without}" if why else without)
