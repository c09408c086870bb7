"""`python -m bench.findings`: other people's messages, judged by the version they declare."""

from pathlib import Path

import pytest

from bench import findings

LONG = b"MSH|^~\\&|A|B|C|D|20260302101500||ADT^A01^ADT_A01|1|P|2.3\rPID|||1~%s^^^SITE^MR\r" % (b"9" * 30)


def test_values_that_are_too_long_are_counted_by_version_and_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "one.hl7").write_bytes(LONG + b"PID|||%s\r" % (b"8" * 21))
    (tmp_path / "two.hl7").write_bytes(LONG.replace(b"|2.3\r", b"|2.8\r") + b"\n")
    assert findings.main([str(tmp_path), "--places", "3"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["2.3", "1", "1", "2"] in lines
    assert ["2.8", "1", "0", "0"] in lines
    assert ["2.3", "PID-3", "2"] in lines


def test_a_directory_without_messages_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert findings.main([str(tmp_path)]) == 2
    assert "there is no message under" in capsys.readouterr().err
