"""A line's values come from segments of which its message has one, or from the one that the path names; else it is held."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.mapping.compile import Mapped
from suture.model.errors import MessageError
from suture.wire.hl7v2.standard import context, dictionary
from suture.wire.hl7v2.text import er7
from tests.mapping.examples import MAPPING, ft1, inbound, message

LOT = MAPPING.replace("      account: PID-18.1\n", "      account: PID-18.1\n      lot: {path}\n", 1)


def run(text: str, *lines: str, kind: str = "DFT^P03^DFT_P03", **given: Any) -> Mapped:
    """What a mapping makes of a message with these lines, each with its name."""
    raw = message().to_bytes().replace(b"DFT^P03^DFT_P03", kind.encode()) + "".join(f"{line}\r" for line in lines).encode()
    parsed = er7.Message.parse(raw)
    found, careful = inbound(text, **given).run(parsed), inbound(text, **given).run_carefully(parsed)
    assert found == careful
    return found


def gaps(found: Mapped) -> list[tuple[int, str, str, str]]:
    return [(gap.line, gap.code, gap.field, gap.path) for gap in found.gaps]


FIRST, SECOND = f"FT1|{ft1()}", f"FT1|{ft1('NEW-1', id='T2')}"


class TestASegmentOfWhichThereAreSeveral:
    @pytest.mark.parametrize("segment", ["NTE", "PR1", "DG1", "IN1", "ZSU", "OBX"])
    def test_holds_the_lines_that_read_it_and_says_what_to_write(self, segment: str) -> None:
        found = run(LOT.replace("{path}", f"{segment}-3"), FIRST, f"{segment}|1||AAA", SECOND, f"{segment}|1||BBB")
        assert gaps(found) == [(1, "AMBIGUOUS_CONTEXT", "lot", f"{segment}-3"), (2, "AMBIGUOUS_CONTEXT", "lot", f"{segment}-3")]
        assert f"e.g. {segment}(1)-3" in found.gaps[0].reason
        assert found.events == []

    @pytest.mark.parametrize("path", ["NTE(1)-3", "NTE[3='AAA']-3"])
    def test_is_read_where_the_path_says_which(self, path: str) -> None:
        found = run(LOT.replace("{path}", f'"{path}"'), FIRST, "NTE|1||AAA", SECOND, "NTE|1||BBB")
        assert [event.data["lot"] for event in found.events if event.type == "supply.used"] == ["AAA", "AAA"]

    def test_is_not_asked_for_where_the_line_has_the_value(self) -> None:
        text = LOT.replace("{path}", "{from: [FT1-25, NTE-3]}")
        own = f"FT1|{ft1(id='T2')}".split("|")
        own[25] = "OWN"
        found = run(text, FIRST, "NTE|1||AAA", "|".join(own), "NTE|1||BBB")
        assert gaps(found) == [(1, "AMBIGUOUS_CONTEXT", "lot", "NTE-3")]
        assert [event.data["lot"] for event in found.events if event.type == "supply.used"] == ["OWN"]

    def test_is_none_of_the_repeated_one(self) -> None:
        assert run(MAPPING, FIRST, SECOND).gaps == []

    def test_in_a_condition_holds_what_hangs_on_it(self) -> None:
        text = MAPPING.replace("    when: {FT1-6.1: [CG, CD]}\n", "    when: {FT1-6.1: [CG, CD], NTE-3: AAA}\n", 1)
        found = run(text, FIRST, "NTE|1||AAA", "NTE|1||BBB")
        assert gaps(found) == [(1, "AMBIGUOUS_CONTEXT", "", "NTE-3")]
        assert [event.type for event in found.events] == ["charge.raised"]

    def test_in_a_credit_holds_what_hangs_on_it(self) -> None:
        found = run(MAPPING.replace("credit: &credit {FT1-6.1: CD}", "credit: &credit {NTE-3: CD}"), FIRST, "NTE|1||CD", "NTE|1||CG")
        assert (found.events, {gap.code for gap in found.gaps}) == ([], {"AMBIGUOUS_CONTEXT"})

    def test_in_skip_holds_the_line_unless_another_condition_skips_it(self) -> None:
        text = MAPPING.replace("skip: {", "skip: {NTE-3: NO, ")
        found = run(text, FIRST, "NTE|1||NO", f"FT1|{ft1(type='PY')}", "NTE|1||YES")
        assert gaps(found) == [(1, "AMBIGUOUS_CONTEXT", "", "NTE-3")]
        assert (found.events, [line for line, _, _ in found.filtered]) == ([], [2])

    def test_in_the_business_key_holds_the_line(self) -> None:
        found = run(MAPPING, FIRST, "NTE|1||AAA", "NTE|1||BBB", key=("MSH-3.1", "NTE-3"))
        assert (found.events, gaps(found)) == ([], [(1, "AMBIGUOUS_CONTEXT", "", "NTE-3")])

    def test_is_found_by_the_first(self) -> None:
        found = run(MAPPING.replace("search: {", "search: {note: NTE-3, "), FIRST, "NTE|1||AAA", "NTE|1||BBB")
        assert found.gaps == []
        assert ("note", "AAA") in found.search

    def test_holds_a_message_that_is_its_own_line(self) -> None:
        once = "mapping: o\nfrom: hl7v2\nemit:\n  - event: supply.used\n    set: {item: FT1-7.1, quantity: {const: '1'}}\n"
        assert gaps(run(once, FIRST, SECOND)) == [(1, "AMBIGUOUS_CONTEXT", "item", "FT1-7.1")]
        assert run(once, FIRST).events[0].data["item"] == "IMP-1"


class TestASegmentThatStandsBehindALine:
    def used(self, *lines: str, path: str = "NTE-3", kind: str = "DFT^P03^DFT_P03") -> list[Any]:
        """The lots of the lines, with the places of gaps."""
        found = run(LOT.replace("{path}", path), *lines, kind=kind)
        return [e.data.get("lot") for e in found.events if e.type == "supply.used"] + [g.path for g in found.gaps if g.field == "lot"]

    def test_is_that_lines_and_no_other_ones(self) -> None:
        assert self.used(FIRST, "NTE|1||AAA", SECOND) == ["NTE-3", "NTE-3"]
        assert self.used(FIRST, SECOND, "NTE|1||AAA") == ["NTE-3", "NTE-3"]
        assert self.used(FIRST, SECOND, "ZSU|1||AAA", path="ZSU-3") == ["ZSU-3", "ZSU-3"]
        assert self.used(FIRST, "NTE|1||AAA", SECOND, path='"NTE(1)-3"') == ["AAA", "AAA"]

    def test_is_every_lines_before_the_first(self) -> None:
        assert self.used("NTE|1||AAA", FIRST, SECOND) == ["AAA", "AAA"]

    def test_is_the_only_lines(self) -> None:
        assert self.used(FIRST, "NTE|1||AAA") == ["AAA"]

    def test_is_the_messages_where_its_structure_says_so(self) -> None:
        assert self.used(FIRST, SECOND, "IN1|1||AAA", path="IN1-3") == ["AAA", "AAA"]
        assert self.used(FIRST, SECOND, "IN1|1||AAA", path="IN1-3", kind="DFT^P11^DFT_P11") == ["IN1-3", "IN1-3"]
        assert self.used(FIRST, "IN1|1||AAA", SECOND, path="IN1-3") == ["IN1-3", "IN1-3"]


class TestASecondPatientOrVisit:
    @pytest.mark.parametrize("more", ["PID|2||M8^^^HOSP^MR", "PV1|2|O", "PID", "MSH|^~\\&|X"])
    def test_parks_the_message(self, more: str) -> None:
        for way in ("run", "run_carefully"):
            with pytest.raises(MessageError) as parked:
                getattr(inbound(), way)(er7.Message.parse(message(ft1()).to_bytes() + f"{more}\r".encode()))
            assert (parked.value.code, parked.value.place) == ("AMBIGUOUS_CONTEXT", f"{more[:3]}(2)")

    def test_parks_it_whatever_the_mapping_reads(self) -> None:
        once = "mapping: o\nfrom: hl7v2\neach: FT1\nemit:\n  - event: supply.used\n    set: {item: FT1-7.1, quantity: {const: '1'}}\n"
        with pytest.raises(MessageError):
            run(once, FIRST, "PID|2", key=("FT1-2",))

    def test_holds_the_lines_where_the_structure_has_it(self) -> None:
        found = run(MAPPING, "PID|2||M8^^^HOSP^MR", "PV1|2|O", FIRST, kind="ADT^A17^ADT_A17")
        assert found.events == []
        assert {(gap.code, gap.field) for gap in found.gaps} >= {("AMBIGUOUS_CONTEXT", "patient"), ("AMBIGUOUS_CONTEXT", "account")}

    def test_is_a_line_where_the_mapping_goes_through_them(self) -> None:
        each = "mapping: o\nfrom: hl7v2\neach: PID\nemit:\n  - event: supply.used\n    set: {item: 'PID-3[MR].1', quantity: {const: '1'}}\n"
        found = run(each, "PID|2||M8^^^HOSP^MR", key=("PID-3[MR].1",))
        assert [event.data["item"] for event in found.events] == ["M7", "M8"]

    @pytest.mark.parametrize("version", dictionary.VERSIONS)
    def test_by_the_structures_of_the_standard(self, version: str) -> None:
        def may(kind: str, name: str) -> bool:
            return context.may_repeat(dictionary.structure(version, kind), name)

        assert (may("ADT^A17", "PID"), may("ADT^A17", "PV1"), may("ORU^R01", "PID")) == (True, True, True)
        assert not any(may(kind, name) for kind in ("DFT^P03", "ADT^A01", "ORM^O01", "ZZZ^Z01", "") for name in ("PID", "PV1"))


SEVERAL = """
mapping: several
from: hl7v2
each: FT1
skip: {DG1-3: X}
emit:
  - event: supply.used
    when: {PR1-1: ["", "1"]}
    set:
      item: {from: [FT1-34.1, FT1-7.1], table: items}
      lot: {from: [FT1-25, NTE-3, ZSU-3]}
      account: PID-18.1
      location: {from: [FT1-16.1, PV1-3.1], table: locations, required: false}
      quantity: {from: FT1-10, as: decimal, default: "1"}
    credit: {IN1-1: CD}
search: {note: [NTE-3, PR1-3], plan: IN1-3}
"""
OTHERS = st.sampled_from(
    ["NTE|1||A", "ZSU|1||B", "DG1|1||X", "DG1|1||Y", "PR1|1||C", "PR1|2", "IN1|CD", "IN1|1||D", FIRST, SECOND, "FT1|1"]
)
MAPPINGS = {"by FT1-2": inbound(SEVERAL, key=("MSH-4", "FT1-2")), "by NTE-1": inbound(SEVERAL, key=("MSH-4", "NTE-1", "FT1-2"))}


@pytest.mark.parametrize("name", MAPPINGS)
@given(st.lists(OTHERS, max_size=8), st.sampled_from(["DFT^P03", "DFT^P11", "ORU^R01", "ZFT^Z01"]))
def test_the_quick_way_gives_what_the_careful_way_gives(name: str, lines: list[str], kind: str) -> None:
    raw = message().to_bytes().replace(b"DFT^P03^DFT_P03", kind.encode()) + "".join(f"{line}\r" for line in lines).encode()
    parsed = er7.Message.parse(raw)
    quick, careful = MAPPINGS[name].run(parsed), MAPPINGS[name].run_carefully(parsed)
    assert quick == careful
    assert (
        len({gap.line for gap in quick.gaps} | {event.line for event in quick.events} | {line for line, _, _ in quick.filtered})
        >= quick.lines
    )
