"""A channel's files as the plan that the pipeline follows."""

from __future__ import annotations

from suture.config.answer import Continuation
from suture.config.channel import SEVERITY_LETTERS
from suture.config.channel_checks import matches
from suture.config.site import ChannelFiles, DestinationFiles
from suture.model.events import EVENT_TYPES
from suture.pipeline.answer_rules import AnswerRules, Setting
from suture.pipeline.process import Output, Plan
from suture.pipeline.validation import Validation
from suture.wire.hl7v2.exchange.continuation import Limits
from suture.wire.hl7v2.standard.context import CONTEXT
from suture.wire.hl7v2.standard.validate import Rules
from suture.wire.hl7v2.text import er7


def plan_of(channel: ChannelFiles, source: str = "suture") -> Plan:
    """What the channel does with a message. source: who we are, in payloads that name their sender."""
    config = channel.config
    return Plan(
        channel=channel.name,
        outputs=[_output(d) for d in channel.destinations.values() if not d.route.acknowledgement],
        accept=frozenset(config.accept or ()),
        order_by=er7.getter(er7.path(config.order_by)) if config.order_by else None,
        inbound=channel.inbound,
        stock=channel.stock,
        encoding=config.encoding,
        override=config.encoding_override or "",
        window_us=config.duplicates.window_s * 1_000_000,
        source=source,
        validation=_validation(channel),
        answer=_answer(channel),
        on_error=config.on_error,
        sequence=config.sequence,
        continuation=_continuation(config.continuation),
        context=_context(config.order_by),
        join_lines=config.broken_lines == "join",
    )


def _context(order_by: str | None) -> str:
    """The segment of the message's context that a channel's order is taken from, "" for none."""
    place = er7.path(order_by) if order_by else None
    return place.segment if place is not None and place.own and place.segment in CONTEXT else ""


def _validation(channel: ChannelFiles) -> Validation | None:
    """What the channel asks of its messages; None when nothing."""
    config = channel.config.validate_
    rules = None
    if config.standard != "off":
        severities = {kind: SEVERITY_LETTERS[severity] for kind, severity in config.severity.items()}
        rules = Rules(config.version or "", severities, config.limit, channel.config.broken_lines == "join")
    if rules is None and channel.profile is None:
        return None
    return Validation(rules, config.standard == "enforce", channel.profile, config.profile_mode == "enforce", config.limit)


def _answer(channel: ChannelFiles) -> AnswerRules:
    """How the channel answers: its `answer` section, and the `ack` of its source."""
    given = channel.config.answer
    return AnswerRules(
        when=channel.source_settings.when,
        within_s=given.within_s,
        template=tuple(given.template),
        waiting=given.waiting,
        types=frozenset(channel.config.accept or ()) if given.unsupported == "refuse" else frozenset(),
        versions=frozenset(given.versions),
        processing_ids=channel.processing_ids,
        settings={place: Setting(text=s) if isinstance(s, str) else Setting(msh=s.number) for place, s in given.set.items()},
        apart=given.application or "",
        batch=given.batch,
        batch_messages=given.batch_messages,
    )


def _continuation(given: Continuation | None) -> Limits | None:
    return Limits(given.fragments, given.size_bytes, given.messages, given.timeout_s, given.waiting_bytes) if given else None


def _output(destination: DestinationFiles) -> Output:
    route, settings = destination.route, destination.settings
    limit_bytes, numbered, target = destination.endpoint.payload_bytes, settings.numbered, settings.target()
    if destination.renderer is None:
        changes = {er7.path(place): text for place, text in (route.message or {}).items()}
        answered = settings.answered
        return Output(destination.name, changes=changes, answered=answered, numbered=numbered, limit_bytes=limit_bytes, target=target)
    types = frozenset(kind for kind in EVENT_TYPES if any(matches(pattern, [kind]) for pattern in route.events))
    per_event = route.per == "event"
    form = destination.renderer
    return Output(destination.name, types, form, per_event=per_event, numbered=numbered, limit_bytes=limit_bytes, target=target)
