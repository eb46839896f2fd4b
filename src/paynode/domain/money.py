"""Amounts: integers of base units with their asset, and decimal strings at the edges.

The one rule: no binary float touches an amount. Base units (wei, satoshi, ...) are `int`; prices and
rates are `Decimal`; arithmetic that must be exact (the worth of a share of a quote) is `Fraction`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

PAYABLE_DECIMALS_MAX = 8  # wallets and exchanges let people type this many; a finer amount cannot be paid
DIGITS_MAX = 78  # 2**256 has 78 digits: nothing on a chain is longer

_PLAIN_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)

# ISO 4217 minor units where they are not two (https://www.six-group.com/en/products-services/financial-information/data-standards.html).
_MINOR_DIGITS: Mapping[str, int] = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A coin or token on one network."""

    network: str
    symbol: str  # lower case, as in a method's name
    decimals: int
    contract: str | None  # None: the network's native coin. Identity is (network, contract), never the symbol (I7)
    is_stable: bool = False

    @property
    def method(self) -> str:
        """The payment method's name, `{network}_{symbol}`."""
        return f"{self.network}_{self.symbol}"

    @property
    def payable_decimals(self) -> int:
        """How many decimals an amount due may have."""
        return min(self.decimals, PAYABLE_DECIMALS_MAX)


class NotAnAmount(ValueError):
    """The text is not a plain decimal number that fits; the message says why, for people."""


def parse_decimal(text: str, *, decimals_max: int, digits_max: int = DIGITS_MAX) -> Decimal:
    """The number that `text` writes plainly: ASCII digits and at most one point.

    Raises:
        NotAnAmount: exponents, signs other than a leading minus, other digits, too many decimals or digits.
    """
    if len(text.replace(".", "").lstrip("-")) > digits_max:
        raise NotAnAmount(f"has more than {digits_max} digits")
    if not _PLAIN_DECIMAL.fullmatch(text):
        raise NotAnAmount('is not a plain decimal number such as "19.99"')
    _, _, fraction = text.partition(".")
    if len(fraction) > decimals_max:
        raise NotAnAmount(f"has more than {decimals_max} decimals")
    return Decimal(text)


def power_of_ten(exponent: int) -> int:
    """10**exponent, for an exponent that is not negative, as an exact integer."""
    return int(10**exponent)


def minor_digits(currency: str) -> int:
    """How many decimals a fiat currency has (ISO 4217)."""
    return _MINOR_DIGITS.get(currency, 2)


def to_units(amount: Decimal, decimals: int) -> int:
    """`amount` in base units.

    Raises:
        NotAnAmount: `amount` is finer than one base unit.
    """
    sign, digits, exponent = amount.as_tuple()
    assert isinstance(exponent, int), "amounts are finite"
    value = int("".join(map(str, digits)))
    shift = exponent + decimals
    if shift >= 0:
        units = value * power_of_ten(shift)
    else:
        units, rest = divmod(value, power_of_ten(-shift))
        if rest:
            raise NotAnAmount(f"has more than {decimals} decimals")
    return -units if sign else units


def format_units(units: int, decimals: int) -> str:
    """Base units as a plain decimal string without trailing zeros: 1500000 at 6 decimals is "1.5"."""
    sign = "-" if units < 0 else ""
    whole, fraction = divmod(abs(units), 10**decimals)
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:0{decimals}d}".rstrip("0")


def format_fixed(value: Fraction, digits: int, *, round_up: bool = False) -> str:
    """`value` (not negative) with exactly `digits` decimals, rounded down, or up where we ask for money."""
    assert value >= 0, "amounts shown to people are not negative"
    scaled = value * 10**digits
    units = -((-scaled.numerator) // scaled.denominator) if round_up else scaled.numerator // scaled.denominator
    if digits == 0:
        return str(units)
    whole, fraction = divmod(units, 10**digits)
    return f"{whole}.{fraction:0{digits}d}"


def format_trimmed(value: Fraction, digits_max: int, *, round_up: bool = False) -> str:
    """`value` as `format_fixed` writes it, without trailing zeros."""
    text = format_fixed(value, digits_max, round_up=round_up)
    return text.rstrip("0").rstrip(".") if digits_max else text


def format_decimal(value: Decimal) -> str:
    """`value` plainly, never with an exponent."""
    return format(value, "f")
