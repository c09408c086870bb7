"""`python -m bench.dictionaries`: two sources of the standard, beside the dictionary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from bench import dictionaries
from bench.dictionaries import NPM, PYPI, Difference


@pytest.fixture
def packages(tmp_path: Path) -> tuple[Path, Path]:
    """The two packages in small: one segment, one data type and one message of 2.6, in the form that they have."""
    npm, pypi = tmp_path / "npm", tmp_path / "pypi"
    part = {"datatype": "SI", "desc": "Set ID", "opt": 1, "rep": 1, "len": 4}
    fields = [part, {**part, "datatype": "ST", "opt": 2}, {**part, "datatype": "TS", "rep": 0, "table": 99}, {**part, "opt": 4}]
    written(npm / "lib/2.6/segments.js", f"var segments = {json.dumps({'NTE': {'fields': fields}})};\nmodule.exports = segments;\n")
    subfields = [{**part, "datatype": "NM"}, {**part, "datatype": "CWE"}, part, {**part, "datatype": "ID"}]
    written(npm / "lib/2.6/fields.js", f"var fields = {json.dumps({'CQ': {'subfields': subfields}})};\nmodule.exports = fields;\n")
    written(npm / "package.json", "{}")
    written(pypi / "registry.py", "")
    within = pypi / "hl7/v2_6"
    written(
        within / "segments/NTE.py",
        '    """Notes.\n\n    NTE.1 - Set ID (NTE) (SI) O S2.1\n    NTE.2 - Source (ID) R rep S2.1 | 0105 - Source\n    """\n',
    )
    written(
        within / "datatypes/CQ.py", '    """Quantity.\n\n    CQ.1 (req) - Quantity (NM)\n    CQ.2 (opt) - Units, e.g. mL (CWE)\n    """\n'
    )
    members = "".join(
        f"        {line}\n"
        for line in (
            "MSH (List[MSH]): Header, required",
            "MSA (Optional[List[MSA]]): Answer, optional",
            "ROW (Optional[ACK_ROW]): optional",
        )
    )
    written(within / "messages/ACK.py", f'    """Answer.\n\n    Attributes:\n{members}    """\n')
    written(within / "groups/ACK_ROW.py", '    """Row.\n\n    Attributes:\n        ERR (ERR): Error, required\n    """\n')
    return npm, pypi


def written(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_what_others_have_otherwise_is_found_with_who_says_it(packages: tuple[Path, Path]) -> None:
    found = {(one.place, one.what): one for one in dictionaries.differences(*packages)}
    assert {each.version for each in found.values()} == {"2.6"}

    def said(place: str, what: str) -> tuple[object, Mapping[str, object], str]:
        one = found[place, what]
        return one.here, one.others, one.how

    assert said("NTE-2", "datatype") == ("ID", {NPM: "ST", PYPI: "ID"}, NPM)
    assert said("NTE-2", "required") == (False, {NPM: True, PYPI: True}, "all others agree")
    assert said("NTE-2", "repeats") == (False, {NPM: False, PYPI: True}, PYPI)
    assert said("NTE-3", "table") == ("", {NPM: "0099"}, NPM)
    assert said("CQ-1", "required") == (False, {NPM: False, PYPI: True}, PYPI)
    assert said("CQ-4", "position") == (None, {NPM: "there"}, NPM)
    assert said("ACK", "structure")[1] == {PYPI: "ERR MSA?* [? ]"}
    assert not {("NTE-1", "datatype"), ("NTE-4", "datatype"), ("CQ-2", "datatype")} & set(found)


def test_names_of_composites_without_a_name_are_no_difference() -> None:
    assert dictionaries._same("datatype", "CM_ELD", "CM") and dictionaries._same("datatype", "CQ_SIMPLE", "CQ")
    assert dictionaries._same("datatype", "varies", "*") and not dictionaries._same("datatype", "ST", "TX")
    assert Difference("2.6", "X-1", "table", "", {NPM: "0001", PYPI: "0002"}).how == f"{NPM}, {PYPI}"


def test_the_differences_are_counted_and_listed(packages: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert dictionaries.main([str(each) for each in packages] + ["--list", "position"]) == 0
    out = capsys.readouterr().out
    assert "2.6 CQ-3: Suture None, hl7-dictionary 'there'" in out
    assert dictionaries.main([str(packages[0]), str(packages[0])]) == 2
    assert "registry.py" in capsys.readouterr().err
