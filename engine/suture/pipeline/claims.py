"""Who holds a business key, and whether what comes under it again is the same thing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from suture.mapping.keys import findable
from suture.model.events import Event, event_id
from suture.model.message import Gap
from suture.model.value import Draft
from suture.ports import Claim

KEY_CONFLICT = "KEY_CONFLICT"
"""The code of a line whose business key stands for something else already (docs/errors.md)."""

Firsts = Mapping[str, tuple[int, int]]
"""Business key to the line of the message that uses it first, and the digest of what it stands for there."""


def firsts(events: Sequence[Event]) -> Firsts:
    """Business keys that the events use."""
    found: dict[str, tuple[int, int]] = {}
    for event in events:
        if event.key not in found:
            found[event.key] = event.line, event.content
    return found


class Sorted(Draft):
    """Events by who holds their keys.

    events: that are new. duplicates: the same thing, which came before. claims: keys to claim, with generation and
    digest. conflicts: a gap for each line whose key stands for something else.
    """

    events: list[Event]
    duplicates: list[Event]
    claims: list[tuple[str, int, int]]
    conflicts: list[Gap]


def sort(events: list[Event], first: Firsts, claims: Mapping[str, Claim], place: str) -> Sorted:
    """Sort a message's events. claims: of keys that are taken, as of `Processed.settle`. place: where the key stands."""
    one_each = len(first) == len(events) or len(first) == len({event.line for event in events})
    if one_each and not claims:  # as nearly always
        return Sorted(events, [], [(key, 0, content) for key, (_, content) in first.items()], [])
    found, first = Sorted([], [], [], []), _kept(events, first, claims)
    for key, (_, content) in first.items():
        claim = claims.get(key)
        if claim is None:
            found.claims.append((key, 0, content))
        elif claim.expired:
            found.claims.append((key, claim.generation + 1, content))
    for event in events:
        _place(event, first[event.key], claims.get(event.key), found, place)
    return found


def _kept(events: Sequence[Event], first: Firsts, claims: Mapping[str, Claim]) -> Firsts:
    """The same, but for keys of the message itself, which is processed again: the line that raised their events keeps them."""
    found = dict(first)
    for key, (_, content) in first.items():
        claim = claims.get(key)
        if claim is not None and claim.own and claim.digest != content:
            same = (event.line for event in events if event.key == key and event.content == claim.digest)
            line = next(same, None)
            if line is not None:
                found[key] = line, claim.digest or 0
    return found


def _place(event: Event, first: tuple[int, int], claim: Claim | None, found: Sorted, place: str) -> None:
    line, content = first
    if claim is not None and not claim.expired:
        holder, known = f"message {claim.message_id}", claim.digest
    elif event.line != line:
        holder, known = f"line {line} of this message", content
    else:
        if claim is not None:
            event.generation = claim.generation + 1
            event.id = event_id(event.type, event.key, event.generation)
        found.events.append(event)
        return
    if known is None or known == (content if event.line == line else event.content):
        found.duplicates.append(event)
    elif not any(gap.line == event.line for gap in found.conflicts):
        found.conflicts.append(_conflict(event, holder, place))


def _conflict(event: Event, holder: str, place: str) -> Gap:
    reason = f"{holder} has the same business key, with another patient, account, item, quantity or day"
    return Gap(event.line, "", place, reason, value=findable(event.data.get("transaction") or ""), kind=KEY_CONFLICT)
