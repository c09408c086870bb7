"""YAML as it is read: text values, lines, and what is said of a file that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from suture.config.yaml_file import LIMIT_BYTES, Mark, parse_yaml, read_yaml


def said(text: str) -> list[str]:
    _, problems = parse_yaml(text, "f.yaml")
    return [str(problem) for problem in problems]


def test_every_scalar_stays_text():
    document, problems = parse_yaml("a: NO\nb: 010\nc: 1.50\nd: null\ne: ~\nf: 2026-01-01\ng: [yes, 0x1F]\n", "f.yaml")
    assert document is not None and problems == []
    assert document.data == {"a": "NO", "b": "010", "c": "1.50", "d": "null", "e": "~", "f": "2026-01-01", "g": ["yes", "0x1F"]}


def test_keys_and_list_items_know_their_lines():
    document, _ = parse_yaml("# a comment\na:\n  b:\n    - x\n    - {c: y,\n       d: z}\n", "f.yaml")
    assert document is not None
    assert document.mark(("a", "b", 1, "d")) == Mark("f.yaml", 6)
    assert document.mark(("a", "b", 0)).line == 4
    assert document.mark(("a", "b", 1, "missing")).line == 5, "what is not there stands where it should be"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb:\n\tc: 2\n\td: 3\n", ["f.yaml:3: a tab; indent with spaces", "f.yaml:4: a tab; indent with spaces"]),
        ("a: 1\nb: 2\na: 3\n", ["f.yaml:3: 'a' is written twice (first at line 1); keep one"]),
        ("x:\n  a: 1\n  a: 2\n  a: 3\n", [f"f.yaml:{n}: x: 'a' is written twice (first at line 2); keep one" for n in (3, 4)]),
        ("a:\n  b: 1\n c: 2\n", ["f.yaml:3: the indentation does not fit the lines above"]),
        ("a: 'text\n", ["f.yaml:1: a quote is opened here and never closed"]),
        ("a: 1\nevents: [*]\n", ['f.yaml:2: a text that begins with * must stand in quotes ("*"); an alias must follow its anchor']),
        ("a: @home\n", ["f.yaml:1: a text may not begin with this character; put it in quotes"]),
        (
            "patient: {from: PID-3[MR].1, required: true}\n",
            ["f.yaml:1: the bracket of line 1 is not closed, or a text inside it with any of [ ] { } , : lacks quotes"],
        ),
        (
            "a: [1,\n  2\nb: 3\n",
            ["f.yaml:3: the bracket of line 1 is not closed, or a text inside it with any of [ ] { } , : lacks quotes"],
        ),
        (
            "about: cabinets: all of them\n",
            [
                "f.yaml:1: a ': ' does not fit here; put a text that holds one in quotes, "
                "or check the indentation and whether the line above lacks its ':'"
            ],
        ),
        ("a: - b\n", ["f.yaml:1: a list ('- ...') begins on a line of its own below its key"]),
        ("a: 1\n---\nb: 2\n", ["f.yaml:2: a second document begins ('---'); a file holds one"]),
        ('a: "\\d"\n', ["f.yaml:1: a backslash in double quotes begins an escape; use single quotes ('...')"]),
        ("port:\n", ['f.yaml:1: port: has no value; write one ("" for an empty text) or remove the line']),
        ("a:\n  -\n  - b\n", ['f.yaml:2: a.0: has no value; write one ("" for an empty text) or remove the line']),
        ("a: !!int 4\n", ["f.yaml:1: a: a tag (!!int) has no meaning here; write the value alone"]),
        ("a: {{name}}\n", ['f.yaml:1: a: a key must be plain text; put texts that contain { } or [ ] in quotes ("...")']),
        ("a: 1\nb: x\x00y\n", ["f.yaml:2: character U+0000 is not allowed here"]),
    ],
)
def test_a_wrong_file_is_explained(text: str, expected: list[str]):
    assert said(text)[: len(expected)] == expected


def test_an_empty_text_in_quotes_is_a_value():
    assert said('a: ""\n') == []


def test_a_file_that_is_nested_too_deep_is_refused_at_its_line():
    assert said("a: 1\nb: " + "[" * 5000) == ["f.yaml:2: nested deeper than 40 levels"]


def test_an_alias_inside_its_own_anchor_is_refused():
    assert said("a: &a [*a]\n") == ["f.yaml:1: nested deeper than 40 levels (an alias inside its own anchor?)"]


def test_aliases_that_stand_for_millions_of_values_are_refused():
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join(['*' + below] * 10)}]\n" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert [problem.split(": ", 1)[1] for problem in said(bomb)] == ["more than 50000 values, with aliases written out"]


def test_an_alias_is_the_value_of_its_anchor():
    document, problems = parse_yaml("a: &times [1, 2]\nb: *times\n", "f.yaml")
    assert document is not None and document.data["b"] == ["1", "2"] and problems == []


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a: 1\nb: caf\xe9\n", "f.yaml:2: byte 0xE9 is not UTF-8; save the file as UTF-8"),
        (b"a" * (LIMIT_BYTES + 1), f"f.yaml:1: the file is larger than {LIMIT_BYTES} bytes"),
    ],
)
def test_bytes_that_are_no_text_of_ours_are_refused(tmp_path: Path, raw: bytes, expected: str):
    path = tmp_path / "x.yaml"
    path.write_bytes(raw)
    document, problems = read_yaml(path, "f.yaml")
    assert document is None and list(map(str, problems)) == [expected]


def test_a_byte_order_mark_and_windows_line_ends_are_taken(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document, problems = read_yaml(path, "f.yaml")
    assert document is not None and document.data == {"a": "1", "b": "2"} and problems == []


def test_a_missing_file_and_a_directory_are_explained(tmp_path: Path):
    assert list(map(str, read_yaml(tmp_path / "x.yaml", "x.yaml")[1])) == ["x.yaml:1: there is no such file"]
    assert list(map(str, read_yaml(tmp_path, "x.yaml")[1])) == ["x.yaml:1: cannot be read: Is a directory"]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_an_empty_file_is_no_error_of_syntax(text: str):
    assert said(text) == []
