"""Where a change goes: each row of the table in docs/architecture.md is made in a copy of the engine, seen to work, and counted."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tests import test_architecture as house
from tests.changes.hold import HOLD
from tests.changes.scratch import TOP, Scratch
from tests.config.site_files import SiteFiles
from tests.crash.hospital import Hospital, kept_charge, wait_until
from tests.crash.load import dft
from tests.engine_process import Sender
from tests.faults.peer import FaultyPeer, Late

TIMEOUT_S = 60
TOYS = Path(__file__).parent / "changes"
ON_PAPER = {"another kind of database"}
"""Rows that nothing is made for here."""


@dataclass(frozen=True)
class Row:
    """One row of the table. files: patterns of the engine's files that it names; count: how many it says that a change takes."""

    files: tuple[str, ...]
    count: int


def table() -> dict[str, Row]:
    """The table, by the changes that it names."""
    text = (TOP / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## Where a change goes\n")[2]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (?:about )?(\d+)\b.*? \|$", text, re.MULTILINE)
    return {change: Row(tuple(_patterns(files)), int(count)) for change, files, count in rows}


def _patterns(files: str) -> Iterator[str]:
    """Names in the engine: x stands for any, and a room for all that is in it."""
    for name in re.findall(r"`([\w./]+)`", files):
        if name.endswith(".py") and not name.startswith("tests/"):
            yield re.sub(r"\bx(?=[_.])", "*", name)


MADE: dict[str, set[str]] = {
    "site": {"timeout, retry, port, route", "a code", "a search key", "a new endpoint on a known protocol"},
    "engine": {"a canonical field", "an event type", "a transport", "a format that comes in", "an operator's verb"},
}
"""The rows that are made here: in a site's files alone, and in the engine."""


def agrees(change: str, scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The change took as many files as its row says, and those that it names; and what it put there keeps to the house's rules."""
    row, touched = table()[change], scratch.touched()
    assert len(touched) <= row.count, f"{change}: {row.count} files, says docs/architecture.md; it took {touched}"
    unnamed = [name for name in touched if not any(fnmatch(name, pattern) for pattern in row.files)]
    assert not unnamed, f"{change}: docs/architecture.md does not name {unnamed}"
    unused = [pattern for pattern in row.files if not any(fnmatch(name, pattern) for name in touched)]
    assert not unused and len(touched) == row.count, f"{change}: docs/architecture.md names more than it takes: {unused or row.count}"
    with monkeypatch.context() as patch:
        patch.setattr(house, "SOURCES", scratch.engine.parent)
        patch.setattr(house, "PACKAGE", scratch.engine)
        patch.setattr(house, "modules", lambda: [scratch.engine / name for name in touched])
        house.imports.cache_clear()
        try:
            for rule in RULES:
                rule()
        finally:
            house.imports.cache_clear()


RULES = (
    house.test_every_part_has_a_place_in_the_drawing,
    house.test_imports_point_down,
    house.test_siblings_do_not_know_each_other,
    house.test_nothing_but_the_top_row_imports_the_composition_root,
    house.test_the_pipeline_and_the_store_know_no_format,
    house.test_inbound_mappings_know_no_format,
    house.test_third_parties_stay_at_home,
    house.test_decisions_take_their_time_and_chance_from_outside,
    house.test_only_the_dialect_asks_which_database_it_is,
    house.test_classes_are_small,
    house.test_modules_are_short,
)


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Processes begin with signals as they are by default, also where pytest itself was begun in the background, and ignores some."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path / "copy")


@pytest.fixture
def site(tmp_path: Path) -> SiteFiles:
    return SiteFiles(tmp_path / "site")


class Copied(Hospital):
    """A hospital whose engine and command are those of a copy."""

    def __init__(self, directory: Path, scratch: Scratch, **options: Any) -> None:
        super().__init__(directory, **options, SINK_TIMEOUT_S=str(TIMEOUT_S))
        self._scratch = scratch

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"PYTHONPATH": self._scratch.environment["PYTHONPATH"]}

    def files(self, changes: dict[str, dict[str, str]]) -> None:
        """Replace texts in files of the site."""
        for name, texts in changes.items():
            path = self.directory / name
            text = path.read_text(encoding="utf-8")
            for old, new in texts.items():
                assert old in text, old
                text = text.replace(old, new)
            path.write_text(text, encoding="utf-8")

    def do(self, *arguments: str) -> str:
        """Run the command, which has to do what it is asked; what it said."""
        done = self.suture(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def take(self, *messages: bytes) -> None:
        """Send charges, one after another, each of which has to be acknowledged."""
        sender = Sender(self.charges_port)
        for message in messages:
            sender.say(message)
            assert b"MSA|AA|" in sender.hear()
        sender.close()


def test_the_table_has_a_row_for_each_change_that_is_made_here_and_no_other() -> None:
    rows = table()
    assert set(rows) == MADE["site"] | MADE["engine"] | ON_PAPER
    assert {change for change, row in rows.items() if not row.count} == MADE["site"]
    assert not [name for row in rows.values() for name in row.files if "*" not in name and not (TOP / "engine/suture" / name).exists()]


def test_a_file_more_than_the_table_says_is_seen(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scratch.touched() == []
    scratch.insert("model/events.py", {"ZERO = Decimal(0)\n": "ONE = Decimal(1)\n"})
    agrees("a canonical field", scratch, monkeypatch)
    scratch.add("model/more.py", '"""More."""\n')
    with pytest.raises(AssertionError, match=r"it took \['model/events.py', 'model/more.py'\]"):
        agrees("a canonical field", scratch, monkeypatch)
    (scratch.engine / "model" / "events.py").unlink()
    (scratch.engine / "model" / "more.py").unlink()
    assert scratch.touched() == ["model/events.py"]


def test_what_a_site_says_takes_no_file_of_the_engine(tmp_path: Path, scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    with Copied(tmp_path, scratch, erp=FaultyPeer("http")) as hospital:
        warehouse = '  warehouse: {http_out: {url: "http://127.0.0.1:${env:ERP_PORT}/warehouse", timeout_s: 7}, retry: {first_s: 2}}\n'
        hospital.files(
            {
                "conf/base.yaml": {"endpoints:\n": f"endpoints:\n{warehouse}"},
                "channels/charges/channel.yaml": {
                    "destinations:\n": "destinations:\n  warehouse: {to: warehouse, events: [charge.raised], as: events}\n"
                },
                "mappings/charges.yaml": {"account: PID-18.1}": "account: PID-18.1, encounter: PV1-19.1}"},
                "mappings/tables/item_master.csv": {"IMP-1,": "IMP-3,Bone screw,CHG-3\nIMP-1,"},
            }
        )
        hospital.do("check")
        hospital.start()
        other = dft("C2", 1).replace(b"\rFT1|1|", b"\rPV1|1|O|||||||||||||||||V-77\rFT1|1|")
        hospital.take(dft("C1", 1).replace(b"IMP-1", b"IMP-3").replace(b"\rFT1|1|", b"\rPV1|1|O|||||||||||||||||E-4471\rFT1|1|"), other)
        found = wait_until(lambda: len(hospital.erp.seen) == 4 and hospital.erp.seen, TIMEOUT_S, "both endpoints have both")
        codes = [json.loads(one.body)["events"][0]["data"]["charge_code"] for one in found]
        assert codes.count("CHG-3") == 2
        (message,) = json.loads(hospital.do("message", "list", "--find", "encounter=E-4471", "--json"))
        assert message["control_id"] == "C1"
        hospital.terminate(TIMEOUT_S)
    assert scratch.touched() == []


def test_a_canonical_field(scratch: Scratch, site: SiteFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    field = '    body_site: str | None = Field(None, description="Where in the body it was used")\n'
    scratch.insert("model/events.py", {'    staff: str | None = Field(None, description="Who recorded the use")\n': field})
    site.replace("mappings/supply.yaml", {"      unit: item.stock_unit\n": "      unit: item.stock_unit\n      body_site: FT1-13.1\n"})
    site.replace("channels/or-supply/samples/implant.hl7", {"IMP-1|||2": "IMP-1|||2|||HIP"})
    expected = "    - supply.used: {body_site: HIP}\n    - charge.raised:"
    site.replace("channels/or-supply/tests.yaml", {"    - charge.raised:": expected})
    checked(scratch, site)
    came = scratch.comes_to(site.directory, "or-supply", "samples/implant.hl7")
    assert [(kind, data.get("body_site")) for kind, data in came["events"][:2]] == [("supply.used", "HIP"), ("charge.raised", None)]
    assert came["bodies"][0]["events"][0]["data"]["body_site"] == "HIP"
    agrees("a canonical field", scratch, monkeypatch)


WASTED = '''
class SupplyWasted(BaseModel):
    """Something was thrown away, and nobody says what."""

    model_config = ConfigDict(extra="forbid")
    quantity: Decimal = Field(description="How much")
    why: str = Field(description="Why")

'''


def test_an_event_type_even_one_without_an_item(scratch: Scratch, site: SiteFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found by no item, moves no stock, and has no subject."""
    scratch.insert(
        "model/events.py",
        {
            '    unit: str | None = Field(None, description="Unit of the quantities")\n': f"\n{WASTED}",
            '    "supply.used": SupplyUsed,\n': '    "supply.wasted": SupplyWasted,\n',
        },
    )
    emit = '  - event: supply.wasted\n    set: {why: FT1-8, quantity: {from: FT1-10, as: decimal, default: "1"}}\n    when: {FT1-6.1: CG}\n'
    site.replace("mappings/supply.yaml", {"emit:\n": f"emit:\n{emit}"})
    site.replace("channels/or-supply/samples/implant.hl7", {"IMP-1|||2": "IMP-1|FELL DOWN||2"})
    added = "  audit: {to: erp, events: [supply.wasted], as: cloudevents}\n  billing:"
    site.replace("channels/or-supply/channel.yaml", {"  billing:": added})
    site.replace("channels/or-supply/tests.yaml", {"    - charge.raised:": "    - supply.wasted: {why: FELL DOWN}\n    - charge.raised:"})
    checked(scratch, site)
    came = scratch.comes_to(site.directory, "or-supply", "samples/implant.hl7")
    assert came["state"] == "processed"
    assert ["supply.wasted", {"why": "FELL DOWN", "quantity": "2"}] in came["events"]
    (told,) = [body[0] for body in came["bodies"] if isinstance(body, list)]
    assert (told["type"], told["subject"], told["data"]) == ("org.suture.supply.wasted", None, {"quantity": "2", "why": "FELL DOWN"})
    agrees("an event type", scratch, monkeypatch)


def checked(scratch: Scratch, site: SiteFiles) -> None:
    """`suture check` of the copy finds all in order, and the channel's tests pass."""
    done = scratch.suture("check", "--site", site.directory)
    assert done.returncode == 0, done.stdout + done.stderr


TOY_CHANNEL = """\
channel: uses
source: {mllp_in: {port: 2576}}
format: toy
business_key: [number, use/number]
order_by: patient
map: uses
destinations:
  erp: {to: erp, events: [supply.used], as: events}
"""
TOY_MAPPING = """\
mapping: uses
from: toy
each: use
skip: {use/kind: [payment]}
emit:
  - event: supply.used
    set: {patient: {from: patient, required: true}, item: {from: use/item, table: item_master}, quantity: {from: use/quantity, as: decimal}}
search: {patient: patient}
"""
TOY_TESTS = """\
- name: a use
  message: samples/use.toy
  expect:
    - supply.used: {patient: M7, item: IMP-1, quantity: 2}
    - supply.used: {patient: M7, item: IMP-1, quantity: 5}
- name: what is none
  message: samples/none.toy
  expect_error: NOT_TOY
"""


def test_a_format_that_comes_in(scratch: Scratch, site: SiteFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("channels/uses/channel.yaml", TOY_CHANNEL)
    site.write("mappings/uses.yaml", TOY_MAPPING)
    site.write("channels/uses/tests.yaml", TOY_TESTS)
    uses = "[use]\nnumber=1\nitem=IMP-1\nquantity=2\n\n[use]\nkind=payment\n[use]\nnumber=3\nitem=IMP-1\nquantity=5\n"
    site.write("channels/uses/samples/use.toy", f"number=A1\npatient=M7\n{uses}")
    site.write("channels/uses/samples/none.toy", "number=A2\nno line of it\n")
    assert "unknown format 'toy'" in scratch.suture("check", "--site", site.directory).stderr
    scratch.add("formats/toy.py", (TOYS / "toy_format.py").read_text(encoding="utf-8"))
    scratch.insert(
        "formats/registry.py",
        {
            "from suture.formats.json import Json\n": "from suture.formats.toy import Toy\n",
            "= (Json(),": " Toy()",
        },
    )
    checked(scratch, site)
    came = scratch.comes_to(site.directory, "uses", "samples/use.toy")
    assert [(kind, data["quantity"]) for kind, data in came["events"]] == [("supply.used", "2"), ("supply.used", "5")]
    assert [event["data"]["patient"] for event in came["bodies"][0]["events"]] == ["M7", "M7"]
    site.replace("channels/uses/tests.yaml", {"quantity: 5": "quantity: 6"})
    assert scratch.suture("check", "--site", site.directory).returncode, "the tests of a channel of this format are run"
    agrees("a format that comes in", scratch, monkeypatch)


def test_a_transport(tmp_path: Path, scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch.add("connectors/toy_out.py", (TOYS / "toy_out.py").read_text(encoding="utf-8"))
    scratch.insert(
        "connectors/registry.py",
        {"import http_out, mllp_in, mllp_out": ", toy_out", '"mllp_out": mllp_out': ', "toy_out": toy_out'},
    )
    pages, out = tmp_path / "reference", tmp_path / "out"
    out.mkdir()
    scratch.python(TOP / "docs" / "make_reference.py", pages)
    written = (pages / "configuration.md").read_text(encoding="utf-8")
    assert "### toy_out (destination)\n\nWrite each delivery to a file of a directory." in written
    with Copied(tmp_path, scratch) as hospital:
        hospital.files(
            {
                "conf/base.yaml": {"endpoints:\n": f"endpoints:\n  shelf: {{toy_out: {{directory: {out}}}}}\n"},
                "channels/charges/channel.yaml": {"erp: {to: erp,": "erp: {to: shelf,"},
            }
        )
        hospital.do("check")
        hospital.start()
        hospital.take(dft("C1", 1), dft("C2", 2))
        files = wait_until(lambda: len(found := list(out.glob("*.json"))) == 2 and found, TIMEOUT_S, "both are files")
        assert {json.loads(file.read_bytes())["message"]["control_id"] for file in files} == {"C1", "C2"}
        assert {json.loads(file.read_bytes())["idempotency_key"] for file in files} == {file.stem for file in files}
        wait_until(lambda: len(_deliveries(hospital, "accepted")) == 2, TIMEOUT_S, "both are accepted")
        hospital.terminate(TIMEOUT_S)
    assert not list(out.glob("*.part")) and not hospital.erp.seen
    agrees("a transport", scratch, monkeypatch)


def _deliveries(hospital: Copied, state: str) -> list[int]:
    """The numbers of the deliveries in a state, the oldest first."""
    return [number for (number,) in hospital.query(f"SELECT id FROM delivery WHERE state = '{state}' ORDER BY id")]


def test_an_operators_verb(tmp_path: Path, scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    """`delivery hold`: what is held before its first attempt is in the store only, and comes back when it is released."""
    for name, lines in HOLD.items():
        scratch.insert(name, lines)
    with Copied(tmp_path, scratch, erp=FaultyPeer("http", [Late()], keep=kept_charge)) as hospital:
        hospital.start()
        hospital.take(*(dft(f"C{number}", 1) for number in range(3)))
        first, second, third = wait_until(lambda: len(found := _deliveries(hospital, "queued")) == 3 and found, TIMEOUT_S, "three wait")
        wait_until(lambda: hospital.erp.seen, TIMEOUT_S, "the first is sent")
        wait = ("--wait", str(TIMEOUT_S))
        assert f"held: {second}\n" in hospital.do("delivery", "hold", str(first), str(second), "--reason", "the account is wrong", *wait)
        hospital.sinks.call(_let_go(hospital.erp))
        wait_until(lambda: _deliveries(hospital, "accepted") == [first, third], TIMEOUT_S, "the others are taken")
        assert hospital.query("SELECT id, state, attempts FROM delivery WHERE accepted_at_us IS NULL") == [(second, "held", 0)]
        assert [one[0] for one in hospital.erp.seen] == ["C0", "C2"]
        hospital.do("delivery", "release", str(second), "--reason", "it was right", "--yes", *wait)
        wait_until(lambda: _deliveries(hospital, "accepted") == [first, second, third], TIMEOUT_S, "it is sent after all")
        assert [one[0] for one in hospital.erp.seen] == ["C0", "C2", "C1"]
        assert not hospital.query("SELECT 1 FROM exception WHERE resolved_at_us IS NULL")
        hospital.terminate(TIMEOUT_S)
    agrees("an operator's verb", scratch, monkeypatch)


async def _let_go(peer: FaultyPeer) -> None:
    peer.let_go()
