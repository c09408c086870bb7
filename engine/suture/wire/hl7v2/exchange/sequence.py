"""The sequence number protocol: MSH-13 and MSA-4 (HL7 2.9.1 section 2.9.1). Pure decisions of both sides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from suture.model.value import Value
from suture.wire.hl7v2.text import edit, er7
from suture.wire.hl7v2.text.delimiters import NULL_BYTES

START, RESYNC = 0, -1
"""What MSH-13 says beside numbers: the sender (re)starts and asks for the number that is expected; the sender gives up on
the count, and any number may follow."""
NUMBER_MAX = 999_999_999_999_999
_NUMBER = re.compile(rb"\s*([+-]?)0*(\d{1,15})\s*")


def number_of(field: bytes) -> int | None:
    """MSH-13 or MSA-4 as a number; None when it is empty. Raises ValueError when it is none."""
    if not field.strip() or field.strip() == NULL_BYTES:
        return None
    match = _NUMBER.fullmatch(field)
    value = int(match[1] + match[2]) if match else RESYNC - 1
    if value < RESYNC:
        raise ValueError("not a sequence number")
    return value


class Arrival(Value, frozen=True):
    """What a receiver does with a message. take: it is the next; link: it only asks or says where the count stands; repeat:
    it came before, and its acknowledgement was lost; refuse: it is out of sequence.

    reply: MSA-4, None when the message has no number. expected: the number that is expected from now on, None for any.
    """

    kind: Literal["take", "link", "repeat", "refuse"]
    reply: int | None
    expected: int | None


def arrival(expected: int | None, sent: int | None) -> Arrival:
    """The receiver's side. expected: the next number, None when any may come. sent: MSH-13, None when it has none.

    MSA-4 is the number that was expected when the message came: for the right one, its own.
    """
    if sent is None:
        return Arrival("take", None, expected)
    if sent == START:
        return Arrival("link", RESYNC if expected is None else expected, expected)
    if sent == RESYNC:
        return Arrival("link", RESYNC, None)
    if expected is None or sent == expected:
        return Arrival("take", sent, sent + 1)
    if sent == expected - 1:
        return Arrival("repeat", expected, expected)
    return Arrival("refuse", expected, expected)


def following(number: int) -> int:
    """The number after this one."""
    return 1 if number >= NUMBER_MAX else number + 1


Told = Literal["own", "repetition", "astray"]


@dataclass(slots=True)
class Count:
    """The sender's side: which number a delivery goes under, and what an answer says of it.

    last: the number that was given last (0: none yet), to the delivery last_id. taken: the receiver has taken it; None as
    long as that is not known. agreed: the two sides have told each other where they stand. again: `last` was sent before.
    """

    last: int = 0
    last_id: int = 0
    taken: bool | None = True
    agreed: bool = False
    again: bool = False

    def asks(self, delivery_id: int) -> bool:
        """Must the receiver be asked where it stands (with START) before this delivery is sent?"""
        return not self.agreed or (self.taken is None and delivery_id != self.last_id)

    def expectable(self) -> tuple[int, ...]:
        """What the receiver may expect next, if nothing is missing on either side."""
        after = following(self.last)
        return (after,) if self.taken else (self.last,) if self.taken is False else (self.last, after)

    def started(self, delivery_id: int, answered: int | None) -> bool:
        """START was answered with this MSA-4; False when the numbers do not fit: messages are missing on one side.

        A sender that has no number yet takes the receiver's; a receiver that has none (RESYNC) takes the sender's.
        """
        if answered is None or answered == RESYNC:
            self.taken = None if self.taken is None and delivery_id == self.last_id else self.taken is not False
        elif not self.last:
            if answered <= START:
                return False
            self.last, self.taken = answered - 1, True
        elif answered not in self.expectable():
            return False
        elif self.taken is None and delivery_id != self.last_id:
            self.taken = answered != self.last
        self.agreed = True
        return True

    def give(self, delivery_id: int) -> int:
        """The number that this delivery goes under; the same one as before until its answer is known."""
        self.again = self.taken is None and delivery_id == self.last_id
        if self.taken:
            self.last = following(self.last)
        self.last_id, self.taken = delivery_id, None
        return self.last

    def unsent(self) -> None:
        """The number that was just given has not left the house."""
        self.taken = None if self.again else False

    def answered(self, good: bool, answered: int | None) -> Told:
        """The answer to `last`: a good or a bad one, and its MSA-4.

        own: it is this message's answer. repetition: the receiver has had this message before, and that answer was lost.
        astray: the receiver did not take it, for its number; it is to be asked where it stands.
        """
        if answered is None or answered == self.last:
            self.taken = True if good else None
            if not good and (answered is not None or not self.again):
                self.last_id = 0  # it was answered; when it comes again it is not a repetition of what was not
            return "own"
        if answered == following(self.last) and (good or self.again):
            self.taken = True
            return "own" if good else "repetition"
        self.agreed = False
        self.taken = True if good else None if self.again else False
        return "own" if good else "astray"


def numbered(body: bytes, number: int) -> bytes:
    """The message with this number in MSH-13; everything else byte for byte. Raises MessageError when it is not HL7 v2."""
    return er7.changed(body, {_NUMBER_PLACE: str(number)})


def link(body: bytes, number: int, control_id: str, now: str) -> bytes:
    """A header like that of this message and no more, to say START or RESYNC with. Raises MessageError."""
    message = er7.Message.parse(body)
    edit.check_places(message)
    message.segments = message.segments[:1]
    for place, text in ((_TIME_PLACE, now), (_CONTROL_PLACE, control_id), (_NUMBER_PLACE, str(number))):
        edit.put(message, place, text)
    return message.to_bytes()


_TIME_PLACE, _CONTROL_PLACE, _NUMBER_PLACE = er7.path("MSH-7"), er7.path("MSH-10"), er7.path("MSH-13")
