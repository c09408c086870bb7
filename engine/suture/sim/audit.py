"""The proof of the balance: what was sent, what Suture's store says, and what the other systems have counted, compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from suture.model import states
from suture.sim.day import Expected
from suture.sim.ledger import Ledger, Leg

FINAL = (states.ACCEPTED, states.POSTED, states.HELD, states.DEAD, states.REFUSED, states.SKIPPED)


@dataclass(frozen=True, slots=True)
class Check:
    """One sentence that is true when the books balance; text names both sides."""

    ok: bool
    text: str


def audit(expected: Expected, acknowledged: int, ledger: Ledger, counts: Any, documents: list[dict[str, str]]) -> list[Check]:
    """Every comparison, in the order of a message's way."""
    return [
        *_messages(expected, acknowledged, ledger),
        *_lines(expected, ledger),
        *_events(ledger),
        *_deliveries(ledger),
        *_erp(ledger, documents),
        *_billing(expected, ledger, counts["billing"]),
        *_analytics(ledger, counts["analytics"]),
        *(Check(False, text) for text in ledger.wrong),
    ]


def _same(left: int, what: str, right: int, of: str) -> Check:
    return Check(left == right, f"{left} {what} = {right} {of}")


def _messages(expected: Expected, acknowledged: int, ledger: Ledger) -> Iterator[Check]:
    yield _same(expected.messages, "messages sent", acknowledged, "acknowledged")
    yield _same(expected.messages, "messages sent", ledger.received, "received and stored")
    parts = " + ".join(f"{ledger.messages[state]} {state}" for state in states.MESSAGE_STATES if state != states.RECEIVED)
    settled = ledger.received - ledger.messages[states.RECEIVED]
    yield Check(settled == ledger.received, f"{ledger.received} received = {parts}" if settled == ledger.received else f"{parts} only")
    yield _same(expected.repeated, "message repeated byte for byte", ledger.repeated, "recognised")


def _lines(expected: Expected, ledger: Ledger) -> Iterator[Check]:
    n = ledger.lines
    total = sum(n.values())
    parts = f"{n['event']} with events + {n['filtered']} filtered + {n['duplicate']} duplicate + {n['gap']} gap"
    yield Check(total == expected.lines and not ledger.torn, f"{expected.lines} FT1 lines sent = {parts}")
    yield _same(expected.filtered, "payment line sent", n["filtered"], "filtered")
    yield _same(expected.duplicates, "lines sent again under a new control id", n["duplicate"], "suppressed")
    yield _same(expected.gaps, "unknown item sent", n["gap"], "waiting for a person")


def _events(ledger: Ledger) -> Iterator[Check]:
    used = ledger.raised("supply.used")
    yield _same(ledger.lines["event"], "lines with events", used, "supply.used")


def _deliveries(ledger: Ledger) -> Iterator[Check]:
    for name, leg in ledger.legs.items():
        events, deliveries = sum(leg.events.values()), sum(leg.states.values())
        whole = not leg.uncovered and not leg.doubled
        trouble = "" if whole else f"; {leg.uncovered} events in no delivery, {leg.doubled} in more than one"
        yield Check(whole, f"{name}: {events} events, each in exactly one of {deliveries} deliveries{trouble}")
        final = sum(leg.states[state] for state in FINAL)
        parts = " + ".join(f"{count} {state}" for state, count in sorted(leg.states.items()))
        yield Check(final == deliveries, f"{name}: {deliveries} deliveries = {parts or 'none'}")


def _erp(ledger: Ledger, documents: list[dict[str, str]]) -> Iterator[Check]:
    for destination, kind in (("erp", "inventory"), ("requisitions", "requisitions")):
        leg = _leg(ledger, destination)
        numbers = {row["document"] for row in documents if row["kind"] == kind}
        posted = leg.states[states.POSTED]
        text = f"{posted} {destination} deliveries posted = {len(numbers)} documents in the ERP, number for number"
        yield Check(len(numbers) == posted and numbers == leg.documents, text)
    mine, theirs = -_leg(ledger, "erp").quantity, sum((Decimal(d["quantity"]) for d in documents if d["kind"] == "inventory"), Decimal(0))
    yield Check(mine == theirs, f"stock moved by {mine:f} in Suture = {theirs:f} in the ERP")
    due = ledger.raised("replenishment.due")
    yield _same(due, "replenishments raised", sum(row["kind"] == "requisitions" for row in documents), "requisitions in the ERP")


def _leg(ledger: Ledger, name: str) -> Leg:
    return ledger.legs.get(name) or Leg()


def _billing(expected: Expected, ledger: Ledger, counts: Any) -> Iterator[Check]:
    leg = _leg(ledger, "billing")
    delivered = leg.delivered["charge.raised"]
    yield _same(delivered, "charges delivered to billing", counts["charges"], "charges in billing")
    value, theirs = leg.value, Decimal(counts["amount"])
    yield Check(value == theirs, f"{value:,.2f} USD of charges delivered = {theirs:,.2f} USD in billing")
    doubled = counts["doubled"]
    yield Check(not doubled, f"no charge is in billing twice{': ' + ', '.join(doubled) if doubled else ''}")
    yield _same(len(expected.nacked), "charge refused by billing", leg.states[states.DEAD], "dead letter")
    raised = ledger.raised("charge.raised")
    refused = leg.events["charge.raised"] - delivered
    yield Check(raised == delivered + refused, f"{raised} charges raised = {delivered} in billing + {refused} waiting for a person")


def _analytics(ledger: Ledger, counts: Any) -> Iterator[Check]:
    raised = sum(by_state["raised"] for by_state in ledger.events.values())
    yield _same(raised, "events raised", counts["events"], "events in analytics")
