"""Senders as cabinets are: one message at a time on a connection, sent again until it is acknowledged."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

ACCOUNTS = 24
RECEIVE_S = 0.1
GIVE_UP_S = 2.0
"""How long a sender that is told to end still waits for the answer to its last message."""
PATIENT = "ZZMARKER^ANNA"


def dft(control_id: str, account: int) -> bytes:
    """A charge with two lines."""
    line = "FT1|{n}|{i}-{n}||20260512090210-0500||CG|IMP-{n}|||1"
    segments = (
        f"MSH|^~\\&|CABINET|OR|SUTURE|GENERAL|20260512||DFT^P03^DFT_P03|{control_id}|P|2.5.1",
        f"PID|1||7{account}||{PATIENT}|||||||||||||{account}",
        *(line.format(n=n, i=control_id) for n in (1, 2)),
    )
    return ("\r".join(segments) + "\r").encode()


def adt(control_id: str, account: int) -> bytes:
    """An admission."""
    return (
        f"MSH|^~\\&|REGISTRATION|GENERAL|X|GENERAL|20260512||ADT^A01^ADT_A01|{control_id}|P|2.5.1\r"
        f"PID|1||7{account}||{PATIENT}|||||||||||||{account}\r"
    ).encode()


class Load:
    """Messages of one kind over some connections; an account's messages all go over the same one, in order.

    count: messages in all; None: until `stop`. acked: control ids that were acknowledged. refused: answers that said no.
    """

    def __init__(self, port: int, make: Callable[[str, int], bytes], kind: str, count: int | None, connections: int) -> None:
        assert ACCOUNTS % connections == 0
        self.kind, self.acked, self.refused, self.broken = kind, set[str](), 0, 0
        self._port, self._make, self._count, self._connections = port, make, count, connections
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(c,), daemon=True) for c in range(connections)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; an answer that does not come is given up."""
        self._ending.set()
        self.join()

    def join(self, timeout_s: float = 60) -> None:
        """Wait for the end."""
        deadline_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
            assert not thread.is_alive(), f"not sent within {timeout_s:g} s"

    @property
    def over(self) -> bool:
        """Whether all has been sent."""
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, connection: int) -> None:
        line = Line(self._port, self._ending)
        number = connection
        while not self._ending.is_set() and (self._count is None or number < self._count):
            control_id = f"{self.kind}{number}"
            message = self._make(control_id, number % ACCOUNTS)
            self.begun(control_id, message)
            while not self._ending.is_set():
                code = self.ask(line, message, control_id)
                if code in ("AA", "CA"):
                    self.acked.add(control_id)
                    self.acknowledged(control_id)
                    break
                self.refused += bool(code)
                self.broken += not code
                self._ending.wait(0.02)
            number += self._connections
        line.close()

    # -- for loads that keep books or misbehave: called on the threads of the connections ----------------------------

    def begun(self, control_id: str, message: bytes) -> None:
        """A message is about to be sent for the first time."""

    def ask(self, line: Line, message: bytes, control_id: str) -> str:
        """Send a message; MSA-1 of its answer, "" when none came."""
        return line.ask(message, control_id)

    def acknowledged(self, control_id: str) -> None:
        """A message was acknowledged."""


class Line:
    """One connection, made again when it breaks."""

    def __init__(self, port: int, ending: threading.Event) -> None:
        self._port, self._ending = port, ending
        self._socket: socket.socket | None = None

    def ask(self, message: bytes, control_id: str) -> str:
        """Send a message; MSA-1 of its answer, "" when none came."""
        try:
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), 5)
                self._socket.settimeout(RECEIVE_S)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(b"\x0b" + message + b"\x1c\r")
            return self._answer(control_id)
        except OSError:
            self.close()
            return ""

    def _answer(self, control_id: str) -> str:
        assert self._socket is not None
        answer, patience = b"", GIVE_UP_S / RECEIVE_S
        while not answer.endswith(b"\x1c\r"):
            patience -= self._ending.is_set()
            if patience <= 0:
                raise ConnectionAbortedError
            with contextlib.suppress(TimeoutError):
                got = self._socket.recv(65536)
                if not got:
                    raise ConnectionResetError
                answer += got
        msa = answer.split(b"\r")[1].decode().split("|")
        assert msa[0] == "MSA" and msa[2] == control_id, "an answer to another message"
        return msa[1]

    def close(self) -> None:
        """Close the connection; the next message opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
