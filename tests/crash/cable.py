"""A cable between an engine and its PostgreSQL that can be cut without a word, as a network is."""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import threading
from pathlib import Path

NAME = ".s.PGSQL.5432"


class Cable:
    """Listens in a directory as the server does in its own, and passes on what comes, both ways."""

    def __init__(self, directory: Path, server: Path) -> None:
        self._target = str(server / NAME)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / NAME))
        self._listener.listen(64)
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._waiting: list[socket.socket] = []
        self._is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            with self._lock:
                if self._is_cut:
                    self._waiting.append(near)
                    continue
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
                self._pairs.append((near, far))
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in selector.select():
                    try:
                        data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                        if data and not self._is_cut:
                            key.data.sendall(data)
                    except OSError:
                        data = b""
                    if self._is_cut:
                        return
                    if not data:
                        near.close()
                        far.close()
                        return

    def cut(self) -> None:
        """From now on nothing passes; the server notices at once, and the engine does not."""
        with self._lock:
            self._is_cut = True
            for _, far in self._pairs:
                far.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        """It passes again: what was cut breaks, and new connections are made."""
        with self._lock:
            self._is_cut = False
            self._end()

    def _end(self) -> None:
        for one in [*itertools.chain(*self._pairs), *self._waiting]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._pairs, self._waiting = [], []

    def close(self) -> None:
        """No more connections."""
        self._listener.close()
        with self._lock:
            self._end()
