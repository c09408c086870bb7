"""What every format must do, by the registry: its kit says what with."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.formats.registry import FORMATS
from suture.mapping.compile import compile_inbound
from suture.mapping.spec import InboundSpec
from suture.model.errors import MessageError
from suture.model.reading import Doubt, Path, Reading
from tests.conformance.format_kits import KITS, FormatKit
from tests.mapping.examples import RULES, read

CASES = [(FORMATS[name], KITS[name]) for name in sorted(FORMATS)]
every_format = pytest.mark.parametrize(("format", "kit"), CASES, ids=sorted(FORMATS))


def paths_of(format: Reading, kit: FormatKit) -> list[Path]:
    singles = [*kit.whole, *kit.own, *(path for _, path, _ in kit.doubts)]
    return list(dict.fromkeys([*map(format.path, singles), *map(format.path_to_list, kit.lists)]))


def texts(format: Reading, kit: FormatKit, record: Any, paths: list[Path]) -> tuple[dict[str, Any], list[dict[str, Any]], list[bool]]:
    """What a reader gives: of the whole, and of each line, by path; and what it says of all that."""
    own = [path for path in paths if format.place(path, kit.each).own]
    rest = [path for path in paths if path not in own]
    whole, parts, line_of = format.reader(paths, kit.each).read(record)
    lines = [line_of(record, part, number) for number, part in enumerate(parts, 1)]
    assert all(len(line) == len(own) + 1 for line in lines) and len(whole) == len(rest) + 1
    named = [{path.text: text for path, text in zip(own, line[:-1], strict=True)} for line in lines]
    return {path.text: text for path, text in zip(rest, whole[:-1], strict=True)}, named, [whole[-1], *(line[-1] for line in lines)]


def test_every_format_has_a_kit() -> None:
    assert KITS.keys() == FORMATS.keys()
    assert all(name == one.name for name, one in FORMATS.items())


@every_format
def test_a_path_that_is_none_is_refused_with_a_remedy(format: Reading, kit: FormatKit) -> None:
    for text, said in kit.no_paths.items():
        with pytest.raises(ValueError, match=re.escape(said)):
            format.place(format.path(text), kit.each)


@every_format
def test_a_path_to_one_text_is_none_to_a_list(format: Reading, kit: FormatKit) -> None:
    for text in (*kit.whole, *kit.own):
        with pytest.raises(ValueError, match="write "):
            format.place(format.path_to_list(text), kit.each)


@every_format
def test_what_names_no_parts_is_refused(format: Reading, kit: FormatKit) -> None:
    format.check_each(kit.each)
    for text in kit.no_parts:
        with pytest.raises(ValueError, match=r"e\.g\. |did you mean "):
            format.check_each(text)


@every_format
def test_its_words_are_paths(format: Reading, kit: FormatKit) -> None:
    for text in (format.words.of_line, format.words.of_message, *format.key):
        assert format.path(text).text == text
    assert format.path_to_list(format.words.list)


@every_format
def test_a_reader_gives_the_texts_of_the_whole_and_of_each_line(format: Reading, kit: FormatKit) -> None:
    paths = [*map(format.path, [*kit.own, *kit.whole]), *map(format.path_to_list, kit.lists)]
    whole, lines, sure = texts(format, kit, kit.parse(kit.message), paths)
    assert {path: text for path, text in whole.items() if path in kit.whole} == kit.whole
    for path, expected in kit.own.items():
        assert [line[path] for line in lines] == expected
    for path, expected_lists in kit.lists.items():
        assert [line[path] for line in lines] == expected_lists if path in lines[0] else [whole[path]] == expected_lists
    assert sure == [True] * (len(lines) + 1)


@every_format
def test_a_doubt_is_a_doubt(format: Reading, kit: FormatKit) -> None:
    assert {doubt for _, _, doubt in kit.doubts} == set(Doubt)
    for raw, text, doubt in kit.doubts:
        record, path = kit.parse(raw), format.path(text)
        whole, lines, sure = texts(format, kit, record, [path])
        place = format.place(path, kit.each)
        assert (lines[0] if place.own else whole)[text] is doubt
        assert sure[place.own] is False
        part = format.reader([], kit.each).part(record, 1)
        assert place.tell(record, part) is doubt
        assert isinstance(place.read(record, part), str)


@every_format
def test_a_lines_values_come_from_its_own_part(format: Reading, kit: FormatKit) -> None:
    reader, record = format.reader([], kit.each), kit.parse(kit.message)
    for text, expected in kit.own.items():
        place = format.place(format.path(text), kit.each)
        assert place.own
        assert [place.tell(record, reader.part(record, line)) for line in (1, 2)] == expected
    assert len(reader.parts(record)) == 2
    assert not any(format.place(format.path(text), kit.each).own for text in kit.whole)


@every_format
def test_a_message_is_its_own_line_where_no_parts_are_named(format: Reading, kit: FormatKit) -> None:
    reader, record = format.reader([], None), kit.parse(kit.message)
    assert len(reader.parts(record)) == 1
    whole, parts, line_of = reader.read(record)
    assert (whole, [line_of(record, part, 1) for part in parts]) == ((True,), [(True,)])


def disagreements(format: Reading, kit: FormatKit, record: Any) -> list[str]:
    """The paths at which the reader says other than the place."""
    paths, probe = paths_of(format, kit), format.reader([], kit.each)
    whole, lines, sure = texts(format, kit, record, paths)
    wrong = []
    for path in paths:
        place = format.place(path, kit.each)
        told = [place.tell(record, probe.part(record, line + 1)) for line in range(len(lines))] if place.own else [place.tell(record, None)]
        found = [line[path.text] for line in lines] if place.own else [whole[path.text]]
        if told != found:
            wrong.append(path.text)
    doubtful = [any(isinstance(text, Doubt) for text in one.values()) for one in (whole, *lines)]
    # Of the whole, more than its texts may be in doubt: whose they are.
    if sure[1:] != [not doubt for doubt in doubtful[1:]] or (sure[0] and doubtful[0]):
        wrong.append("sure")
    return wrong


@every_format
@given(data=st.data())
def test_the_reader_reads_what_the_places_tell_whatever_stands_there(format: Reading, kit: FormatKit, data: st.DataObject) -> None:
    raw = kit.message
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        until = data.draw(st.sampled_from([at, at, at + 1, at + 3, at + 12]))
        raw = raw[:at] + data.draw(st.sampled_from(kit.odd)) + raw[until:]
    with suppress(MessageError):
        assert disagreements(format, kit, kit.parse(raw)) == []


@every_format
def test_what_is_no_message_is_refused(format: Reading, kit: FormatKit) -> None:
    for raw in kit.no_messages:
        with pytest.raises(MessageError) as refused:
            kit.parse(raw)
        assert refused.value.stage == "parse"


@every_format
@given(st.data())
def test_parse_raises_nothing_else(format: Reading, kit: FormatKit, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(kit.message)))
    raw = data.draw(st.one_of(st.binary(max_size=60), st.binary(max_size=8).map(lambda some: kit.message[:cut] + some)))
    try:
        assert kit.parse(raw).raw == raw
    except MessageError as refused:
        assert refused.stage == "parse"
        assert refused.reason


@every_format
def test_a_mapping_makes_events_of_it(format: Reading, kit: FormatKit) -> None:
    mapping = compile_inbound(InboundSpec.model_validate(read(kit.mapping)), {}, RULES, (), "or", format)
    record = kit.parse(kit.message)
    found = mapping.run(record)
    assert found.gaps == []
    items = [(event.data["patient"], event.data["item"], str(event.data["quantity"]), event.data["transaction"]) for event in found.events]
    assert items == [("M7", "IMP-1", "2", "T1"), ("M7", "GLV-1", "100", "T2")]
    assert len({event.key for event in found.events}) == 2
    assert found == mapping.run_carefully(record)
    assert ("item", "IMP-1") in found.search
