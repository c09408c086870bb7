"""The real engine with a table that lacks a code which one destination needs: found, mended and let go with the real command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.crash.hospital import Hospital, wait_until

BILL = """\
mapping: bill
to: hl7v2
segments:
  - MSH: {3: {const: SUTURE}, 9: {const: DFT^P03^DFT_P03}, 11: {const: P}, 12: {const: "2.5.1"}}
  - PID: {3: patient, 18: account}
  - FT1: {each: event, 4: used_at, 7: {from: item, table: ledger}, 10: quantity}
"""


def prepare(hospital: Hospital, ledger: str) -> None:
    """Charges go to the laboratory too, as a bill with the ledger's number of the item."""
    mappings = hospital.directory / "mappings"
    (mappings / "bill.yaml").write_text(BILL)
    (mappings / "tables" / "ledger.csv").write_text(ledger)
    channel = hospital.directory / "channels" / "charges" / "channel.yaml"
    channel.write_text(channel.read_text() + "  bill: {to: lab, events: [charge.raised], as: bill}\n")


@pytest.fixture(params=["sqlite", "postgresql"])
def hospital(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    url = request.getfixturevalue("durable_database") if request.param == "postgresql" else ""
    with Hospital(tmp_path, url) as one:
        yield one


def told(hospital: Hospital, *arguments: str) -> Any:
    return json.loads(hospital.suture(*arguments, "--json").stdout)


def test_a_leg_waits_and_goes_when_the_table_is_mended(hospital: Hospital) -> None:
    prepare(hospital, "item,to\nIMP-1,A1\n")
    hospital.start()
    hospital.send_charges(3, connections=1).join(30)
    wait_until(lambda: len(hospital.erp.seen) == 3, what="the ERP has its charges")
    found = told(hospital, "exception", "list")
    assert [(e["stage"], e["code"], e["field"], e["table_name"], e["value"]) for e in found] == [
        ("render", "UNKNOWN_CODE", "bill", "ledger", "IMP-2")
    ] * 3
    held = [str(e["delivery_id"]) for e in found]
    assert {d["state"] for d in told(hospital, "delivery", "list", "--to", "bill")} == {"held"}
    shown = hospital.suture("exception", "show", str(found[0]["id"])).stdout
    assert f"suture delivery release {held[0]}" in shown and "add 'IMP-2' to the table ledger" in shown

    early = hospital.suture("delivery", "release", *held, "--reason", "too early", "--yes")
    assert early.returncode == 1 and early.stdout.count("UNKNOWN_CODE at FT1-7") == 3
    (hospital.directory / "mappings" / "tables" / "ledger.csv").write_text("item,to\nIMP-1,A1\nIMP-2,A2\n")
    assert hospital.suture("channel", "reload", "charges", "--wait", "20").returncode == 0
    would = told(hospital, "delivery", "release", *held, "--reason", "row added", "--dry-run")
    assert {(i["action"], i["why"]) for i in would} == {("send", "its payload is made by today's mapping; it has not been sent")}
    assert hospital.suture("delivery", "release", *held, "--reason", "row added", "--yes").returncode == 0
    wait_until(lambda: len(hospital.lab.seen) == 3, what="the bills have arrived")
    wait_until(lambda: {d["state"] for d in told(hospital, "delivery", "list")} == {"accepted"}, what="all is accepted")
    assert len(hospital.erp.seen) == 3 and told(hospital, "exception", "list") == []
    hospital.terminate()
