"""The bench's own processes (senders, sinks): started fresh, asked over a pipe, ended by closing it."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

PATIENCE_S = 10


class BenchError(Exception):
    """The benchmark cannot go on; the text is for whoever started it."""


class Child:
    """A process that runs `main(pipe, *arguments)` and answers every request with one object."""

    def __init__(self, name: str, main: Callable[..., None], *arguments: Any) -> None:
        self.name = name
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_run, args=(main, theirs, *arguments), name=name, daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid or 0

    def ask(self, request: Any) -> Any:
        """Send a request and wait for the answer."""
        self.send(request)
        return self.answer()

    def send(self, request: Any) -> None:
        """Send a request without waiting; `answer` must follow."""
        try:
            self._pipe.send(request)
        except OSError as e:
            raise BenchError(f"the {self.name} ended by itself") from e

    def answered(self, timeout_s: float) -> bool:
        """Whether the answer has come, or comes within the time."""
        return self._pipe.poll(timeout_s)

    def answer(self) -> Any:
        """Wait for the answer. Raises BenchError when the process could not do it."""
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError) as e:
            raise BenchError(f"the {self.name} ended by itself") from e
        if isinstance(answer, BenchError):
            raise answer
        return answer

    def close(self) -> None:
        """End it."""
        self._pipe.close()
        self._process.join(PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _run(main: Callable[..., None], pipe: Connection, *arguments: Any) -> None:
    # Ctrl-C is the parent's: it closes the pipe when it has put everything away.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        main(pipe, *arguments)
    except (EOFError, BrokenPipeError):
        pass
    except OSError as e:
        pipe.send(BenchError(str(e)))


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop: uvloop's where there is one, for the load must cost as little as can be."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
