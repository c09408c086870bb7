"""`python -m bench.reading`: what it costs to read a message, beside python-hl7 and hl7apy in the same run, and a very large one."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

from bench.libraries import READ
from bench.report import number, table
from bench.workloads import HERE
from suture.wire.hl7v2.text import er7

MESSAGE = HERE / "messages" / "dft_p03.hl7"
ROUNDS = 7
SLOW_S = 0.3
"""How long one round of a library takes at least."""
WANTED = {"python-hl7": 100, "hl7apy": 1000}
"""How many times faster the reading of six values has to be."""
SIZES_MB = (1, 2, 5, 10)
COPIES = 3


def measured_us(run: Callable[[], object]) -> float:
    """Median microseconds of one call, of several rounds."""
    run()
    begin_s = time.perf_counter()
    run()
    count = max(1, int(SLOW_S / ROUNDS / max(1e-7, time.perf_counter() - begin_s)))
    rounds = []
    for _ in range(ROUNDS):
        begin_s = time.perf_counter()
        for _ in range(count):
            run()
        rounds.append((time.perf_counter() - begin_s) / count)
    return statistics.median(rounds) * 1e6


def six_values() -> dict[str, Any]:
    """Microseconds for six values of a message of about 1 kB, for each library, in turn."""
    raw = MESSAGE.read_bytes().replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    values = {name: read(raw) for name, read in READ.items()}
    assert len({tuple(v) for v in values.values()}) == 1, "the libraries do not read the same values"
    cost = {name: measured_us(lambda read=read: read(raw)) for name, read in READ.items()}  # type: ignore[misc]
    return {"bytes": len(raw), "us": cost, "times": {name: cost[name] / cost["Suture"] for name in WANTED}}


def _document(size: int) -> bytes:
    head = b"MSH|^~\\&|SCAN|OR|SUTURE|H|20260301120000||MDM^T02|D1|P|2.5.1\rPID|1||17^^^H^MR\r"
    return head + b"OBX|1|ED|PDF^Report||SCAN^AP^PDF^Base64^" + b"QUJD" * (size // 4) + b"||||||F\rNTE|1||last\r"


def _segments(size: int) -> bytes:
    line = b"FT1|%d|T||20260301|||27000123^HIP STEM^L|||1|100.00|||7740\r"
    return _document(4) + b"".join(line % n for n in range(size // len(line)))


def _repetitions(size: int) -> bytes:
    return _document(4) + b"PID|1||" + b"17^^^H^MR~" * (size // 10) + b"\r"


SHAPES: dict[str, tuple[Callable[[int], bytes], str]] = {
    "one document": (_document, "OBX-5.5"),
    "many segments": (_segments, "FT1(9)-7.1"),
    "many repetitions": (_repetitions, "PID(2)-3[9].1"),
}


def _read(raw: bytes, place: str) -> str:
    message = er7.Message.parse(raw)
    message.get("MSH-10"), message.get("NTE-3")
    return message.get(place)


def large(sizes_mb: Sequence[float] = SIZES_MB) -> list[dict[str, Any]]:
    """Milliseconds and memory to read large messages of each shape. copies: memory at most, in sizes of the message."""
    found = []
    for shape, (make, place) in SHAPES.items():
        for size_mb in sizes_mb:
            raw = make(int(size_mb * 1e6))
            ms = measured_us(lambda raw=raw, place=place: _read(raw, place)) / 1000  # type: ignore[misc]
            tracemalloc.start()
            assert _read(raw, place)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            found.append({"shape": shape, "mb": len(raw) / 1e6, "ms": ms, "ms_per_mb": ms * 1e6 / len(raw), "copies": 1 + peak / len(raw)})
    return found


def problems(result: dict[str, Any]) -> list[str]:
    """What is not as it should be."""
    found = [
        f"{times:.0f} times faster than {n}, not {WANTED[n]}" for n, times in result["six_values"]["times"].items() if times < WANTED[n]
    ]
    for shape in SHAPES:
        rows = [row for row in result["large"] if row["shape"] == shape]
        if shape == "one document" and rows[-1]["copies"] > COPIES + 0.05:
            found.append(f"{shape}: {rows[-1]['copies']:.1f} copies, more than {COPIES}")
        if rows[-1]["ms_per_mb"] > 2 * rows[0]["ms_per_mb"]:
            found.append(f"{shape}: the time grows faster than the size")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit 1 when something is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m bench.reading", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="large messages of 1 and 2 MB only")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    result = {"six_values": six_values(), "large": large(SIZES_MB[:2] if given.quick else SIZES_MB)}
    result["problems"] = problems(result)
    if given.json:
        print(json.dumps(result, indent=2))
    else:
        _show(result)
    return 1 if result["problems"] else 0


def _show(result: dict[str, Any]) -> None:
    six = result["six_values"]
    print(f"Six values of a message of {six['bytes']} bytes")
    rows = [(name, number(us, 1), number(us / six["us"]["Suture"])) for name, us in six["us"].items()]
    print(table(("library", "us", "times Suture's"), rows, left=1))
    print("\nLarge messages: parse, three values, one of them the large one's")
    sizes = [
        (r["shape"], number(r["mb"], 1), number(r["ms"], 2), number(r["ms_per_mb"], 2), number(r["copies"], 2)) for r in result["large"]
    ]
    print(table(("shape", "MB", "ms", "ms/MB", "copies in memory"), sizes, left=1))
    for problem in result["problems"]:
        print(f"PROBLEM: {problem}")


if __name__ == "__main__":
    sys.exit(main())
