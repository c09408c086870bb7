"""What becomes of a message whose type a channel does not name as it is written. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from suture.mapping.keys import findable
from suture.model import states
from suture.model.message import Message, Note
from suture.ports import Settled
from suture.ports.format import Format


def looked(format: Format, accept: Collection[str], message: Message) -> tuple[Settled | None, Note | None]:
    """What it comes to when it is not taken; and where it is, how its type was read."""
    look = format.look(accept, message)
    if look.taken:
        return None, look.note
    if look.doubt is None:
        return Settled.filtered(f"{message.type} is not accepted by the channel"), None
    gap = replace(look.doubt, value=findable(look.doubt.value))
    return Settled(states.PARKED, f"{gap.kind}: {gap.path}: {gap.reason}", gaps=[gap]), None
