"""`python -m bench.corpus DIRECTORY`: what Suture, python-hl7 and hl7apy make of messages that others wrote, by cause.

Each message is read and written back by each library. Line ends are made alike first (segments ended by CR, no byte
order mark, no blanks around), because none of the libraries promises more. Contents are never printed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.libraries import WRITE, Write
from bench.report import table

SAME = "written back byte for byte"
CUT = re.compile(rb"(?m)^(?=MSH[^A-Za-z0-9\r\n])")
ENVELOPE = re.compile(rb"(?m)^(?:FHS|BHS|BTS|FTS)[^\n]*\n?")


def messages(data: bytes) -> Iterator[bytes]:
    """The messages of a file, without batch envelopes, each segment ended by CR."""
    text = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").strip(b"\x0b\x1c\n ")
    text = ENVELOPE.sub(b"", text)
    for part in CUT.split(text):
        lines = [line for line in part.split(b"\n") if line.strip()]
        if lines and lines[0].startswith(b"MSH"):
            yield b"\r".join(lines) + b"\r"


def became(raw: bytes, write: Write) -> str:
    """What a library makes of a message, in words."""
    try:
        written = write(raw)
    except Exception as e:
        return f"refused ({type(e).__name__})"
    lines = [line for line in re.split(rb"[\r\n]+", written) if line]
    if b"\r".join(lines) + b"\r" == raw:
        return SAME
    before, after = Counter(line[:3] for line in raw.split(b"\r") if line), Counter(line[:3] for line in lines)
    if missing := before - after:
        local = all(name[:1] == b"Z" for name in missing)
        return "Z-segments lost" if local else "segments lost"
    if after - before:
        return "segments invented"
    return "segments moved" if [line[:3] for line in lines] != [line[:3] for line in raw.split(b"\r") if line] else "values changed or lost"


def figures(directory: Path) -> tuple[dict[str, Counter[str]], int, int]:
    """Counts of what became of the messages, by library; how many files, and how many messages in them."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in WRITE}
    files = sorted(directory.rglob("*.hl7"))
    total = 0
    for number, file in enumerate(files, 1):
        for raw in messages(file.read_bytes()):
            total += 1
            for name, write in WRITE.items():
                counts[name][became(raw, write)] += 1
        if number % 100 == 0:
            print(f"  {number} of {len(files)} files", file=sys.stderr)
    return counts, len(files), total


def main(arguments: Sequence[str] | None = None) -> int:
    """Read every *.hl7 file under the directory and print the table; exit 1 when Suture changes a message."""
    parser = argparse.ArgumentParser(prog="python -m bench.corpus", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the *.hl7 files are")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    counts, files, total = figures(given.directory)
    if not total:
        print(f"there is no message under {given.directory}", file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps({"files": files, "messages": total, "libraries": counts}, indent=2))
    else:
        causes = sorted({cause for count in counts.values() for cause in count}, key=lambda c: (c != SAME, c))
        print(f"{files} files, {total} messages")
        print(table(("", *counts), [(cause, *(str(count[cause]) for count in counts.values())) for cause in causes], left=1))
    return 0 if counts["Suture"][SAME] == total else 1


if __name__ == "__main__":
    sys.exit(main())
