"""Amounts, percentages, rates and durations in request bodies: each is read exactly, or named with what is wrong."""

from datetime import timedelta
from decimal import Decimal

from paynode.api.body import Number, pointer, shown
from paynode.domain.currencies import CURRENCIES
from paynode.domain.durations import parse_duration
from paynode.domain.errors import FieldProblem
from paynode.domain.money import NotAnAmount, minor_digits, parse_decimal
from paynode.domain.rates import VALUE_MAX, VALUE_MIN
from paynode.operations.catalogue import Catalogue

AMOUNT_BELOW = Decimal(10) ** 15  # of any currency: past it, somebody sent base units
PERCENT_DECIMALS_MAX = 4
RATE_DECIMALS_MAX = 18

Problems = list[FieldProblem]


def read_currency(catalogue: Catalogue, text: str, problems: Problems) -> str:
    """A currency in upper case: ISO 4217, or a coin on offer."""
    currency = text.upper() if text.isascii() else text
    if not is_coin(catalogue, currency) and currency not in CURRENCIES:
        detail = f"{shown(currency)} is neither an ISO 4217 currency nor a coin that is offered here."
        problems.append(FieldProblem("/currency", "unknown_currency", detail))
    return currency


def is_coin(catalogue: Catalogue, currency: str) -> bool:
    return any(asset.symbol.upper() == currency for asset in catalogue.assets.values())


def read_amount(
    catalogue: Catalogue, written: Number, currency: str, problems: Problems, name: str = "amount"
) -> Decimal:
    """More than nothing of `currency`, with no more decimals than it has; a coin has those of its finest method."""
    coins = [asset.decimals for asset in catalogue.assets.values() if asset.symbol.upper() == currency]
    try:
        amount = parse_decimal(written.text, decimals_max=max(coins, default=minor_digits(currency)))
    except NotAnAmount as error:
        problems.append(FieldProblem(pointer(name), "not_an_amount", f"The amount {error}."))
        return Decimal(0)
    if amount <= 0:
        problems.append(FieldProblem(pointer(name), "not_positive", "The amount is to be more than zero."))
    elif amount >= AMOUNT_BELOW:
        problems.append(FieldProblem(pointer(name), "too_large", f"The amount is to be less than {AMOUNT_BELOW:f}."))
    return amount


def read_percent(written: Number, where: str, low: Decimal, high: Decimal, problems: Problems) -> Decimal:
    try:
        percent = parse_decimal(written.text, decimals_max=PERCENT_DECIMALS_MAX)
    except NotAnAmount as error:
        problems.append(FieldProblem(where, "not_a_percentage", f"The percentage {error}."))
        return low
    if not low <= percent <= high:
        problems.append(FieldProblem(where, "out_of_range", f"Give {low} to {high} percent."))
    return percent


def read_rate(written: Number, where: str, problems: Problems) -> Decimal:
    """What one whole coin costs."""
    try:
        rate = parse_decimal(written.text, decimals_max=RATE_DECIMALS_MAX)
    except NotAnAmount as error:
        problems.append(FieldProblem(where, "not_a_rate", f"The rate {error}."))
        return VALUE_MIN
    if not VALUE_MIN <= rate <= VALUE_MAX:
        problems.append(FieldProblem(where, "out_of_range", f"Give a rate from {VALUE_MIN:f} to {VALUE_MAX:f}."))
    return rate


def read_span(value: int | str, field: str, low: timedelta, high: timedelta, problems: Problems) -> timedelta | None:
    """A duration in any of its forms."""
    span = parse_duration(value)
    if span is None:
        detail = 'Give seconds, or a text such as "2h45m" or "PT15M".'
        problems.append(FieldProblem(pointer(field), "not_a_duration", detail))
    elif not low <= span <= high:
        detail = f"An invoice is open for {int(low.total_seconds())} seconds to {high.days} days."
        problems.append(FieldProblem(pointer(field), "out_of_range", detail))
    return span
