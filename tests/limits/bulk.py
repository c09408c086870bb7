"""Senders of large messages: many at once on one thread, each on a connection of its own."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

ZERO_S = 0.05


def document(control_id: str, account: int, size_bytes: int) -> bytes:
    """An ADT with an embedded document that fills it up to this size."""
    head = (
        f"MSH|^~\\&|REGISTRATION|GENERAL|X|GENERAL|20260512||ADT^A01^ADT_A01|{control_id}|P|2.5.1\r"
        f"PID|1||7{account}||DOE^JANE|||||||||||||{account}\rOBX|1|ED|PDF^Report||^application^pdf^Base64^"
    ).encode()
    return head + b"QUJD" * ((size_bytes - len(head) - 1) // 4) + b"\r"


def charges(control_id: str, account: int, lines: int, note_bytes: int = 0) -> bytes:
    """A DFT with so many lines of FT1, and a note that fills it up."""
    head = (
        f"MSH|^~\\&|CABINET|OR|SUTURE|GENERAL|20260512||DFT^P03^DFT_P03|{control_id}|P|2.5.1\r"
        f"PID|1||7{account}||DOE^JANE|||||||||||||{account}\r"
    )
    line = "FT1|{n}|{i}-{n}||20260512090210-0500||CG|IMP-1|||1\r"
    note = f"NTE|1||{'x' * note_bytes}\r" if note_bytes else ""
    return (head + "".join(line.format(n=n, i=control_id) for n in range(1, lines + 1)) + note).encode()


@dataclass(eq=False)
class _Line:
    """One connection with what is still to be sent on it. asked_s: when its message was begun."""

    sock: socket.socket
    todo: list[bytes]
    rest: memoryview = field(default_factory=lambda: memoryview(b""))
    half: int = 0
    answer: bytes = b""
    asked_s: float = 0.0


class Bulk:
    """Sends these messages to a port, each on its own connection, or in turn on a few. waits_s: of each for its answer.

    halves: the first message of each connection may be sent as far as its half before the rest (`send_halves`).
    """

    def __init__(self, port: int, messages: Sequence[bytes], connections: int = 0, halves: bool = False) -> None:
        count = connections or len(messages)
        self._port, self._selector = port, selectors.DefaultSelector()
        self.codes: list[str] = []
        self.waits_s: list[float] = []
        self._halves = halves
        self._lines = [self._connect(list(messages[number::count])) for number in range(count)]

    def _connect(self, messages: list[bytes]) -> _Line:
        line = _Line(socket.create_connection(("127.0.0.1", self._port), 10), messages)
        line.sock.setblocking(False)
        self._selector.register(line.sock, selectors.EVENT_READ, line)
        return line

    def send_halves(self, stalled_s: float) -> None:
        """Send the first half of each first message, as far as it is read: until nothing more is taken for a second, or all is sent."""
        for line in self._lines:
            self._next(line)
        deadline_s, idle_s = time.monotonic() + stalled_s, time.monotonic()
        while time.monotonic() < deadline_s and time.monotonic() - idle_s < 1:
            for key, events in self._selector.select(ZERO_S):
                line: _Line = key.data
                if events & selectors.EVENT_WRITE:
                    idle_s = time.monotonic()
                    self._write(line)
                    if len(line.rest) <= line.half:
                        self._selector.modify(line.sock, selectors.EVENT_READ, line)
        for line in self._lines:
            self._selector.modify(line.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, line)

    def run(self, timeout_s: float, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Send all, and wait for the answers. meanwhile: called every now and then."""
        try:
            self._run(time.monotonic() + timeout_s, meanwhile)
        finally:
            self.close()

    def _run(self, deadline_s: float, meanwhile: Callable[[], None]) -> None:
        left = len(self._lines)
        for line in self._lines:
            if not (self._halves and line.rest):
                self._next(line)
        while left:
            assert time.monotonic() < deadline_s, f"{left} of {len(self._lines)} senders still wait, with {len(self.codes)} answers"
            meanwhile()
            for key, events in self._selector.select(ZERO_S):
                if events & selectors.EVENT_WRITE:
                    self._write(key.data)
                if events & selectors.EVENT_READ:
                    left -= self._read(key.data)

    def _next(self, line: _Line) -> bool:
        """Begin the line's next message; False when there is none."""
        if not line.todo:
            return False
        line.rest, line.answer, line.asked_s = memoryview(b"\x0b" + line.todo.pop(0) + b"\x1c\r"), b"", time.monotonic()
        line.half = len(line.rest) // 2
        self._selector.modify(line.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, line)
        return True

    def _write(self, line: _Line) -> None:
        line.rest = line.rest[line.sock.send(line.rest[:262_144]) :]
        if not line.rest:
            self._selector.modify(line.sock, selectors.EVENT_READ, line)

    def _read(self, line: _Line) -> bool:
        """Take what came; True when that was the last answer of this line."""
        got = line.sock.recv(65_536)
        assert got, "the connection was closed"
        line.answer += got
        if not line.answer.endswith(b"\x1c\r"):
            return False
        self.codes.append(line.answer.split(b"\rMSA|")[1][:2].decode())
        self.waits_s.append(time.monotonic() - line.asked_s)
        return not self._next(line)

    def close(self) -> None:
        """Hang up."""
        for line in self._lines:
            line.sock.close()
