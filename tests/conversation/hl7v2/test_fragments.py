"""Fragments on the wire: stored one by one, acknowledged one by one, processed and answered as one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from suture.conversation.hl7v2.rules import AnswerRules
from suture.ports import Processed
from suture.store.backlog import received
from suture.wire.hl7v2.exchange.continuation import Limits
from tests.pipeline.house import House

USUAL = Limits(timeout_s=60)


def house(database: Engine, when: str = "after_process", limits: Limits = USUAL, **rules: Any) -> House:
    h = House(database, AnswerRules(when=when, **rules))
    h.dealing(continuation=limits)
    return h


def fragment(number: int, body: str, follows: str = "", points_to: str = "", modes: str = "|") -> bytes:
    head = rf"MSH|^~\&|LAB|OR|ENGINE|HOSP|20260401||ORU^R01|M{number}|P|2.5.1||{follows}|{modes}"
    return f"{head}\r{body}{f'DSC|{points_to}' if points_to else ''}\r".encode()


def rows(database: Engine) -> list[tuple[str, str]]:
    with database.connect() as connection:
        return [tuple(r) for r in connection.exec_driver_sql("SELECT control_id, state FROM message ORDER BY id")]


def test_in_enhanced_mode_each_fragment_is_accepted_and_the_whole_answered_once(database):
    h = house(database)
    first = h.receive(fragment(1, "PID|1\r", points_to="p", modes="AL|AL"))
    assert first.codes == ["CA"]
    assert rows(database) == [("M1", "received")]
    second = h.receive(fragment(2, "OBX|1", follows="p", modes="AL|AL"))
    h.settle()
    assert first.codes == ["CA"]
    assert second.codes == ["CA", "AA"]
    assert [m.get("MSA-2") for m in second.messages] == ["M2", "M1"]
    assert rows(database) == [("M1", "filtered"), ("M2", "filtered"), ("M1", "processed")]
    ((delivery, _),) = h.peers["d"].asked
    assert delivery.body.split(b"\r")[1:3] == [b"PID|1", b"OBX|1"]
    h.stop()


@pytest.mark.parametrize("when", ["after_store", "after_process", "after_delivery"])
@pytest.mark.parametrize(("modes", "first", "last"), [("|", ["AA"], ["AR"]), ("AL|AL", ["CA"], ["CA", "AE"])])
def test_a_whole_that_the_channel_does_not_take_is_refused(database, when, modes, first, last):
    h = house(database, when, processing_ids=frozenset({"T"}))
    assert h.receive(fragment(1, "PID|1\r", points_to="p", modes=modes)).codes == first
    heard = h.receive(fragment(2, "OBX|1", follows="p", modes=modes))
    h.settle()
    assert heard.codes == last
    assert heard.messages[-1].get("ERR-3.1") == "202"
    assert rows(database) == [("M1", "filtered"), ("M2", "filtered"), ("M1", "filtered")]
    assert not h.peers["d"].asked
    h.stop()


def test_in_original_mode_the_last_fragment_gets_the_answer_of_the_whole(database):
    h = house(database, "after_delivery")
    assert h.receive(fragment(1, "PID|1\r", points_to="p")).codes == ["AA"]
    last = h.receive(fragment(2, "OBX|1", follows="p"))
    h.settle()
    assert last.told == []
    h.deliver()
    assert last.codes == ["AA"]
    assert last.messages[0].get("MSA-2") == "M2"
    h.stop()


def test_a_fragment_that_comes_again_is_answered_and_counts_once(database):
    h = house(database)
    for _ in range(2):
        assert h.receive(fragment(1, "PID|1\r", points_to="p")).codes == ["AA"]
    h.receive(fragment(2, "OBX|1", follows="p"))
    h.settle()
    assert h.receive(fragment(2, "OBX|1", follows="p")).codes == ["AA"]
    assert rows(database).count(("M1", "processed")) == 1
    assert len(h.peers["d"].asked) == 1
    h.stop()


def test_a_fragment_without_a_follower_becomes_an_exception(database):
    h = house(database)
    h.receive(fragment(1, "PID|1\r", points_to="p"))
    h.clock.advance(60)
    h.settle()
    assert rows(database) == [("M1", "parked")]
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT code FROM exception").scalar() == "CONTINUATION_TIMEOUT"
    late = h.receive(fragment(2, "OBX|1", follows="p"))
    h.settle()
    assert late.codes == ["AE"]
    h.stop()


@pytest.mark.parametrize("processed", [False, True])
def test_after_a_crash_the_fragments_are_gathered_again_and_the_whole_is_processed_once(database, processed):
    h = house(database)
    h.receive(fragment(1, "PID|1\r", points_to="p"))
    if processed:  # killed after the whole was stored, and before its fragments were settled
        h.channel.settle = lambda message, settled, then: None
        h.receive(fragment(2, "OBX|1", follows="p"))
        h.settle()
        assert rows(database) == [("M1", "received"), ("M2", "received"), ("M1", "processed")]
    h.stop()

    h = house(database)
    with database.connect() as connection:
        for message in received(connection, "c", 0, 100):
            h.channel.recover(message)
    h.settle()
    if not processed:
        h.receive(fragment(2, "OBX|1", follows="p"))
    h.settle()
    h.settle()
    states = sorted(state for _, state in rows(database))
    assert states.count("processed") == 1
    assert states.count("filtered") == 2
    assert "received" not in states
    h.stop()


def test_a_fragment_is_not_processed_alone(database):
    h = house(database)
    h.receive(fragment(1, "PID|1\r", points_to="p"))
    with database.connect() as connection:
        (message,) = received(connection, "c", 0, 100)
    h.channel.process(message, None, 1)
    h.settle()
    assert not h.peers["d"].asked
    assert rows(database) == [("M1", "parked")]
    h.stop()


def test_fragments_that_were_given_up_are_gathered_anew_when_they_are_sent_again(database):
    h = house(database)
    first, last = fragment(1, "PID|1\r", points_to="p"), fragment(2, "OBX|1", follows="p")
    h.receive(first)
    h.clock.advance(61)  # its time is over
    h.settle()
    h.receive(last)
    h.settle()
    assert [state for _, state in rows(database)] == ["parked", "parked"]
    assert h.receive(first).codes == ["AA"]
    again = h.receive(last)
    h.settle()
    assert again.codes == ["AA"]
    assert rows(database)[-1] == ("M1", "processed")
    h.stop()


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_fragments_in_wide_characters_are_joined_and_answered_in_them(database, codec):
    h = house(database)
    pieces = [fragment(1, "PID|1||Zoë\r", points_to="p", modes="AL|AL"), fragment(2, "OBX|1", follows="p", modes="AL|AL")]
    first, last = (h.receive(f"\ufeff{piece.decode()}".encode(codec)) for piece in pieces)
    h.settle()
    assert (first.codes, last.codes) == (["CA"], ["CA", "AA"])
    assert [m.encoding for m in last.messages] == [codec, codec]
    assert rows(database) == [("M1", "filtered"), ("M2", "filtered"), ("M1", "processed")]
    with database.connect() as connection:
        types = connection.exec_driver_sql("SELECT type FROM message ORDER BY id").scalars().all()
    assert types == ["ORU^R01"] * 3
    h.stop()


BROKEN_AT_ONCE = {
    "too many fragments": (Limits(fragments=2), [("", "p"), ("p", "q"), ("q", "r")]),
    "too many bytes": (Limits(size_bytes=130), [("", "p"), ("p", "q")]),
    "too many messages": (Limits(chains=0), [("", "p")]),
    "a pointer that none before it has": (USUAL, [("x", "q")]),
}


@pytest.mark.parametrize("when", ["after_store", "after_process", "after_delivery"])
@pytest.mark.parametrize(
    ("modes", "good", "bad"),
    [("|", ["AA"], ["AE"]), ("AL|AL", ["CA"], ["CA", "AE"]), ("NE|AL", ["-"], ["AE"]), ("AL|NE", ["CA"], ["CA"]), ("NE|NE", ["-"], ["-"])],
)
@pytest.mark.parametrize("case", BROKEN_AT_ONCE)
def test_the_fragment_that_breaks_its_message_is_told_so(database, case, modes, good, bad, when):
    limits, links = BROKEN_AT_ONCE[case]
    h = house(database, when, limits)
    heard = [h.receive(fragment(n, "PID|1\r", *at, modes=modes)) for n, at in enumerate(links, start=1)]
    h.settle()
    h.clock.advance(limits.timeout_s)
    h.settle()
    assert [each.codes for each in heard] == [good] * (len(links) - 1) + [bad]
    assert [state for _, state in rows(database)] == ["parked"] * len(links)
    if bad[-1] == "AE":
        told = heard[-1].messages[-1]
        assert (told.get("MSA-2"), told.get("ERR-2.1"), told.get("ERR-3.1")) == (f"M{len(links)}", "DSC", "100")
    h.stop()


def test_a_fragment_that_breaks_its_message_is_told_so_when_that_is_durable(database):
    h = house(database)
    write, kept = h.journal.write, []
    h.journal.write = lambda op: kept.append(op) if isinstance(op, Processed) else write(op)
    heard = h.receive(fragment(2, "OBX|1\r", follows="x", points_to="q"))
    assert heard.told == []
    assert rows(database) == [("M2", "received")]
    for op in kept:
        write(op)
    h.settle()
    assert heard.codes == ["AE"]
    assert rows(database) == [("M2", "parked")]
    h.stop()


def test_a_fragment_that_takes_the_pointer_of_another_message_is_accepted(database):
    h = house(database)
    first = h.receive(fragment(1, "PID|1\r", points_to="p"))
    second = h.receive(fragment(2, "PID|2\r", points_to="p"))
    last = h.receive(fragment(3, "OBX|1", follows="p"))
    h.settle()
    assert (first.codes, second.codes, last.codes) == (["AA"], ["AA"], ["AA"])
    assert rows(database) == [("M1", "parked"), ("M2", "filtered"), ("M3", "filtered"), ("M2", "processed")]
    h.stop()


def test_a_message_that_was_broken_is_taken_when_it_is_sent_again_in_order(database):
    h = house(database)
    first, middle, last = fragment(1, "PID|1\r", points_to="p"), fragment(2, "OBX|1\r", "p", "q"), fragment(3, "OBX|2", follows="q")
    assert h.receive(middle).codes == ["AE"]
    assert [h.receive(each).codes for each in (first, middle)] == [["AA"], ["AA"]]
    heard = h.receive(last)
    h.settle()
    assert heard.codes == ["AA"]
    assert rows(database)[-1] == ("M1", "processed")
    h.stop()
