"""A partner's own words, taken out of its answer for an operator: short, on one line, and without what is no text.

They may name a patient. They go into the `words` of an outcome, which the store keeps, and never into a log or a metric.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

from suture.model.errors import MessageError
from suture.wire.hl7v2.text import er7

LIMIT = 200
"""Longest text, in characters."""
SCANNED_BYTES = 65_536
"""Of a longer answer only the beginning is looked at."""
PARTS = 20
"""Texts of one answer that are put together, at most."""
DEPTH = 4
"""Levels of a JSON answer that are looked into."""

_KEYS = ("diagnostics", "detail", "message", "msg", "error_description", "error", "text", "title", "description", "reason", "value")
_INSIDE = ("issue", "errors", "error", "detail", "details", "message", "messages", "fault", "innererror")
_MARKUP = re.compile(r"<(?:\w+:)?(diagnostics|faultstring|message|detail|Text|title|h1)\b[^<>]*>([^<]+)<", re.IGNORECASE)
_VALUE = re.compile(r"<diagnostics\s+value=\"([^\"]+)\"")
_CODES = (("ERR(*)-3.1", "ERR(*)-3.2"), ("ERR(*)-1[*].4.1", "ERR(*)-1[*].4.2"), ("MSA-6.1", "MSA-6.2"))


def clean(text: str) -> str:
    """At most LIMIT characters on one line, all of them printable; blanks in a row are one."""
    plain = " ".join("".join([c if c.isprintable() else " " for c in text]).split())
    return plain if len(plain) <= LIMIT else plain[: LIMIT - 1] + "…"


def of_hl7(answer: bytes) -> str:
    """What an acknowledgement says in words: ERR-8, MSA-3, ERR-7, ERR-5, else its codes; its first line, where it is no HL7."""
    answer = answer[:SCANNED_BYTES]
    try:
        message = er7.Message.parse(answer)
        if message.undecodable:
            message = er7.Message.parse(answer, "cp1252")
    except (MessageError, LookupError):
        return _first_line(answer)
    return _joined(_said(message))


def of_http(body: bytes) -> str:
    """What the body of an answer says: the texts of a JSON error (OperationOutcome, problem details), of a page, or its first line."""
    text = body[:SCANNED_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] in (b"{", b"["):
        try:
            return _joined(_of_json(json.loads(text), DEPTH))
        except (ValueError, RecursionError):
            return _first_line(text)
    if text[:1] == b"<":
        return _joined(_of_markup(text.decode("utf-8", "replace")))
    return _first_line(text)


def _joined(texts: Iterator[str]) -> str:
    found: list[str] = []
    for text in texts:
        plain = clean(text)
        if plain and not any(plain in other for other in found):
            found.append(plain)
        if len(found) == PARTS:
            break
    return clean("; ".join(found))


def _first_line(raw: bytes) -> str:
    return clean(next(filter(str.strip, raw[:SCANNED_BYTES].decode("utf-8", "replace").splitlines()), ""))


def _said(message: er7.Message) -> Iterator[str]:
    """The texts first; a code of a table, with its name, where there is no text."""
    texts = [*message.get_all("ERR(*)-8"), message.get("MSA-3"), *message.get_all("ERR(*)-7")]
    yield from texts
    yield from _coded(message, "ERR(*)-5.1", "ERR(*)-5.2")
    if not any(text.strip() for text in texts):
        for code, name in _CODES:
            yield from _coded(message, code, name)


def _coded(message: er7.Message, code: str, name: str) -> Iterator[str]:
    return (f"{a} {b}" for a, b in zip(message.get_all(code), message.get_all(name), strict=True))


def _of_json(value: Any, depth: int) -> Iterator[str]:
    """Texts that are said under the usual keys, the outer ones first."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value[:PARTS]:
            yield from _of_json(one, depth - 1) if depth else ()
    elif isinstance(value, dict) and depth:
        yield from (value[key] for key in _KEYS if isinstance(value.get(key), str))
        for key in _INSIDE:
            if isinstance(value.get(key), (dict, list)):
                yield from _of_json(value[key], depth - 1)


def _of_markup(text: str) -> Iterator[str]:
    yield from map(html.unescape, _VALUE.findall(text))
    yield from (html.unescape(said) for _, said in _MARKUP.findall(text))
