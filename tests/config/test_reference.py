"""docs/reference/configuration.md is written from the models, and says something of every key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from suture.config import reference
from suture.connectors.registry import DESTINATIONS, SOURCES

TOP = Path(__file__).parents[2]
CONFIGS = [module.Config for module in (*SOURCES.values(), *DESTINATIONS.values())]


def test_configuration_reference_is_current():
    written = (TOP / reference.PAGE).read_text(encoding="utf-8")
    assert written == reference.page(), "run: python -m suture.config.reference"


def undescribed(model: type[BaseModel]) -> Iterator[str]:
    return (key for key, info in reference._fields(model, "") if not info.description)


@pytest.mark.parametrize("model", [*(model for _, _, model in reference.SECTIONS), *CONFIGS], ids=lambda model: model.__module__)
def test_every_key_is_described(model: type[BaseModel]):
    assert list(undescribed(model)) == []
