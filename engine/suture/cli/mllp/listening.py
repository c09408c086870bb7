"""A test receiver for MLLP: what it answers is told to it, message by message."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from suture.wire import mllp
from suture.wire.hl7v2.exchange import ack, due

CONNECTIONS_MAX = 256
"""More connections at once are closed when they come."""
SEND_TIMEOUT_S = 30
DROP, SILENT = "drop", "silent"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What to answer. every: (n, code) pairs, the first that fits counts; n 0: never. Messages count over all connections."""

    code: str = ""
    every: tuple[tuple[int, str], ...] = ()
    drop_every: int = 0
    silent_every: int = 0
    delay_ms: float = 0.0
    text: str = ""

    def answer_to(self, number: int) -> str:
        """An MSA-1 code, DROP (close without an answer), SILENT (no answer), or "" for a good one as the sender asks for it."""
        for every, what in ((self.drop_every, DROP), (self.silent_every, SILENT), *self.every):
            if every and number % every == 0:
                return what
        return self.code


def as_asked(header: ack.Header | None) -> str:
    """The good answer that MSH-15 and MSH-16 ask for (HL7 table 0155), "none" where they ask for none; AE to what is no HL7.

    One answer goes out: an application acknowledgement is sent on the same connection where no commit one is asked for.
    """
    if header is None:
        return "AE"
    asked = due.replies(header, "accepted")
    return asked.commit or asked.application or "none"


@dataclass(frozen=True, slots=True)
class Received:
    """One message that came, and what it was answered: an MSA-1 code, DROP, SILENT, or "none" where the sender asked for none."""

    number: int
    control_id: str
    type: str
    peer: str
    raw: bytes
    answer: str
    saved: str = ""


@dataclass(slots=True)
class Counts:
    """What came of it all."""

    received: int = 0
    bytes: int = 0
    connections: int = 0
    stray_bytes: int = 0
    answers: Counter[str] = field(default_factory=Counter)


class Store:
    """A directory that keeps every message in a file of its own, numbered on from what is there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        numbers = [int(match[1]) for path in folder.iterdir() if (match := re.match(r"(\d{1,18})-", path.name))]
        self._last = max(numbers, default=0)

    def keep(self, raw: bytes, control_id: str) -> str:
        """Write one; returns the file's name. Raises OSError."""
        self._last += 1
        name = f"{self._last:06d}-{re.sub(r'[^A-Za-z0-9_.-]', '_', control_id)[:60] or 'no-id'}.hl7"
        with (self._folder / name).open("xb") as file:
            file.write(raw)
        return name


class Receiver:
    """Listens and answers, a thread a connection. heard is called for one message at a time, before its answer goes out."""

    def __init__(self, listener: socket.socket, behaviour: Behaviour, heard: Callable[[Received], None], limit_bytes: int) -> None:
        self.counts = Counts()
        self.tls: ssl.SSLContext | None = None
        self.store: Store | None = None
        self.count = 0
        self.fault: BaseException | None = None
        self._listener, self._behaviour, self._heard, self._limit_bytes = listener, behaviour, heard, limit_bytes
        self._record, self._ended = threading.Lock(), threading.Event()
        self._open: set[socket.socket] = set()
        self._done = 0
        self._run_id = f"{time.time_ns() // 1_000_000:X}"

    def serve(self) -> None:
        """Listen until `count` messages came (0: until Ctrl-C, which is raised). Raises what `heard` or the store raised."""
        self._listener.settimeout(0.2)
        try:
            while not self._ended.is_set():
                try:
                    connection, address = self._listener.accept()
                except TimeoutError:
                    continue
                self._welcome(connection, f"{address[0]}:{address[1]}")
        finally:
            self._ended.set()
            self._listener.close()
            self._close_all()
        if self.fault:
            raise self.fault

    def _welcome(self, connection: socket.socket, peer: str) -> None:
        with self._record:
            if len(self._open) >= CONNECTIONS_MAX:
                connection.close()
                return
            self._open.add(connection)
            self.counts.connections += 1
        threading.Thread(target=self._converse, args=(connection, peer), daemon=True).start()

    def _close_all(self) -> None:
        with self._record:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def _converse(self, connection: socket.socket, peer: str) -> None:
        line: socket.socket = connection
        try:
            if self.tls:
                connection.settimeout(SEND_TIMEOUT_S)
                line = self.tls.wrap_socket(connection, server_side=True)
            line.settimeout(None)
            self._listen(line, peer)
        except (OSError, mllp.FrameTooLarge):
            pass  # the peer went away, or sends what is no message: the next one is welcome
        finally:
            with self._record:
                self._open.discard(connection)
            line.close()
            connection.close()

    def _listen(self, line: socket.socket, peer: str) -> None:
        unframer = mllp.Unframer(self._limit_bytes)
        stray = 0
        while data := line.recv(1 << 16):
            found = unframer.feed(data)
            with self._record:
                self.counts.stray_bytes += unframer.stray - stray
            stray = unframer.stray
            for raw in found:
                if not self._take(line, raw, peer):
                    return

    def _take(self, line: socket.socket, raw: bytes, peer: str) -> bool:
        """Receive one message; False when the connection is to be closed."""
        header = ack.Header.read(raw)
        with self._record:
            if self._ended.is_set() or (self.count and self.counts.received >= self.count):
                return False
            self.counts.received += 1
            self.counts.bytes += len(raw)
            number = self.counts.received
            answer = self._behaviour.answer_to(number) or as_asked(header)
            self.counts.answers[answer] += 1
            try:
                control_id, kind = (header.text(10), header.type) if header else ("", "")
                saved = self.store.keep(raw, control_id) if self.store else ""
                self._heard(Received(number, control_id, kind, peer, raw, answer, saved))
            except BaseException as error:
                self.fault = error
                self._ended.set()
                return False
        try:
            return self._answer(line, header, answer, number)
        finally:
            with self._record:
                self._done += 1
                if self._done == self.count:
                    self._ended.set()

    def _answer(self, line: socket.socket, header: ack.Header | None, answer: str, number: int) -> bool:
        if self._behaviour.delay_ms:
            time.sleep(self._behaviour.delay_ms / 1000)
        if answer == DROP:
            return False
        if answer in (SILENT, "none"):
            return True
        text = "" if answer in ("AA", "CA") else self._behaviour.text or f"suture listen answers {answer}"
        now = datetime.now().strftime("%Y%m%d%H%M%S")
        line.settimeout(SEND_TIMEOUT_S)
        line.sendall(mllp.frame(ack.build(header, answer, f"L{self._run_id}{number:06d}", now, text)))
        line.settimeout(None)
        return True
