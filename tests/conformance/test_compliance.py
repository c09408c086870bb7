"""The specification of connectors (docs/spec/connector.md): its rules on names and options, and that each rule is held by a test."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Ge, Gt
from pydantic import ValidationError

from suture.connectors.contract import DestinationSettings, SourceSettings
from suture.connectors.registry import DESTINATIONS, SOURCES, Module
from tests.conformance.compliance import MARKER, Witness

TESTS = Path(__file__).parents[1]
SPECIFICATION = (TESTS.parent / "docs" / "spec" / "connector.md").read_text()
MODULES: dict[str, Module] = {**SOURCES, **DESTINATIONS}
RULES = [line.strip("| ").rsplit(" | ", 1) for line in SPECIFICATION.splitlines() if line.startswith("| ") and "| held by |" not in line]


def test_each_rule_is_held_by_a_test_that_there_is() -> None:
    defined = {name for path in TESTS.rglob("*.py") for name in re.findall(r"def (\w+)\(", path.read_text())}
    rules = [(rule, held) for rule, held in RULES if rule != "---"]
    assert len(rules) > 20
    for rule, held in rules:
        named = [name.rpartition(".")[2] for name in re.findall(r"`([\w.]+)`", held)]
        assert (named or held == "by reading") and set(named) <= defined, rule
        assert re.search(r"\b(MUST|MAY)\b", rule), f"not a rule: {rule}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_connector_is_named_by_its_direction(name: str) -> None:
    settings = {"in": SourceSettings, "out": DestinationSettings}[name.rpartition("_")[2]]
    assert issubclass(MODULES[name].Config, settings)
    assert (name in SOURCES) == (settings is SourceSettings)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_options_have_units_and_bounds(name: str) -> None:
    for option, info in MODULES[name].Config.model_fields.items():
        if info.annotation in (int, float):
            assert any(isinstance(bound, Ge | Gt) for bound in info.metadata), f"{option}: how small may it be?"
        if info.annotation is float:
            assert option.endswith("_s"), f"{option}: a time in seconds ends in _s"
        text = info.description or ""
        assert not (info.annotation is int and re.search(r"\bin bytes\b|^Bytes\b", text)) or option.endswith("_bytes"), option


@pytest.mark.parametrize("name", sorted(MODULES))
def test_an_option_that_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="no_such_option"):
        MODULES[name].Config.model_validate({"no_such_option": 1})


class Connector:
    """One that tells what a test says."""

    def __init__(self) -> None:
        self.counted: Any = {"refused": Counter(NOT_ALLOWED=1)}

    def counts(self) -> Any:
        return self.counted

    def held(self) -> list[Any]:
        return []


GOOD = ("IDLE", "127.0.0.1:4711: nothing said for 300 s; connection closed")


@pytest.mark.parametrize(
    ("notes", "counted"),
    [
        ([GOOD, GOOD], {}),
        ([("IDLE", f"{MARKER} says nothing")], {}),
        ([("IDLE", "one line\nand another")], {}),
        ([("IDLE", "")], {}),
        ([("NOBODY_EXPLAINS_IT", "text")], {}),
        ([("idle", "text")], {}),
        ([], {"unheard_of": Counter(IDLE=1)}),
        ([], {"refused": Counter({MARKER.lower(): 1})}),
        ([], {"refused": Counter(NOT_ALLOWED=0)}),
    ],
)
def test_what_breaks_a_rule_is_found(notes: list[tuple[str, str]], counted: Any) -> None:
    witness, connector = Witness(), Connector()
    witness.note(*GOOD)
    witness.check(connector)
    witness.notes[:], connector.counted = notes, counted
    with pytest.raises(AssertionError):
        witness.check(connector)
