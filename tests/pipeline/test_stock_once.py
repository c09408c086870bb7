"""An event moves the stock once, however often its message is processed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from suture.config.plan import plan_of
from suture.config.site import load_site
from suture.model.message import Message
from suture.pipeline.process import STOCK, process

ROOT = Path(__file__).parents[2]


def test_processing_again_does_not_take_the_stock_again():
    site = load_site(ROOT, "test", {})
    plan = plan_of(site.channels["or-supply"])
    raw = (ROOT / "channels/or-supply/samples/implant.hl7").read_bytes()
    message = Message("or-supply", raw, 1_773_148_530_000_000, "C1", "DFT^P03", "A|B", id=1)
    first = process(plan, message, 2)
    (key,) = first.touches
    taken = first.settle({}, {key: Decimal(10)})
    assert taken.stock == {key: Decimal(9)}

    counted = frozenset(e.number for e in taken.events)
    again = process(plan, message, 3, {STOCK: counted}, 1)
    assert not again.touches
    assert again.ready is not None
    assert not again.ready.stock
    assert len(again.ready.deliveries) == len(taken.deliveries)
