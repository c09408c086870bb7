"""The conversation with senders that are told no more than whether a message is kept: HTTP, files, frames of any format."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from suture.model import states
from suture.model.fault import Fault
from suture.model.message import Message
from suture.model.oversize import FRAME_TOO_LARGE, TooLarge
from suture.pipeline.world import World
from suture.ports import AckTime, Delivery, Failed, Received, Settled
from suture.ports.conversation import Answer, Inside, Say, Then
from suture.ports.format import Envelope

Envelopes = Callable[[bytes], Envelope | Fault]


class Plain:
    """A suture.ports.conversation.Conversation. envelopes: what a message says of itself, or why it is none."""

    when: AckTime = "after_store"

    def __init__(self, channel: str, window_us: int, envelopes: Envelopes, world: World, inside: Inside) -> None:
        self._channel, self._window_us, self._envelopes = channel, window_us, envelopes
        self._world, self._inside = world, inside

    def begin(self, done: Then, failed: Failed) -> None:
        """There is nothing to recall."""
        done()

    def arrived(self, raw: bytes, peer: str, answer: Answer, say: Say | None = None) -> None:
        """Store it; its sender is told when it is kept, and no more."""
        told = self._envelopes(raw)
        names = ("", "", "") if isinstance(told, Fault) else (told.control_id, told.type, told.sender)
        fault = told if isinstance(told, Fault) else None
        message = Message(self._channel, raw, self._now_us(), *names, peer, fault=fault)
        self._write(message, partial(self._stored, answer), answer)

    def too_large(self, large: TooLarge, limit_bytes: int, peer: str, answer: Answer) -> None:
        """Refuse it, and keep its beginning; it waits for a person."""
        reason = f"a message of {large.size_bytes:,} bytes, over the source's limit of {limit_bytes:,}; only its beginning is kept"
        message = Message(self._channel, large.head, self._now_us(), peer=peer, fault=Fault(FRAME_TOO_LARGE, "parse", "", reason))
        self._write(message, lambda state, kept: self._refused(answer, state), answer)

    def _now_us(self) -> int:
        return int(self._world.clock.seconds() * 1e6)

    def _write(self, message: Message, done: Callable[[str, Message], None], answer: Answer) -> None:
        self._world.journal.write(Received(message, self._window_us, done, lambda error: answer(None, False)))

    def _refused(self, answer: Answer, state: str) -> None:
        self._world.observer.message(self._channel, state)
        answer(None, False)

    def _stored(self, answer: Answer, state: str, message: Message) -> None:
        self._world.observer.message(self._channel, state)
        answer(None)
        if state == states.RECEIVED:
            self._inside.received(message)
        elif state == states.DUPLICATE:
            self._world.observer.duplicate(self._channel, "message")

    def recovered(self, message: Message) -> bool:
        """No message waits for others."""
        return False

    def processed(self, number: int, settled: Settled) -> None:
        """Nobody waits for it."""

    def ended(self, delivery: Delivery, state: str) -> None:
        """Nobody waits for it."""

    def stop(self) -> None:
        """There is nothing to forget."""
