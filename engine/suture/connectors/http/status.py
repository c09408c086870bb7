"""What an HTTP answer means for a delivery: by the table of the destination, else by its status (RFC 9110 section 15)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal

from yarl import URL

from suture.connectors.http.connection import Answer
from suture.connectors.net import words
from suture.model.outcome import Accepted, Ambiguous, Held, Outcome, Rejected, TryLater, Unavailable
from suture.model.storable import storable

if TYPE_CHECKING:
    from suture.connectors.http_out import Config

Word = Literal["accept", "reject", "retry", "hold", "unavailable", "ambiguous"]

PASSING = frozenset({423, 425, 429})
"""Locked, too early, too many requests: over later. So are the server's errors, known or not, that are in no other table."""
UNKNOWN = frozenset({303, 408, 502, 504, 520, 524, 598})
"""Somebody on the way gave up waiting for an answer, or the answer is elsewhere (303): the message may have been taken."""
ADDRESS = frozenset({404, 405, 410, 421, 426, 501, 505, 511})
"""What we ask for is not there, or not to be had in this way: no message's fault. So are the redirections, which are not followed."""
CREDENTIAL = frozenset({401, 403, 407})
LOCATION_LENGTH = 200
"""Longest new address that is told."""


def usual(status: int) -> Word:
    """What a status means where the destination's table does not say."""
    if 200 <= status < 300:
        return "accept"
    if status in UNKNOWN:
        return "ambiguous"
    if status in ADDRESS or status in CREDENTIAL or 300 <= status < 400:
        return "unavailable"
    return "retry" if status in PASSING or 500 <= status < 600 else "reject"


def outcome_of(answer: Answer, config: Config, pointer: list[str] | None, time_of_day: Callable[[], float]) -> Outcome:
    """The outcome of a delivery that was answered so. pointer: the keys of `document`."""
    code, kept = str(answer.status), answer.body[: config.keep_response_bytes]
    word = config.meaning.get(code) or usual(answer.status)
    if word == "accept" and answer.early:
        return Ambiguous("EARLY_ANSWER", f"the peer answered HTTP {code} before the whole request was written", kept)
    if word == "accept":
        return Accepted(code, kept, document_of(answer.body, pointer) if pointer is not None else None)
    reason, said = f"the peer answered HTTP {code}", words.of_http(answer.body)
    if word == "reject":
        return Rejected(code, reason, kept, said)
    if word == "hold":
        return Held(code, reason, kept, said)
    wait_s = wait_s_of(answer.retry_after, time_of_day(), config.retry_after_max_s) if answer.retry_after else None
    if word == "retry":
        return TryLater(code, reason, wait_s=wait_s, response=kept, words=said)
    if word == "ambiguous":
        return Ambiguous(code, reason, wait_s=wait_s, response=kept, words=said)
    return Unavailable(code, _what_to_check(answer), wait_s=wait_s, response=kept, words=said)


def _what_to_check(answer: Answer) -> str:
    status = answer.status
    if status in CREDENTIAL:
        return f"the peer refused our credentials (HTTP {status}); check `auth` of the endpoint"
    if 300 <= status < 400:
        where = _place(answer.location)
        return f"the address has moved{where and ' to '}{where} (HTTP {status}); check `url` of the endpoint"
    if status in ADDRESS:
        return f"the address answers HTTP {status}; check `url` and `method` of the endpoint"
    return f"the peer answered HTTP {status}"


def _place(location: str) -> str:
    """A new address as far as it cannot be of a patient or a secret: scheme, host and port. "" when it names none."""
    try:
        url = URL(location)
        plain = str(url.with_user(None).origin()) if url.host and url.scheme else ""
    except ValueError:
        return ""
    return plain if plain.isascii() and plain.isprintable() and len(plain) <= LOCATION_LENGTH else ""


def wait_s_of(text: str, now_s: float, max_s: float) -> float | None:
    """Retry-After, in seconds or as a date (RFC 9110 section 10.2.3), as seconds from now_s (since 1970) and at most max_s.

    None when it says nothing that can be read.
    """
    if text.isascii() and text.isdigit():
        return min(max_s, float(text))
    try:
        at = parsedate_to_datetime(text)
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)  # the form of asctime, which is in GMT
        return min(max_s, max(0.0, at.timestamp() - now_s))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def document_of(body: bytes, pointer: list[str]) -> str | None:
    """The business system's number, where the pointer's keys lead in the JSON of an answer; None when there is none."""
    try:
        value = json.loads(body)
        for key in pointer:
            value = value[int(key)] if isinstance(value, list) else value[key]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None
    says_one = isinstance(value, (str, int)) and not isinstance(value, bool) and value != ""
    return storable(str(value)[:200]) if says_one else None
