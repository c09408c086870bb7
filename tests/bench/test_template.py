"""The messages of the benchmark: told apart by their number, and read by the sites they are for."""

import pytest

from bench.template import ACCOUNTS, Template, control_id, numbers
from bench.workloads import WORKLOADS, Workload
from suture.config.site import load_site
from suture.wire.hl7v2.text.er7 import Message

HEADER = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|{ID}|P|2.5.1\r"


def test_places_are_filled_with_the_id_and_the_account():
    made = Template(HEADER + b"PID|1||7{ACCOUNT}|{ID}-1\r").message(ACCOUNTS + 12)
    assert made == b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|BENCH000001009|P|2.5.1\rPID|1||7000012|BENCH000001009-1\r"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_ends_of_lines_become_those_of_hl7(end):
    assert Template(HEADER.replace(b"\r", end)).message(1).endswith(b"2.5.1\r")


def test_a_message_that_cannot_be_told_apart_is_refused():
    with pytest.raises(ValueError, match="MSH-10"):
        Template(HEADER.replace(b"{ID}", b"1"))


def test_a_sink_finds_every_number_in_a_body():
    body = b'[{"id": "BENCH000000012"}, {"id": "BENCH000000012-1"}, {"id": "' + control_id(999_999_999) + b'"}, "BENCH12"]'
    assert numbers(body) == {12, 999_999_999}


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
class TestTheMessageOf:
    def test_a_workload_is_a_message_of_one_account(self, workload: Workload):
        message = Message.parse(Template.read(workload.message_file).message(42))
        assert message.get("MSH-10") == "BENCH000000042"
        assert message.get("PID-18.1") == "3000042"

    def test_a_workload_beside_another_has_ports_of_its_own(self, workload: Workload, tmp_path):
        other = workload.beside(tmp_path / "beside")
        files = "".join(file.read_text() for file in other.site.rglob("*.yaml"))
        assert f"{{port: {other.listener}}}" in files
        assert str(other.port) in files
        assert str(workload.listener) not in files
        assert str(workload.port) not in files

    def test_a_workload_is_delivered_where_its_site_says(self, workload: Workload):
        (channel,) = load_site(workload.site, None, {}).channels.values()
        (destination,) = channel.destinations.values()
        assert str(workload.port) in destination.settings.model_dump_json()


def test_w1_makes_three_enriched_charges_of_a_message():
    workload = WORKLOADS["w1"]
    inbound = load_site(workload.site, None, {}).channels["w1"].inbound
    assert inbound is not None
    mapped = inbound.run(Message.parse(Template.read(workload.message_file).message(42)))
    assert not mapped.gaps
    assert [(event.type, event.data["supplier"]) for event in mapped.events] == [
        ("charge.raised", "SUP1"),
        ("charge.raised", "SUP2"),
        ("charge.raised", "SUP3"),
    ]
