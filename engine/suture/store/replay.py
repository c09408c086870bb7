"""What is sent again, let go or processed again, and what is left alone: rules over what the store has, asked before it is done
(look.py) and when it is done (again.py). Their words are the same to both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

from suture.model import states
from suture.model.oversize import FRAME_TOO_LARGE
from suture.model.value import Value
from suture.model.views import SEND, SKIP, Item

NO_PAYLOAD = "no payload could be made for it: mend the cause, then release it, or reprocess its message"
TAKEN = "the destination has taken it already, or it waits under another number"

Payload = tuple[int, str]
_BY_NUMBER = attrgetter("id")


class Known(Value, frozen=True):
    """A delivery, as far as the rules look at it. events: numbers of the message's, 0 for the message itself.

    bare: no payload could be made for it (unrendered.py).
    """

    id: int
    message_id: int
    channel: str
    destination: str
    state: str
    key: str
    events: frozenset[int]
    bare: bool

    @property
    def payload(self) -> Payload:
        """What is the same for a delivery and all its resends."""
        return self.message_id, self.key


class Whole(Value, frozen=True):
    """A message, as far as the rules look at it. stage, code: of the fault that it is parked for, "" where it is not parked on arrival."""

    id: int
    channel: str
    state: str
    duplicate_of: int | None
    stage: str
    code: str


def newest(known: Iterable[Known]) -> list[Known]:
    """Of every payload the newest delivery: an earlier one that was sent again is history."""
    return sorted({d.payload: d for d in sorted(known, key=_BY_NUMBER)}.values(), key=_BY_NUMBER)


def _judged(ids: Iterable[int], known: Iterable[Known]) -> list[tuple[Known, list[Known]]]:
    """Each of these deliveries once, in order, with all of its payload: itself, what it was sent again for, and its resends."""
    copies: dict[Payload, list[Known]] = {}
    found = {d.id: d for d in sorted(known, key=_BY_NUMBER)}
    for d in found.values():
        copies.setdefault(d.payload, []).append(d)
    return [(found[number], copies[found[number].payload]) for number in sorted(set(ids)) if number in found]


def _item(d: Known, action: str, why: str, doubles: tuple[str, ...] = ()) -> Item:
    return Item(d.message_id, d.id, d.channel, d.destination, d.state, action, why, doubles)


def resend(ids: Iterable[int], known: Iterable[Known], insist: bool, going: dict[Payload, int] | None = None) -> list[Item]:
    """ids: deliveries to send again; known: all deliveries of their messages, those that there are not are left out.

    What waits already, what never had a payload, and (unless insist) what was accepted, is skipped; of each payload one is
    sent. going: the payloads that earlier parts of the same request send.
    """
    going = {} if going is None else going
    return [_resend(d, same, insist, going) for d, same in _judged(ids, known)]


def _resend(d: Known, same: Sequence[Known], insist: bool, going: dict[Payload, int]) -> Item:
    if d.state in states.WAITING:
        return _item(d, SKIP, "it waits and will be sent")
    if d.bare:
        return _item(d, SKIP, NO_PAYLOAD)
    has = _has(d, same)
    if has and not insist:
        return _item(d, SKIP, has)
    first = going.setdefault(d.payload, d.id)
    if first != d.id:
        return _item(d, SKIP, f"it holds the same as delivery {first}, which is sent again")
    return _item(d, SEND, has or _unclear(d), (d.destination,) if has else ())


def _has(d: Known, same: Sequence[Known]) -> str:
    """What its destination has, or will get, of the same payload; "" for nothing."""
    taken = [other for other in same if other.state in states.DELIVERED]
    going = [other for other in same if other.state in states.WAITING]
    if taken:
        return f"{d.destination} took it already, as delivery {taken[-1].id}"
    return f"it waits as delivery {going[-1].id} and will be sent" if going else ""


def _unclear(d: Known) -> str:
    return f"{d.destination} may have taken it: its answer was not clear" if d.state == states.HELD else ""


def release(ids: Iterable[int], known: Iterable[Known]) -> list[Item]:
    """ids: held and dead deliveries to let go; known: as for resend.

    What was sent again under another number, and waits or was taken there, is skipped; of each payload one is let go.
    """
    going: dict[Payload, int] = {}
    return [_release(d, same, going) for d, same in _judged(ids, known)]


def _release(d: Known, same: Sequence[Known], going: dict[Payload, int]) -> Item:
    if d.state not in (states.HELD, states.DEAD):
        return _item(d, SKIP, f"it is {d.state}, neither held nor dead")
    if any(other.state in (*states.DELIVERED, *states.WAITING) for other in same):
        return _item(d, SKIP, TAKEN)
    first = going.setdefault(d.payload, d.id)
    if first != d.id:
        return _item(d, SKIP, f"it holds the same as delivery {first}, which goes out")
    return _item(d, SEND, "its payload is made by today's mapping; it has not been sent" if d.bare else _unclear(d))


def reprocess(messages: Iterable[Whole], known: Iterable[Known], insist: bool) -> list[Item]:
    """messages: what to process again; known: all deliveries of them."""
    theirs: dict[int, list[Known]] = {}
    for d in known:
        theirs.setdefault(d.message_id, []).append(d)
    return [_reprocess(m, theirs.get(m.id, []), insist) for m in messages]


def _reprocess(m: Whole, known: Sequence[Known], insist: bool) -> Item:
    if why := _left_alone(m):
        return Item(m.id, None, m.channel, "", m.state, SKIP, why)
    kept = tuple(sorted(taken(known)))
    anew = sorted({d.destination for d in known if d.bare and d.state == states.HELD})
    why = f"with the payload for {', '.join(anew)}, which could not be made" if anew else ""
    if kept and insist:
        why = f"again to {', '.join(kept)}"
    elif kept:
        why = "; ".join(filter(None, (why, f"without the events that {', '.join(kept)} has or gets")))
    return Item(m.id, None, m.channel, "", m.state, SEND, why, kept if insist else ())


def _left_alone(m: Whole) -> str:
    """Why a message is not processed again: it is still to be, it repeats another one, or only its header was kept."""
    if m.state == states.RECEIVED:
        return "it waits to be processed"
    if m.state == states.DUPLICATE and m.duplicate_of:
        return f"it has the bytes of message {m.duplicate_of}; reprocess that one"
    if m.state == states.PARKED and m.stage == states.BATCH_STAGE:
        return "it is a batch without its messages, or what stood outside of them; have the batch sent again"
    if m.state == states.PARKED and m.code == FRAME_TOO_LARGE:
        return "it was over the limit, and only its header was kept; have it sent again"
    return ""


def taken(known: Iterable[Known]) -> dict[str, frozenset[int]]:
    """Destination to the events of a message that it has, or will get: they are not sent to it when the message is processed again."""
    found: dict[str, frozenset[int]] = {}
    for d in known:
        if d.state in (*states.DELIVERED, *states.WAITING, states.HELD) and not d.bare:
            found[d.destination] = found.get(d.destination, frozenset()) | d.events
    return found
