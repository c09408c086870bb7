"""Under which control id a message goes out: never one that was used for another on the connection."""

from __future__ import annotations

import random

import pytest

from suture.connectors.mllp.control_ids import REMEMBERED, RENAMED, ControlIds, Used, identity
from suture.ports import Delivery
from suture.wire.hl7v2.text.header import Header


def text(number: int, control_id: str) -> bytes:
    return f"MSH|^~\\&|S|F|R|RF|20260301||ADT^A01|{control_id}|P|2.5.1\rPID|1||{number}\r".encode()


def delivery(number: int, control_id: str, attempts: int = 0) -> Delivery:
    return Delivery(number, "c", "d", "lane", text(number, control_id), f"key-{number}", control_id, id=number, attempts=attempts)


def named(body: bytes) -> str:
    header = Header.read(body)
    assert header is not None
    return header.text(10)


@pytest.mark.parametrize("seed", range(20))
def test_no_control_id_is_used_twice_on_a_connection_and_each_delivery_keeps_its_own(seed: int) -> None:
    chance = random.Random(seed)
    ids, connections = ControlIds(), [Used() for _ in range(3)]
    texts = {number: chance.choice(["", "1", "2", f"M{number}"]) for number in range(100)}
    went: dict[int, set[str]] = {}
    out: list[list[str]] = [[] for _ in connections]
    for _ in range(400):
        number, at = chance.randrange(100), chance.randrange(3)
        one, used = delivery(number, texts[number], len(went.get(number, ()))), connections[at]
        letter = ids.letter(one, used)
        if letter is None:
            assert went[number], "a first attempt may go out anywhere"
            continue
        name, body = letter
        assert named(body) == name
        assert body == text(number, name)
        used.add(name, identity(one), number)
        out[at].append(name)
        went.setdefault(number, set()).add(name)
    for names in out:
        assert len(set(names)) == len(names)
        assert "" not in names
    assert all(len(names) == 1 for names in went.values())


def test_what_is_remembered_is_bounded() -> None:
    ids, used = ControlIds(), Used()
    for number in range(RENAMED + REMEMBERED):
        letter = ids.letter(delivery(number, ""), used)
        assert letter is not None
        used.add(letter[0], identity(delivery(number, "")), number)
    assert len(used) == REMEMBERED
    assert len(ids._ours) == RENAMED
    assert letter[0] in used


def test_an_older_control_id_may_be_used_again() -> None:
    ids, used = ControlIds(), Used()
    for number in range(REMEMBERED + 1):
        used.add(f"M{number}", identity(delivery(number, f"M{number}")), number)
    assert ids.letter(delivery(5000, "M0"), used) == ("M0", delivery(5000, "M0").body)
    assert ids.letter(delivery(5001, "M1"), used) != ("M1", delivery(5001, "M1").body)


def test_a_request_for_a_sequence_number_is_not_its_delivery() -> None:
    """It is sent with the idempotency key of the delivery that it is made for, under a control id of its own."""
    ids, used = ControlIds(), Used()
    names = []
    for control_id in ("", "SEQ1", "SEQ1", ""):
        one = delivery(1, control_id)
        letter = ids.letter(one, used)
        if letter is not None:
            used.add(letter[0], identity(one), one.id)
        names.append(letter and letter[0])
    assert names[0] not in (None, "", "SEQ1")
    assert names[1:] == ["SEQ1", None, None]
