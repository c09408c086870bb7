"""What an outcome does to a delivery."""

from __future__ import annotations

import pytest

from suture.model import states
from suture.model.outcome import Accepted, Ambiguous, Outcome, TryLater, Unavailable
from suture.pipeline.retry import Policy, decide


@pytest.mark.parametrize("document", [None, "INV-1"])
def test_what_an_accepted_attempt_has_to_say_is_kept(document: str | None) -> None:
    decision = decide(Policy(), Accepted("AA", b"", document, "sent under the control id X"), 1, 0, 0, lambda: 0.0)
    assert decision.state in (states.ACCEPTED, states.POSTED)
    assert decision.reason == "sent under the control id X"


@pytest.mark.parametrize("outcome", [TryLater("503", "r", wait_s=40), Unavailable("404", "r", wait_s=40), Ambiguous("504", "r", wait_s=40)])
def test_the_pause_that_the_peer_asks_for_is_kept(outcome: Outcome) -> None:
    assert decide(Policy(), outcome, 1, 0, 0, lambda: 0.0).wait_s == 40
