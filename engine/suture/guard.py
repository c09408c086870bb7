"""What keeps the engine from sending while its store may be another's, and from staying when it was told to end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from suture.connectors.contract import NOT_SENT
from suture.observe.logs import Log
from suture.pipeline.lanes import Lanes
from suture.runtime import RunningChannel
from suture.store.tenure import Tenure

PERIOD_S = 0.25


class Guard:
    """Watches the lease of the store. channels(): all that there are now.

    Whoever sends asks `Tenure.may_send` itself; this one stops what is on its way, says so, and lets go on when it is over.
    """

    def __init__(self, tenure: Tenure, reactor: Any, channels: Callable[[], Iterable[RunningChannel]], log: Log) -> None:
        self._tenure, self._reactor, self._channels, self._log = tenure, reactor, channels, log
        self._over = False
        self._timer: Any = None

    def begin(self) -> None:
        """Watch from now on."""
        may_send, over = self._tenure.may_send(), self._tenure.is_over()
        for lanes in self._lanes() if may_send else ():
            if lanes.paused:
                lanes.resume()
        if over and not self._over:
            self.hold(f"the store has not confirmed for {self._tenure.lease_s:g} s that it is still this engine's")
        elif self._over and not over:
            self._log.info("the store has confirmed that it is this engine's: sending goes on")
        self._over = over
        self._timer = self._reactor.callLater(PERIOD_S, self.begin)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def hold(self, reason: str) -> None:
        """Send nothing. Where another engine may have the store, not even what is half sent goes on its way."""
        self._log.error(f"nothing is sent: {reason}")
        for lanes in self._lanes():
            lanes.pause()
        for channel in self._channels() if self._tenure.shared else ():
            channel.cut(NOT_SENT.code, reason)

    def _lanes(self) -> Iterator[Lanes]:
        for channel in self._channels():
            yield from channel.lanes.values()


class Deadline(threading.Thread):
    """Ends the process when its orderly end does not come in time; nothing else has to work for that.

    A thread may wait for ever for a frozen server, a disk or a resolver, and Python waits for its threads. code(): the exit
    code. say(): called before, on this thread.
    """

    def __init__(self, after_s: float, code: Callable[[], int], say: Callable[[], None]) -> None:
        super().__init__(name="deadline", daemon=True)
        self._until_s = time.monotonic() + after_s
        self._code, self._say = code, say

    def hurry(self, after_s: float) -> None:
        """End sooner."""
        self._until_s = min(self._until_s, time.monotonic() + after_s)

    def run(self) -> None:
        while (left_s := self._until_s - time.monotonic()) > 0:
            time.sleep(min(left_s, PERIOD_S))
        try:
            self._say()
        finally:
            os._exit(self._code())
