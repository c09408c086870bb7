"""What a channel asks of its messages before it processes them: the HL7 standard, a site profile, to report or to enforce."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suture.model import states
from suture.model.fault import Fault
from suture.model.finding import ERROR, Finding
from suture.model.value import Value, changed
from suture.ports import Processed, Settled
from suture.ports.format import Record, Rules

TOLD = 5
"""Findings that the reason of a message names; the answer to its sender holds them all."""


class Validation(Value, frozen=True):
    """standard: how to judge by the format's standard, None for not at all; profile likewise. limit: findings of the profile."""

    standard: Any = None
    enforce_standard: bool = False
    profile: Rules | None = None
    enforce_profile: bool = False
    limit: int = 100

    def judge(self, message: Record, standard: Sequence[Finding]) -> tuple[Sequence[Finding], bool]:
        """What is found, of the standard (as it was found) and then of the profile; and whether the message is refused for it."""
        own = self.profile.check(message, self.limit) if self.profile else []
        refused = (self.enforce_standard and _wrong(standard)) or (self.enforce_profile and _wrong(own))
        return [*standard, *own], refused


def _wrong(findings: Sequence[Finding]) -> bool:
    return any(one.severity == ERROR for one in findings)


def refusal(findings: Sequence[Finding]) -> Settled:
    """A message that is parked because of its findings; errors are told first."""
    told = sorted(findings, key=lambda one: one.severity != ERROR)
    place = str(told[0].location) if told[0].location else ""
    return Settled.parked(Fault("VALIDATION", "validate", place, in_words(told)), findings)


def reported(work: Processed, findings: Sequence[Finding]) -> Processed:
    """The same work, whose outcome carries the findings; a processed message has them as its reason."""
    if not findings:
        return work

    def noted(settled: Settled) -> Settled:
        says = settled.state == states.PROCESSED and not settled.reason
        return changed(settled, findings=findings, reason=f"validation: {in_words(findings)}" if says else settled.reason)

    return work.through(noted)


def in_words(findings: Sequence[Finding]) -> str:
    """The first findings as one text, and how many more there are."""
    text = "; ".join(map(str, findings[:TOLD]))
    more = len(findings) - TOLD
    return f"{text}; and {more} more" if more > 0 else text
