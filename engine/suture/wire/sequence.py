"""The sequence number protocol: MSH-13 and MSA-4 (HL7 2.9.1 section 2.9.1). Pure decisions of both sides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

START, RESYNC = 0, -1
"""What MSH-13 says beside numbers: the sender (re)starts and asks for the number that is expected; the sender gives up on
the count, and any number may follow."""
NUMBER_MAX = 999_999_999_999_999
_NUMBER = re.compile(rb"\s*([+-]?)0*(\d{1,15})\s*")


def number_of(field: bytes) -> int | None:
    """MSH-13 or MSA-4 as a number; None when it is empty. Raises ValueError when it is none."""
    if not field.strip() or field.strip() == b'""':
        return None
    match = _NUMBER.fullmatch(field)
    value = int(match[1] + match[2]) if match else RESYNC - 1
    if value < RESYNC:
        raise ValueError("not a sequence number")
    return value


@dataclass(frozen=True, slots=True)
class Arrival:
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


Reaction = Literal["go_on", "was_taken", "restart", "freeze"]


def reaction(sent: int, answered: int | None) -> Reaction:
    """The sender's side, after the acknowledgement of a message with a positive number. answered: its MSA-4.

    go_on: it was expected, and taken. was_taken: it had been taken before, and that acknowledgement was lost; go on.
    restart: the receiver is behind: ask with 0 where it stands, or freeze. freeze: wait for a person.
    """
    if answered is None or answered == sent:
        return "go_on"
    if answered == sent + 1:
        return "was_taken"
    return "restart" if 0 < answered < sent else "freeze"


def after_start(answered: int | None, own: int) -> int | None:
    """The number to go on with after a 0 was answered; own: the one that the sender would send next.

    The receiver's wish is followed where the sender can: it expects this very number, or has none (-1). None: freeze, for
    messages between are missing on one side.
    """
    if answered in (RESYNC, own):
        return own
    return None


@dataclass(slots=True)
class Sending:
    """A sender's count. next: the number of the next message; START is sent first, as long as `started` is False."""

    next: int = 1
    started: bool = False
    frozen: bool = False

    def number(self) -> int:
        """MSH-13 of what is to be sent now."""
        return self.next if self.started else START

    def answered(self, answered: int | None) -> Reaction:
        """Take note of MSA-4 of the answer to what `number` was sent with; go_on and was_taken: that message is done."""
        if not self.started:
            agreed = after_start(answered, self.next)
            self.started, self.frozen = agreed is not None, agreed is None
            return "freeze" if agreed is None else "go_on"
        told = reaction(self.next, answered)
        if told in ("go_on", "was_taken"):
            self.next = 1 if self.next >= NUMBER_MAX else self.next + 1
        elif told == "restart":
            self.started = False
        else:
            self.frozen = True
        return told
