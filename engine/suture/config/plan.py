"""A channel's files as the plan that the pipeline follows."""

from __future__ import annotations

from functools import partial

from suture.config.channel_checks import matches
from suture.config.hl7v2 import SEVERITY_LETTERS
from suture.config.site import ChannelFiles, DestinationFiles
from suture.conversation.hl7v2.conversation import Conversation
from suture.conversation.hl7v2.dealing import Dealing
from suture.conversation.hl7v2.rules import AnswerRules
from suture.conversation.plain import Plain
from suture.formats.hl7v2.format import HL7v2
from suture.formats.hl7v2.passing import in_set
from suture.formats.registry import PLAIN
from suture.model.events import EVENT_TYPES
from suture.pipeline.plan import Output, Plan
from suture.pipeline.validation import Validation
from suture.ports.format import Format
from suture.wire.hl7v2.exchange.continuation import Limits
from suture.wire.hl7v2.standard.validate import Rules


def plan_of(channel: ChannelFiles, source: str = "suture") -> Plan:
    """What the channel does with a message. source: who we are, in payloads that name their sender."""
    config = channel.config
    window_us, plain = config.duplicates.window_s * 1_000_000, PLAIN.get(config.format)
    format, dealing = plain or format_of(channel), dealing_of(channel)
    return Plan(
        channel=channel.name,
        outputs=[_output(d, format) for d in channel.destinations.values() if not d.route.acknowledgement],
        accept=frozenset(config.accept or ()),
        order_by=format.getter(config.order_by) if config.order_by else None,
        inbound=channel.inbound,
        stock=channel.stock,
        window_us=window_us,
        source=source,
        validation=_validation(channel),
        on_error=config.on_error,
        whole=format.whole(config.order_by or ""),
        settles=None if plain else dealing.settles,
        adds=None if plain else dealing.adds,
        converse=partial(Plain, channel.name, window_us, plain.envelope)
        if plain
        else partial(Conversation, channel.name, window_us, dealing),
        format=format,
    )


def format_of(channel: ChannelFiles) -> HL7v2:
    """How the channel reads messages of HL7 v2."""
    given = channel.config.hl7v2
    return HL7v2(given.encoding, given.encoding_override or "", given.broken_lines == "join")


def dealing_of(channel: ChannelFiles) -> Dealing:
    """How the channel deals with its senders."""
    given = channel.config.hl7v2.continuation
    limits = Limits(given.fragments, given.size_bytes, given.messages, given.timeout_s, given.waiting_bytes) if given else None
    return Dealing(_answer(channel), limits, channel.config.hl7v2.sequence)


def _validation(channel: ChannelFiles) -> Validation | None:
    """What the channel asks of its messages; None when nothing."""
    config = channel.config.hl7v2.validate_
    if config.standard == "off" and channel.profile is None:
        return None
    severities = {kind: SEVERITY_LETTERS[severity] for kind, severity in config.severity.items()}
    rules = Rules(config.version or "", severities, config.limit, channel.config.hl7v2.broken_lines == "join")
    standard = None if config.standard == "off" else rules
    return Validation(standard, config.standard == "enforce", channel.profile, config.profile_mode == "enforce", config.limit)


def _answer(channel: ChannelFiles) -> AnswerRules:
    """How the channel answers: its `hl7v2.answer`, and the `ack` of its source."""
    given = channel.config.hl7v2.answer
    return AnswerRules(
        when=channel.source_settings.when,
        within_s=given.within_s,
        template=tuple(given.template),
        waiting=given.waiting,
        types=frozenset(channel.config.accept or ()) if given.unsupported == "refuse" else frozenset(),
        versions=frozenset(given.versions),
        processing_ids=channel.processing_ids,
        settings={place: s if isinstance(s, str) else s.number for place, s in given.set.items()},
        apart=given.application or "",
        batch=given.batch,
        batch_messages=given.batch_messages,
    )


def _output(destination: DestinationFiles, format: Format) -> Output:
    route, settings = destination.route, destination.settings
    limit_bytes, numbered, to = destination.endpoint.payload_bytes, settings.numbered, settings.target()
    if (form := destination.renderer) is None:
        passing = format.passing(route.message or {}, settings.answered, to)
        return Output(destination.name, passing=passing, numbered=numbered, limit_bytes=limit_bytes)
    types = frozenset(kind for kind in EVENT_TYPES if any(matches(pattern, [kind]) for pattern in route.events))
    per_event = route.per == "event"
    written = None if to is None else partial(in_set, to)
    return Output(destination.name, types, form, per_event=per_event, numbered=numbered, limit_bytes=limit_bytes, written=written)
