"""A short campaign on each database: the whole of it is `make campaign`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaign.campaign import Campaign
from tests.campaign.report import as_table
from tests.campaign.schedule import KINDS

SEED = 9
ROUND_S = 75.0


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_an_engine_keeps_its_promises_under_all_kinds_of_faults(tmp_path: Path, database: str) -> None:
    with Campaign(tmp_path / "campaign", tuple(KINDS), ROUND_S, lambda line: None) as campaign:
        results = campaign.run((database,), SEED, 0)
    assert results[0].counts["acknowledged"] > 1000, "there was no load"
    assert sum(results[0].struck.values()) > 20, "there were no faults"
    assert [result.findings for result in results] == [[]], f"\n{as_table(results)}"
