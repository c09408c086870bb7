"""What comes to nothing is told, and what comes twice is the same thing: through the journal, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from suture.conversation.hl7v2.dealing import Dealing
from suture.conversation.hl7v2.rules import AnswerRules
from suture.master.stock import StockLevels
from suture.model.errors import MessageError
from suture.model.value import changed
from suture.store import again, dialect, summary, tables, views
from suture.store.journey import journey
from tests import contents
from tests.mapping import examples
from tests.mapping.examples import ft1
from tests.pipeline.house import House
from tests.plans import Output

KEY = ["MSH-3.1", "FT1-2", "FT1-6.1"]


class Hospital(House):
    """A channel with the example mapping, an archive of its events, and its store looked at."""

    def __init__(self, database: Engine, key: list[str], rules: AnswerRules, mapping: str) -> None:
        super().__init__(database, rules, {"archive": []}, examples.inbound(mapping, key=key))
        output = Output("archive", frozenset({"supply.used", "charge.raised"}), examples.outbound(ARCHIVE), per_event=True)
        self.channel.plan = changed(self.channel.plan, outputs=[output])

    def takes(self, *lines: str, control_id: str = "C0001", pid: str = "", type: str = "DFT^P03^DFT_P03", evn: str = "") -> int:
        """A message of that type with these FT1 arrives; its number."""
        raw = examples.message(*lines, **({"pid": pid} if pid else {})).to_bytes().replace(b"|C0001|", f"|{control_id}|".encode())
        raw = raw.replace(b"DFT^P03^DFT_P03", type.encode()).replace(b"\rPID", f"\r{evn}\rPID".encode() if evn else b"\rPID")
        self.heard = self.receive(raw)
        with self.database.connect() as connection:
            return int(connection.execute(text("SELECT max(id) FROM message")).scalar() or 0)

    def state(self, number: int) -> str:
        m = views.message.c
        with self.database.connect() as connection:
            return str(connection.execute(select(m.state).where(m.id == number)).scalar())

    def exceptions(self, number: int) -> list[tuple[int, str, str, str]]:
        """(line, code, path, value) of the open exceptions of a message."""
        e = tables.exception.c
        query = select(e.line, e.code, e.path, e.value).where(e.message_id == number, e.resolved_at_us.is_(None)).order_by(e.line, e.id)
        with self.database.connect() as connection:
            return [tuple(row) for row in connection.execute(query)]  # type: ignore[misc]

    def raised(self) -> int:
        with self.database.connect() as connection:
            return sum(event.state == "raised" for _, _, event in contents.events(connection))

    def notes(self, number: int) -> list[tuple[int, str, str]]:
        with self.database.connect() as connection:
            found = journey(connection, number)
        assert found is not None
        told = [step.text for step in found.steps if step.what == "note"]
        assert len(told) == len(found.notes)
        return [(one.line, one.code, one.place) for one in found.notes]

    def balances(self) -> bool:
        with self.database.connect() as connection:
            return summary.balance(connection, "c").wrong == []


ARCHIVE = """
mapping: archive
to: json
each: event
body: {Item: item, Quantity: quantity}
"""


@pytest.fixture
def hospital(engine_db: Engine) -> Iterator[Any]:
    made: list[Hospital] = []

    def build(
        key: list[str] = KEY, when: str = "after_store", mapping: str = examples.MAPPING, accept: tuple[str, ...] = (), **plan: Any
    ) -> Hospital:
        made.append(Hospital(engine_db, key, AnswerRules(when=when), mapping))  # type: ignore[arg-type]
        made[-1].channel.plan = changed(made[-1].channel.plan, accept=frozenset(accept), **plan)
        return made[-1]

    yield build
    for one in made:
        one.stop()


class TestALineThatComesToNothing:
    def test_is_an_exception_of_its_line_and_the_others_go_on(self, hospital: Any) -> None:
        house = hospital()
        number = house.takes(ft1(), ft1(type="cd", id="T2"))
        assert (house.state(number), house.raised()) == ("processed", 2)
        assert house.exceptions(number) == [(2, "NO_EVENT", "FT1-6.1", "cd")]
        assert house.balances()

    def test_alone_parks_its_message_and_a_sender_who_waits_hears_of_it(self, hospital: Any) -> None:
        house = hospital(when="after_process")
        number = house.takes(ft1(type="XX"))
        assert (house.state(number), house.exceptions(number)) == ("parked", [(1, "NO_EVENT", "FT1-6.1", "XX")])
        assert house.heard.codes == ["AE"]

    def test_a_message_without_a_line_is_an_exception(self, hospital: Any) -> None:
        house = hospital(when="after_process")
        number = house.takes()
        assert (house.state(number), house.exceptions(number)) == ("parked", [(0, "NO_LINES", "FT1", "")])
        assert house.heard.codes == ["AE"] and house.balances()

    def test_a_skipped_line_keeps_its_reason_beside_lines_that_went_on(self, hospital: Any) -> None:
        house = hospital()
        number = house.takes(ft1(type="PY"), ft1("GLV-1", id="T2", unit="BX"))
        assert (house.state(number), house.exceptions(number)) == ("processed", [])
        assert house.notes(number) == [(1, "SKIPPED", "FT1-6.1"), (2, "NOT_RAISED", "charge.raised")]

    def test_a_message_of_skipped_lines_alone_is_filtered(self, hospital: Any) -> None:
        house = hospital()
        number = house.takes(ft1(type="PY"), ft1(type="AJ", id="T2"))
        assert (house.state(number), [line for line, _, _ in house.notes(number)]) == ("filtered", [1, 2])

    def test_mended_in_the_mapping_it_goes_on_when_it_is_processed_again(self, hospital: Any) -> None:
        house = hospital()
        number = house.takes(ft1(type="CHG"))
        mended = examples.MAPPING.replace("[CG, CD]", "[CG, CD, CHG]")
        house.channel.plan = changed(house.channel.plan, inbound=examples.inbound(mended, key=KEY))
        again_processed(house, number)
        assert (house.state(number), house.exceptions(number), house.raised()) == ("processed", [], 2)


def again_processed(house: Hospital, number: int) -> None:
    with house.database.connect() as connection:
        (found,) = again.stored(connection, [number], insist=False)
    house.channel.process(found.message, found.taken, found.revision + 1)
    house.settle()


class TestTheTypeOfAMessage:
    @pytest.mark.parametrize(
        ("written", "evn"),
        [
            ("DFT", "EVN|P03"),
            ("DFT", "EVN|p03 |20260401"),
            (" DFT ^ P03 ", "EVN|"),
            ("dft^p03^DFT_P03", "EVN|"),
            ("DFT_P03", "EVN|"),
            ("DFT^^DFT_P03", "EVN|"),
        ],
    )
    def test_that_can_be_read_all_the_same_is_taken_and_noted(self, hospital: Any, written: str, evn: str) -> None:
        house = hospital(accept=("DFT^P03", "DFT^P11"))
        number = house.takes(ft1(), type=written, evn=evn)
        assert (house.state(number), house.raised(), house.notes(number)) == ("processed", 2, [(0, "TYPE_READ", "MSH-9")])

    @pytest.mark.parametrize(
        ("written", "evn"),
        [
            ("DFT", "EVN|"),
            ("DFT^?", "EVN|P03"),
            ("DFTP03", "EVN|"),
            ("DFT P03", "EVN|"),
            ("", "EVN|P03"),
            ('""', "EVN|P03"),
            ("DFT^P", "EVN|"),
        ],
    )
    def test_that_cannot_be_read_is_an_exception(self, hospital: Any, written: str, evn: str) -> None:
        house = hospital(when="after_process", accept=("DFT^P03",))
        number = house.takes(ft1(), type=written, evn=evn)
        assert house.state(number) == "parked"
        assert [one[1:3] for one in house.exceptions(number)] == [("UNREADABLE_TYPE", "MSH-9")]
        assert house.heard.codes == ["AE"]

    def test_that_is_refused_unless_it_is_named_is_read_all_the_same(self, hospital: Any) -> None:
        house = hospital(accept=("DFT^P03",), settles=Dealing(AnswerRules(types=frozenset({"DFT^P03"}))).settles)
        for type_, evn, state in (("DFT", "EVN|P03", "processed"), ("dft^p11", "EVN|", "filtered"), ("DFT", "EVN|", "parked")):
            assert house.state(house.takes(ft1(id=state), type=type_, evn=evn, control_id=state)) == state

    def test_a_structure_that_several_events_share_does_not_tell_which(self, hospital: Any) -> None:
        house = hospital(accept=("ADT^A08",))
        number = house.takes(ft1(), type="ADT_A01")
        assert (house.state(number), [code for _, code, _, _ in house.exceptions(number)]) == ("parked", ["UNREADABLE_TYPE"])

    @pytest.mark.parametrize("written", ["ADT^A01", "DFT^P11", "ORM", "dft^p11"])
    def test_that_the_channel_does_not_name_is_filtered(self, hospital: Any, written: str) -> None:
        house = hospital(accept=("DFT^P03",))
        number = house.takes(ft1(), type=written)
        assert (house.state(number), house.exceptions(number)) == ("filtered", [])


class TestADuplicate:
    def test_is_the_same_thing_under_the_same_number(self, hospital: Any) -> None:
        house = hospital()
        house.takes(ft1())
        number = house.takes(ft1(), control_id="C2")
        assert (house.state(number), house.exceptions(number), house.raised()) == ("duplicate", [], 2)

    @pytest.mark.parametrize(
        "other",
        [
            {"line": ft1("NEW-1", id="0")},
            {"line": ft1(id="0", quantity="2")},
            {"line": ft1(id="0", time="20260402100100")},
            {"pid": "PID|1||M8^^^HOSP^MR|||||||||||||||A42^^^HOSP^AN"},
            {"pid": "PID|1||M7^^^HOSP^MR|||||||||||||||A43^^^HOSP^AN"},
        ],
        ids=["item", "quantity", "day", "patient", "account"],
    )
    def test_another_thing_under_the_same_number_waits_for_a_person(self, hospital: Any, other: dict[str, str]) -> None:
        house = hospital(when="after_process")
        house.takes(ft1(id="0"))
        number = house.takes(other.get("line", ft1(id="0")), control_id="C2", pid=other.get("pid", ""))
        assert house.state(number) == "parked"
        assert house.exceptions(number) == [(1, "KEY_CONFLICT", "FT1-2", "0")]
        assert house.heard.codes == ["AE"] and house.balances()

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (ft1(type="CD"), ft1(type="CD", quantity="2")),
            (ft1("GLV-1", unit="BX", quantity="2"), ft1("GLV-1", unit="EA", quantity="2")),
        ],
        ids=["credits of one and of two", "boxes and singles"],
    )
    def test_quantities_are_told_apart_with_their_sign_and_unit(self, hospital: Any, one: str, other: str) -> None:
        for lines in ((one, other), (other, one)):
            house = hospital()
            number = house.takes(*[line.replace("T1", f"T{lines[0] is one}") for line in lines])
            assert [row[:2] for row in house.exceptions(number)] == [(2, "KEY_CONFLICT")]
            house.stop()

    def test_a_line_that_was_held_does_not_take_the_key_of_one_that_went_out(self, hospital: Any) -> None:
        house = hospital()
        number = house.takes(ft1("ZZ-9", id="0"), ft1("GLV-1", id="0", unit="BX"))
        assert house.exceptions(number) == [(1, "UNKNOWN_CODE", "FT1-7.1", "ZZ-9")]
        mended = {**examples.TABLES, "items": examples.table("items", examples.ITEMS + "ZZ-9,New,SUP-1,27000123,N,EA,EA,1,2,active,,\n")}
        house.channel.plan = changed(house.channel.plan, inbound=examples.inbound(key=KEY, tables=mended))
        again_processed(house, number)
        assert house.exceptions(number) == [(1, "KEY_CONFLICT", "FT1-2", "0")]
        with house.database.connect() as connection:
            events = [(event.line, event.state) for _, revision, event in contents.events(connection) if revision == 1]
        assert events == [(2, "raised")]

    def test_the_time_of_day_and_a_quantity_in_other_digits_are_the_same_thing(self, hospital: Any) -> None:
        house = hospital()
        house.takes(ft1())
        number = house.takes(ft1(time="20260401235900", quantity="1.0"), control_id="C2")
        assert house.state(number) == "duplicate"

    def test_of_two_lines_with_one_number_and_different_items_the_second_waits(self, hospital: Any) -> None:
        house = hospital()
        number = house.takes(ft1(), ft1("NEW-1"))
        assert (house.state(number), house.exceptions(number)) == ("processed", [(2, "KEY_CONFLICT", "FT1-2", "T1")])

    def test_of_two_lines_that_are_the_same_the_second_is_a_duplicate(self, hospital: Any) -> None:
        house = hospital()
        number = house.takes(ft1(), ft1())
        assert (house.state(number), house.exceptions(number), house.raised()) == ("processed", [], 2)

    def test_lines_beside_a_conflict_go_on(self, hospital: Any) -> None:
        house = hospital()
        house.takes(ft1(id="1"))
        number = house.takes(ft1("NEW-1", id="1"), ft1(id="2"), control_id="C2")
        assert house.state(number) == "processed"
        assert [one[:2] for one in house.exceptions(number) if one[1] == "KEY_CONFLICT"] == [(1, "KEY_CONFLICT")]
        assert house.raised() == 4

    def test_with_a_better_business_key_what_waited_goes_on(self, hospital: Any) -> None:
        house = hospital()
        house.takes(ft1(id="0"))
        number = house.takes(ft1(id="0", quantity="3"), control_id="C2")
        house.channel.plan = changed(house.channel.plan, inbound=examples.inbound(key=[*KEY, "FT1-10"]))
        again_processed(house, number)
        assert (house.state(number), house.exceptions(number), house.raised()) == ("processed", [], 4)

    def test_a_claim_that_was_made_before_digests_were_kept_is_a_duplicate_as_it_was(self, hospital: Any) -> None:
        house = hospital()
        house.takes(ft1())
        with dialect.writing(house.database) as connection:
            connection.execute(text("UPDATE claim SET digest = NULL"))
        assert house.state(house.takes(ft1(quantity="2"), control_id="C2")) == "duplicate"

    def test_a_claim_knows_what_it_stands_for_when_its_message_is_processed_again(self, hospital: Any) -> None:
        house = hospital()
        number = house.takes(ft1(quantity="2"))
        halved = examples.MAPPING.replace("quantity: {from: FT1-10, as: decimal", "quantity: {from: FT1-1, as: decimal")
        house.channel.plan = changed(house.channel.plan, inbound=examples.inbound(halved, key=KEY))
        again_processed(house, number)
        assert house.state(house.takes(ft1(quantity="2"), control_id="C2")) == "duplicate"


ROW = {"location": "OR-ORTHO", "item": "IMP-1", "on_hand": "10", "reorder_point": "2", "par_level": "20", "unit": "BX"}


class TestTheStock:
    def test_a_use_in_a_unit_that_it_does_not_know_is_an_exception_and_goes_on(self, hospital: Any) -> None:
        house = hospital(stock=StockLevels([ROW]))
        number = house.takes(ft1())
        assert (house.state(number), house.raised()) == ("processed", 2)
        assert house.exceptions(number) == [(1, "STOCK_UNIT", "", "EA")]
        assert house.balances()

    def test_the_mended_stock_is_moved_once_when_the_message_is_processed_again(self, hospital: Any) -> None:
        house = hospital(stock=StockLevels([ROW]))
        number = house.takes(ft1(quantity="3"))
        house.channel.plan = changed(house.channel.plan, stock=StockLevels([{**ROW, "unit": "EA"}]))
        for _ in range(2):
            again_processed(house, number)
            with house.database.connect() as connection:
                (on_hand,) = connection.execute(text("SELECT on_hand FROM stock")).scalars()
            assert Decimal(on_hand) == 7
        assert house.exceptions(number) == []


def test_an_event_type_without_an_item_is_found_by_its_other_values() -> None:
    from suture.mapping.keys import pairs
    from suture.model.events import Event

    assert pairs({("patient", "M7"): None}, [Event("x", 0, 1, "k", {"location": "OR1"})]) == [("patient", "M7")]


def test_too_many_lines_is_still_an_error_of_the_message() -> None:
    with pytest.raises(MessageError, match="TOO_MANY_LINES"):
        examples.mapped(*[ft1()] * 10_000)
