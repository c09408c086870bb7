"""What is told of a channel is what a sender would find."""

from types import SimpleNamespace
from typing import Any

import pytest

from suture.observe.facts import ChannelFact
from suture.telling import _channel


@pytest.mark.parametrize(
    ("actual", "listening", "told"),
    [("running", True, "running"), ("running", False, "failed"), ("starting", False, "starting"), ("stopped", False, "stopped")],
)
def test_a_channel_at_whose_door_nobody_listens_does_not_run(actual: str, listening: bool, told: str) -> None:
    channel: Any = SimpleNamespace(name="adt", actual=actual, reason="", source=SimpleNamespace(listening=listening))
    fact = _channel(channel, "running")
    assert (fact.actual, fact.wanted) == (told, "running")
    assert ("does not listen" in fact.reason) == (told == "failed")


def test_a_source_that_says_that_messages_can_come_in_is_left_alone() -> None:
    channel: Any = SimpleNamespace(name="files", actual="running", reason="", source=SimpleNamespace(listening=True))
    assert _channel(channel, "running") == ChannelFact("files", "running", "running")
