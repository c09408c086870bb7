"""Sequence numbers under kill -9: the receiver takes each message once, in order, and no number is left out."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.crash.hospital import Hospital, wait_until
from tests.faults.counting import CountingPeer
from tests.faults.peer import Ack, Close, Fault, Reset, Silence


def faults(chance: random.Random) -> list[Fault]:
    """Answers that are lost on their way, among many that come."""
    return [chance.choice([Reset(), Close(9), Silence()]) if chance.random() < 0.02 else Ack() for _ in range(4000)]


def kill_again_and_again(directory: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    lab = CountingPeer(faults(chance), keep=lambda seen: seen.control_id)
    with Hospital(directory, lab=lab, LAB_CONNECTIONS="1", LAB_SEQUENCE="yes", SINK_TIMEOUT_S="0.3") as hospital:
        hospital.start()
        load = hospital.send_adt()
        for _ in range(kills):
            time.sleep(chance.uniform(0.3, 2.5))
            hospital.kill()
            hospital.start(wait=chance.random() < 0.5)
        hospital.wait_until_ready()
        load.stop()
        lab.script.clear()
        count = lab.count
        wait_until(lambda: load.acked <= {control_id for _, control_id in list(count.taken)}, 60, "all delivered")
        wait_until(lambda: hospital.query("SELECT DISTINCT state FROM delivery") == [("accepted",)], 20, "all accepted")
        hospital.terminate()
        assert len(load.acked) > 10 * kills, "there was no load"
        assert count.refused == 0
        assert [number for number, _ in count.taken] == list(range(1, len(count.taken) + 1))
        taken = [control_id for _, control_id in count.taken]
        assert len(taken) == len(set(taken)), "a message was taken twice"
        in_store = hospital.query("SELECT control_id FROM message WHERE state = 'processed' ORDER BY id")
        assert taken == [row[0] for row in in_store], "they came out of order"
        assert count.starts >= kills


def test_killed_while_numbered_messages_are_on_their_way(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 3, seed=5)


@pytest.mark.slow
def test_killed_fifteen_times_while_numbered_messages_are_on_their_way(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 15, seed=6)


def test_where_numbers_do_not_fit_the_lane_waits_and_a_person_lets_it_go_on(tmp_path: Path) -> None:
    lab = CountingPeer(keep=lambda seen: seen.control_id)
    with Hospital(tmp_path, lab=lab, LAB_CONNECTIONS="1", LAB_SEQUENCE="yes") as hospital:
        hospital.start()
        first = hospital.send_adt(4)
        wait_until(lambda: len(lab.count.taken) == 4)
        first.join()
        lab.count.last = 77
        hospital.send_adt(6).join()
        said = "SELECT state, reason FROM destination_state WHERE destination = 'lab'"
        wait_until(lambda: any("expects sequence number 78, and 5 is next here" in row[1] for row in hospital.query(said)))
        assert len(lab.count.taken) == 4
        wrong = hospital.suture("channel", "resync", "charges", "erp", "--reason", "looked", "--yes")
        assert wrong.returncode == 1
        assert "no destination of charges with sequence numbers" in wrong.stderr
        right = hospital.suture("channel", "resync", "adt", "lab", "--reason", "looked", "--yes")
        assert right.returncode == 0, right.stderr
        wait_until(lambda: [number for number, _ in lab.count.taken] == [1, 2, 3, 4, 5, 6])
        wait_until(lambda: hospital.query(said)[0][0] == "ok")
        assert hospital.query("SELECT verb, target, reason FROM audit WHERE verb = 'channel_resync' AND target LIKE 'channel adt%'") == [
            ("channel_resync", "channel adt destination lab", "looked")
        ]
        hospital.terminate()
