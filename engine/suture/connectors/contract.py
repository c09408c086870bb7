"""What connectors have in common: how they are spoken with, and what their settings tell of them (docs/spec/connector.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from suture.model.outcome import Outcome, Unavailable
from suture.model.oversize import TooLarge
from suture.model.section import Section
from suture.ports import AckTime, Delivery
from suture.ports.conversation import Answer, Say
from suture.wire.hl7v2.text.recode import Target, Unfit, target

Receive = Callable[[bytes, str, Answer, Say], None]
"""receive(raw, peer, answer, say), as `arrived` of a Conversation. In release 2 of MLLP, `stored` says which commit acknowledgement
goes before an answer; say(payload, stored) before it is for several messages in one frame, each of which is answered: there is
one commit acknowledgement for them all.
"""
Refuse = Callable[[TooLarge, int, str, Answer], None]
"""refuse(large, limit_bytes, peer, answer): a message over the limit; answer is called also where nobody waits for it."""
Note = Callable[[str, str], None]
"""note(code, text): a change of state worth a log line; never content."""
Refused = Callable[[Delivery, Outcome], None]
"""refused(delivery, outcome): a peer refuses a delivery that it has accepted."""
NOT_SENT = Unavailable("STORE_LOST", "not sent: it is not sure that the store is still this engine's")
"""What a destination says of a delivery for which it has no leave: it asks right before bytes leave the house."""


class SourceSettings(Section):
    """A source's settings, with the answers that hold where a source has no others."""

    @property
    def when(self) -> AckTime:
        """When a message is answered."""
        return "after_store"

    @property
    def listens_on(self) -> tuple[str, int] | None:
        """The address and port that it takes for itself, port 0 for any; None where it listens on none."""
        return None


def _known(name: str) -> str:
    target(name)
    return name


CharacterSet = Annotated[str, AfterValidator(_known)]
"""A character set to send in, as MSH-18 has it."""


class DestinationSettings(Section):
    """A destination's settings, with the answers that hold where a destination has no others."""

    send_as: CharacterSet | None = Field(
        None,
        description="Character set that HL7 goes out in, MSH-18 with it: ASCII, 8859/1, UTF-8 or another of MSH-18. "
        "Absent: as it came or was made",
    )
    send_as_unfit: Unfit = Field(
        "refuse",
        description="Characters that `send_as` does not have: refuse = the delivery is held (CHARSET); replace = the letter without its "
        "marks, else a question mark, with a note; escape = \\X..\\ with the bytes of their UTF-8 form (default refuse)",
    )

    @model_validator(mode="after")
    def _has_a_set(self) -> Self:
        if "send_as_unfit" in self.model_fields_set and self.send_as is None:
            raise ValueError("send_as_unfit has no meaning without send_as; name a character set, or remove it")
        return self

    def target(self) -> Target | None:
        """The character set that HL7 goes out in; None: as it came or was made."""
        return None if self.send_as is None else target(self.send_as, self.send_as_unfit)

    @property
    def numbered(self) -> bool:
        """Whether its messages carry sequence numbers, one in flight at a time."""
        return False

    @property
    def answered(self) -> bool:
        """Whether an HL7 acknowledgement is needed for a delivery to end."""
        return False
