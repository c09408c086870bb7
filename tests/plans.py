"""Plans of channels that read HL7 v2, put together as config/plan.py does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from suture.conversation.hl7v2.conversation import Conversation
from suture.conversation.hl7v2.dealing import NO_RULES, Dealing
from suture.conversation.hl7v2.rules import AnswerRules
from suture.formats.hl7v2.format import HL7v2
from suture.formats.hl7v2.passing import in_set
from suture.pipeline import plan as neutral
from suture.wire.hl7v2.exchange.continuation import Limits
from suture.wire.hl7v2.text.recode import Target


def Output(  # noqa: N802
    destination: str,
    *given: Any,
    changes: Mapping[str, str] | None = None,
    answered: bool = False,
    target: Target | None = None,
    **more: Any,
) -> neutral.Output:
    """An output that is rendered, or else the message with changes. target: as of `send_as`."""
    if len(given) > 1 or "renderer" in more:
        return neutral.Output(destination, *given, written=partial(in_set, target) if target else None, **more)
    return neutral.Output(destination, *given, passing=HL7v2().passing(changes or {}, answered, target), **more)


def dealt(
    channel: str, window_us: int = 0, answer: AnswerRules = NO_RULES, continuation: Limits | None = None, sequence: bool = False
) -> dict[str, Callable[..., Any] | None]:
    """The fields of a plan about its conversation."""
    dealing = Dealing(answer, continuation, sequence)
    converse = partial(Conversation, channel, window_us, dealing)
    return {"settles": dealing.settles, "adds": dealing.adds, "converse": converse}


def Plan(  # noqa: N802
    channel: str,
    outputs: Sequence[neutral.Output],
    *given: Any,
    encoding: str = "utf-8",
    override: str = "",
    join_lines: bool = False,
    window_us: int = 0,
    answer: AnswerRules = NO_RULES,
    continuation: Limits | None = None,
    sequence: bool = False,
    order_place: str = "",
    **more: Any,
) -> neutral.Plan:
    """The plan of a channel that reads HL7 v2 and answers so."""
    conversing = dealt(channel, window_us, answer, continuation, sequence)
    format = HL7v2(encoding, override, join_lines)
    return neutral.Plan(
        channel,
        outputs,
        format,
        conversing.pop("converse"),
        format.whole(order_place),
        *given,
        window_us=window_us,
        **conversing,
        **more,
    )  # type: ignore[arg-type]
