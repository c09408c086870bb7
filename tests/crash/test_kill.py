"""kill -9 at random moments under load: what was acknowledged is delivered, under one key, in order, and the books balance."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.crash.hospital import Hospital, wait_until
from tests.faults.peer import Silence


def kill_again_and_again(hospital: Hospital, kills: int, seed: int) -> None:
    """Kill and start the engine under load; then let it finish, and look at everything."""
    chance = random.Random(seed)
    hospital.start()
    hospital.send_charges()
    hospital.send_adt()
    for _ in range(kills):
        # A start takes about a second: some kills come before the engine has recovered, most under load.
        time.sleep(chance.uniform(0.2, 2.5))
        hospital.kill()
        hospital.start(wait=chance.random() < 0.5)
    hospital.wait_until_ready()
    hospital.wait_for_delivery()
    hospital.terminate()
    assert all(len(load.acked) > 20 * kills for load in hospital.loads), "there was no load"
    hospital.check()


def test_killed_at_random_moments_on_sqlite(hospital: Hospital) -> None:
    kill_again_and_again(hospital, 3, seed=1)


def test_killed_at_random_moments_on_postgresql(tmp_path: Path, durable_database: str) -> None:
    with Hospital(tmp_path, durable_database) as hospital:
        kill_again_and_again(hospital, 1, seed=2)


@pytest.mark.parametrize(("on_ambiguous", "times", "state"), [("hold", 1, "held"), ("resend", 2, "accepted")])
def test_killed_while_a_peer_that_knows_no_keys_has_a_message(tmp_path: Path, on_ambiguous: str, times: int, state: str) -> None:
    """Nobody knows whether the peer took it: the destination's policy decides, not the restart."""
    with Hospital(tmp_path, LAB_ON_AMBIGUOUS=on_ambiguous) as hospital:
        hospital.lab.script = [Silence()]
        hospital.start()
        load = hospital.send_adt(1)
        wait_until(lambda: hospital.lab.seen)
        hospital.kill()
        hospital.start()
        wait_until(lambda: hospital.query("SELECT state FROM delivery") == [(state,)])
        assert [row[0] for row in hospital.lab.seen] == ["A0"] * times
        assert load.acked == {"A0"}
        hospital.terminate()


@pytest.mark.slow
def test_killed_twenty_times_on_sqlite(hospital: Hospital) -> None:
    kill_again_and_again(hospital, 20, seed=3)


@pytest.mark.slow
def test_killed_twenty_times_on_postgresql(tmp_path: Path, durable_database: str) -> None:
    with Hospital(tmp_path, durable_database) as hospital:
        kill_again_and_again(hospital, 20, seed=4)
