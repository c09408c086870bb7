"""Receiving: store the bytes, then acknowledge, then hand on. Nothing is answered before it is durable."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from suture.model import states
from suture.model.message import Message
from suture.ports import Clock, Journal, Observer, Received
from suture.wire import ack

Answer = Callable[..., None]
"""answer(acknowledgement or None): the message is durable; answer(..., False): it could not be stored."""


class Receiver:
    """The way in of one channel. process(message): called after the commit, for messages that are to be processed."""

    def __init__(
        self, channel: str, window_us: int, journal: Journal, clock: Clock, observer: Observer, process: Callable[[Message], None]
    ) -> None:
        self._channel, self._window_us, self._journal, self._clock = channel, window_us, journal, clock
        self._observer, self._process = observer, process
        self._now = ("", 0)

    def receive(self, raw: bytes, peer: str, answer: Answer) -> None:
        """Take one message; answer is called with the acknowledgement (None: none is wanted) when it is durable."""
        header = ack.Header.read(raw)
        at_s = self._clock.seconds()
        message = Message(self._channel, raw, int(at_s * 1e6), peer=peer)
        if header is None:
            message.fault = "not an HL7 v2 message: it does not begin with MSH and a separator"
        else:
            message.control_id, message.type = header.text(10), header.type
            message.sender = f"{header.text(3)}|{header.text(4)}"
        self._journal.write(
            Received(message, self._window_us, partial(self._stored, header, answer, at_s), partial(self._failed, header, answer))
        )

    def _stored(self, header: ack.Header | None, answer: Answer, at_s: float, state: str, message: Message) -> None:
        self._observer.message(self._channel, state)
        self._observer.stage(self._channel, "receive_commit", self._clock.seconds() - at_s)
        code = ack.code_for(header, header is not None)
        text = f"kept as message {message.id}, but it is not HL7 v2" if header is None else ""
        answer(None if code is None else ack.build(header, code, f"SUT{message.id}", self._hl7_now(), text))
        if state == states.RECEIVED:
            self._process(message)
        elif state == states.DUPLICATE:
            self._observer.duplicate(self._channel, "message")

    def _failed(self, header: ack.Header | None, answer: Answer, error: Exception) -> None:
        code = ack.code_for(header, False)
        text = "the message could not be stored; send it again"
        answer(None if code is None else ack.build(header, code, "SUT0", self._hl7_now(), text), False)

    def _hl7_now(self) -> str:
        second = int(self._clock.seconds())
        if self._now[1] != second:
            self._now = (time.strftime("%Y%m%d%H%M%S+0000", time.gmtime(second)), second)
        return self._now[0]
