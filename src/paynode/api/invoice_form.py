"""The body of `POST /v1/invoices`, and what it means."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from paynode.api.body import Form, Number, WebUrl, pointer, shown
from paynode.api.currencies import CURRENCIES
from paynode.api.method_names import chosen
from paynode.domain.durations import parse_duration
from paynode.domain.errors import FieldProblem, Invalid
from paynode.domain.invoice import Tolerance
from paynode.domain.money import NotAnAmount, minor_digits, parse_decimal
from paynode.operations.catalogue import Catalogue
from paynode.operations.invoices import CONFIRMATIONS_MAX, CreateInvoice

AMOUNT_BELOW = Decimal(10) ** 15  # of any currency: past it, somebody sent base units
EXPIRES_MIN, EXPIRES_MAX = timedelta(seconds=60), timedelta(days=30)
TOLERANCE_PERCENT_MAX = Decimal(50)
TOLERANCE_DECIMALS_MAX = 4
METADATA_KEYS_MAX = 50

ShortText = Annotated[str, Meta(max_length=200)]
MetadataText = Annotated[str, Meta(max_length=500)]
MethodName = Annotated[str, Meta(max_length=100)]


class ToleranceForm(Form, frozen=True):
    under_percent: Number | None = None
    over_percent: Number | None = None


class InvoiceForm(Form, frozen=True):
    amount: Number
    currency: Annotated[str, Meta(max_length=20)]
    store: Annotated[str, Meta(max_length=30)] | None = None
    methods: Annotated[list[MethodName], Meta(max_length=200)] | None = None
    expires_in: int | str | None = None
    valid_for: int | str | None = None
    confirmations: int | dict[MethodName, int] | None = None
    tolerance: ToleranceForm | None = None
    name: ShortText | None = None
    description: Annotated[str, Meta(max_length=2000)] | None = None
    order_id: ShortText | None = None
    customer: ShortText | None = None
    metadata: Annotated[dict[MetadataText, MetadataText], Meta(max_length=METADATA_KEYS_MAX)] | None = None
    success_url: WebUrl | None = None
    fail_url: WebUrl | None = None
    provision: bool = False


def read_invoice(catalogue: Catalogue, form: InvoiceForm) -> CreateInvoice:
    """The command that the form gives.

    Raises:
        Invalid: names every field whose value cannot be.
    """
    problems: list[FieldProblem] = []
    currency = form.currency.upper() if form.currency.isascii() else form.currency
    amount = _amount(form.amount, _decimals(catalogue, currency, problems), problems)
    methods = chosen(catalogue.assets, form.methods, problems) if form.methods else []
    expires_in = _expires_in(form, problems)
    confirmations = _confirmations(catalogue, form.confirmations, problems)
    tolerance = None if form.tolerance is None else _tolerance(catalogue, form.tolerance, problems)
    if problems:
        raise Invalid(problems)
    return CreateInvoice(
        amount=amount,
        currency=currency,
        methods=methods,
        expires_in=expires_in,
        confirmations=confirmations,
        tolerance=tolerance,
        name=form.name,
        description=form.description,
        order_id=form.order_id,
        customer=form.customer,
        metadata=form.metadata,
        success_url=None if form.success_url is None else form.success_url.text,
        fail_url=None if form.fail_url is None else form.fail_url.text,
        provision=form.provision,
    )


def _decimals(catalogue: Catalogue, currency: str, problems: list[FieldProblem]) -> int:
    """How many decimals an amount of `currency` may have."""
    coins = [asset.decimals for asset in catalogue.assets.values() if asset.symbol.upper() == currency]
    if coins:
        return max(coins)
    if currency not in CURRENCIES:
        detail = f"{shown(currency)} is neither an ISO 4217 currency nor a coin that is offered here."
        problems.append(FieldProblem("/currency", "unknown_currency", detail))
    return minor_digits(currency)


def _amount(written: Number, decimals: int, problems: list[FieldProblem]) -> Decimal:
    try:
        amount = parse_decimal(written.text, decimals_max=decimals)
    except NotAnAmount as error:
        problems.append(FieldProblem("/amount", "not_an_amount", f"The amount {error}."))
        return Decimal(0)
    if amount <= 0:
        problems.append(FieldProblem("/amount", "not_positive", "The amount is to be more than zero."))
    elif amount >= AMOUNT_BELOW:
        problems.append(FieldProblem("/amount", "too_large", f"The amount is to be less than {AMOUNT_BELOW:f}."))
    return amount


def _expires_in(form: InvoiceForm, problems: list[FieldProblem]) -> timedelta | None:
    field = "expires_in" if form.valid_for is None else "valid_for"
    value = getattr(form, field)
    if form.expires_in is not None and form.valid_for is not None:
        problems.append(FieldProblem("/valid_for", "conflicting", "Give expires_in or valid_for, not both."))
    if value is None:
        return None
    span = parse_duration(value)
    if span is None:
        detail = 'Give seconds, or a text such as "2h45m" or "PT15M".'
        problems.append(FieldProblem(pointer(field), "not_a_duration", detail))
    elif not EXPIRES_MIN <= span <= EXPIRES_MAX:
        problems.append(FieldProblem(pointer(field), "out_of_range", "An invoice is open for 60 seconds to 30 days."))
    return span


def _confirmations(
    catalogue: Catalogue, value: int | Mapping[str, int] | None, problems: list[FieldProblem]
) -> int | Mapping[str, int] | None:
    if isinstance(value, int):
        _check_depth(value, pointer("confirmations"), problems)
    elif value is not None:
        for method, depth in value.items():
            _check_depth(depth, pointer("confirmations", method), problems)
            if method not in catalogue.assets:
                detail = f"No payment method {shown(method)} is offered here."
                problems.append(FieldProblem(pointer("confirmations", method), "unknown_method", detail))
    return value


def _check_depth(depth: int, where: str, problems: list[FieldProblem]) -> None:
    if depth == 0:
        detail = "A payment in no block yet can be taken back at will: ask for at least 1 confirmation."
        problems.append(FieldProblem(where, "out_of_range", detail))
    elif not 0 < depth <= CONFIRMATIONS_MAX:
        problems.append(FieldProblem(where, "out_of_range", f"Ask for 1 to {CONFIRMATIONS_MAX} confirmations."))


def _tolerance(catalogue: Catalogue, form: ToleranceForm, problems: list[FieldProblem]) -> Tolerance:
    default = catalogue.invoices.tolerance
    return Tolerance(
        _percent(form.under_percent, default.under_percent, "under_percent", problems),
        _percent(form.over_percent, default.over_percent, "over_percent", problems),
    )


def _percent(written: Number | None, default: Decimal, name: str, problems: list[FieldProblem]) -> Decimal:
    if written is None:
        return default
    where = pointer("tolerance", name)
    try:
        percent = parse_decimal(written.text, decimals_max=TOLERANCE_DECIMALS_MAX)
    except NotAnAmount as error:
        problems.append(FieldProblem(where, "not_a_percentage", f"The percentage {error}."))
        return default
    if not 0 <= percent <= TOLERANCE_PERCENT_MAX:
        problems.append(FieldProblem(where, "out_of_range", f"Give 0 to {TOLERANCE_PERCENT_MAX} percent."))
    return percent
