"""Logs that cannot hold content: one line a change of state, on stderr, for people or as JSON.

Two lines of defence. The functions here take fixed words, names, ids and codes, and drop whatever else they get.
Whatever comes another way (the standard `logging` of a library) is masked where it looks like HL7 before it is
written, cut to a length, and an exception is told by its type and places, never by its text.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
import traceback
from types import TracebackType
from typing import Any, TextIO

from twisted.logger import STDLibLogObserver, globalLogBeginner

TEXT_MAX = 400
"""Longest text of a line, in characters."""
FACT_MAX = 80
"""Longest value of a fact, in characters."""
MASK = "[masked]"
FRAMES_MAX = 6

# A segment's head, two field separators in reach of each other, component separators, or MLLP's own bytes.
_ER7 = re.compile(r"\b[A-Z][A-Z0-9]{2}\||\|[^|]{0,80}\||\^[^^|]{0,80}\^|[\x0b\x1c]")
_WORDS_OF_A_FACT = re.compile(r"[\w .,:;/@()\[\]+*=%#'\"<>-]*")


def mask(text: str) -> str:
    """The text on one line and cut to a length; from the first thing that looks like HL7 on, it is left out."""
    if found := _ER7.search(text):
        text = text[: found.start()] + MASK
    text = " ".join(text.split())
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 1] + "…"


def fact(value: object) -> str:
    """A name, id or code as text; anything that could be content becomes the mask."""
    text = str(value)
    if len(text) > FACT_MAX or not _WORDS_OF_A_FACT.fullmatch(text):
        return MASK
    return text


def places(error: BaseException) -> str:
    """An exception without its text: its type, and where it came from, innermost first."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    where = " < ".join(f"{_short(frame.filename)}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__} at {where}" if where else type(error).__name__


def _short(file: str) -> str:
    return "/".join(file.replace("\\", "/").split("/")[-2:])


class Log:
    """Where one part of the engine (a channel, a destination, the store) says what became of it."""

    def __init__(self, channel: str = "") -> None:
        self._channel = channel
        self._logger = logging.getLogger("suture")

    def info(self, text: str, **facts: object) -> None:
        """text: a sentence of ours. facts: names, ids, codes and numbers, written as name=value."""
        self._write(logging.INFO, text, facts)

    def warning(self, text: str, **facts: object) -> None:
        """Something that an operator may want to look at."""
        self._write(logging.WARNING, text, facts)

    def error(self, text: str, error: BaseException | None = None, **facts: object) -> None:
        """Something that needs a person; of the error only its type and places are told."""
        self._write(logging.ERROR, text, facts | ({"error": places(error)} if error else {}))

    def _write(self, level: int, text: str, facts: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            clean = {name: value if name == "error" else fact(value) for name, value in facts.items()}
            self._logger.log(level, "%s", text, extra={"channel": self._channel, "facts": clean})


class _Line(logging.Formatter):
    """time level channel: text name=value"""

    def format(self, record: logging.LogRecord) -> str:
        row = _row(record)
        channel = f" {row['channel']}:" if row["channel"] else ""
        facts = "".join(f" {name}={value}" for name, value in row["facts"].items())
        return f"{row['time']} {row['level']:<7}{channel} {row['text']}{facts}"


class _Json(logging.Formatter):
    """The same as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        row = _row(record)
        facts = row.pop("facts")
        return json.dumps(row | facts | row)  # a fact takes neither the place nor the value of a fixed key


def _row(record: logging.LogRecord) -> dict[str, Any]:
    facts = dict(getattr(record, "facts", {}))
    if record.exc_info and record.exc_info[1]:
        facts["error"] = places(record.exc_info[1])
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
        "level": record.levelname.lower(),
        "channel": mask(getattr(record, "channel", "") or ("" if record.name == "suture" else record.name)),
        "text": mask(_text(record)),
        "facts": facts,
    }


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # arguments that do not fit: logging itself would print them all
        return str(record.msg)


def configure(as_json: bool = False, stream: TextIO | None = None) -> logging.Handler:
    """Send all logs of this process (ours, the libraries', Twisted's, and unhandled errors) to stderr; returns the handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if as_json else _Line())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("suture").setLevel(logging.INFO)
    logging.raiseExceptions = False
    sys.excepthook = _unhandled
    threading.excepthook = lambda told: _unhandled(told.exc_type, told.exc_value, told.exc_traceback)
    sys.unraisablehook = lambda told: _unhandled(told.exc_type, told.exc_value, told.exc_traceback)
    return handler


def take_over_twisted() -> None:
    """Let Twisted's log go the same way. Once a process, before the reactor runs."""
    observer = STDLibLogObserver(name="twisted")
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)  # type: ignore[list-item]  # zope's, unseen by mypy


def _unhandled(kind: type[BaseException], error: BaseException | None, _trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    text = "unhandled error" + (f": {kind.__name__}" if error is None else "")
    logging.getLogger("suture").critical(text, extra={"facts": {} if error is None else {"error": places(error)}})
