"""`async def` tests on the engine's own reactor, installed once and driven a test at a time.

A conftest imports `reactor` and `pytest_pyfunc_call` from here. A test that waits for something waits for it with a
deadline, and none sleeps in the hope that something has happened.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from suture.reactor import Reactor, install

TEST_TIMEOUT_S = 20
_made: list[Reactor] = []


def the_reactor() -> Reactor:
    """The process's reactor, made when it is first asked for."""
    if not _made:
        made = install()[0]
        made.startRunning(installSignalHandlers=False)
        _made.append(made)
    return _made[0]


@pytest.fixture
def reactor() -> Iterator[Any]:
    """The reactor; the test has to leave no timer, no socket and no task behind."""
    made = the_reactor()
    before = set(made.getDelayedCalls())
    yield made
    loop = made._asyncioEventloop
    _let_it_close(made, loop, before)
    left = [call for call in made.getDelayedCalls() if call not in before]
    for call in left:
        call.cancel()
    sockets = [reader for reader in made.getReaders() if reader is not made.waker]
    for one in sockets:
        made.removeReader(one)
    tasks = asyncio.all_tasks(loop)
    assert not left, f"timers left behind: {left}"
    assert not sockets, f"sockets left behind: {sockets}"
    assert not tasks, f"tasks left behind: {tasks}"


def _let_it_close(made: Reactor, loop: asyncio.AbstractEventLoop, before: set[Any]) -> None:
    """Closing takes a few turns of the loop: wait for it, up to two seconds."""

    def busy() -> bool:
        tasks, sockets = len(asyncio.all_tasks(loop)) > 1, any(r is not made.waker for r in made.getReaders())
        return tasks or sockets or any(call not in before for call in made.getDelayedCalls())

    async def wait() -> None:
        deadline_s = loop.time() + 2
        while loop.time() < deadline_s and busy():
            await asyncio.sleep(0.01)

    loop.run_until_complete(wait())


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test on the reactor's loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    loop = the_reactor()._asyncioEventloop
    loop.run_until_complete(asyncio.wait_for(pyfuncitem.obj(**arguments), TEST_TIMEOUT_S))
    return True
