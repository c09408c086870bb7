"""What a person sees of a message: the tree, the bytes, and JSON."""

from __future__ import annotations

from suture.wire.hl7v2.text.er7 import Message
from suture.wire.hl7v2.tools import render

RAW = (
    b"MSH|^~\\&|CAB|GENERAL|||20260304||ORU^R01|ID1|P|2.5.1\r"
    b'PID|1||77^^^GENERAL&1.2.3&ISO^MR~88^^^X^SS||DOE^""^ | ""|\xe9\x01|\r'
    b"OBX|1|CWE|X||A^alpha\\T\\beta^L\rOBX|2|FT|Y||one\\.br\\two\r"
    b"ZZZ|a^b&c\r"
)


def lines(raw: bytes = RAW, version: str = "") -> dict[str, render.Line]:
    return {line.place: line for line in render.tree(Message.parse(raw), version)}


def test_every_value_has_its_path_and_its_name() -> None:
    found = lines()
    assert (found["PID"].name, found["PID"].value) == ("Patient Identification", None)
    assert (found["PID-3[1].1"].name, found["PID-3[1].1"].value) == ("Patient Identifier List / ID Number", "77")
    assert found["PID-3[1].4.2"].name.startswith("Patient Identifier List / Assigning Authority / Universal ID")
    assert found["PID-3[2].5"].value == "SS"
    assert found["MSH-2"].value == "^~\\&" and found["MSH-1"].value == "|"
    assert found["ZZZ"].name == "" and found["ZZZ-1.2.2"].value == "c"


def test_a_result_is_named_by_the_type_that_obx_2_says() -> None:
    assert lines()["OBX(1)-5.2"].name.endswith("/ Text")
    assert lines()["OBX(1)-5.2"].value == "alpha&beta"


def test_the_version_may_be_overridden() -> None:
    dated = b"MSH|^~\\&|A|||||||1|P|2.5.1\rPID|1||77||||19620417\r"
    assert "PID-7.1" in lines(dated)  # of type TS, which has components
    assert "PID-7" in lines(dated, "2.7")  # of type DTM


def test_what_cannot_be_seen_is_made_visible() -> None:
    found = lines()
    assert found["OBX(2)-5"].value == "one␊two"
    assert found["PID-7.1"].value == "<xE9>␁"
    assert found["PID-5.3"].value == "␠"
    assert render.visible("a\u00a0b\u200f") == "a<U+00A0>b<U+200F>"
    assert render.visible("  a b ") == "␠␠a b␠" and render.visible(" ") == "␠" and render.visible("") == ""
    assert render.visible("\x7f\x1b[31m") == "␡␛[31m"


def test_null_is_told_from_empty_and_from_text() -> None:
    found = lines()
    assert found["PID-5.2"].null and "PID-4" not in found
    assert not found["PID-6.1"].null and found["PID-6.1"].value == '␠""'


def test_the_bytes_in_rows_that_end_with_the_segment() -> None:
    rows = list(render.hex_lines(b"\x0bMSH|^~\\&|0123456789\r\nPID\xe9\x1c\r"))
    assert rows == [
        "00000000  0b 4d 53 48 7c 5e 7e 5c 26 7c 30 31 32 33 34 35  ␋MSH|^~\\&|012345  VT",
        "00000010  36 37 38 39 0d 0a                                6789␍␊            CR LF",
        "00000016  50 49 44 e9 1c 0d                                PID·␜␍            FS CR",
    ]


def test_json_is_nested_down_to_subcomponents() -> None:
    found = render.nested(Message.parse(RAW))
    assert (found["version"], found["type"], found["control_id"]) == ("2.5.1", "ORU^R01", "ID1")
    pid = found["segments"][1]
    assert (pid["segment"], pid["place"], pid["name"]) == ("PID", "PID", "Patient Identification")
    fields = {field["field"]: field for field in pid["fields"]}
    one, other = fields[3]["repetitions"]
    assert one["components"][0] == {"component": 1, "name": "ID Number", "datatype": "ST", "value": "77"}
    assert [sub["value"] for sub in one["components"][1]["subcomponents"]] == ["GENERAL", "1.2.3", "ISO"]
    assert other["components"][0]["value"] == "88"
    assert fields[5]["repetitions"][0]["components"][1]["value"] is None
    assert fields[5]["raw"] == 'DOE^""^ '
    assert 4 not in fields


def test_bytes_in_hexadecimal_are_shown_in_the_message_s_own_character_set() -> None:
    message = Message.parse(b"MSH|^~\\&|A|||||||||||||||8859/1\rPID|1||\\XE9\\^\\X92\\^a&\\XE9\\|\\XE9\\\r")
    shown = {line.place: line.value for line in render.tree(message)}
    assert (shown["PID-3.1"], shown["PID-3.2"], shown["PID-3.3.2"]) == ("é", "’", "é")
    fields = render.nested(message)["segments"][1]["fields"]
    assert [
        field["repetitions"][0].get("value", field["repetitions"][0].get("components", [{}])[0].get("value")) for field in fields[1:]
    ] == ["é", "é"]
