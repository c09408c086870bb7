"""What a renderer takes and gives, and what it may say about a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from suture.mapping.values import dumps, encoded
from suture.model.errors import MessageError
from suture.model.events import Event
from suture.model.message import Message
from suture.model.payload import Payload
from suture.model.value import Value

JSON = "application/json"
HL7V2 = "application/hl7-v2"
CLOUDEVENTS_BATCH = "application/cloudevents-batch+json"


class RenderContext(Value, frozen=True, gc=False):
    """What a payload may name beside its events.

    now_us: UTC, microseconds since 1970. source: URI reference that names this engine and channel (CloudEvents).
    """

    message: Message
    destination: str
    idempotency_key: str
    now_us: int
    source: str


Renderer = Callable[[Sequence[Event], RenderContext], Payload]
"""Makes the payload of one delivery. Raises MessageError (stage render) when a value that must be there is not, or a code is unknown."""


def data_json(event: Event) -> bytes:
    """An event's data as JSON. Raises MessageError when a text in it cannot be written as UTF-8."""
    if not event.json:
        event.json = _json(event.data, encoded)
    return event.json


def json_payload(content: Any, content_type: str = JSON) -> Payload:
    """Content as JSON. Raises MessageError when a text in it cannot be written as UTF-8."""
    return Payload(_json(content, dumps), content_type)


def _json(content: Any, write: Callable[[Any], bytes]) -> bytes:
    try:
        return write(content)
    except TypeError:
        raise MessageError("render", "NOT_JSON", "", "a value cannot be written as JSON") from None
