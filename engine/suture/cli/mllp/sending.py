"""Sending messages over MLLP and timing the answers: connections, rate, and what came of it."""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from suture.connectors.mllp.conversing import Line, Patience, Reply, connect, control_id_of
from suture.wire.hl7v2.exchange.due import POSITIVE

NO_CONNECTION = "cannot connect to"
LAST_WAIT_S = 1.0
"""After Ctrl-C, how long the answers on their way are waited for."""
RECONNECT_PAUSE_S = 0.2
"""Between attempts to connect of one that keeps going."""
STEP = 1.02
"""How fine the times are kept: one bin is 2 % wide."""


@dataclass(slots=True)
class Peer:
    """Where to, and how. tls: a context when the connection is encrypted. keep_going: connect again after a fault."""

    host: str
    port: int
    patience: Patience
    tls: ssl.SSLContext | None = None
    keep_going: bool = False

    def connect(self) -> socket.socket:
        """A connection. Raises OSError."""
        return connect(self.host, self.port, self.patience.first_s, self.tls)


def tls_context(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """A client's side of TLS: the peer is checked against ca, else the system's authorities. Raises OSError (SSLError is one)."""
    context = ssl.create_default_context(cafile=str(ca) if ca else None)
    if cert:
        context.load_cert_chain(cert, key)
    return context


@dataclass(slots=True)
class Summary:
    """What came of a run, in constant memory. bins: times, as how often each power of STEP.

    unasked: messages that went well without an answer, since none was to come. late: answers to earlier messages, by code.
    """

    sent: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    unasked: int = 0
    late: Counter[str] = field(default_factory=Counter)
    bins: Counter[int] = field(default_factory=Counter)
    began_s: float = field(default_factory=time.monotonic)
    took_s: float = 0.0

    def add(self, reply: Reply) -> None:
        """Count one."""
        self.sent += 1
        self.late.update(told.partition(" ")[0] for told in reply.late)
        if reply.fault:
            self.unanswered += 1
            return
        if not reply.code:
            self.unasked += 1
            return
        self.bins[round(math.log(max(reply.took_ms, 0.001), STEP))] += 1
        if reply.code in POSITIVE:
            self.accepted += 1
        else:
            self.refused[reply.code] += 1

    @property
    def refusals(self) -> bool:
        """Whether a message was refused, be it later."""
        return bool(self.refused) or any(code not in POSITIVE for code in self.late)

    def percentile_ms(self, share: float) -> float | None:
        """The time within which that share of the answers came, to 2 %; None when none came."""
        wanted, seen = share * sum(self.bins.values()), 0
        for step in sorted(self.bins):
            seen += self.bins[step]
            if seen >= wanted:
                return round(STEP**step, 3)
        return None

    def facts(self) -> dict[str, object]:
        """The figures, as `--json` prints them. rate: answered messages a second."""
        rate = (self.sent - self.unanswered - self.unasked) / self.took_s if self.took_s > 0 else 0.0
        return {
            "sent": self.sent,
            "accepted": self.accepted,
            "refused": dict(sorted(self.refused.items())),
            "unanswered": self.unanswered,
            "unasked": self.unasked,
            "late": dict(sorted(self.late.items())),
            "p50_ms": self.percentile_ms(0.5),
            "p99_ms": self.percentile_ms(0.99),
            "rate": round(rate, 1),
            "took_s": round(self.took_s, 3),
        }


class Run:
    """Sends what `messages` gives over so many connections, at most `rate` a second, and hands every reply to `heard`.

    heard is called by one thread at a time. A connection ends at its first fault, and the run with it, unless the peer says keep_going.
    """

    def __init__(self, messages: Iterator[bytes], peer: Peer, connections: int, rate: float | None, heard: Callable[[Reply], None]) -> None:
        self.summary = Summary()
        self._messages, self._peer, self._rate, self._heard = messages, peer, rate, heard
        self._connections = connections
        self._stop = threading.Event()
        self._next, self._record = threading.Lock(), threading.Lock()
        self._taken = 0
        self._fault: BaseException | None = None

    def run(self) -> None:
        """Send until the messages end, a fault or Ctrl-C. Raises what reading the messages raised, and KeyboardInterrupt."""
        threads = [threading.Thread(target=self._converse, daemon=True) for _ in range(self._connections)]
        self.summary.began_s = time.monotonic()
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)
        finally:
            self._stop.set()
            self.summary.took_s = time.monotonic() - self.summary.began_s
            for thread in threads:  # an answer that is on its way still counts
                thread.join(LAST_WAIT_S / len(threads))
        if self._fault:
            raise self._fault

    def _take(self) -> bytes | None:
        """The next message when its time has come; None at the end."""
        with self._next:
            if self._stop.is_set():
                return None
            try:
                raw = next(self._messages, None)
            except BaseException as error:
                self._fault, raw = error, None
                self._stop.set()
            if raw is not None and self._rate:
                due_s = self.summary.began_s + self._taken / self._rate
                if self._stop.wait(max(due_s - time.monotonic(), 0)):
                    return None
            self._taken += 1
        return raw

    def _converse(self) -> None:
        peer: Line | None = None
        try:
            while (raw := self._take()) is not None:
                peer, reply = self._send(peer, raw)
                with self._record:
                    if self._stop.is_set() and reply.fault:
                        return
                    self.summary.add(reply)
                    self._heard(reply)
                if peer is None and not self._peer.keep_going:
                    self._stop.set()
                elif reply.fault.startswith(NO_CONNECTION):
                    self._stop.wait(RECONNECT_PAUSE_S)
        except BaseException as error:
            self._fault = error
            self._stop.set()
        finally:
            if peer is not None:
                peer.close()

    def _send(self, peer: Line | None, raw: bytes) -> tuple[Line | None, Reply]:
        try:
            peer = peer or Line(self._peer.connect())
        except OSError as error:
            where = f"{self._peer.host}:{self._peer.port}"
            return None, Reply(control_id_of(raw), fault=f"{NO_CONNECTION} {where}: {_words(error)}")
        reply = peer.exchange(raw, self._peer.patience)
        if not reply.fault:
            return peer, reply
        peer.close()
        return None, reply


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold ({error.verify_message}); name its authority with --ca"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or 'no answer'}); does it speak TLS, and want a certificate?"
    return error.strerror or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
