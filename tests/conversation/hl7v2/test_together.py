"""Several messages in one frame and no batch around them: each is stored, processed and answered for itself."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from suture.conversation.hl7v2.batches import Inward
from suture.conversation.hl7v2.rules import AnswerRules
from suture.conversation.hl7v2.together import Together
from suture.pipeline.turns import LARGE_BYTES
from suture.wire.hl7v2.exchange.continuation import Limits
from tests import contents
from tests.conversation.hl7v2.test_batches import WIDE, wide
from tests.mapping import examples
from tests.mapping.examples import ft1
from tests.pipeline.house import House
from tests.pipeline.test_cycles import in_world
from tests.pipeline.test_large import Beside

AFTER = ["after_store", "after_process"]


def one(number: int, modes: str = "|", more: str = "") -> bytes:
    return rf"MSH|^~\&|CAB|OR|ENGINE|HOSP|20260401||DFT^P03|M{number}|P|2.5.1|||{modes}".encode() + b"\rEVN|P03\r" + more.encode()


def answers(heard: Any) -> list[tuple[str, str, str]]:
    """How, MSA-2 and MSA-1 of all that one sender was told."""
    return [(how, m.get("MSA-2"), m.get("MSA-1")) for (how, _), m in zip(heard.told, heard.messages, strict=True)]


def stored(database: Engine) -> list[str]:
    with database.connect() as connection:
        return [row[0] for row in connection.execute(text("SELECT control_id FROM message ORDER BY id"))]


@pytest.fixture
def house(engine_db: Engine) -> Any:
    made: list[House] = []

    def build(**rules: Any) -> House:
        made.append(House(engine_db, AnswerRules(**rules)))
        return made[-1]

    yield build
    for each in made:
        each.stop()


@pytest.mark.parametrize("when", AFTER)
@pytest.mark.parametrize("between", [b"", b"\n", b"\r\n", b" ", b"\t\x0b", b"\xef\xbb\xbf"])
def test_each_is_a_message_with_an_answer(house: Any, engine_db: Engine, when: str, between: bytes) -> None:
    heard = (h := house(when=when)).receive(one(1) + between + one(2) + one(3))
    h.settle()
    assert answers(heard) == [("said", "M1", "AA"), ("said", "M2", "AA"), ("answer", "M3", "AA")]
    assert stored(engine_db) == ["M1", "M2", "M3"]
    assert heard.stored[-1] is True


def test_no_byte_is_lost_between_them(house: Any, engine_db: Engine) -> None:
    messages = [one(1, more="NTE|1||a\n"), b" " + one(2), one(3)[:-1]]
    house(when="after_store").receive(b"".join(messages))
    with engine_db.connect() as connection:
        assert list(contents.raws(connection).values()) == messages


@pytest.mark.parametrize("more", ["NTE|1||see\rMSH and more\r", "NTE|1||see\rMSH, 9\r", "NTE|1||MSH|9\r", "OBX|1||MSHMSHMSH\r"])
def test_a_text_is_no_second_message(house: Any, engine_db: Engine, more: str) -> None:
    assert answers(house().receive(one(1, more=more))) == [("answer", "M1", "AA")]
    assert stored(engine_db) == ["M1"]


def test_each_patient_is_charged_for_what_is_theirs(engine_db: Engine) -> None:
    house = House(engine_db, AnswerRules(), {}, examples.inbound())
    first = examples.message(ft1()).to_bytes()
    second = examples.message(ft1("IMP-1", id="T2", quantity="5"), pid="PID|1||M8^^^HOSP^MR|||||||||||||||A43").to_bytes()
    house.receive(first + second.replace(b"|C0001|", b"|C0002|"))
    house.settle()
    with engine_db.connect() as connection:
        rows = [event.body for _, _, event in contents.events(connection) if event.type == "charge.raised"]
    assert [[part in row for part in (b"M7", b"M8")] for row in rows] == [[True, False], [False, True]]
    house.stop()


def test_one_that_is_refused_is_refused_alone(house: Any) -> None:
    heard = (h := house(when="after_process")).receive(one(1) + one(2, more="no segment\r") + one(3))
    h.settle()
    assert sorted((id_, code) for _, id_, code in answers(heard)) == [("M1", "AA"), ("M2", "AE"), ("M3", "AA")]


def test_the_answers_of_both_stages_come_for_each(house: Any) -> None:
    heard = house(when="after_process").receive(one(1, "AL|AL") + one(2, "AL|AL"))
    assert sorted((id_, code) for _, id_, code in answers(heard)) == [("M1", "AA"), ("M1", "CA"), ("M2", "AA"), ("M2", "CA")]
    assert [how for how, _ in heard.told].count("answer") == 1


@pytest.mark.parametrize(
    ("modes", "told"),
    [(["NE|NE", "|"], ["AA"]), (["|", "NE|NE"], ["AA", "-"]), (["NE|NE", "NE|NE"], ["-"]), (["|", "NE|NE", "|"], ["AA", "AA"])],
)
def test_one_that_wants_no_answer_gets_none(house: Any, modes: list[str], told: list[str]) -> None:
    heard = house().receive(b"".join(one(number, mode) for number, mode in enumerate(modes)))
    assert heard.codes == told
    assert [how for how, _ in heard.told].count("answer") == 1


def test_the_same_frame_again_repeats_each(house: Any, engine_db: Engine) -> None:
    h = house()
    for _ in range(2):
        assert [code for _, _, code in answers(h.receive(one(1) + one(2)))] == ["AA", "AA"]
    with engine_db.connect() as connection:
        states = connection.execute(text("SELECT state FROM message ORDER BY id")).scalars().all()
    assert states[2:] == ["duplicate", "duplicate"]


def test_too_many_are_refused_whole(house: Any, engine_db: Engine) -> None:
    heard = house(batch_messages=2).receive(one(1) + one(2) + one(3))
    assert (heard.codes, heard.messages[0].get("MSA-2"), heard.stored) == (["AR"], "M1", [False])
    with engine_db.connect() as connection:
        rows = connection.execute(text("SELECT control_id, state FROM message")).all()
        (raw,) = contents.raws(connection).values()
    assert [tuple(row) for row in rows] == [("M1", "parked")]  # for a person
    assert raw == one(1).split(b"\r")[0] + b"\r"


@pytest.mark.parametrize("codec", ["utf-8", *WIDE])
def test_who_can_be_told_one_thing_hears_of_the_first_that_is_refused(house: Any, codec: str) -> None:
    h = house(types=frozenset({"DFT^P03"}))
    for frame, id_, code in (
        (one(1) + one(2), "M1", "AA"),
        (one(3) + one(4).replace(b"DFT^P03", b"ADT^A01"), "M4", "AR"),
    ):
        told: list[tuple[Any, ...]] = []
        h.channel.conversation.arrived(wide(frame, codec, False), "peer", lambda *given, told=told: told.append(given))
        h.settle()
        ((payload, _stored),) = told
        assert (f"MSA|{code}|{id_}".encode(codec) in payload, len(told)) == (True, 1)


def test_what_one_cannot_store_is_said_once_before_all_answers(engine_db: Engine) -> None:
    told: list[tuple[str, Any, bool]] = []
    waiting: list[Any] = []
    inward = Inward(lambda raw, answer, say, faults: waiting.append((answer, say)), lambda *kept: None)
    together = Together(House.__new__(House), inward)  # type: ignore[arg-type]
    say = lambda payload, stored: told.append(("said", payload, stored))  # noqa: E731
    for _ in together.hand_on(b"", lambda payload, stored: told.append(("answer", payload, stored)), say, [b"1", b"2", b"3"]):
        pass
    (first, first_say), (second, _), (third, _) = waiting
    first(b"A1")
    third(b"A3")
    assert told == []  # nobody knows yet whether the second is durable
    second(b"A2", False)
    assert told == [("said", b"A1", False), ("said", b"A3", False), ("answer", b"A2", False)]
    first_say(b"B1")
    assert told[-1] == ("said", b"B1", False)


def test_fragments_in_one_frame_are_joined(engine_db: Engine) -> None:
    house = House(engine_db, AnswerRules())
    house.dealing(continuation=Limits())
    second = one(2).replace(b"|2.5.1|||", b"|2.5.1||P1|")
    heard = house.receive(one(1, more="NTE|1||a\rDSC|P1\r") + second)
    house.settle()
    assert sorted(id_ for _, id_, _ in answers(heard)) in (["M1", "M1"], ["M1", "M2"])
    with engine_db.connect() as connection:
        rows = list(contents.raws(connection).values())
    assert rows[-1].count(b"MSH") == 1
    assert b"NTE|1||a\r" in rows[-1]
    assert b"DSC" not in rows[-1]
    house.stop()


@pytest.mark.parametrize("mark", [False, True])
@pytest.mark.parametrize("codec", WIDE)
def test_wide_ones_are_cut_too(house: Any, engine_db: Engine, codec: str, mark: bool) -> None:
    heard = house().receive(wide(one(1) + one(2), codec, mark))
    assert answers(heard) == [("said", "M1", "AA"), ("answer", "M2", "AA")]
    with engine_db.connect() as connection:
        rows = list(contents.raws(connection).values())
    assert rows == [wide(one(1), codec, mark), wide(one(2), codec, mark)]


def test_a_large_frame_is_cut_beside_the_reactor(engine_db: Engine) -> None:
    beside = Beside()
    house = in_world(House(engine_db, AnswerRules()), beside.world())
    heard = house.receive(one(1, more=f"NTE|1||{'x' * LARGE_BYTES}\r") + one(2) + one(3))
    later = house.receive(one(4))
    assert (heard.told, later.told, len(beside.aside)) == ([], [], 1)
    beside.one_aside()
    beside.all_turns()
    house.settle()
    assert answers(heard) == [("said", "M1", "AA"), ("said", "M2", "AA"), ("answer", "M3", "AA")]
    assert answers(later) == [("answer", "M4", "AA")]
    alone = house.receive(one(5, more=f"NTE|1||MSH{'x' * LARGE_BYTES}\r"))
    beside.one_aside()
    beside.all_turns()
    house.settle()
    assert answers(alone) == [("answer", "M5", "AA")]
    house.stop()
