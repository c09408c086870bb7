"""Senders that keep a ledger, and reset their connections when they are told to."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import struct
import time

from tests.campaign.ledger import Sent
from tests.crash.load import ACCOUNTS, Line, Load, adt, dft

PAUSE_S = 0.02
"""Between two messages of a connection: the campaign is about faults, and a machine has other things to do."""
TAKEN_UP_S = 0.05
LARGE_EVERY = 101
LARGE_BYTES = 60_000


def charge(control_id: str, account: int) -> bytes:
    """A charge whose last segment names it, whatever becomes of its header."""
    return _named(dft(control_id, account), control_id)


def admission(control_id: str, account: int) -> bytes:
    """An admission, likewise."""
    return _named(adt(control_id, account), control_id)


def _named(message: bytes, control_id: str) -> bytes:
    large = b"NTE|2||" + b"x" * LARGE_BYTES + b"\r" if int(control_id[1:]) % LARGE_EVERY == 0 else b""
    return message + f"NTE|1||{control_id}\r".encode() + large


class Cabinets(Load):
    """A load with a ledger.

    resetting: of so many of its messages it first sends a copy and resets right behind it. resting: it begins no message.
    """

    def __init__(self, port: int, kind: str, connections: int, seed: int) -> None:
        super().__init__(port, charge if kind == "C" else admission, kind, None, connections)
        self.sent: dict[str, Sent] = {}
        self.confused: list[str] = []
        self.resetting = 0.0
        self.resting = False
        self.resets = 0
        self._chance = random.Random(f"{seed}/{kind}")

    def begun(self, control_id: str, message: bytes) -> None:
        self._ending.wait(PAUSE_S)
        while self.resting and not self._ending.is_set():
            self._ending.wait(PAUSE_S)
        account = str(int(control_id[1:]) % ACCOUNTS)
        self.sent[control_id] = Sent(control_id, account, hashlib.sha256(message).hexdigest()[:16], time.time())

    def ask(self, line: Line, message: bytes, control_id: str) -> str:
        if self.resetting and self._chance.random() < self.resetting:
            self._send_and_reset(message)
        try:
            return super().ask(line, message, control_id)
        except AssertionError as e:
            self.confused.append(f"{control_id}: {e}")
            line.close()
            return ""

    def acknowledged(self, control_id: str) -> None:
        self.sent[control_id].acked_s = time.time()

    def _send_and_reset(self, message: bytes) -> None:
        """The message, or a part of it, arrives together with the reset; at once, or when the connection has been taken up."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 5) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._ending.wait(self._chance.choice((0.0, TAKEN_UP_S)))
            frame = b"\x0b" + message + b"\x1c\r"
            one.sendall(frame[: self._chance.choice((len(frame), len(frame) // 2))])
            self.resets += 1
