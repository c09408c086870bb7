"""What an operator reads: progress while the day is played, then the tables and the balance."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from suture.model import states
from suture.model.views import ExceptionView
from suture.sim.audit import Check
from suture.sim.ledger import Ledger

BAR = 30


class Progress:
    """Lines of progress; on a terminal the line of the phase under way is drawn anew as it grows."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()

    def say(self, text: str) -> None:
        """One line."""
        print(text, file=self._stream, flush=True)

    def phase(self, at: str, title: str, done: int, total: int) -> None:
        """How far a phase is; not a terminal: only its end is written."""
        filled = BAR * done // total if total else BAR
        line = f"  {at}  {title:<58} [{'#' * filled}{'.' * (BAR - filled)}] {done:>4}/{total}"
        if self._live:
            print(f"\r{line}", end="\n" if done >= total else "", file=self._stream, flush=True)
        elif done >= total:
            self.say(line)


def tables(ledger: Ledger, checks: Sequence[Check]) -> str:
    """Everything that is said at the end."""
    parts = [_messages(ledger), _events(ledger), _legs(ledger), _exceptions(ledger), _balance(checks)]
    return "\n".join(parts)


def _messages(ledger: Ledger) -> str:
    rows = [(state, str(ledger.messages[state])) for state in states.MESSAGE_STATES if state != states.RECEIVED or ledger.messages[state]]
    return _table(("Messages", "count"), [("received", str(ledger.received)), *((f"  {name}", count) for name, count in rows)])


def _events(ledger: Ledger) -> str:
    rows = [(kind, str(counts["raised"]), str(counts["duplicate"])) for kind, counts in sorted(ledger.events.items())]
    return _table(("Events", "raised", "duplicates suppressed"), rows)


def _legs(ledger: Ledger) -> str:
    head = ("Deliveries", "all", "accepted", "of them posted", "retries", "held", "dead", "waiting")
    return _table(head, [_leg(name, leg) for name, leg in ledger.legs.items()])


def _leg(name: str, leg: Any) -> tuple[str, ...]:
    s = leg.states
    accepted, waiting = s[states.ACCEPTED] + s[states.POSTED], sum(s[state] for state in states.WAITING)
    numbers = (sum(s.values()), accepted, s[states.POSTED], leg.attempts, s[states.HELD], s[states.DEAD], waiting)
    return (name, *map(str, numbers))


def _exceptions(ledger: Ledger) -> str:
    rows = [(f"#{row.id} message {row.message_id}", row.code, _place(row), row.reason) for row in ledger.exceptions]
    return _table(("Exceptions", "code", "where", "reason"), rows or [("none", "", "", "")], left=4)


def _place(row: ExceptionView) -> str:
    """Stage and field; a code that no table knows is shown, for it is no patient data."""
    code = f" = {row.value}" if row.value else ""
    line = f" line {row.line}" if row.line else ""
    return f"{row.stage}{line} {row.field or row.path}{code}"


def _balance(checks: Sequence[Check]) -> str:
    lines = ["The balance"]
    lines += [f"  {'ok' if check.ok else 'DIFFERENT':<9}  {check.text}" for check in checks]
    wrong = sum(not check.ok for check in checks)
    lines.append("Every input is accounted for." if not wrong else f"The books do not balance: {wrong} of {len(checks)} checks differ.")
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Columns as wide as their widest cell; the first `left` of them flush left, numbers flush right."""
    rows = [(f"  {row[0]}", *row[1:]) for row in rows]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return "\n".join([*(_row(row, widths, left) for row in (head, *rows)), ""])


def _row(cells: Sequence[str], widths: Sequence[int], left: int) -> str:
    return "  ".join(_cells(cells, widths, left)).rstrip()


def _cells(cells: Sequence[str], widths: Sequence[int], left: int) -> Iterator[str]:
    for i, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        yield cell.ljust(width) if i < left else cell.rjust(width)


def stdout_or_stderr(as_json: bool) -> TextIO:
    """Where progress goes: out of the way of JSON."""
    return sys.stderr if as_json else sys.stdout
