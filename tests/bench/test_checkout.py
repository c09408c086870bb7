"""Another checkout beside this one: which engine runs, on which site, on which ports."""

import contextlib
import shutil
from dataclasses import dataclass

import pytest

from bench import runs
from bench.checkout import Checkout
from bench.runs import Case
from bench.workloads import BESIDE, LISTENER, SITES, WORKLOADS

W1 = WORKLOADS["w1"]
CASE = Case(W1, "sqlite", 8, "this {site}", 0, 60)


@pytest.fixture
def other(tmp_path):
    """A checkout whose site differs from ours."""
    (tmp_path / "engine/suture").mkdir(parents=True)
    site = shutil.copytree(SITES / "w1", tmp_path / "bench/sites/w1")
    with (site / "channels/w1/channel.yaml").open("a") as channel:
        channel.write("# of the other one\n")
    return Checkout.at(tmp_path)


def test_its_engine_is_its_own(other):
    assert f"PYTHONPATH={other.directory}/engine" in other.command


def test_its_site_is_its_own_and_all_else_is_ours(other):
    theirs = other.workload(W1)
    assert theirs.site == other.directory / "bench/sites/w1"
    assert (theirs.listener, theirs.port, theirs.message_file) == (W1.listener, W1.port, W1.message_file)


@dataclass
class Begun:
    """What was started, and what its channel said then."""

    case: Case
    channel: str


@pytest.mark.parametrize("ours_first", [True, False])
def test_each_runs_on_its_own_site_and_the_second_on_other_ports(other, ours_first, monkeypatch):
    begun: list[Begun] = []

    @contextlib.contextmanager
    def started(case, databases):
        begun.append(Begun(case, (case.workload.site / "channels/w1/channel.yaml").read_text()))
        yield begun[-1]

    monkeypatch.setattr(runs, "started", started)
    with contextlib.ExitStack() as stack:
        this, that = runs._launched(stack, CASE, other, None, ours_first)
    assert (this.case.command, that.case.command) == (CASE.command, other.command)
    assert ("of the other one" in this.channel, "of the other one" in that.channel) == (False, True)
    assert begun == ([this, that] if ours_first else [that, this])
    for one, listener in zip(begun, (LISTENER, LISTENER + BESIDE), strict=True):
        assert one.case.workload.listener == listener
        assert f"port: {listener}" in one.channel
