"""`PYTHON -m bench.procrastinate_jobs URL N`: N jobs with a payload, deferred and then worked on, by procrastinate on PostgreSQL.

Run by a Python that has procrastinate; it has nothing else of this repository's but the payloads. Prints JSON: seconds
until all jobs were deferred, and from then until all were done. As fast as it goes: many jobs a statement, WORKERS workers
that have CONCURRENCY jobs at a time together, no logs, no notifications, no locks, an event loop of libuv's where there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import time

import procrastinate  # type: ignore[import-not-found]

from bench.payloads import payload

CONCURRENCY = 64
WORKERS = 4
"""One worker fetches a job at a time: four, in one process, get half as many again through on two processors, and eight no more."""
AT_ONCE = 1000
"""Jobs that are deferred by one statement."""
POOL = 16
"""Connections, at most; with 4 or 64 it is no faster."""


async def run(url: str, count: int) -> dict[str, float]:
    """Make the schema, defer the jobs, work on them; seconds of both."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=4, max_size=POOL))
    done = 0

    @app.task(name="taken")
    async def taken(body: str) -> None:
        nonlocal done
        done += 1

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        jobs = [{"body": payload(number)} for number in range(count)]
        begin_s = time.monotonic()
        for first in range(0, count, AT_ONCE):
            await taken.batch_defer_async(*jobs[first : first + AT_ONCE])
        deferred_s = time.monotonic()
        await asyncio.gather(*(_work(app) for _ in range(WORKERS)))
        end_s = time.monotonic()
    if done != count:
        raise SystemExit(f"{done} of {count} jobs were done")
    return {"enqueue_s": deferred_s - begin_s, "complete_s": end_s - deferred_s}


async def _work(app: procrastinate.App) -> None:
    """One worker, until there are no more jobs."""
    jobs = CONCURRENCY // WORKERS
    await app.run_worker_async(concurrency=jobs, wait=False, listen_notify=False, install_signal_handlers=False)


def main() -> None:
    """Run, and print."""
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    print(json.dumps(asyncio.run(run(sys.argv[1], int(sys.argv[2])))))


if __name__ == "__main__":
    main()
