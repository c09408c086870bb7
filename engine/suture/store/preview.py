"""What a resend or a reprocess would do, before it is done: pure decisions over rows, the same as the engine's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from suture.model import states
from suture.store.queries import Row

SEND, SKIP = "send", "skip"


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


def resend(wanted: Sequence[Row], related: Sequence[Row], insist: bool) -> list[Item]:
    """wanted: deliveries to send again, each once; related: all deliveries of their messages."""
    chosen = sorted({row["id"]: row for row in wanted}.items())
    items: list[Item] = []
    going: dict[tuple[int, str], int] = {}
    for number, row in chosen:
        item = _resend(row, _same_payload(row, related), insist)
        same = going.setdefault((row["message_id"], row["idempotency_key"]), number) if item.action == SEND else number
        if same != number:
            item = replace(item, action=SKIP, why=f"it holds the same as delivery {same}, which is sent again", doubles=())
        items.append(item)
    return items


def _same_payload(row: Row, related: Sequence[Row]) -> list[Row]:
    key = ("message_id", "destination", "idempotency_key")
    return [other for other in related if all(other[name] == row[name] for name in key)]


def _resend(row: Row, same: Sequence[Row], insist: bool) -> Item:
    def item(action: str, why: str, doubles: tuple[str, ...] = ()) -> Item:
        return Item(row["message_id"], row["id"], row["channel"], row["destination"], row["state"], action, why, doubles)

    if row["state"] in states.WAITING:
        return item(SKIP, "it waits and will be sent")
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


def reprocess(messages: Sequence[Row], deliveries: Sequence[Row], insist: bool) -> list[Item]:
    """messages: what to process again; deliveries: all that was made of them before."""
    return [_reprocess(row, [d for d in deliveries if d["message_id"] == row["id"]], insist) for row in messages]


def left_alone(state: str, duplicate_of: int | None) -> str:
    """Why a message in this state is not processed again, "" when it is: it is still to be, or it repeats another one."""
    if state == states.RECEIVED:
        return "it waits to be processed"
    if state == states.DUPLICATE and duplicate_of:
        return f"it has the bytes of message {duplicate_of}; reprocess that one"
    return ""


def _reprocess(row: Row, deliveries: Sequence[Row], insist: bool) -> Item:
    def item(action: str, why: str, doubles: tuple[str, ...] = ()) -> Item:
        return Item(row["id"], None, row["channel"], "", row["state"], action, why, doubles)

    if why := left_alone(row["state"], row["duplicate_of"]):
        return item(SKIP, why)
    kept = sorted({d["destination"] for d in deliveries if d["state"] in (*states.DELIVERED, *states.WAITING, states.HELD)})
    if not kept:
        return item(SEND, "")
    if insist:
        return item(SEND, f"again to {', '.join(kept)}", tuple(kept))
    return item(SEND, f"without the events that {', '.join(kept)} has or gets")
