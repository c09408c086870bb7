"""Making bytes that a careless or hostile peer could send: messages, changed in ways that matter to HL7 and MLLP."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

SIZE_LIMIT_BYTES = 65_536

SEEDS: tuple[bytes, ...] = (
    b"MSH|^~\\&|CAB|OR|SUTURE|H|20260301120000||DFT^P03^DFT_P03|M1|P|2.5.1|||AL|NE||UNICODE UTF-8\rPID|1||17^^^H^MR~18^^^H^PI||DOE^JANE\r"
    b"FT1|1|T1||20260301|||27000123^HIP STEM^L|||1|100.00\rZCH|1|a\\T\\b\\X41\\c\\.br\\d\\H\\e\\N\\\r",
    b'MSH|^~\\&#|LAB|||H|||ORU^R01|M2|P|2.7\rOBX|1|ED|P^Report||S^AP^P^Base64^QUJD\rOBX|2|TX|N||""\r',
    b"MSH!*~?%!A!B!!!20260301!!ADT*A01!M3!T!2.3\rPID!1!!7\r",
    b"\xff\xfe" + "MSH|^~\\&|A|B|C|D|||ADT^A01|M4|P|2.4||||||UNICODE\rPID|1||7||MÜLLER^ÉVA\r".encode("utf-16-le"),
    b"MSH|^~\\&|A|B|C|D|||ADT^A01|M5|P|2.5||||||ISO IR87~ISO IR14\rPID|1||7||\x1b$B;3ED\x1b(B^\\M2442\\;3ED\\C2842\\\r",
    b"MSH|^~\\&|A|B|C|D|||ADT^A01|M6|P|2.5||||||BIG-5\rPID|1||7||\xa5\x5c\xb3\x7c^\xa4\xa4\r",
    b"MSH|^~\\&|P|H|S|H|20260301||ACK^P03^ACK|A1|P|2.5.1\rMSA|AE|M1|no\rERR||PID^1^3|101^Required field missing^HL70357|E\r",
    b"FHS|^~\\&|A\rBHS|^~\\&|A|||||||||B1\rMSH|^~\\&|A||||||ADT^A01|M7|P|2.3\rPID|1\rBTS|1\rFTS|1\r",
    b"MSH|^~\\&|A||||||ADT^A01|M8|P|2.3|7|PTR1\rADD|rest\rDSC|PTR2\r",
    b"\x0bMSH|^~\\&|A||||||ADT^A01|M9|P|2.3\r\x1c\r\x0bMSH|^~\\&|A||||||ADT^A01|M10|P|2.3\r\x1c\r",
)
TOKENS: tuple[bytes, ...] = (
    *(b"|", b"^", b"~", b"\\", b"&", b"#", b"\r", b"\n", b"\r\n", b"\x0b", b"\x1c", b"\x1c\r", b"\x1c\n", b"\x00", b"\x85", b" "),
    *(b"MSH", b"MSH|^~\\&|", b"\rMSH|", b"FHS|", b"BHS|", b"BTS|2\r", b"FTS|1\r", b"DSC|P|I\r", b"ADD|\r", b"\rMSA|AA|M1\r", b"ERR|"),
    *(b'""', b"\\F\\", b"\\E\\", b"\\X\\", b"\\XFF\\", b"\\X4", b"\\M2442\\", b"\\C2842\\", b"\\Zabc\\", b"\\.sp+3\\", b"\\\\", b"\\P\\"),
    *(
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xfe\xff",
        b"\x1b$B",
        b"\x1b(B",
        b"\x1b",
        b"\xa5\\",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
    ),
    *(
        b"UNICODE UTF-8",
        b"UTF-16",
        b"GB 18030-2000",
        b"ISO IR87",
        b"-1",
        b"0",
        b"99999999999999999999",
        b"2.8.2",
        b"9",
        b"AL",
        b"NE",
        b"SU",
    ),
)


def _place(rng: random.Random, data: bytes) -> int:
    return rng.randint(0, len(data))


def _flip(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _insert(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    at = _place(rng, data)
    return data[:at] + rng.choice(TOKENS) * rng.choice((1, 1, 1, 2, 3, 50)) + data[at:]


def _cut(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    at, to = sorted((_place(rng, data), _place(rng, data)))
    return data[:at] + data[to:]


def _double(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    at, to = sorted((_place(rng, data), _place(rng, data)))
    return data[:to] + data[at:to] * rng.choice((1, 1, 2, 20)) + data[to:]


def _splice(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    other = rng.choice(seeds)
    return data[: _place(rng, data)] + other[_place(rng, other) :]


def _swap(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    old = rng.choice(TOKENS)
    return data.replace(old, rng.choice(TOKENS), rng.choice((1, 3, -1)))


MUTATIONS: tuple[Callable[[random.Random, bytes, Sequence[bytes]], bytes], ...] = (
    _flip,
    _flip,
    _insert,
    _insert,
    _cut,
    _double,
    _splice,
    _swap,
)


def mutated(rng: random.Random, seeds: Sequence[bytes] = SEEDS) -> bytes:
    """A seed with some changes, of at most SIZE_LIMIT_BYTES."""
    data = rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8))):
        data = rng.choice(MUTATIONS)(rng, data, seeds)[:SIZE_LIMIT_BYTES]
    return data
