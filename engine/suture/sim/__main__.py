"""`python -m suture.sim`: the simulated systems in a process of their own, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import signal
import sys
from pathlib import Path

from suture.sim.world import World


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line; port 0 takes a free one."""
    parser = argparse.ArgumentParser(prog="python -m suture.sim", description="Simulate an ERP, a billing system and an analytics sink.")
    parser.add_argument("--erp-port", type=int, default=9310, help="HTTP port of the ERP (default 9310)")
    parser.add_argument("--billing-port", type=int, default=9320, help="MLLP port of the billing system (default 9320)")
    parser.add_argument("--analytics-port", type=int, default=9330, help="HTTP port of the analytics sink (default 9330)")
    parser.add_argument("--control-port", type=int, default=9340, help="HTTP port to steer them and read their counts (default 9340)")
    parser.add_argument("--items", type=Path, help="item master (CSV); the ERP rejects an item that is not in it with 422")
    return parser.parse_args(argv)


def known_items(file: Path | None) -> frozenset[str]:
    """The item numbers in the first column of a table, or none."""
    if file is None:
        return frozenset()
    with file.open(encoding="utf-8", newline="") as lines:
        return frozenset(row[0] for row in csv.reader(lines) if row)


async def serve(options: argparse.Namespace) -> None:
    """Open the world, print its ports as one line of JSON, and wait for a signal."""
    world = World(options.erp_port, options.billing_port, options.analytics_port, options.control_port, known_items(options.items))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await world.open()
        print(json.dumps(world.ports), flush=True)
        await stop.wait()
    finally:
        await world.close()


def main() -> int:
    """Run until told to stop; 2 when a port or the item file cannot be had."""
    try:
        asyncio.run(serve(arguments(sys.argv[1:])))
    except OSError as e:
        print(f"the simulators cannot start: {e.strerror or e}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
