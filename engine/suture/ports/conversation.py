"""How the senders of a channel are dealt with: what is answered when, what is joined and cut on its way in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from suture.model.message import Message
from suture.model.oversize import TooLarge
from suture.ports import AckTime, Delivery, Failed, Settled

Then = Callable[[], None]


class Answer(Protocol):
    """The answer to one message, called exactly once and never before what came is durable; None: say nothing."""

    def __call__(self, payload: bytes | None, stored: bool = True) -> None:
        """stored: it is durable; else the sender has to send it again."""


Say = Answer
"""A further message to the same sender: the application acknowledgement after a commit acknowledgement.

Before the answer, say(None) tells that the message is durable and its answer comes later (for the release 2 of MLLP); stored: as
of Answer, where this comes before it.
"""


class Inside(Protocol):
    """What a conversation does with what it has stored: the channel behind it."""

    def received(self, message: Message) -> None:
        """A message is stored and answered, as far as it is answered then: process it."""

    def settle(self, message: Message, settled: Settled, then: Then | None = None) -> None:
        """Write what a message came to, where that is not for the mapping to say; then() is called when that is durable."""


class Conversation(Protocol):
    """The conversation of one channel with its senders, told of what is stored, processed and ended."""

    def begin(self, done: Then, failed: Failed) -> None:
        """Recall what an earlier run has to be gone on from; done() is called when messages may come, failed(error) when it cannot be."""

    def arrived(self, raw: bytes, peer: str, answer: Answer, say: Say | None = None) -> None:
        """Take what came from a peer: a message, or what holds several. say: None where nothing can be said beside the answer."""

    def too_large(self, large: TooLarge, limit_bytes: int, peer: str, answer: Answer) -> None:
        """Refuse what is over the source's limit, and keep what tells who sent it."""

    def recovered(self, message: Message) -> bool:
        """A message that an earlier run stored and did not process: whether it waits here for others instead of being processed."""

    @property
    def when(self) -> AckTime:
        """How far it wants to be told of a message: not at all, what it came to, or how its deliveries end."""

    def processed(self, number: int, settled: Settled) -> None:
        """What a message came to is durable."""

    def ended(self, delivery: Delivery, state: str) -> None:
        """A delivery has come to the end of its lane, durably."""

    def stop(self) -> None:
        """Forget who waits for an answer, and what is only in memory: all messages are in the store."""
