"""Acknowledgements: what we answer, and how we read what a peer answers (HL7 2.5.1 section 2.9.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from suture.model.outcome import Accepted, Ambiguous, Held, Outcome, Rejected, TryLater


@dataclass(frozen=True, slots=True)
class Header:
    """What an answer needs of the message that it answers. fields[0] is MSH, fields[n] is MSH-(n+1)."""

    separator: bytes
    fields: list[bytes]

    @classmethod
    def read(cls, raw: bytes) -> Header | None:
        """The MSH of a message, or None when it has none. Never raises."""
        if raw[:3] != b"MSH":
            raw = raw.lstrip(b"\xef\xbb\xbf \t\r\n")
            if raw[:3] != b"MSH":
                return None
        separator = raw[3:4]
        if not separator or separator.isalnum() or separator in b"\r\n":
            return None
        end = raw.find(b"\r")
        line = raw if end < 0 else raw[:end]
        return cls(separator, line.split(b"\n", 1)[0].split(separator))

    def get(self, number: int) -> bytes:
        """MSH-number as written, b"" when absent."""
        return self.fields[number - 1] if number <= len(self.fields) else b""

    def text(self, number: int) -> str:
        """MSH-number as `text_of` has it."""
        return text_of(self.get(number))

    @property
    def type(self) -> str:
        """MSH-9 as message code and trigger: DFT^P03."""
        return self.text(9).split("~")[0].replace(self.component, "^").rsplit("^", 1)[0] if self._structured else self.text(9)

    @property
    def component(self) -> str:
        """The component separator."""
        return self.get(2)[:1].decode("latin-1") or "^"

    @property
    def _structured(self) -> bool:
        return self.get(9).count(self.component.encode("latin-1")) >= 2


def text_of(raw: bytes, limit: int = 199) -> str:
    """A field as text that any database takes: no NUL, at most `limit` bytes; the same bytes give the same text."""
    return raw[:limit].decode("utf-8", "replace").replace("\x00", "")


def code_for(header: Header | None, good: bool) -> str | None:
    """The acknowledgement code to answer with, or None where the sender asked for no answer.

    Original mode (MSH-15 and MSH-16 empty): AA or AE. Enhanced mode: CA or CE as MSH-15 asks (table 0155).
    """
    if header is None:
        return "AE"
    wanted = header.get(15)
    if not wanted and not header.get(16):
        return "AA" if good else "AE"
    if wanted == b"NE" or (wanted == b"ER" and good) or (wanted == b"SU" and not good):
        return None
    return "CA" if good else "CE"


def build(header: Header | None, code: str, own_id: str, now: str, text: str = "") -> bytes:
    """An acknowledgement of the message with this header. now: HL7 time. text: for people, never content."""
    if header is None:
        refusal = f"ERR|||100^Segment sequence error^HL70357|E||||{text}\r"
        return f"MSH|^~\\&|SUTURE||||{now}||ACK|{own_id}|P|2.5.1\rMSA|{code}||{text}\r{refusal}".encode()
    s, f = header.separator, header.fields
    f = f + [b""] * (12 - len(f))
    version = f[11] or b"2.5.1"
    head = s.join((b"MSH", f[1], f[4], f[5], f[2], f[3], now.encode(), b"", b"ACK", own_id.encode(), f[10] or b"P", version))
    msa = s.join((b"MSA", code.encode(), f[9]))
    if not text:
        return head + b"\r" + msa + b"\r"
    c = f[1][:1] or b"^"
    error = s.join((b"ERR", b"", b"", b"207" + c + b"Application error" + c + b"HL70357", b"E", b"", b"", b"", text.encode()))
    tail = error + b"\r" if version >= b"2.5" else b""
    return head + b"\r" + msa + s + text.encode() + b"\r" + tail


BY_THE_STANDARD: Mapping[str, str] = {"AA": "accept", "CA": "accept", "AE": "reject", "CE": "reject", "AR": "retry", "CR": "reject"}
"""MSA-1 to accept, reject, retry or hold. AE: an error in the content, do not resend; AR: refused for now (2.9.2.2)."""

MEANINGS = ("accept", "reject", "retry", "hold")


def judge(answer: bytes, control_id: str, meaning: Mapping[str, str] = BY_THE_STANDARD) -> Outcome | None:
    """Turn a peer's answer into an outcome; None when it answers another message than `control_id`.

    control_id: MSH-10 of what was sent, as `Header.text` has it; compared whole. meaning: MSA-1 to accept, reject, retry or hold.
    Never raises; an answer that cannot be read is Ambiguous, because the peer may have taken the message.
    """
    header = Header.read(answer)
    if header is None:
        return Ambiguous("ACK_UNREADABLE", "the answer is not an HL7 message", answer)
    lines = answer.replace(b"\n", b"\r") if b"\n" in answer else answer  # some peers end segments in their own way
    msa = _segment(lines, b"MSA", header.separator)
    if msa is None or len(msa) < 3:
        return Ambiguous("ACK_UNREADABLE", "the answer has no MSA segment with a code and a control id", answer)
    if text_of(msa[2]) != control_id:
        return None
    code = msa[1].decode("ascii", "replace")[:8]
    verdict = meaning.get(code)
    if verdict == "accept":
        return Accepted(code, answer)
    if verdict == "reject":
        return Rejected(code, f"the peer answered {code}", answer)
    if verdict == "retry":
        return TryLater(code, f"the peer answered {code}", None, answer)
    if verdict == "hold":
        return Held(code, f"the peer answered {code}", answer)
    return Ambiguous("ACK_UNKNOWN_CODE", "the answer has an MSA-1 that no table knows", answer)


def _segment(message: bytes, name: bytes, separator: bytes) -> list[bytes] | None:
    start = message.find(b"\r" + name + separator)
    if start < 0:
        return None
    end = message.find(b"\r", start + 1)
    return message[start + 1 : end if end > 0 else len(message)].split(separator)
