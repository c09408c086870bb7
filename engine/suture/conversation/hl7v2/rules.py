"""How a channel answers its senders: when, whom it refuses, and what it sets in its answers. Pure."""

from __future__ import annotations

from suture.formats.hl7v2.accepting import is_type
from suture.model.finding import (
    ERROR,
    UNSUPPORTED_EVENT,
    UNSUPPORTED_MESSAGE_TYPE,
    UNSUPPORTED_PROCESSING_ID,
    UNSUPPORTED_VERSION,
    Finding,
    Location,
)
from suture.model.value import Value, fresh
from suture.ports import AckTime
from suture.wire.hl7v2.exchange.reply import Reply, Settings, written
from suture.wire.hl7v2.text.header import Header


class AnswerRules(Value, frozen=True):
    """How a channel answers.

    when: after_store, after_process or after_delivery. within_s: how long an answer of the last two may wait.
    types, versions, processing_ids: the ones that are taken (DFT^P03, 2.5.1, P), empty = all; others are refused with CR
    or AR. settings: what is set in the answer. apart: the destination that gets the application acknowledgements of enhanced
    mode, as deliveries; "": the connection that the message came by. waiting: most messages that wait for an answer at a time.
    batch: which acknowledgements answer a batch: all, errors or none. batch_messages: its limit. template: segments of the whole
    answer, see `reply.PLACES`; () for the answer that the standard has.
    """

    when: AckTime = "after_store"
    within_s: float = 60.0
    types: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset()
    processing_ids: frozenset[str] = frozenset()
    settings: Settings = fresh(dict)
    template: tuple[str, ...] = ()
    apart: str = ""
    waiting: int = 50_000
    batch: str = "all"
    batch_messages: int = 10_000

    @property
    def restricts(self) -> bool:
        """Whether any message is refused for its header."""
        return bool(self.types or self.versions or self.processing_ids)

    def refusal(self, header: Header) -> Finding | None:
        """Why a message is refused for its MSH-9, 12 or 11, in this order; None when it is taken (HL7 2.9.1 section 2.8.2).

        One whose code is taken here and whose event MSH-9 does not tell is not refused: `accepting.look` reads on.
        """
        if not self.restricts:
            return None
        kind = "^".join(part.strip() for part in header.type.upper().split("^"))
        if self.types and kind not in self.types:
            code = kind.split("^")[0]
            if not any(code.startswith(known.split("^")[0]) for known in self.types) and code:
                return Finding(UNSUPPORTED_MESSAGE_TYPE, ERROR, Location("MSH", 1, 9, 1, 1), "this message type is not taken here")
            if is_type(kind):
                return Finding(UNSUPPORTED_EVENT, ERROR, Location("MSH", 1, 9, 1, 2), "this trigger event is not taken here")
        if self.versions and self._first(header, 12) not in self.versions:
            return Finding(UNSUPPORTED_VERSION, ERROR, Location("MSH", 1, 12), "this version is not taken here")
        if self.processing_ids and self._first(header, 11) not in self.processing_ids:
            return Finding(UNSUPPORTED_PROCESSING_ID, ERROR, Location("MSH", 1, 11), "this processing id is not taken here")
        return None

    @staticmethod
    def _first(header: Header, number: int) -> str:
        return header.text(number).split(header.component)[0].strip()

    def written(self, header: Header, reply: Reply) -> bytes:
        """The answer to this message, with what the channel sets in it."""
        return written(header, reply, self.settings, self.template)
