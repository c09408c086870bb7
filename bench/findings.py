"""`python -m bench.findings DIRECTORY`: how Suture judges messages that others wrote, each by the version it declares.

Two tables: findings by their code of HL7 table 0357, and those of values that are too long by version. Contents are never printed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.corpus import messages
from bench.report import table
from suture.model.errors import MessageError
from suture.model.finding import TOO_LONG, Finding
from suture.wire.hl7v2.standard.dictionary import nearest
from suture.wire.hl7v2.standard.validate import Rules, validate
from suture.wire.hl7v2.text.er7 import Message

LIMIT = 10_000
"""Findings of one message; no message of the usual collections has as many."""


@dataclass
class Judged:
    """What was found. places: of values that are too long, with the length, by version and path without numbers of repetitions."""

    messages: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    having: Counter[int] = field(default_factory=Counter)
    too_long: Counter[str] = field(default_factory=Counter)
    having_too_long: Counter[str] = field(default_factory=Counter)
    places: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, version: str, found: Sequence[Finding]) -> None:
        self.messages[version] += 1
        self.codes.update(one.code for one in found)
        self.having.update({one.code for one in found})
        long = [one for one in found if one.code == TOO_LONG]
        self.too_long[version] += len(long)
        self.having_too_long[version] += bool(long)
        self.places.update((version, re.sub(r"\(\d+\)|\[\d+\]", "", str(one.location))) for one in long)


def judge(directory: Path) -> Judged:
    """Every message of the *.hl7 files under a directory; what cannot be read is left out."""
    judged = Judged()
    for file in sorted(directory.rglob("*.hl7")):
        for raw in messages(file.read_bytes()):
            try:
                message = Message.parse(raw)
            except MessageError:
                continue
            judged.add(nearest(message.get("MSH-12")), validate(raw, Rules(limit=LIMIT)))
    return judged


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge the messages and print the tables; exit 2 when there are none."""
    parser = argparse.ArgumentParser(prog="python -m bench.findings", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the *.hl7 files are")
    parser.add_argument("--places", type=int, default=0, metavar="N", help="also the N fields and components that are most often too long")
    given = parser.parse_args(arguments)
    judged = judge(given.directory)
    if not judged.messages:
        print(f"there is no message under {given.directory}", file=sys.stderr)
        return 2
    codes = [(str(code), str(judged.codes[code]), str(judged.having[code])) for code in sorted(judged.codes)]
    print(table(("code", "findings", "messages"), codes, left=1))
    print()
    rows = [(v, str(judged.messages[v]), str(judged.having_too_long[v]), str(judged.too_long[v])) for v in sorted(judged.messages)]
    print(table(("judged as", "messages", "with a value too long", "values too long"), rows, left=1))
    if given.places:
        print()
        places = [(version, place, str(count)) for (version, place), count in judged.places.most_common(given.places)]
        print(table(("judged as", "place", "values too long"), places, left=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
