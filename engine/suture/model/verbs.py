"""What an operator asks of the engine, and what it answers: the rows of `command` as values, with the names and fields of their JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from msgspec import ValidationError, convert, field, to_builtins

from suture.model.errors import CommandError
from suture.model.value import Value


class _Asked(Value, frozen=True, forbid_unknown_fields=True):
    """Something to be done; its fields are the arguments. name: of the verb, in `command` and in the audit.

    Each kind has a target(): what it is done to, for the audit.
    """

    name: ClassVar[str] = ""


class OfChannel(_Asked, frozen=True):
    """A verb about a channel. reasoned: the operator has to say why. keeps: what is wanted of the channel from then on, "": as before."""

    reasoned: ClassVar[bool] = False
    keeps: ClassVar[str] = ""
    channel: str

    def target(self) -> str:
        """The channel."""
        return f"channel {self.channel}"


class StartChannel(OfChannel, frozen=True):
    """Start a channel, and keep it started."""

    name: ClassVar[str] = "channel_start"
    keeps: ClassVar[str] = "running"


class StopChannel(OfChannel, frozen=True):
    """Stop a channel, and keep it stopped."""

    name: ClassVar[str] = "channel_stop"
    keeps: ClassVar[str] = "stopped"


class RestartChannel(OfChannel, frozen=True):
    """Stop a channel and start it again."""

    name: ClassVar[str] = "channel_restart"
    keeps: ClassVar[str] = "running"


class ReloadChannel(OfChannel, frozen=True):
    """Read a channel's files again, and swap it when they are right."""

    name: ClassVar[str] = "channel_reload"


class Resync(OfChannel, frozen=True):
    """Let a destination with sequence numbers go on, whatever its peer expects."""

    name: ClassVar[str] = "channel_resync"
    reasoned: ClassVar[bool] = True
    destination: str

    def target(self) -> str:
        """The channel and the destination."""
        return f"channel {self.channel} destination {self.destination}"


class OfMany(_Asked, frozen=True):
    """A verb about deliveries or messages by their numbers. noun: which of them. reason: the operator's."""

    noun: ClassVar[str] = ""
    ids: list[int]
    reason: str

    def target(self) -> str:
        """Which ones."""
        return f"{self.noun} {ranges(self.ids)}"


class OfDeliveries(OfMany, frozen=True):
    """A verb about deliveries."""

    noun: ClassVar[str] = "deliveries"
    ids: list[int] = field(name="delivery_ids")


class OfMessages(OfMany, frozen=True):
    """A verb about messages."""

    noun: ClassVar[str] = "messages"
    ids: list[int] = field(name="message_ids")


Verb = OfChannel | OfMany


class Resend(OfDeliveries, frozen=True):
    """Send the same payloads again, as new deliveries linked to the old. insist: also what was accepted."""

    name: ClassVar[str] = "resend"
    insist: bool = False

    def target(self) -> str:
        """Which ones, and whether the operator insists."""
        return super().target() + ", insisted" * self.insist


class Release(OfDeliveries, frozen=True):
    """Put held and dead deliveries back to their lanes."""

    name: ClassVar[str] = "delivery_release"


class Reprocess(OfMessages, frozen=True):
    """Put raw messages through today's mapping again. insist: destinations get also what they have."""

    name: ClassVar[str] = "reprocess"
    insist: bool = False

    def target(self) -> str:
        """Which ones, and whether the operator insists."""
        return super().target() + ", insisted" * self.insist


class ChannelIs(Value, frozen=True):
    """A channel was started, restarted or reloaded, and how it is."""

    channel: str
    state: str


class ChannelStopped(ChannelIs, frozen=True):
    """A channel was stopped. unanswered: by destination, deliveries that went out and were not answered."""

    unanswered: dict[str, int]


class Going(Value, frozen=True):
    """A delivery that goes out. original: the one that it sends again, else itself."""

    delivery: int
    original: int
    destination: str


class LeftDelivery(Value, frozen=True):
    """A delivery that was left alone, and why."""

    delivery: int
    reason: str


class LeftMessage(Value, frozen=True):
    """A message that was left alone, and why."""

    message: int
    reason: str


class Sent(Value, frozen=True):
    """What a resend or a release came to."""

    sent: list[Going]
    skipped: list[LeftDelivery]


class Reprocessed(Value, frozen=True):
    """What a reprocessing came to."""

    reprocessed: list[int]
    skipped: list[LeftMessage]


Result = ChannelIs | ChannelStopped | Sent | Reprocessed | str
"""What the engine answers when it has done what was asked; a str says it for people."""

_RESULTS: dict[type[Verb], Any] = {
    StartChannel: ChannelIs,
    StopChannel: ChannelStopped,
    RestartChannel: ChannelIs,
    ReloadChannel: ChannelIs,
    Resync: str,
    Resend: Sent,
    Release: Sent,
    Reprocess: Reprocessed,
}
VERBS = {kind.name: kind for kind in _RESULTS}


def asked(name: str, arguments: dict[str, Any]) -> Verb:
    """The verb of a request. Raises CommandError for one that there is not, and for arguments that it does not take."""
    kind = VERBS.get(name)
    if kind is None:
        raise CommandError(f"this engine does not know the verb {name!r}")
    try:
        return convert(arguments, kind)
    except ValidationError as error:
        raise CommandError(f"the arguments of {name} are wrong: {error}") from None


def answered(name: str, result: Any) -> Any:
    """The result of a verb, typed; as it is where it is none, such as the text of a refusal, or what another version answers."""
    try:
        return convert(result, _RESULTS[VERBS[name]])
    except (KeyError, ValidationError):
        return result


def plain(value: Verb | Result) -> Any:
    """A verb's arguments, or a result, as JSON has them."""
    return to_builtins(value)


def ranges(numbers: Iterable[int]) -> str:
    """Numbers in short: 1-3,7"""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
