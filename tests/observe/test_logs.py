"""What goes to the log is one line a change of state, and never content, whoever wrote it."""

import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import suture
from suture.observe import logs

SOURCES = str(Path(suture.__file__).parents[1])
MARKER = "ZZMARKER^PATIENT"
MESSAGE = f"MSH|^~\\&|CAB|OR|||20260101||DFT^P03|1|P|2.5\rPID|1||123^^^MRN||{MARKER}\r"


@pytest.fixture
def written() -> Iterator[Callable[[], str]]:
    """What the log has, with the process's own logging put back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("suture")
    before = (root.handlers[:], root.level, ours.level, logging.raiseExceptions)
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    stream = io.StringIO()
    logs.configure(stream=stream)
    yield stream.getvalue
    root.handlers[:], logging.raiseExceptions = before[0], before[3]
    root.setLevel(before[1])
    ours.setLevel(before[2])
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


def test_a_line_has_time_level_channel_text_and_facts(written: Callable[[], str]):
    logs.Log("or-supply").info("listening", host="127.0.0.1", port=2575)
    time, level, rest = written().rstrip("\n").split(" ", 2)
    assert time.endswith("Z") and len(time) == len("2026-01-01T00:00:00.000Z")
    assert (level, rest.strip()) == ("info", "or-supply: listening host=127.0.0.1 port=2575")


def test_json_has_the_same_in_one_object_a_line():
    stream = io.StringIO()
    handler = logs.configure(as_json=True, stream=stream)
    try:
        logs.Log("or-supply").warning("destination fails", destination="erp", code="HTTP 503", level="no")
    finally:
        logging.getLogger().removeHandler(handler)
    row = json.loads(stream.getvalue())
    del row["time"]
    assert row == {"level": "warning", "channel": "or-supply", "text": "destination fails", "destination": "erp", "code": "HTTP 503"}


def test_a_fact_that_is_no_name_or_code_is_masked(written: Callable[[], str]):
    logs.Log("or-supply").info("parked", control_id="A-1001", place="FT1(2)-7.1", value=MARKER, body=MESSAGE.encode(), long="x" * 81)
    assert "control_id=A-1001 place=FT1(2)-7.1 value=[masked] body=[masked] long=[masked]" in written()


@pytest.mark.parametrize(
    "content", [MESSAGE, f"PID|1||{MARKER}", f"bad line: |a|{MARKER}|", f"name was a^b^{MARKER}", f"\x0b{MARKER}\x1c\r"]
)
def test_whatever_looks_like_a_message_is_masked_from_there_on(written: Callable[[], str], content: str):
    logging.getLogger("some.library").error("cannot read %s", content)
    assert "some.library: cannot read" in written() and "[masked]" in written()
    assert "ZZMARKER" not in written()


def test_a_text_is_one_line_of_bounded_length(written: Callable[[], str]):
    logging.getLogger("suture").error("a\nb\r\n2026 forged line " + "x" * 10_000)
    assert written().count("\n") == 1 and len(written()) < 500


def test_an_exception_is_told_by_type_and_places_never_by_its_text(written: Callable[[], str]):
    try:
        raise ValueError(MARKER)
    except ValueError as error:
        logs.Log("or-supply").error("cannot map", error)
        logging.getLogger("suture").exception("again")
    assert written().count("ValueError at observe/test_logs.py:") == 2
    assert "ZZMARKER" not in written() and "Traceback" not in written()


def test_unhandled_errors_are_told_the_same_way(written: Callable[[], str]):
    def fail() -> None:
        raise RuntimeError(MARKER)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    try:
        fail()
    except RuntimeError as error:
        sys.excepthook(RuntimeError, error, error.__traceback__)
    assert written().count("unhandled error error=RuntimeError at observe/test_logs.py:") == 2
    assert "ZZMARKER" not in written()


def test_arguments_that_do_not_fit_are_not_printed(written: Callable[[], str], capsys: pytest.CaptureFixture[str]):
    logging.getLogger("suture").error("%d messages", MARKER)
    assert "%d messages" in written()
    assert "ZZMARKER" not in written() + capsys.readouterr().err


def test_twisted_logs_the_same_way():
    script = """
from twisted.logger import Logger
from suture.observe import logs
logs.configure()
logs.take_over_twisted()
try:
    raise ValueError("PID|1||ZZMARKER")
except ValueError:
    Logger().failure("unhandled in {where}", where="PID|2||ZZMARKER")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, env={"PYTHONPATH": SOURCES})
    assert "twisted: unhandled in [masked] error=ValueError at <string>:7" in done.stderr
    assert "ZZMARKER" not in done.stdout + done.stderr


def test_debug_lines_of_libraries_stay_out(written: Callable[[], str]):
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("suture").debug("chatter")
    assert written() == ""
