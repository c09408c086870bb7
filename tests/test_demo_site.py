"""The example site: right in every environment, its channel does what its own tests say, and its tables agree."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
import yaml
from orjson import loads

from suture.cli import exits
from suture.cli.main import main
from suture.config.check import check_site
from suture.config.plan import plan_of
from suture.config.site import load_site
from suture.model.errors import ConfigError, MessageError
from suture.model.message import Message
from suture.pipeline.plan import Plan
from suture.pipeline.process import process
from suture.sim.catalogue import Catalogue
from suture.sim.day import plan as surgical_day
from suture.sim.stage import ENVIRONMENT, Ports
from suture.wire.hl7v2.standard.validate import Rules, validate
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.header import Header

SITE = Path(__file__).parents[1]
TABLES = SITE / "mappings" / "tables"
RECEIVED_US = int(datetime(2026, 3, 11, 18, 0, tzinfo=UTC).timestamp()) * 1_000_000
PRODUCTION = {
    "ERP_HOST": "erp.example.org",
    "ERP_TOKEN": "secret-1",
    "BILLING_HOST": "billing.example.org",
    "BILLING_PORT": "6661",
    "ANALYTICS_HOST": "events.example.org",
    "ANALYTICS_TOKEN": "secret-2",
}


def rows(table: str) -> list[dict[str, str]]:
    with (TABLES / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def keys(table: str) -> set[str]:
    return {next(iter(row.values())) for row in rows(table)}


@pytest.mark.parametrize(
    ("environment", "environ"),
    [(None, {}), ("dev", {}), ("dev", Ports(1, 2, 3, 4, 5).environment()), ("test", {}), ("prod", PRODUCTION)],
)
def test_the_site_is_right_in_every_environment(environment: str | None, environ: Mapping[str, str]) -> None:
    result = check_site(SITE, environment, environ)
    assert not result.problems
    assert not result.warnings
    assert {test.name: test.differences for test in result.tests if not test.ok} == {}
    assert len(result.tests) >= 8


def test_production_does_not_start_without_its_secrets_and_names_each() -> None:
    with pytest.raises(ConfigError) as refused:
        load_site(SITE, "prod", {})
    text = str(refused.value)
    for name in PRODUCTION:
        assert name in text


@pytest.mark.parametrize(
    ("sent", "taken"), [("P", True), ("", True), ("P^R", True), ("T", False), ("D", False), ("N", False), ("T^A", False), ('""', False)]
)
def test_what_is_not_for_production_is_refused_there_and_comes_to_nothing(sent: str, taken: bool) -> None:
    raw = (SITE / "channels/or-supply/samples/implant.hl7").read_bytes().replace(b"|P|2.7", f"|{sent}|2.7".encode())
    for environment, environ, goes in (("prod", PRODUCTION, taken), ("test", {}, True)):
        plan = plan_of(load_site(SITE, environment, environ).channels["or-supply"])
        assert ((plan.settles or (lambda message: None))(Message("or-supply", raw, 0)) is None) == goes
        assert len(charges(plan, raw)) == goes


def test_a_chargeable_item_without_a_price_is_used_and_its_charge_waits_for_a_person(tmp_path: Path) -> None:
    for part in ("channels", "mappings", "conf"):
        shutil.copytree(SITE / part, tmp_path / part)
    table = tmp_path / "mappings" / "tables" / "item_master.csv"
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.write_text("".join(line.replace(",4200.00,", ",,") if line.startswith("IMP-4471,") else line for line in lines), encoding="utf-8")
    inbound = load_site(tmp_path, None, {}).channels["or-supply"].inbound
    assert inbound is not None
    mapped = inbound.run(er7.Message.parse((tmp_path / "channels/or-supply/samples/implant.hl7").read_bytes()))
    assert [event.type for event in mapped.events] == ["supply.used"]
    assert [(gap.field, gap.table, gap.value) for gap in mapped.gaps] == [("unit_amount", "item_master", "IMP-4471")]


def test_the_ports_of_the_demo_reach_every_part_of_the_site() -> None:
    site = load_site(SITE, ENVIRONMENT, Ports(20001, 20002, 20003, 20004, 20005).environment())
    channel = site.channels["or-supply"]
    assert channel.source_settings.port == 20001  # type: ignore[attr-defined]
    assert site.conf.http.port == 20002
    assert channel.destinations["billing"].settings.port == 20004  # type: ignore[attr-defined]
    urls = [str(channel.destinations[name].settings.url) for name in ("erp", "requisitions", "analytics")]  # type: ignore[attr-defined]
    assert [url.split(":")[2].split("/")[0] for url in urls] == ["20003", "20003", "20005"]


def charges(plan: Plan, raw: bytes) -> list[bytes]:
    """What goes to billing of a message that comes alone."""
    return sent(plan, raw, "billing")


def sent(plan: Plan, raw: bytes, destination: str) -> list[bytes]:
    """What goes to a destination of a message that comes alone."""
    header = Header.read(raw)
    named = {"control_id": header.text(10), "type": header.type} if header else {}
    message = Message("or-supply", raw, RECEIVED_US, id=1, **named)
    try:
        work = process(plan, message, RECEIVED_US)
    except MessageError:
        return []
    settled = work.ready or work.settle({}, {})
    return [delivery.body for delivery in settled.deliveries if delivery.destination == destination]


def sample(name: str) -> bytes:
    return (SITE / "channels/or-supply/samples" / name).read_bytes()


def test_a_day_stays_that_day_in_every_payload() -> None:
    plan = plan_of(load_site(SITE, None, {}).channels["or-supply"])
    raw = sample("day_with_offset.hl7")
    assert b"|20260311+0000|" in raw
    (bill,) = sent(plan, raw, "billing")
    assert er7.Message.parse(bill).get("FT1-4") == "20260311"
    (issue,) = sent(plan, raw, "erp")
    assert loads(issue)["TransactionDate"] == "2026-03-11"
    (told,) = sent(plan, raw, "analytics")
    assert [event["data"]["used_at"] for event in loads(told)] == ["2026-03-11", "2026-03-11"]


def test_all_modifiers_of_a_procedure_are_billed() -> None:
    plan = plan_of(load_site(SITE, None, {}).channels["or-supply"])
    (bill,) = charges(plan, sample("modifiers.hl7"))
    assert er7.Message.parse(bill).get_all("FT1-26[*].1") == ["LT", "59"]
    assert er7.Message.parse(bill).get("FT1-25.1") == "27130"


def test_the_documentation_shows_the_mapping_that_is_shipped() -> None:
    page = (SITE / "docs/channels.md").read_text(encoding="utf-8")
    shown, shipped = (yaml.load(text, yaml.BaseLoader) for text in (block(page, "mappings/dft_p03_supply.yaml"), mapping()))
    assert shown.keys() <= shipped.keys()
    (emit,) = shown.pop("emit")
    assert emit.pop("set").items() <= shipped["emit"][0].pop("set").items()
    assert emit.items() <= shipped.pop("emit")[0].items()
    assert shown == shipped


def mapping() -> str:
    return (SITE / "mappings/dft_p03_supply.yaml").read_text(encoding="utf-8")


def block(page: str, file: str) -> str:
    """The block of a page that begins with the name of a file."""
    return page.partition(f"```yaml\n# {file}\n")[2].partition("```")[0]


def test_what_the_samples_send_to_billing_passes_hl7_validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = plan_of(load_site(SITE, None, {}).channels["or-supply"])
    samples = {path.name: charges(plan, path.read_bytes()) for path in (SITE / "channels/or-supply/samples").glob("*.hl7")}
    billed = {name: bodies for name, bodies in samples.items() if bodies}
    assert set(billed) >= {"implant.hl7", "credit.hl7", "box_conversion.hl7", "cement_two_prices.hl7", "no_quantity.hl7"}
    for name, (body,) in billed.items():
        (tmp_path / name).write_bytes(body)
        assert main(["hl7", "validate", str(tmp_path / name)]) == exits.OK, f"{name}: {capsys.readouterr().out}"


def test_what_a_day_sends_to_billing_breaks_no_rule_but_the_length_of_the_senders_own_numbers() -> None:
    plan = plan_of(load_site(SITE, None, {}).channels["or-supply"])
    day = surgical_day(Catalogue.read(TABLES), Random(1), date(2026, 3, 10), 100)
    billed = [body for phase in day.phases for sending in phase.sendings for body in charges(plan, sending.raw)]
    assert len(billed) > 40
    found = {str(finding) for body in billed for finding in validate(body, Rules())}
    assert {text.partition(": ")[2] for text in found} == {"Transaction ID is longer than 12 characters"}


def test_every_sample_is_used_by_a_test_and_ends_its_segments_with_cr() -> None:
    directory = SITE / "channels" / "or-supply"
    tests = (directory / "tests.yaml").read_text(encoding="utf-8")
    for sample in (directory / "samples").glob("*.hl7"):
        assert f"samples/{sample.name}" in tests
        raw = sample.read_bytes()
        assert b"\n" not in raw
        assert raw.endswith(b"\r") or not raw.startswith(b"MSH")


def test_the_item_master_is_large_and_varied() -> None:
    items = rows("item_master")
    assert len({row["item"] for row in items}) >= 200
    assert len({row["item"].split("-")[0] for row in items}) >= 20
    assert {row["status"] for row in items} == {"active", "inactive"}
    catalogue = {(row["manufacturer"], row["catalogue_number"], row["effective_from"]) for row in items}
    assert len(catalogue) == len(items)


def test_gtins_are_fourteen_digits_with_their_check_digit_under_the_demonstration_prefix() -> None:
    for row in rows("item_master"):
        gtin = row["gtin"]
        assert len(gtin) == 14
        assert gtin[1:4] == "952", "GS1 keeps 952 for demonstrations: no real product has it"
        total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(gtin[:13]))
        assert int(gtin[13]) == -total % 10


def test_every_code_of_an_item_is_in_its_table() -> None:
    suppliers, centres, charges, revenue = keys("supplier"), keys("cost_centre"), keys("charge_code"), keys("revenue_code")
    assert charges == revenue
    for row in rows("item_master"):
        assert row["supplier"] in suppliers
        assert row["cost_centre"] in centres
        assert (row["charge_code"] in charges) if row["chargeable"] == "Y" else not row["charge_code"]
        assert Decimal(row["unit_cost"]) > 0
        assert (Decimal(row["unit_price"]) > Decimal(row["unit_cost"])) == (row["chargeable"] == "Y")


def test_one_item_has_two_prices_one_after_the_other() -> None:
    old, new = (row for row in rows("item_master") if row["item"] == "CEM-7201")
    assert old["effective_to"] == new["effective_from"]
    assert old["unit_price"] != new["unit_price"]
    assert date.fromisoformat(old["effective_from"]) < date.fromisoformat(new["effective_from"])


def test_conversions_lead_to_the_stock_unit_of_items_there_are() -> None:
    units = {row["item"]: row["stock_unit"] for row in rows("item_master")}
    conversions = rows("unit_conversion")
    for row in conversions:
        assert row["item"] == "*" or units[row["item"]] == row["to_unit"]
        assert Decimal(row["factor"]) > 0
    known = {(row["item"], row["from_unit"]) for row in conversions}
    for row in rows("item_master"):
        assert row["issue_unit"] == row["stock_unit"] or (row["item"], row["issue_unit"]) in known


def test_stock_is_of_active_items_in_places_there_are_with_sound_levels() -> None:
    units = {row["item"]: row["stock_unit"] for row in rows("item_master") if row["status"] == "active"}
    places = {row["to"] for row in rows("location")}
    for row in rows("stock"):
        assert row["location"] in places
        assert units[row["item"]] == row["unit"]
        assert 0 < Decimal(row["reorder_point"]) <= Decimal(row["on_hand"]) <= Decimal(row["par_level"])
        assert Decimal(row["reorder_point"]) < Decimal(row["par_level"])
