"""Canonical charge and supply events: their fields, types and meaning.

A mapping sets fields of these models and of no others; the hot path carries an event's data as a plain dict of
already typed values (str, Decimal, date, datetime, lists of str), which `Event` wraps with its identity.
"""

from __future__ import annotations

import uuid
from base64 import b32encode
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha1, sha256
from typing import Any
from zlib import crc32

from pydantic import BaseModel, ConfigDict, Field

from suture.model.value import Draft

ZERO = Decimal(0)
NAMESPACE = uuid.UUID("5b0d9a1c-7f0e-5c0b-9d51-3a6a5e1f7d11")
"""Namespace of every UUIDv5 that Suture derives (RFC 9562 section 5.5)."""


class _Canonical(BaseModel):
    model_config = ConfigDict(extra="forbid")

    transaction: str | None = Field(None, description="The sender's own number for this line (FT1-2)")
    patient: str | None = Field(None, description="Patient identifier, usually the medical record number")
    account: str | None = Field(None, description="Patient account number (PID-18)")
    visit: str | None = Field(None, description="Visit number (PV1-19)")
    item: str = Field(description="Item number in the enterprise item master")
    description: str | None = Field(None, description="Item description from the item master")
    supplier: str | None = Field(None, description="Supplier from the item master")
    cost_centre: str | None = Field(None, description="Cost centre that bears the use")
    location: str | None = Field(None, description="Stock location the item was taken from")
    quantity: Decimal = Field(description="Quantity in `unit`; negative for a return or credit")
    unit: str | None = Field(None, description="Unit of `quantity`")
    entered_quantity: Decimal | None = Field(None, description="Quantity as sent, when it was converted")
    entered_unit: str | None = Field(None, description="Unit as sent, when it was converted")
    factor: Decimal | None = Field(None, description="quantity = entered_quantity * factor, when it was converted")
    lot: str | None = Field(None, description="Lot number")
    serial: str | None = Field(None, description="Serial number")
    used_at: datetime | date | None = Field(
        None, description="When the item was used (service date), as far as it was said: a day, or a time with its offset"
    )
    staff: str | None = Field(None, description="Who recorded the use")


class SupplyUsed(_Canonical):
    """An item left stock (or came back, quantity < 0)."""

    unit_cost: Decimal | None = Field(None, description="Contract cost of one `unit`")


class ChargeRaised(_Canonical):
    """A governed charge (or credit, quantity < 0) for billing."""

    charge_code: str = Field(description="Charge master code")
    unit_amount: Decimal | None = Field(None, description="Price of one `unit`")
    amount: Decimal | None = Field(None, description="quantity * unit_amount; negative for a credit")
    procedure: str | None = Field(None, description="HCPCS or CPT code (FT1-25)")
    procedure_modifiers: list[str] | None = Field(None, description="Modifiers of the procedure, in their order (FT1-26)")
    department: str | None = Field(None, description="Department that gave the service (FT1-13)")


class ReplenishmentDue(BaseModel):
    """Stock of an item fell to its reorder point."""

    model_config = ConfigDict(extra="forbid")
    item: str = Field(description="Item number in the enterprise item master")
    description: str | None = Field(None, description="Item description from the item master")
    location: str = Field(description="Stock location to fill up")
    supplier: str | None = Field(None, description="Supplier from the item master")
    on_hand: Decimal = Field(description="Quantity left, in `unit`")
    reorder_point: Decimal = Field(description="Reorder point, in `unit`")
    quantity: Decimal = Field(description="Quantity to order, in `unit`: par level less on hand")
    unit: str | None = Field(None, description="Unit of the quantities")


EVENT_TYPES: dict[str, type[BaseModel]] = {
    "supply.used": SupplyUsed,
    "charge.raised": ChargeRaised,
    "replenishment.due": ReplenishmentDue,
}


class Event(Draft, eq=False, gc=False):
    """One canonical event of one line of a message.

    number: its place among the message's events, stable over reprocessing. line: the source line (FT1 number from 1).
    key: the business key's text; two events of one type with one key are the same thing in the world.
    generation: 0 unless the sender used the key again after the duplicate window. digest: of what the key stands for, once
    somebody has asked. json: the data as JSON, made once by whoever needs it first, because several payloads and the store hold it.
    """

    type: str
    number: int
    line: int
    key: str
    data: dict[str, Any]
    generation: int = 0
    id: str = ""
    digest: int | None = None
    json: bytes = b""

    def __eq__(self, other: object) -> bool:
        """What is only kept with it to be made once does not count."""
        if not isinstance(other, Event):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in Event.__struct_fields__ if name not in ("digest", "json"))

    def __repr__(self) -> str:
        return f"Event({self.type}, number={self.number}, line={self.line}, id={self.id})"

    @property
    def content(self) -> int:
        """What its business key stands for, as `digest_of` says."""
        if self.digest is None:
            self.digest = digest(self.data)
        return self.digest


def event_id(event_type: str, key: str, generation: int = 0) -> str:
    """The deterministic id (UUIDv5 of type and business key): the same input gives the same id for ever."""
    name = f"{event_type}\x1f{key}" if not generation else f"{event_type}\x1f{key}\x1f{generation}"
    return _uuid5(name)


DIGESTED = ("patient", "account", "item", "quantity", "unit", "used_at")
"""The fields that a digest is made of, in the order of `digest_of`."""


def digest(data: Mapping[str, Any]) -> int:
    """`digest_of` for the fields of an event."""
    get = data.get
    quantity = get("entered_quantity")
    sent = (get("quantity", ZERO), get("unit")) if quantity is None else (quantity, get("entered_unit"))
    return digest_of(get("patient"), get("account"), get("item"), *sent, get("used_at"))


def digest_of(
    patient: str | None, account: str | None, item: str | None, quantity: Decimal, unit: str | None, used_at: datetime | date | None
) -> int:
    """What a business key stands for, as a number: CRC-32 of patient, account, item, quantity with unit as sent, and day.

    Two lines with one business key and other digests are not the same thing in the world.
    """
    day = used_at and used_at.toordinal()
    text = f"{patient}\x1f{account}\x1f{item}\x1f{quantity.normalize()!s}\x1f{unit}\x1f{day}"
    return crc32(text.encode("utf-8", "surrogatepass"))


def idempotency_key(destination: str, parts: list[str]) -> str:
    """Key under which a destination may take a delivery once: UUIDv5 of the destination and its event ids."""
    return _uuid5("\x1f".join([destination, *parts]))


def control_id(idempotency_key: str) -> str:
    """MSH-10 of a delivery: 20 characters (what every receiver keeps), the same for the same key."""
    return b32encode(sha256(idempotency_key.encode()).digest()).decode()[:20]


_NAMESPACE_BYTES = NAMESPACE.bytes
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def _uuid5(name: str) -> str:
    """str(uuid.uuid5(NAMESPACE, name)), in a quarter of the time: every event has one."""
    h = sha1(_NAMESPACE_BYTES + name.encode(), usedforsecurity=False).hexdigest()
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"
