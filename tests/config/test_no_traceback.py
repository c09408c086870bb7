"""Nothing that stands in a file raises anything but ConfigError."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suture.config.check import check_site
from suture.config.yaml_file import parse_yaml
from tests.config.site_files import FILES, SiteFiles

YAMLS = [name for name in FILES if name.endswith(".yaml")]
ODD = [
    "",
    "x",
    "*",
    "-1",
    "nan",
    "1e999",
    "${env:X}",
    "${",
    [],
    {},
    ["x"],
    [[]],
    {"x": "y"},
    {"": ""},
    [{"x": ["y"]}],
    {"from": {"from": "x"}},
]
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def places(data: Any, loc: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [loc, *(place for key, value in children for place in places(value, (*loc, key)))]


def spoiled(data: Any, loc: tuple[Any, ...], odd: Any, key: str | None) -> Any:
    """The data with what is at loc replaced, or renamed to key where it is a key's value."""
    if not loc:
        return odd
    data = copy.deepcopy(data)
    parent = data
    for step in loc[:-1]:
        parent = parent[step]
    if key is not None and isinstance(parent, dict):
        parent[key] = parent.pop(loc[-1])
    else:
        parent[loc[-1]] = odd
    return data


@FEW
@given(st.data())
def test_a_value_of_any_shape_anywhere_is_a_problem_or_right(tmp_path: Path, data: st.DataObject):
    site = SiteFiles(tmp_path)
    for name in data.draw(st.lists(st.sampled_from(YAMLS), min_size=1, max_size=2, unique=True)):
        document, _ = parse_yaml(FILES[name], name)
        assert document is not None
        place = data.draw(st.sampled_from(places(document.data)))
        value = spoiled(
            document.data, place, data.draw(st.sampled_from(ODD)), data.draw(st.sampled_from([None, None, "", "x", "from", "as"]))
        )
        site.write(name, json.dumps(value))
    check_site(site.directory, None, {})


@pytest.mark.parametrize("odd", [odd for odd in ODD if odd != ""])
def test_a_key_that_few_channels_have_may_have_a_value_of_any_shape(tmp_path: Path, odd: Any):
    site = SiteFiles(tmp_path)
    name = "channels/or-supply/channel.yaml"
    site.write(name, f"{FILES[name]}format: {json.dumps(odd)}\n")
    found = check_site(site.directory, None, {}).problems
    assert [problem.place for problem in found if problem.file == name] == ["format"]


@FEW
@given(st.data())
def test_a_file_with_any_bytes_changed_is_a_problem_or_right(tmp_path: Path, data: st.DataObject):
    site = SiteFiles(tmp_path)
    name = data.draw(st.sampled_from([name for name in FILES if not name.endswith(".hl7")]))
    raw = FILES[name].encode()
    at = data.draw(st.integers(0, len(raw)))
    site.write(name, raw[:at] + data.draw(st.binary(max_size=4)) + raw[at + data.draw(st.integers(0, 12)) :])
    check_site(site.directory, None, {})


@FEW
@given(st.text(alphabet=st.sampled_from("ab:- \n\t[]{}'\"&*!|>%@,#?$0\r\x00\u00e9\ufeff"), max_size=60))
def test_any_text_is_read_or_explained(text: str):
    document, problems = parse_yaml(text, "f.yaml")
    assert document is not None or problems
    assert all(problem.line >= 1 for problem in problems)
