"""What all shapes share: the base struct, and how moments, amounts and base units are written."""

from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated

from msgspec import Meta, Struct

from paynode.domain.money import format_decimal, format_fixed, format_trimmed, minor_digits
from paynode.operations.catalogue import Catalogue

Moment = Annotated[str, Meta(description="RFC 3339, UTC, milliseconds.", extra_json_schema={"format": "date-time"})]
Amount = Annotated[str, Meta(pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="A decimal number.")]
UnitsText = Annotated[str, Meta(pattern="^-?[0-9]+$", description="An integer of the asset's base units.")]
Url = Annotated[str, Meta(extra_json_schema={"format": "uri"})]


class View(Struct, frozen=True, kw_only=True):
    """A shape; every field is there in every answer, null where there is nothing to tell."""


def moment(value: datetime) -> Moment:
    """RFC 3339, UTC, milliseconds."""
    return f"{value.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def moment_or_none(value: datetime | None) -> Moment | None:
    return None if value is None else moment(value)


def amount_or_none(value: Decimal | None) -> Amount | None:
    return None if value is None else format_decimal(value)


def seconds_until_or_none(value: datetime | None, now: datetime) -> int | None:
    return None if value is None else seconds_until(value, now)


def seconds_until(value: datetime, now: datetime) -> int:
    """Whole seconds, 0 once it is over: what a countdown shows, whatever the reader's clock says."""
    return max(0, int((value - now).total_seconds()))


def amount_of(catalogue: Catalogue, currency: str, worth: Fraction, *, round_up: bool = False) -> Amount:
    """An amount of an invoice's currency: a fiat one has its cents, a coin all that it can be divided into."""
    decimals = [asset.decimals for asset in catalogue.assets.values() if asset.symbol.upper() == currency]
    if decimals:
        return format_trimmed(worth, max(decimals), round_up=round_up)
    return format_fixed(worth, minor_digits(currency), round_up=round_up)
