"""Bytes that nobody should send: no exception but the documented ones, no hang. `python -m tests.fuzz` goes on for hours."""

from __future__ import annotations

import os
import time

import pytest

from tests.fuzz import driver
from tests.fuzz.targets import TARGETS

INPUTS = 300
SECONDS = float(os.environ.get("SUTURE_FUZZ_S", "15"))
"""How long each target is fuzzed with the slow tests."""


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_few_hundred_inputs_that_are_always_the_same(name: str) -> None:
    found = driver.run(name, 1, iter(range(INPUTS)))
    assert found.crasher is None


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_inputs_that_are_new_each_time(name: str) -> None:
    seed = time.time_ns() % 1_000_000_007
    found = driver.run(name, seed, driver.for_seconds(SECONDS, time.monotonic))
    assert found.crasher is None, f"from seed {seed}"
    assert found.inputs > 10


@pytest.mark.parametrize("file", sorted(path.name for path in driver.CRASHERS.glob("*.bin")))
def test_what_broke_it_once_breaks_it_no_more(file: str) -> None:
    driver.check(file.rpartition("-")[0], (driver.CRASHERS / file).read_bytes())
