"""The functions a mapping may `call`. Logic that is more than moving and looking up is Python, here, with a test.

A text function takes the value as sent, before any look-up. A number function takes a Decimal. A word function, for
payloads only, takes a Decimal and gives a code. A field function, for events only, takes all fields of the event that
are set so far and the rows bound by look-ups, and gives the field's value (None = absent).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from typing import Any

EXACT = Context(prec=120)
"""Products of two numbers that a message or table can hold (values.DIGITS_MAX each) are never rounded."""


def upper(text: str) -> str:
    """The text in capital letters."""
    return text.upper()


def digits_only(text: str) -> str:
    """The digits of the text and nothing else: 0002-7597-01 gives 0002759701."""
    return "".join(c for c in text if "0" <= c <= "9")


def strip_zeros(text: str) -> str:
    """The text without its leading zeros; a text of zeros gives 0."""
    return text.lstrip("0") or ("0" if text else "")


def negate(number: Decimal) -> Decimal:
    """The number with the other sign; zero stays zero."""
    return number.copy_negate() if number else number


def absolute(number: Decimal) -> Decimal:
    """The number without its sign."""
    return number.copy_abs()


def charge_or_credit(number: Decimal) -> str:
    """HL7 table 0017 of a quantity or an amount: CD (credit) when it is negative, else CG (charge)."""
    return "CD" if number < 0 else "CG"


def extended_amount(fields: Mapping[str, Any], rows: Mapping[str, Mapping[str, str] | None]) -> Decimal | None:
    """quantity * unit_amount, exact; absent when either is."""
    quantity, unit_amount = fields.get("quantity"), fields.get("unit_amount")
    return None if quantity is None or unit_amount is None else EXACT.multiply(quantity, unit_amount)


TEXT_FUNCTIONS: dict[str, Callable[[str], str]] = {f.__name__: f for f in (upper, digits_only, strip_zeros)}
NUMBER_FUNCTIONS: dict[str, Callable[[Decimal], Decimal]] = {f.__name__: f for f in (negate, absolute)}
WORD_FUNCTIONS: dict[str, Callable[[Decimal], str]] = {f.__name__: f for f in (charge_or_credit,)}
FIELD_FUNCTIONS: dict[str, Callable[..., Any]] = {f.__name__: f for f in (extended_amount,)}
FUNCTIONS: dict[str, Callable[..., Any]] = {**TEXT_FUNCTIONS, **NUMBER_FUNCTIONS, **WORD_FUNCTIONS, **FIELD_FUNCTIONS}
