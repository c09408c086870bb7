"""What a site and a channel say of values: the zone of times, what quantities, amounts and times may be, and money."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field

from suture.mapping.functions import EXACT
from suture.model.remembered import remembered
from suture.model.section import Section
from suture.model.value import Value, fresh

BOUND = {"quantity": "quantity", "amount": "amount", "unit_amount": "amount", "unit_cost": "amount"}
"""Canonical fields that hold a quantity as it was sent, or money -> the channel's bound that they are held against."""
ROUNDED = frozenset({"amount"})
"""Canonical fields that are sums in the site's currency; prices of one unit may have more decimals."""

AMBIGUOUS, OUT_OF_BOUNDS = "AMBIGUOUS_VALUE", "OUT_OF_BOUNDS"
"""Codes of values that are held though they are there (docs/errors.md)."""


class Limit(Value, frozen=True):
    """The least and the most that a number may be, both included. said: whose limit it is, for the person who reads of it."""

    low: Decimal
    high: Decimal
    said: str

    def holds(self, number: Decimal) -> bool:
        """Is the number within?"""
        return self.low <= number <= self.high

    @property
    def broken(self) -> str:
        """What is wrong with a number that is not; without the number."""
        return f"not between {self.low:f} and {self.high:f}, {self.said}"


class Bounds(Section):
    """What can be a value at all. What lies outside is not what it is taken for, and its line waits for a person."""

    quantity: Decimal = Field(default=Decimal(9_999), gt=0, description="Largest quantity, whatever the sign, as sent and as converted")
    amount: Decimal = Field(
        default=Decimal("9999999.99"), gt=0, description="Largest amount, price or cost, whatever the sign, in the site's currency"
    )
    past_d: int = Field(default=3653, ge=0, le=50_000, description="Days that a service date may lie before the day of receipt")
    future_d: int = Field(default=31, ge=0, le=50_000, description="Days that a service date may lie after the day of receipt")

    def limit(self, name: str) -> Limit | None:
        """Of a canonical field, None where there is none."""
        if name not in BOUND:
            return None
        most: Decimal = getattr(self, BOUND[name])
        return Limit(most.copy_negate(), most, f"the channel's bounds.{BOUND[name]}")


NEAREST = Context(prec=EXACT.prec, rounding=ROUND_HALF_UP)


def rounded(amount: Decimal, cent: Decimal) -> Decimal:
    """The amount as money."""
    found = NEAREST.quantize(amount, cent)
    return found if found else found.copy_abs()  # there is no -0.00


class Rules(Value, frozen=True):
    """All of it. zone: the site's. times: of times without an offset, where it is another one. by_sender: the offset of
    MSH-7 goes before it, as the standard has it (HL7 2.5.1 section 2.15.9.7). decimals: of the site's currency."""

    zone: ZoneInfo
    times: ZoneInfo | None = None
    by_sender: bool = False
    bounds: Bounds = fresh(Bounds)
    decimals: int = 2

    @property
    def cent(self) -> Decimal:
        """The least amount of the site's currency, to which one is rounded once, when it is made or read; halves go away from zero."""
        return Decimal(1).scaleb(-self.decimals)


@lru_cache(256)
def number_parser(form: Callable[[str], Any], limit: Limit | None, cent: Decimal | None) -> Callable[[str], Any]:
    """A parser of numbers of that form that answers None for those outside the limit, and rounds to cents where there are any."""
    if limit is None and cent is None:
        return form

    @remembered
    def parse(text: str) -> Decimal | None:
        number = form(text)
        if number is None or (limit is not None and not limit.holds(number)):
            return None
        return number if cent is None else rounded(number, cent)

    return parse
