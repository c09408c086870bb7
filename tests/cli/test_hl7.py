"""`suture hl7`: show, diff, get, validate, anonymize and generate as a user meets them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from suture.cli import exits
from suture.cli.main import main
from suture.wire import mllp
from tests.cli.conftest import Suture

ONE = b"MSH|^~\\&|CAB|GENERAL|||20260304||DFT^P03^DFT_P03|ID1|P|2.5.1\rEVN|P03|20260304\r"
ONE += b"PID|1||77^^^G^MR||DOE^JANE\rFT1|1|||20260304||CG|A\\T\\B^x\r"
TWO = ONE.replace(b"ID1", b"ID2").replace(b"JANE", b"JOAN")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "one.hl7"
    path.write_bytes(ONE)
    return path


@pytest.fixture
def both(tmp_path: Path) -> Path:
    path = tmp_path / "both.hl7"
    path.write_bytes(mllp.frame(ONE) + mllp.frame(TWO))
    return path


def test_show_is_a_tree_with_names(suture: Suture, file: Path) -> None:
    ran = suture("hl7", "show", file)
    assert ran.code == exits.OK
    assert "PID  Patient Identification" in ran.lines
    assert any(
        line.split("  ")[1:] and "PID-3.1" in line and line.endswith("Patient Identifier List / ID Number : 77") for line in ran.lines
    )
    assert any(line.endswith("/ Identifier : A&B") for line in ran.lines)
    assert "\x1b" not in ran.out


def test_show_has_every_message_of_the_file(suture: Suture, both: Path) -> None:
    assert suture("hl7", "show", both).out.count("MSH  Message Header") == 2
    assert [each["control_id"] for each in suture("hl7", "show", both, "--json").json] == ["ID1", "ID2"]
    root = ElementTree.fromstring(suture("hl7", "show", both, "--xml").out)
    assert root.tag == "MESSAGES" and len(root) == 2
    assert ElementTree.fromstring(suture("hl7", "show", both, "--xml", "--version", "2.3").out)[0].tag.endswith("}DFT_P03")
    hexed = suture("hl7", "show", both, "--hex")
    assert hexed.lines[0].startswith("00000000  0b 4d 53 48") and hexed.lines[0].endswith("  VT") and "FS CR" in hexed.out


def test_the_standard_input_can_be_the_file(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ONE)))
    assert main(["hl7", "get", "-", "MSH-10"]) == exits.OK
    assert capsys.readouterr().out == "ID1\n"


def test_what_is_no_message_is_shown_as_it_is_and_is_code_1(suture: Suture, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello \x01\xe9\n<b>\n")
    ran = suture("hl7", "show", tmp_path / "x")
    assert ran.code == exits.FAILED and "not an HL7 message" in ran.out and "hello ␁<xE9>" in ran.out
    assert suture("hl7", "show", tmp_path / "x", "--json").json[0]["error"]
    assert ElementTree.fromstring(suture("hl7", "show", tmp_path / "x", "--xml").out).tag.endswith("UNKNOWN")


@pytest.mark.parametrize("command", [["show"], ["show", "--hex"], ["get", "PID-3"], ["validate"], ["anonymize"], ["diff", "/dev/null"]])
def test_a_file_that_is_missing_or_a_directory_is_named(suture: Suture, tmp_path: Path, command: list[str]) -> None:
    for path, says in ((tmp_path / "nothing.hl7", "No such file"), (tmp_path, "Is a directory")):
        ran = suture("hl7", command[0], path, *command[1:])
        assert ran.code == exits.WRONG and says in ran.err and "Traceback" not in ran.err


@pytest.mark.parametrize("command", [["show"], ["show", "--json"], ["show", "--xml"], ["show", "--hex"], ["get", "PID-3"], ["validate"]])
def test_an_empty_file_is_said_to_be_one(suture: Suture, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "empty").write_bytes(b"")
    ran = suture("hl7", command[0], tmp_path / "empty", *command[1:])
    assert ran.code == exits.WRONG and ("no message" in ran.err or "empty" in ran.err)


def test_diff_says_what_differs_and_is_code_1(suture: Suture, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.hl7"
    other.write_bytes(TWO.replace(b"FT1|1", b"ZZZ|1\rFT1|1"))
    ran = suture("hl7", "diff", file, other)
    assert ran.code == exits.FAILED
    assert ran.lines == ["PID-5.2  Patient Name / Given Name", "  - JANE", "  + JOAN", "ZZZ  only in B", "  + ZZZ|1"]
    assert [each["place"] for each in suture("hl7", "diff", file, other, "--json").json] == ["PID-5.2", "ZZZ"]
    ran = suture("hl7", "diff", file, other, "--ignore", "PID-5", "--ignore", "ZZZ")
    assert (ran.code, ran.out) == (exits.OK, "")
    assert suture("hl7", "diff", file, file, "--json").json == []


def test_diff_compares_messages_in_their_order(suture: Suture, both: Path, file: Path) -> None:
    ran = suture("hl7", "diff", both, file)
    assert ran.code == exits.FAILED and ran.lines[0] == "message 2: message  only in A"


def test_diff_says_how_to_write_a_place(suture: Suture, file: Path) -> None:
    ran = suture("hl7", "diff", file, file, "--ignore", "pid")
    assert ran.code == exits.WRONG and "PID-5.2" in ran.err
    assert suture("hl7", "diff", "-", "-").code == exits.WRONG


@pytest.mark.parametrize("encoding", ["nope", "base64", "rot13"])
def test_a_codec_that_is_none_of_texts_is_no_character_set(suture: Suture, file: Path, encoding: str) -> None:
    ran = suture("hl7", "show", file, "--encoding", encoding)
    assert ran.code == exits.WRONG and "is no character set" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "out"),
    [
        (["PID-3.1"], exits.OK, "77\n"),
        (["FT1-7.1"], exits.OK, "A&B\n"),
        (["FT1-7.1", "--raw"], exits.OK, "A\\T\\B\n"),
        (["PID-3[MR].1", "PID-5"], exits.OK, "77\nDOE^JANE\n"),
        (["PID-19"], exits.FAILED, ""),
        (["PID-19", "PID-3.1"], exits.FAILED, "\n77\n"),
    ],
)
def test_get_prints_a_line_a_value(suture: Suture, file: Path, arguments: list[str], code: int, out: str) -> None:
    ran = suture("hl7", "get", file, *arguments)
    assert (ran.code, ran.out) == (code, out)


def test_get_of_several_messages_and_as_json(suture: Suture, both: Path) -> None:
    assert suture("hl7", "get", both, "MSH-10").out == "ID1\nID2\n"
    assert suture("hl7", "get", both, "MSH-10", "PID-19", "--json").json == [
        {"MSH-10": ["ID1"], "PID-19": []},
        {"MSH-10": ["ID2"], "PID-19": []},
    ]
    ran = suture("hl7", "get", both, "pid3")
    assert ran.code == exits.WRONG and "PID-3.1" in ran.err


def test_validate_says_where_and_why_without_the_value(suture: Suture, tmp_path: Path) -> None:
    path = tmp_path / "bad.hl7"
    path.write_bytes(ONE.replace(b"20260304||CG", b"SECRETDATE||") + TWO)
    ran = suture("hl7", "validate", path)
    assert ran.code == exits.FAILED
    assert any(line.startswith("FT1-6: 101 ") for line in ran.lines) and any(line.startswith("FT1-4.1.1: 102 ") for line in ran.lines)
    assert ran.lines[-1].startswith("2 messages: ") and "SECRET" not in ran.out
    first = suture("hl7", "validate", path, "--json").json[0]
    assert first["control_id"] == "ID1" and {"place", "code", "severity", "text"} == set(first["findings"][0])


def test_validate_by_a_site_profile(suture: Suture, file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mappings" / "profiles"
    folder.mkdir(parents=True)
    (folder / "cab.yaml").write_text(
        "profile: cab\nrules:\n  - {at: FT1-10, required: true}\n  - {at: PID-19, required: true, severity: warning}\n"
    )
    ran = suture("hl7", "validate", file, "--profile", folder / "cab.yaml", "--profile-only")
    assert ran.code == exits.FAILED and ran.lines[0].startswith("FT1-10: 101 ") and ran.lines[-1] == "1 message: 1 error, 1 warning"
    (folder / "cab.yaml").write_text("profile: cab\nrules:\n  - {at: FT1-10, requird: true}\n")
    ran = suture("hl7", "validate", file, "--profile", folder / "cab.yaml")
    assert ran.code == exits.WRONG and "requird" in ran.err and "cab.yaml:3" in ran.err
    assert suture("hl7", "validate", file, "--profile-only").code == exits.WRONG


def test_anonymize_is_the_same_for_the_same_key(suture: Suture, both: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"0123456789abcdef")
    first = suture("hl7", "anonymize", both, "--key", key)
    assert first.code == exits.OK and first.err == "" and b"DOE" not in first.bytes and first.bytes.count(b"\x0b") == 2
    out = tmp_path / "out.hl7"
    assert suture("hl7", "anonymize", both, "--key", key, "--out", out).out == ""
    assert out.read_bytes() == first.bytes
    monkeypatch.setenv("SUTURE_ANONYMIZE_KEY", "0123456789abcdef")
    assert suture("hl7", "anonymize", both).bytes == first.bytes
    monkeypatch.delenv("SUTURE_ANONYMIZE_KEY")
    fresh = suture("hl7", "anonymize", both)
    assert fresh.bytes != first.bytes and "a new key" in fresh.err
    lines = [json.loads(line) for line in suture("hl7", "anonymize", both, "--key", key, "--json").lines]
    assert len(lines) == 2 and lines[0]["message"].startswith("MSH|")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--key", "/nowhere/key"], "No such file"),
        (["--key", "/dev/null"], "shorter than 16 bytes"),
        (["--out", "/nowhere/out"], "No such file"),
        (["--encoding", "klingon"], "no character set"),
        (["--keep", "PID"], "such as ZIT"),
    ],
)
def test_anonymize_says_what_to_do(suture: Suture, file: Path, arguments: list[str], says: str) -> None:
    ran = suture("hl7", "anonymize", file, *arguments)
    assert ran.code == exits.WRONG and says in ran.err and "Traceback" not in ran.err


def test_anonymize_does_not_write_over_its_own_file(suture: Suture, file: Path) -> None:
    ran = suture("hl7", "anonymize", file, "--out", file)
    assert ran.code == exits.WRONG and file.read_bytes() == ONE


def test_generate_makes_what_validate_takes(suture: Suture, tmp_path: Path) -> None:
    out = tmp_path / "sample.hl7"
    assert suture("hl7", "generate", "DFT^P03", "--count", 20, "--seed", 5, "--out", out).code == exits.OK
    ran = suture("hl7", "validate", out)
    assert (ran.code, ran.out) == (exits.OK, "20 messages: nothing to find\n")
    assert suture("hl7", "generate", "DFT_P03", "--count", 20, "--seed", 5).bytes == out.read_bytes()
    assert len(suture("hl7", "generate", "DFT^P03", "--count", 2, "--json").lines) == 2


def test_generate_of_a_type_that_is_none_says_which_there_are(suture: Suture) -> None:
    ran = suture("hl7", "generate", "DFT^P30")
    assert ran.code == exits.WRONG and "did you mean" in ran.err and "DFT^P03" in ran.err


def test_there_is_colour_on_a_terminal_only(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def shown(**environment: Any) -> str:
        screen = Terminal()
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdout", screen)
            main(["hl7", "show", str(file)])
        return screen.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in shown()
    assert "\x1b[" not in shown(NO_COLOR="1")


def test_validate_counts_the_messages_of_batches(suture: Suture, tmp_path: Path) -> None:
    path = tmp_path / "batch.hl7"
    path.write_bytes(b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + ONE + TWO + b"BTS|3\rFTS|1\r")
    ran = suture("hl7", "validate", path)
    assert ran.code == exits.FAILED
    assert "BATCH_COUNT BTS-1 says 3 messages, and 2 were found" in ran.out
    envelope = suture("hl7", "validate", path, "--json").json[-1]["envelope"]
    assert [fault["code"] for fault in envelope] == ["BATCH_COUNT"]
    path.write_bytes(b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + ONE + TWO + b"BTS|2\rFTS|1\r")
    assert "BATCH" not in suture("hl7", "validate", path).out


ODD = ONE.replace(b"FT1|1|", b" FT1|1|").replace(b"A\\T\\B^x\r", b"A^HIP\rSZ 5|||3\r")
"""Blanks before a segment's name, and a text with a carriage return in it."""


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    path = tmp_path / "odd.hl7"
    path.write_bytes(TWO + ODD)
    return path


@pytest.mark.parametrize("paths", [["FT1-7.1"], ["FT1(*)-7.1"], ["FT1-7.1", "FT1-10"]])
def test_get_says_which_lines_are_no_segments(suture: Suture, odd: Path, paths: list[str]) -> None:
    ran = suture("hl7", "get", odd, *paths)
    assert ran.code == exits.FAILED
    assert "A" in ran.lines
    assert ran.err.splitlines() == [
        "suture: message 2: FT1: BAD_SEGMENT: a line that does not begin with a segment's name and the field separator: "
        "line 5, behind this segment",
        "suture: message 2: FT1: blanks before the segment's name, in line 4",
    ]


@pytest.mark.parametrize("view", ["--json", "--xml", None])
def test_show_has_lines_that_are_no_segments_and_is_code_1(suture: Suture, odd: Path, view: str | None) -> None:
    ran = suture("hl7", "show", odd, *([view] if view else []))
    assert ran.code == exits.FAILED
    assert "SZ 5" in ran.out
    if view == "--json":
        assert ran.json[1]["segments"][-1] == {"segment": "", "place": "line 5", "name": "BAD_SEGMENT", "fields": [], "text": "SZ 5|||3"}
    elif view == "--xml":
        assert "<UNKNOWN>SZ 5|||3</UNKNOWN>" in ran.out
    else:
        assert "line 5  BAD_SEGMENT" in ran.out and "(blanks before it are left out)" in ran.out


def test_validate_finds_lines_that_are_no_segments(suture: Suture, odd: Path) -> None:
    ran = suture("hl7", "validate", odd)
    assert ran.code == exits.FAILED
    assert (
        "message 2: FT1: 100 a line that does not begin with a segment's name and the field separator: line 5, behind this segment"
        in ran.lines
    )
    assert "message 2: FT1: 199 blanks before the segment's name; they are left out  (warning)" in ran.lines
    assert "SZ" not in ran.out


@pytest.mark.parametrize("paths", [["FT1-7.1"], ["FT1(*)-7.1"]])
def test_get_says_what_is_odd_about_separators_and_characters(suture: Suture, tmp_path: Path, paths: list[str]) -> None:
    path = tmp_path / "odd.hl7"
    windows = ONE.replace(b"FT1|1|", b"FT1|\x92|").replace(b"|2.5.1\r", b"|2.5.1||||||8859/1\r")
    path.write_bytes(ONE.replace(b"^~\\&", b"^~\\\\&", 1) + windows)
    ran = suture("hl7", "get", path, *paths)
    assert ran.code == exits.OK
    first, second = ran.err.splitlines()
    assert first.startswith("suture: MSH-2: the escape character is doubled; it is read as one")
    assert second.startswith("suture: message 2: FT1-1: bytes 80 to 9F")
