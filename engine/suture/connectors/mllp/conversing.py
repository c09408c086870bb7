"""An MLLP client for people and tests: a message goes out, and the answers that it asks for come back (HL7 2.9.1, 2.8.2 and 2.8.3)."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections import deque
from dataclasses import dataclass, field

from suture.model.errors import MessageError
from suture.model.value import Value
from suture.wire import mllp
from suture.wire.hl7v2.exchange import acknowledgement, due
from suture.wire.hl7v2.exchange.due import POSITIVE, Wants
from suture.wire.hl7v2.exchange.reply import build, hl7_time
from suture.wire.hl7v2.text import er7
from suture.wire.hl7v2.text.header import Header

ACK_LIMIT_BYTES = 1 << 20
EARLIER = 1000
"""Messages of one connection of which an answer that comes too late is known."""


class Patience(Value, frozen=True):
    """How long answers are waited for. first_s: for the first one. application_s: for the application's, from the commit answer on.

    insists: the application's answer is waited for whatever MSH-16 says.
    """

    first_s: float = 10.0
    application_s: float = 30.0
    insists: bool = False

    def wants(self, raw: bytes) -> Wants:
        """The answers that this message asks for, as far as they are waited for."""
        asked = due.wants(Header.read(raw))
        if not self.insists:
            return asked
        return Wants(True, asked.commit if asked.enhanced else b"AL", b"AL")


@dataclass(slots=True)
class Reply:
    """One message sent, and what was answered.

    code: MSA-1 of the answer that decides: the application's, or the commit answer where none is to follow or it refuses; "" when
    what was waited for did not come, or cannot be read, and fault says why. ack: that answer. commit, commit_ms, commit_ack: the
    same of a commit answer. silence: why no (further) answer is as it should be. late: answers to earlier messages that came meanwhile.
    """

    control_id: str
    code: str = ""
    text: str = ""
    took_ms: float = 0.0
    fault: str = ""
    ack: bytes = b""
    commit: str = ""
    commit_ms: float | None = None
    commit_ack: bytes = b""
    silence: str = ""
    late: list[str] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """Whether it went well, as far as it was to be told."""
        return not self.fault and (self.code in POSITIVE or (not self.code and bool(self.silence)))


def connect(host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None = None) -> socket.socket:
    """A connection for a Line; tls: a context when it is encrypted. Raises OSError."""
    plain = socket.create_connection((host, port), timeout=timeout_s)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return tls.wrap_socket(plain, server_hostname=host) if tls else plain
    except BaseException:
        plain.close()
        raise


class Line:
    """A connection to the peer, for one message after another."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._unframer = mllp.Unframer(ACK_LIMIT_BYTES)
        self._came: deque[bytes] = deque()
        self._earlier: deque[str] = deque(maxlen=EARLIER)

    def close(self) -> None:
        """End the connection."""
        self._peer.close()

    def exchange(self, raw: bytes, patience: Patience) -> Reply:
        """Send one message, and wait for the answers that it asks for. Never raises."""
        began_s = time.monotonic()
        reply = Reply(control_id_of(raw))
        try:
            self._peer.settimeout(patience.first_s)
            self._peer.sendall(mllp.frame(raw))
            self._hear(reply, patience.wants(raw), patience, began_s)
        except TimeoutError:
            reply.fault = f"it does not take the message within {patience.first_s:g} s"
        except (OSError, mllp.FrameTooLarge) as error:
            reply.fault = getattr(error, "strerror", None) or str(error) or "an endless answer"
        reply.took_ms = (time.monotonic() - began_s) * 1000
        self._earlier.append(reply.control_id)
        return reply

    def _hear(self, reply: Reply, wants: Wants, patience: Patience, began_s: float) -> None:
        """Take answers until nothing more is to come."""
        if wants == Wants(True, b"NE", b"NE"):
            reply.silence = "none is asked for (MSH-15 and MSH-16 NE)"
            return
        since_s = began_s
        while not reply.fault and not reply.code:
            name = _next(reply, wants)
            wait_s = patience.application_s if name == "application" else patience.first_s
            try:
                answer = self._receive(since_s + wait_s)
            except TimeoutError:
                _unheard(reply, name, wants, wait_s)
                return
            if answer is None:
                what = f"after {reply.commit}, without the application's answer" if reply.commit else "without an ACK"
                reply.fault = f"the peer closed the connection {what}"
                return
            self._take(reply, answer, wants)
            if reply.commit and reply.commit_ms is None:
                since_s = time.monotonic()
                reply.commit_ms = (since_s - began_s) * 1000

    def _receive(self, deadline_s: float) -> bytes | None:
        """The next answer, None where the peer closes the connection. Raises TimeoutError."""
        while not self._came:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._peer.settimeout(left_s)
            data = self._peer.recv(65_536)
            if not data:
                return None
            self._came.extend(self._unframer.feed(data))
        return self._came.popleft()

    def _take(self, reply: Reply, answer: bytes, wants: Wants) -> None:
        """Note what an answer says."""
        try:
            ack = er7.Message.parse(answer)
        except MessageError as error:
            reply.fault = f"the answer is not HL7: {error.reason}"
            return
        answered, code = ack.get("MSA-2"), ack.get("MSA-1").strip().upper()
        if reply.control_id and answered != reply.control_id:
            if answered in self._earlier:  # it comes late, and this one's is still waited for
                reply.late.append(f"{code or '?'} for {answered}")
            else:
                reply.fault = f"the answer is for {answered!r}"
            return
        reply.text = " ".join(dict.fromkeys(part for part in (ack.get("MSA-3"), ack.get("ERR-8")) if part))
        if not code:
            reply.fault = "the answer has no MSA-1"
        elif code == "CA" and wants.enhanced and wants.application != b"NE":
            reply.commit, reply.commit_ack = code, answer
        else:
            reply.code, reply.ack = code, answer
            if code[0] == "C":
                reply.commit, reply.commit_ack = code, answer
            elif wants.enhanced:
                self._accept(answer)

    def _accept(self, answer: bytes) -> None:
        """Say that an application answer came, where it asks for that in its own MSH-15."""
        header = Header.read(answer)
        if header is not None and due.replies(acknowledgement.quiet(header, answer), "accepted").commit:
            self._peer.sendall(mllp.frame(build(header, "CA", f"SEND{time.time_ns()}", hl7_time(time.time()))))


def _next(reply: Reply, wants: Wants) -> str:
    """The answer that is waited for: the first one, which has to come, as ACK; else commit or application."""
    if not wants.enhanced or (wants.commit == b"AL" and not reply.commit):
        return "ACK"
    return "commit" if wants.application == b"NE" else "application"


def _unheard(reply: Reply, name: str, wants: Wants, waited_s: float) -> None:
    """What was waited for did not come: that is as it should be, or not."""
    if name == "ACK":
        reply.fault = f"no ACK in {waited_s:g} s"
        return
    asked, field_name = (wants.commit, "MSH-15") if name == "commit" else (wants.application, "MSH-16")
    if asked == b"ER":
        reply.silence = f"no {name} answer in {waited_s:g} s, and one is due for errors only ({field_name} ER)"
        reply.code, reply.ack = reply.commit, reply.commit_ack
    else:
        why = f", which is due when all is well ({field_name} SU)" if asked == b"SU" else ""
        reply.fault = f"no {name} answer in {waited_s:g} s over this connection{why}"


def control_id_of(raw: bytes) -> str:
    """MSH-10, "" when there is none."""
    try:
        return er7.Message.parse(_header(raw)).get("MSH-10")
    except MessageError:
        return ""


def _header(raw: bytes) -> bytes:
    """The first segment: what is asked of a large message's MSH does not cost the whole of it."""
    end = re.search(rb"[\r\n]", raw)
    return raw[: end.end()] if end and end.start() > 3 else raw


def with_control_id(raw: bytes, control_id: str) -> bytes:
    """The same message with another MSH-10; the rest stays byte for byte. What is no HL7 message stays as it is."""
    header = _header(raw)
    separator = header[3:4]
    line = header.rstrip(b"\r\n")
    fields = line.split(separator) if separator else []
    if not header.startswith(b"MSH") or len(fields) < 2:
        return raw
    fields += [b""] * (10 - len(fields))
    fields[9] = control_id.encode()
    return separator.join(fields) + raw[len(line) :]
