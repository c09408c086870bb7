"""A destination that is down costs disk, not memory; other destinations do not notice; afterwards all drains in order."""

from __future__ import annotations

import pytest

from tests.crash.hospital import Hospital, wait_until

GROWTH_BYTES = 50_000_000


def sink_down_for(hospital: Hospital, count: int, timeout_s: float) -> None:
    """Take `count` charges while the ERP is down, then let it come back."""
    hospital.sinks.call(hospital.erp.stop())
    hospital.start()
    before = hospital.rss_bytes()
    charges, adts = hospital.send_charges(count), hospital.send_adt(200)
    charges.join(timeout_s)
    adts.join(timeout_s)
    wait_until(lambda: len(hospital.lab.seen) == 200, what="the laboratory has all of its own")
    assert hospital.rss_bytes() - before < GROWTH_BYTES
    assert hospital.erp.seen == []
    waiting = f'suture_queue_waiting{{channel="charges",destination="erp"}} {float(count)}\n'
    wait_until(lambda: waiting in hospital.page("metrics")[1], what="the metrics say how many wait")
    assert "connection refused" in hospital.said()
    hospital.sinks.call(hospital.erp.start())
    hospital.wait_for_delivery(timeout_s)
    assert hospital.rss_bytes() - before < GROWTH_BYTES
    hospital.terminate()
    hospital.check()
    assert len(hospital.erp.seen) == count


def test_down_for_two_thousand_messages(hospital: Hospital) -> None:
    sink_down_for(hospital, 2_000, 30)


@pytest.mark.slow
def test_down_for_a_hundred_thousand_messages(hospital: Hospital) -> None:
    sink_down_for(hospital, 100_000, 400)
