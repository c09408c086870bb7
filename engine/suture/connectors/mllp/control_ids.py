"""Under which control id an HL7 message goes out, so that an acknowledgement can be that of one message only.

An acknowledgement says by the control id alone what it answers (MSA-2), and a peer may answer twice. What senders write into
MSH-10 may be empty or come again. On one connection no control id is therefore used for two messages: the second goes out
under one of ours. A repetition of the same delivery keeps its control id, by which peers recognise it; it goes over another
connection, because a second answer to the first attempt may still come on this one.
"""

from __future__ import annotations

from suture.model.errors import MessageError
from suture.model.events import control_id
from suture.ports import Delivery
from suture.wire.hl7v2.text import er7

REMEMBERED = 1000
"""Control ids that a connection remembers, the newest; the answer to an older one counts as foreign."""
RENAMED = 4096
"""Deliveries of a destination of which it is remembered that they went out under an id of ours, the newest."""

_PLACE = er7.path("MSH-10")


class Used(dict[str, tuple[str, int]]):
    """The control ids that went out on one connection, each with the identity and the number of what went out under it."""

    def by(self, name: str) -> str | None:
        """What went out under it, None when nothing did."""
        return self.get(name, (None, None))[0]

    def delivery(self, name: str) -> int | None:
        """The number of the delivery that went out under it, None when none did."""
        return self.get(name, (None, None))[1]

    @property
    def last(self) -> str:
        """The newest of them, "" when there is none."""
        return next(reversed(self), "")

    def like(self, name: str) -> bool:
        """Whether this is alike to one of them."""
        return any(likeness(name, sent) for sent in self)

    def add(self, name: str, identity: str, number: int) -> None:
        """It goes out now. number: of the delivery."""
        self[name] = (identity, number)
        if len(self) > REMEMBERED:
            del self[next(iter(self))]


def identity(delivery: Delivery) -> str:
    """What is the same for each attempt at a delivery, and for no other message.

    Its idempotency key alone is not: a request for a sequence number is sent with that of the delivery it is made for.
    """
    return f"{delivery.idempotency_key} {delivery.control_id}"


def likeness(said: str, sent: str) -> str:
    """How an MSA-2 that is not the control id that was sent is like it, in words that go on from "MSA-2 is"; "" when it is not.

    Peers keep the field in columns of so many characters, fill it up, turn it into capitals or take it for a number.
    """
    a, b = said.strip(), sent.strip()
    if not a:
        return "empty"
    if not b:
        return ""
    cased = "" if a in b or b in a else " and in another case"
    a, b = a.lower(), b.lower()
    if a == b:
        if cased:
            return "the control id in another case"
        return "the control id with blanks around it" if len(said) > len(sent) else "the control id without its blanks"
    if b.startswith(a):
        return f"the control id cut to {len(a)} of {len(b)} characters{cased}"
    if a.startswith(b):
        return f"the control id with {len(a) - len(b)} more characters behind it{cased}"
    if a.lstrip("0") == b.lstrip("0"):
        return f"the control id with other leading zeros{cased}"
    return ""


class ControlIds:
    """The control ids of a destination's deliveries."""

    def __init__(self) -> None:
        self._ours: dict[str, str] = {}

    def letter(self, delivery: Delivery, used: Used) -> tuple[str, bytes] | None:
        """The control id and the bytes with which it may go out where these were used; None: it may not go out there."""
        who = identity(delivery)
        name = self._ours.get(who, delivery.control_id)
        if name and name not in used:
            return (name, delivery.body) if name == delivery.control_id else self._under(name, delivery, used)
        again = delivery.attempts or delivery.original_id is not None or used.by(name) == who
        if name and again:
            return None
        name = control_id(who)
        return None if name in used else self._under(name, delivery, used)

    def _under(self, name: str, delivery: Delivery, used: Used) -> tuple[str, bytes] | None:
        try:
            body = er7.changed(delivery.body, {_PLACE: name})
        except MessageError:  # it has no MSH-10 to be changed: it goes out as it is, once on a connection
            return None if delivery.control_id in used else (delivery.control_id, delivery.body)
        who = identity(delivery)
        self._ours.pop(who, None)
        self._ours[who] = name
        if len(self._ours) > RENAMED:
            del self._ours[next(iter(self._ours))]
        return name, body
