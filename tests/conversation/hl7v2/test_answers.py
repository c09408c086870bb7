"""When a sender is answered: at receipt, after processing, after delivery; repetitions, silence and crashes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from suture.conversation.hl7v2.rules import AnswerRules
from suture.conversation.hl7v2.verdict import location, of_past, of_settled
from suture.mapping.plan import Mapped
from suture.model import states
from suture.model.errors import MessageError
from suture.model.fault import Fault
from suture.model.finding import CARDINALITY, OTHER, Location
from suture.model.message import Gap, Message
from suture.model.outcome import Accepted, Held, Rejected, TryLater
from suture.model.value import changed
from suture.ports import Past, Settled
from tests.pipeline.house import House, Parked

PARKED = MessageError("map", "MISSING_VALUE", "PID-3", "required")


def message(control_id: str = "M1", modes: str = "|") -> bytes:
    return rf"MSH|^~\&|POU|OR|ENGINE|HOSP|20260401101530||DFT^P03^DFT_P03|{control_id}|P|2.5.1|||{modes}".encode() + b"\rEVN|P03\r"


def house(database: Engine, when: str, script=None, inbound=None, **rules) -> House:
    return House(database, AnswerRules(when=when, **rules), script, inbound)


def test_after_delivery_the_answer_waits_for_every_destination(database):
    h = house(database, "after_delivery", {"a": [], "b": []})
    heard = h.receive(message())
    assert heard.told == []
    h.deliver("a")
    assert heard.told == []
    h.deliver("b")
    assert heard.codes == ["AA"]
    assert h.channel.conversation.answers.waiting.askers == 0
    h.stop()


def test_a_destination_that_refuses_makes_it_an_error_at_once(database):
    h = house(database, "after_delivery", {"a": [Rejected("AE", "no")], "b": []})
    heard = h.receive(message())
    h.deliver("a")
    assert heard.codes == ["AE"]
    assert heard.messages[0].get("ERR-3.1") == "207"
    h.deliver("b")
    assert len(heard.told) == 1
    h.stop()


def test_a_delivery_that_is_held_is_answered_with_a_reject(database):
    h = house(database, "after_delivery", {"d": [Held("CE", "a person has to look")]})
    heard = h.receive(message())
    h.deliver()
    assert heard.codes == ["AR"]
    h.stop()


def test_a_delivery_that_is_tried_again_is_waited_for_up_to_the_limit(database):
    h = house(database, "after_delivery", {"d": [TryLater("AR", "busy", wait_s=20)]}, within_s=30)
    first, second = h.receive(message()), None
    h.deliver()
    h.clock.advance(10)
    second = h.receive(message())  # the sender is impatient, and joins itself
    assert first.told == second.told == []
    h.clock.advance(10)
    h.deliver()
    assert first.codes == second.codes == ["AA"]
    h.stop()


def test_who_waits_too_long_is_told_to_send_later_and_then_no_more(database):
    h = house(database, "after_delivery", within_s=30)
    heard, later = h.receive(message()), None
    h.clock.advance(20)
    later = h.receive(message("M2"))
    h.clock.advance(10)
    assert heard.codes == ["AR"]
    assert later.told == []
    h.deliver()
    h.deliver()
    assert len(heard.told) == 1
    assert later.codes == ["AA"]
    h.clock.advance(100)
    assert (heard.codes, later.codes) == (["AR"], ["AA"])
    assert not h.clock.getDelayedCalls(), "nothing is waited for any more"
    h.stop()


@pytest.mark.parametrize(
    ("script", "inbound", "code"),
    [([Accepted("AA")], None, "AA"), ([Rejected("AE", "no")], None, "AE"), ([], Parked(PARKED), "AE"), ([Held("CE", "x")], None, "AR")],
)
def test_a_repetition_gets_the_answer_of_the_first(database, script, inbound, code):
    h = house(database, "after_delivery", {"d": script}, inbound)
    first = h.receive(message())
    h.deliver()
    again, third = h.receive(message()), h.receive(message())
    assert first.codes == again.codes == third.codes == [code]
    assert again.messages[0].get("MSH-10") != first.messages[0].get("MSH-10")
    assert again.messages[0].get("ERR-3.1") == first.messages[0].get("ERR-3.1")
    h.stop()


def test_an_answer_at_receipt_is_by_the_processing_id_of_each_message(database):
    h = house(database, "after_store", processing_ids=frozenset({"P", ""}))
    ids = [b"P", b"T", b"", b"P", b"D", b"T^A", b"P^R"]
    heard = [h.receive(message(f"M{n}").replace(b"|P|2.5.1", b"|%s|2.5.1" % one)) for n, one in enumerate(ids)]
    assert [one.codes for one in heard] == [["AA"], ["AR"], ["AA"], ["AA"], ["AR"], ["AR"], ["AA"]]
    assert {one.messages[0].get("ERR-3.1") for one in heard if one.codes == ["AR"]} == {"202"}
    assert len(h.peers["d"].asked) == 1, "one lane: the first is on its way, the refused ones are not"
    with database.connect() as connection:
        states_of = connection.exec_driver_sql("SELECT state FROM message ORDER BY id").scalars().all()
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM delivery").scalar() == 4
    assert list(states_of) == ["processed", "filtered", "processed", "processed", "filtered", "filtered", "processed"]
    h.stop()


def test_a_repetition_of_a_message_that_is_not_done_waits_with_it(database):
    h = house(database, "after_delivery")
    first, again = h.receive(message(), settle=False), h.receive(message(), settle=False)
    h.settle()
    h.settle()
    assert first.told == again.told == []
    h.deliver()
    assert first.codes == again.codes == ["AA"]
    h.stop()


def test_after_a_crash_the_message_is_processed_without_an_answer_and_its_repetition_answered(database):
    h = house(database, "after_process")
    h.channel.received = lambda m: None  # killed between the commit and the processing
    heard = h.receive(message())
    h.stop()
    assert heard.told == []

    h = house(database, "after_process")
    again = h.receive(message())
    assert again.told == []
    (old,) = [m for m in stored(database) if m.id == 1]
    h.channel.process(old)
    h.settle()
    assert again.codes == ["AA"]
    assert len(h.peers["d"].asked) == 1
    h.stop()


def stored(database: Engine) -> list[Message]:
    from suture.store.backlog import received

    with database.connect() as connection:
        return received(connection, "c", 0, 100)


def test_nothing_is_answered_before_it_is_durable(database):
    h = house(database, "after_process")
    heard = h.receive(message(), settle=False)
    assert heard.told == []
    h.settle()
    assert heard.codes == ["AA"]
    h.stop()


def test_a_commit_comes_at_receipt_and_the_application_acknowledgement_when_it_is_time(database):
    h = house(database, "after_delivery")
    heard = h.receive(message(modes="AL|AL"))
    assert heard.codes == ["CA"]
    h.deliver()
    assert heard.codes == ["CA", "AA"]
    h.stop()


def test_a_filtered_message_is_answered_as_accepted(database):
    h = house(database, "after_process")
    h.channel.plan = changed(h.channel.plan, outputs=[], accept=frozenset({"ADT^A01"}))
    assert h.receive(message()).codes == ["AA"]
    h.stop()


def test_fields_of_the_answer_are_set_as_the_channel_says(database):
    fields = {"MSA-3": "Got it | well", "MSH-3": "SUTURE^X", "MSH-4": 6}
    h = house(database, "after_process", settings=fields)
    (answer,) = h.receive(message()).messages
    assert (answer.get("MSA-3"), answer.get("MSH-3"), answer.get("MSH-3.2"), answer.get("MSH-4")) == (
        "Got it | well",
        "SUTURE^X",
        "X",
        "HOSP",
    )
    h.stop()
    h = house(database, "after_process", inbound=Parked(PARKED), settings=fields)
    (answer,) = h.receive(message("M2")).messages
    assert answer.get("MSA-3").startswith("PID-3")
    assert answer.get("MSH-3.1") == "SUTURE"
    h.stop()


def test_a_template_is_the_whole_answer(database):
    template = (r"MSH|^~\&|{MSH-5}|X|{MSH-3}|Y|{now}||ACK|{id}|P|2.2", "MSA|{code}|{MSH-10}|{text}", "ZZZ|fine")
    h = house(database, "after_process", template=template)
    lines = h.receive(message()).told[0][1].split(b"\r")
    assert lines[0].split(b"|")[2:6] == [b"ENGINE", b"X", b"POU", b"Y"]
    assert lines[1:] == [b"MSA|AA|M1|", b"ZZZ|fine", b""]
    h.stop()


def test_lines_that_wait_beside_lines_that_went_through_are_warnings():
    gap = Gap(2, "item", "FT1-34.1 or FT1-7.1", "no row", "item_master", "ZZ-9")
    told = of_settled(Settled(states.PROCESSED, "", (), (), (), [gap]))
    assert told.fate == "accepted"
    assert [(f.code, f.severity, f.location) for f in told.findings] == [(103, "W", Location("FT1", 2, 34, 0, 1))]
    told = of_settled(Settled(states.PARKED, "no row", (), (), (), [gap]))
    assert told.fate == "error"
    assert "ZZ-9" not in str(told.findings)


@pytest.mark.parametrize(("code", "told"), [("AMBIGUOUS_VALUE", CARDINALITY), ("OUT_OF_BOUNDS", OTHER)])
def test_a_value_that_is_held_though_it_is_there_is_no_error_of_the_application(code, told):
    gap = Gap(1, "quantity", "FT1-10", "not between -99999 and 99999", kind=code)
    (found,) = of_settled(Settled(states.PARKED, "held", (), (), (), [gap])).findings
    assert (found.code, found.location) == (told, Location("FT1", 1, 10))
    assert "cannot be processed" not in found.text


@pytest.mark.parametrize(
    ("path", "line", "place"),
    [
        ("FT1-7.1", 3, Location("FT1", 3, 7, 0, 1)),
        ("PID-3[MR].1", 3, Location("PID", 1, 3, 0, 1)),
        ("PID-3[4='GENERAL' & 5='MR'].1, PID-3[4='' & 5='MR'].1", 3, Location("PID", 1, 3, 0, 1)),
        ("FT1-7[3.1='L'].1.2", 2, Location("FT1", 2, 7, 0, 1, 2)),
        ("OBX(4)-5[2].1.2", 1, Location("OBX", 4, 5, 2, 1, 2)),
        ("MSH", 0, Location("MSH")),
        ("", 0, None),
        ("call normal_unit", 2, None),
    ],
)
def test_a_path_becomes_a_location(path, line, place):
    assert location(path, line) == place


@pytest.mark.parametrize(("code", "place", "where"), [("CHARSET", "MSH-18", Location("MSH", 1, 18)), ("STORE", "", None)])
def test_an_answer_names_the_place_that_a_message_is_parked_for(code, place, where):
    parked = Settled.parked(Fault(code, "parse", place, "it: was so"))
    again = Past(7, states.PARKED, [Fault(code, "parse", place, "it: was so")])
    assert [one.location for one in (*of_settled(parked).findings, *of_past(again).findings)] == [where, where]


def test_no_content_reaches_an_answer(database):
    class Mapping:
        def run(self, parsed, received_at_us):
            gap = Gap(1, "patient", "PID-5.1", "ZZMARKER is wrong", "t", "ZZMARKER")
            return Mapped(gaps=[gap])

    h = house(database, "after_process", inbound=Mapping())
    heard = h.receive(message() + b"PID|1||||ZZMARKER\r")
    again = h.receive(message() + b"PID|1||||ZZMARKER\r")
    assert heard.codes == again.codes == ["AE"]
    assert b"ZZMARKER" not in heard.told[0][1] + again.told[0][1]
    h.stop()


OUTCOMES = [Accepted("AA"), TryLater("AR", "busy", wait_s=3), Rejected("AE", "no"), Held("CE", "x")]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("receive"), st.integers(1, 3), st.sampled_from(["|", "AL|AL", "NE|AL", "ER|SU", "NE|NE"]), st.booleans()),
        st.tuples(st.just("deliver"), st.sampled_from("ab")),
        st.tuples(st.just("wait"), st.sampled_from([1, 4, 11])),
    ),
    max_size=14,
)
_example = itertools.count()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.lists(st.sampled_from(OUTCOMES), max_size=8), st.sampled_from(["after_store", "after_process", "after_delivery"]))
def test_whatever_happens_every_sender_is_answered_once(database, steps, script, when):
    h = house(database, when, {"a": script, "b": script[::-1]}, within_s=10)
    run, senders = next(_example), []
    for step in steps:
        if step[0] == "receive":
            _, number, modes, settle = step
            senders.append((modes, h.receive(message(f"{run}-{number}", modes), settle)))
        elif step[0] == "deliver":
            h.settle()
            h.deliver(step[1])
        else:
            h.clock.advance(step[1])
    for _ in range(4):  # what is under way is stored, told of, and waited for
        h.settle()
    h.clock.advance(11)
    h.settle()
    h.stop()
    for modes, heard in senders:
        assert [how for how, _ in heard.told][:1] == ["answer"]
        assert len(heard.told) <= (2 if modes == "AL|AL" else 1)
        assert [payload for _, payload in heard.told if payload] or modes in ("NE|NE", "ER|SU")
    assert h.channel.conversation.answers.waiting.askers == 0


def test_the_number_of_those_who_wait_has_a_limit(database):
    h = house(database, "after_delivery", waiting=2)
    waiting = [h.receive(message(f"M{n}", "AL|AL")) for n in (1, 2)]
    one_more = h.receive(message("M3", "AL|AL"))
    assert [heard.codes for heard in waiting] == [["CA"], ["CA"]]
    assert one_more.codes == ["CA", "AR"]
    h.deliver()
    assert h.receive(message("M4", "AL|AL")).codes == ["CA"]
    h.stop()


@pytest.mark.parametrize("when", ["after_process", "after_delivery"])
def test_that_a_message_is_durable_is_told_before_its_answer_where_that_waits(database, when):
    h = house(database, when)
    heard = h.receive(message())
    assert heard.stored[0] is True
    assert heard.stored.count(True) == len(heard.stored)


def test_that_a_message_is_durable_is_told_with_its_answer_where_that_comes_at_once(database):
    h = house(database, "after_store")
    heard = h.receive(message())
    assert heard.stored == [True]
