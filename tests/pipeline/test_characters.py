"""Characters on their way through a channel: what is read is remarked, what cannot be is held, and what goes out can be read there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import hl7
import hl7.mllp
import pytest
from sqlalchemy import Engine, select

from suture.conversation.hl7v2.dealing import NO_RULES
from suture.conversation.hl7v2.rules import AnswerRules
from suture.mapping.outbound import as_events
from suture.model import states
from suture.model.message import Message, Note
from suture.pipeline.process import process
from suture.pipeline.rendering import remade
from suture.ports import Settled
from suture.store import journey, views
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.recode import Target, target
from tests import contents
from tests.mapping import examples
from tests.pipeline.house import House
from tests.plans import Output, Plan

HEAD = b"MSH|^~\\&|POU|OR|ENGINE|HOSP|20260302101500||DFT^P03^DFT_P03|C0001|P|2.5.1"
KEYS = ("MSH-3.1", "FT1-2")
CHARGE = """
mapping: charge
to: hl7v2
segments:
  - MSH: {3: {const: SUTURE}, 9: {const: DFT^P03^DFT_P03}, 11: {const: P}, 12: {const: "2.5.1"}}
  - FT1: {each: event, 7: item, 9: description, 10: quantity}
"""
MAPPING = examples.MAPPING.replace("description: item.description", "description: FT1-8.1")

RECEIVED_US = 1_775_056_530_000_000
"""1 April 2026, the day of the messages: service dates have bounds around the time of receipt."""


def charge(text: bytes = b"Ada", charset: bytes = b"", separators: bytes = b"^~\\&", number: bytes = b"T1") -> bytes:
    """A charge of one line, with a text in FT1-8."""
    head = HEAD.replace(b"^~\\&", separators, 1) + (b"||||||" + charset if charset else b"")
    ft1 = b"FT1|1|%b||20260302101500||CG|IMP-1|%b||2|||||||OR1" % (number, text)
    return head + b"\rPID|1||77^^^HOSP^MR^MR|||||||||||||||A1\r" + ft1 + b"\r"


def mapped(raw: bytes, outputs: list[Output] | None = None) -> Settled:
    plan = Plan("c", outputs or [Output("erp", frozenset({"supply.used"}), as_events)], inbound=examples.inbound(MAPPING, key=KEYS))
    ready = process(plan, Message("c", raw, RECEIVED_US, "C0001", "DFT^P03", id=1), 0).ready
    assert ready is not None
    return ready


def passed(raw: bytes, output: Output | None = None, encoding: str = "utf-8") -> Settled:
    plan = Plan("c", [output or Output("d")], encoding=encoding)
    ready = process(plan, Message("c", raw, RECEIVED_US, "C0001", "DFT^P03", id=1), 0).ready
    assert ready is not None
    return ready


def codes(notes: Any) -> list[tuple[str, str]]:
    return [(note.code, note.place) for note in notes]


# -- what comes -----------------------------------------------------------------------------------------------------


def test_a_windows_byte_is_the_sign_it_means_with_a_note() -> None:
    settled = mapped(charge(b"O\x92Hara", b"8859/1"))
    assert settled.events[0].data["description"] == "O’Hara"
    assert codes(settled.notes) == [("C1_BYTES", "FT1-8")]
    assert "Hara" not in settled.notes[0].reason


@pytest.mark.parametrize(
    ("text", "charset"), [(b"a\x81", b"8859/1"), (b"a\x92", b"8859/2"), (b"a\xff", b""), (b"a\x00b", b""), (b"\0", b"8859/1")]
)
def test_what_is_no_character_parks_the_message(text: bytes, charset: bytes) -> None:
    settled = mapped(charge(text, charset))
    assert (settled.state, settled.reason.partition(":")[0]) == (states.PARKED, "CHARSET")
    assert settled.events == ()


def test_a_wide_message_has_nul_bytes_and_no_nul() -> None:
    assert mapped(charge().decode().encode("utf-16-le")).state == states.PROCESSED
    assert mapped(charge(b"a\0").decode().encode("utf-16-le")).reason.startswith("CHARSET")


def test_a_nul_behind_the_last_segment_is_nobody_s_and_harmless() -> None:
    assert mapped(charge() + b"\0").state == mapped(charge() + b"\r\0\0\r").state == states.PROCESSED


def test_units_of_utf_16_are_the_letter_in_an_event() -> None:
    settled = mapped(charge(b"Citt\\X00E0\\ \\X00\\", b"8859/1"))
    assert settled.events[0].data["description"] == "Città \\X00\\"
    assert settled.notes == ()


def test_a_doubled_escape_character_is_read_as_one_with_a_note() -> None:
    settled = mapped(charge(b"NUT \\T\\ BOLT&SUB", separators=b"^~\\\\&"))
    assert settled.events[0].data["description"] == "NUT & BOLT"
    assert codes(settled.notes) == [("MSH2_TWICE", "MSH-2")]


@pytest.mark.parametrize("separators", [b"^^\\&", b"^~~&", b"^~\\\\", b"^~&&"])
def test_separators_that_cannot_be_told_apart_park_the_message(separators: bytes) -> None:
    settled = mapped(charge(separators=separators))
    assert settled.state == states.PARKED
    assert settled.reason.startswith("BAD_DELIMITER: MSH-2: ")


def test_a_needless_fifth_character_is_remarked_and_nothing_else() -> None:
    settled = mapped(charge(separators=b"^~\\&&"))
    assert (settled.state, codes(settled.notes)) == (states.PROCESSED, [("MSH2_TWICE", "MSH-2")])


def test_a_usual_message_has_no_notes() -> None:
    assert mapped(charge("Müller".encode())).notes == ()
    assert mapped(charge(b"M\xfcller", b"8859/1")).notes == ()


# -- what is passed on ----------------------------------------------------------------------------------------------

CHANGED = Output("d", changes={"MSH-5": "LAB"})
SWALLOWED = HEAD.replace(b"|ENGINE|HOSP|", b"|\xbd\xf1\x81|HOSP|") + b"||||||GBK\rPID|1||77\r"
"""MSH-5 ends in the first half of a character, which with the separator behind it is another character."""
DOUBTFUL = [
    charge(b"a\xff"),
    charge(b"a\x81", b"8859/1"),
    charge(separators=b"^^\\&"),
    charge(b"\xff\xff", b"GBK"),
    SWALLOWED,
    SWALLOWED.replace(b"GBK", b"BIG-5").replace(b"\xbd\xf1\x81", b"Caf\xe9"),
    SWALLOWED.replace(b"GBK", b"SHIFT_JIS").replace(b"\xbd\xf1\x81", b"\x83"),
    SWALLOWED.replace(b"GBK", b"ISO IR87").replace(b"\xbd\xf1\x81", b"\x1b$B;3"),
]


@pytest.mark.parametrize("raw", DOUBTFUL)
def test_a_message_that_cannot_be_changed_safely_is_held(raw: bytes) -> None:
    settled = passed(raw, CHANGED)
    assert settled.deliveries == []
    (held,) = settled.unrendered
    assert held.code in ("CHARSET", "BAD_DELIMITER")
    assert (held.delivery.state, held.delivery.body) == (states.HELD, b"")


@pytest.mark.parametrize("raw", [*DOUBTFUL, charge(b"O\x92Hara", b"8859/1"), charge(b"\0")])
def test_without_changes_every_message_is_passed_on_byte_for_byte(raw: bytes) -> None:
    (delivery,) = passed(raw).deliveries
    assert delivery.body == raw


def test_only_the_destination_that_changes_it_is_held() -> None:
    plan = Plan("c", [Output("other"), CHANGED])
    ready = process(plan, Message("c", SWALLOWED, 0, id=1), 0).ready
    assert ready is not None
    assert [one.destination for one in ready.deliveries] == ["other"]
    assert [one.delivery.destination for one in ready.unrendered] == ["d"]


def test_a_change_leaves_windows_bytes_in_other_segments_as_they_are() -> None:
    (delivery,) = passed(charge(b"O\x92Hara", b"8859/1"), CHANGED).deliveries
    assert delivery.body == charge(b"O\x92Hara", b"8859/1").replace(b"|ENGINE|", b"|LAB|")


def test_an_answer_is_asked_for_in_a_message_with_odd_bytes_where_that_is_safe() -> None:
    raw = charge(b"a\xff").replace(b"|2.5.1", b"|2.5.1|||NE|NE")
    (delivery,) = passed(raw, Output("d", answered=True)).deliveries
    assert delivery.body == raw.replace(b"|NE|NE", b"|AL|NE")
    odd = SWALLOWED.replace(b"|2.5.1||||||", b"|2.5.1|||NE|NE||")
    assert passed(odd, Output("d", answered=True)).unrendered[0].code == "CHARSET"


def test_a_change_never_says_that_the_message_is_in_another_set() -> None:
    says = Output("d", changes={"MSH-18": "UNICODE UTF-8"})
    (held,) = passed(charge(b"M\xfcller", b"8859/1"), says).unrendered
    assert (held.code, held.place) == ("CHARSET", "MSH-18")
    assert passed(charge(b"Muller", b"8859/1"), says).deliveries[0].body == charge(b"Muller", b"UNICODE UTF-8")
    right = Output("d", changes={"MSH-18": "8859/1"})
    assert passed(charge(b"M\xfcller"), right, "iso8859-1").deliveries[0].body == charge(b"M\xfcller", b"8859/1")


# -- what goes out --------------------------------------------------------------------------------------------------


def billing(to: Target | None, mapping: str = CHARGE) -> Output:
    return Output("billing", frozenset({"supply.used"}), examples.outbound(mapping), target=to)


def test_a_mapped_payload_goes_out_in_the_receiver_s_set() -> None:
    (delivery,) = mapped(charge("Müller".encode()), [billing(target("8859/1"))]).deliveries
    assert b"|8859/1\r" in delivery.body and b"M\xfcller" in delivery.body
    assert delivery.content_type == "application/hl7-v2; charset=ISO-8859-1"
    (as_made,) = mapped(charge("Müller".encode()), [billing(None)]).deliveries
    assert b"|UNICODE UTF-8\r" in as_made.body and as_made.content_type == "application/hl7-v2"
    assert delivery.control_id == as_made.control_id


def test_a_payload_that_needs_no_conversion_is_the_same() -> None:
    for name in ("ASCII", "8859/1", "UTF-8"):
        assert mapped(charge(), [billing(target(name))]).deliveries[0].body == mapped(charge(), [billing(None)]).deliveries[0].body


@pytest.mark.parametrize("raw", [charge("Müller".encode()), charge(b"M\xfcller", b"8859/1"), charge("Müller".encode(), b"UNICODE UTF-8")])
def test_a_receiver_that_reads_ascii_only_can_read_what_is_passed_on(raw: bytes) -> None:
    (delivery,) = passed(raw, Output("d", target=target("ASCII", "escape"))).deliveries
    read = hl7.parse(delivery.body.decode("ascii"))
    assert str(read.segment("FT1")[8]) == "M\\XC3BC\\ller" and str(read["MSH.F18"]) == "ASCII"
    (held,) = passed(raw, Output("d", target=target("ASCII"))).unrendered
    assert (held.code, held.place) == ("CHARSET", "FT1-8")
    settled = passed(raw, Output("d", target=target("ASCII", "replace")))
    assert b"|Muller|" in settled.deliveries[0].body
    reason = "1 characters that ASCII does not have were replaced for d"
    assert settled.notes == [Note(0, "CHARACTERS_REPLACED", "FT1-8", reason)]


async def taken_by_hl7_mllp(body: bytes) -> str:
    """FT1-8 as a server of python-hl7 has it, whose character set is ASCII unless told; it answers what it could read."""
    seen: list[str] = []
    ended = asyncio.Event()

    async def serve(reader: Any, writer: Any) -> None:
        message = await reader.readmessage()
        seen.append(str(message.segment("FT1")[8]))
        writer.writemessage(message.create_ack())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await hl7.mllp.start_hl7_server(serve, host="127.0.0.1", port=0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    writer.write(b"\x0b" + body + b"\x1c\r")
    answer = await asyncio.wait_for(reader.readuntil(b"\x1c\r"), 60)
    await asyncio.wait_for(ended.wait(), 60)
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    assert b"\rMSA|AA|C0001" in answer
    return seen[0]


def test_a_server_of_python_hl7_answers_what_is_sent_as_ascii() -> None:
    output = Output("d", target=target("ASCII", "replace"))
    (delivery,) = passed(charge("Müller".encode(), b"UNICODE UTF-8"), output).deliveries
    assert asyncio.run(taken_by_hl7_mllp(delivery.body)) == "Muller"


def test_a_replacement_in_a_mapped_payload_is_noted() -> None:
    settled = mapped(charge("Müller’s".encode()), [billing(target("8859/1", "replace"))])
    assert b"M\xfcller?s" in settled.deliveries[0].body
    assert codes(settled.notes) == [("CHARACTERS_REPLACED", "FT1-9")]


def test_changes_and_the_receiver_s_set_go_together() -> None:
    output = Output("d", changes={"MSH-5": "LÜB"}, target=target("8859/1"))
    (delivery,) = passed(charge("Müller".encode(), b"UNICODE UTF-8"), output).deliveries
    assert delivery.body == charge(b"M\xfcller", b"8859/1").replace(b"|ENGINE|", b"|L\xdcB|")


def test_a_control_id_is_the_one_that_goes_out() -> None:
    raw = charge().replace(b"|C0001|", "|Ü1|".encode())
    (delivery,) = passed(raw, Output("d", target=target("ASCII", "replace"))).deliveries
    assert (delivery.control_id, er7.Message.parse(delivery.body).get("MSH-10")) == ("U1", "U1")


def test_json_has_no_other_set() -> None:
    output = Output("erp", frozenset({"supply.used"}), as_events, target=target("ASCII"))
    assert mapped(charge("Müller".encode()), [output]).deliveries[0].content_type == "application/json"


def test_a_mapping_that_says_a_set_is_written_in_it() -> None:
    latin = CHARGE.replace('12: {const: "2.5.1"}', '12: {const: "2.5.1"}, 18: {const: 8859/1}')
    (delivery,) = mapped(charge("Müller".encode()), [billing(None, latin)]).deliveries
    assert b"M\xfcller" in delivery.body
    (held,) = mapped(charge("李".encode()), [billing(None, latin)]).unrendered
    assert (held.code, held.place) == ("CHARSET", "MSH-18")
    (delivery,) = mapped(charge("Müller".encode()), [billing(target("UTF-8"), latin)]).deliveries
    assert "Müller".encode() in delivery.body and b"|UNICODE UTF-8\r" in delivery.body


def test_a_payload_that_is_made_anew_is_in_the_set_too() -> None:
    output = Output("d", target=target("8859/1"))
    raw = charge("Müller".encode())
    message, plan = Message("c", raw, RECEIVED_US, "C0001", "DFT^P03", id=1), Plan("c", [output])
    (delivery,) = passed(raw, output).deliveries
    made: Any = remade(plan, delivery, message, (), 0)
    assert made.body == delivery.body


# -- in the store ---------------------------------------------------------------------------------------------------

Make = Callable[..., House]


@pytest.fixture
def make(engine_db: Engine) -> Iterator[Make]:
    made: list[House] = []

    def house(outputs: list[Output], inbound: Any = None, rules: AnswerRules = NO_RULES) -> House:
        made.append(House(engine_db, rules, {one.destination: [] for one in outputs}, inbound))
        made[-1].channel.plan = Plan("c", outputs, inbound=inbound, window_us=10**12, answer=rules)
        return made[-1]

    yield house
    for one in made:
        one.stop()


def test_notes_and_held_deliveries_are_kept(make: Make, engine_db: Engine) -> None:
    wanted = [Output("a", target=target("ASCII")), Output("b", target=target("ASCII", "replace")), Output("c")]
    house = make(wanted)
    house.receive(charge(b"O\x92Hara", b"8859/1"))
    with engine_db.connect() as connection:
        found = journey.journey(connection, 1)
        states_of = {row.destination: row.state for row in connection.execute(select(views.delivery))}
        ids = {row.destination: row.id for row in connection.execute(select(views.delivery))}
        bodies = contents.payloads(connection)
    assert found is not None
    assert [(note.code, note.place) for note in found.notes] == [("C1_BYTES", "FT1-8"), ("CHARACTERS_REPLACED", "FT1-8")]
    assert states_of["a"] == "held" and not bodies.get(ids["a"])
    assert b"|O?Hara|" in bodies[ids["b"]] and b"|ASCII\r" in bodies[ids["b"]]
    assert bodies[ids["c"]] == charge(b"O\x92Hara", b"8859/1")
    assert [(row.code, row.path, row.field) for row in found.exceptions] == [("CHARSET", "FT1-8", "a")]


@pytest.mark.parametrize("separators", [b"", b"^", b"^~\\"])
def test_a_message_without_encoding_characters_is_answered_with_the_standard_s(make: Make, separators: bytes) -> None:
    told = make([Output("d")]).receive(charge(separators=separators)).messages[0]
    assert (told.get("MSH-2"), told.get("MSH-9.1"), told.get("MSA-2")) == ("^~\\&", "ACK", "C0001")
