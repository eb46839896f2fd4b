"""The body of `POST /v1/invoices`, and what it means."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from paynode.api.body import Form, Number, WebUrl, pointer, shown
from paynode.api.callback_form import CallbackSecret, CallbackUrl, read_callback
from paynode.api.method_names import Chosen, MethodName, by_method, chosen
from paynode.api.numbers import (
    Problems,
    is_coin,
    read_amount,
    read_currency,
    read_percent,
    read_rate,
    read_span,
)
from paynode.domain.addresses import REST_MAX, REST_MIN, AddressMode, AddressPolicy
from paynode.domain.currencies import CURRENCIES
from paynode.domain.durations import parse_duration
from paynode.domain.errors import FieldProblem, Invalid
from paynode.domain.invoice import Tolerance, Type
from paynode.operations.catalogue import Catalogue
from paynode.operations.creating import CONFIRMATIONS_MAX, CreateInvoice
from paynode.operations.endpoints import Check

EXPIRES_MIN, EXPIRES_MAX = timedelta(seconds=60), timedelta(days=365)
TOLERANCE_PERCENT_MAX = Decimal(50)
MARKUP_PERCENT_MIN, MARKUP_PERCENT_MAX = Decimal(-50), Decimal(100)
METADATA_KEYS_MAX = 50
LANGUAGES = ("ar", "de", "en", "es", "fr", "ja", "pt", "ru", "tr", "zh")  # that the checkout page speaks

ShortText = Annotated[str, Meta(max_length=200)]
LongText = Annotated[str, Meta(max_length=2000)]
MetadataText = Annotated[str, Meta(max_length=500)]
CurrencyCode = Annotated[str, Meta(max_length=20)]
LanguageTag = Annotated[str, Meta(max_length=35)]  # as RFC 5646 bids to allow for

_LANGUAGE_TAG = re.compile(r"([A-Za-z]{2})(?:-[A-Za-z0-9]{1,8})*", re.ASCII)


class ToleranceForm(Form, frozen=True):
    under_percent: Number | None = None
    over_percent: Number | None = None


class AddressPolicyForm(Form, frozen=True):
    mode: AddressMode
    rest: int | str | None = None


class InvoiceForm(Form, frozen=True):
    currency: CurrencyCode | None = None
    amount: Number | UnsetType | None = UNSET  # null must be said: it means that any payment is enough
    type: Type = Type.ONE_TIME
    store: Annotated[str, Meta(max_length=30)] | None = None
    methods: Annotated[list[MethodName | int], Meta(max_length=200)] | LongText | None = None
    min_amount: Number | None = None
    markup_percent: Number | None = None
    rate: Number | None = None
    rates: dict[MethodName, Number] | None = None
    display_currency: CurrencyCode | None = None
    expires_in: int | str | None = None
    valid_for: int | str | None = None
    confirmations: int | dict[MethodName, int] | None = None
    tolerance: ToleranceForm | None = None
    address_policy: AddressPolicyForm | None = None
    name: ShortText | None = None
    description: LongText | None = None
    order_id: ShortText | None = None
    unique_order_id: bool = False
    customer: ShortText | None = None
    metadata: Annotated[dict[MetadataText, MetadataText], Meta(max_length=METADATA_KEYS_MAX)] | None = None
    language: LanguageTag | None = None
    success_url: WebUrl | None = None
    fail_url: WebUrl | None = None
    callback_url: CallbackUrl | None = None
    callback_secret: CallbackSecret | None = None
    callback_retries: int | None = None
    callback_echo_secret: bool = False
    provision: bool = False


def read_invoice(catalogue: Catalogue, store_id: str, form: InvoiceForm, check: Check) -> CreateInvoice:
    """The command that the form gives to a store.

    Raises:
        Invalid: names every field whose value cannot be.
    """
    problems: Problems = []
    currency = _currency(catalogue, store_id, form, problems)
    amount, min_amount = _amounts(catalogue, form, currency, problems)
    methods = _methods(catalogue, form, problems)
    command = CreateInvoice(
        amount=amount,
        currency=currency,
        methods=methods.methods,
        optional_methods=methods.only_in_groups,
        type=form.type,
        min_amount=min_amount,
        markup_percent=_markup(form.markup_percent, problems),
        rates=_rates(catalogue, form, methods.methods, currency, problems),
        display_currency=_display_currency(catalogue, form.display_currency, currency, problems),
        expires_in=_expires_in(form, problems),
        confirmations=_confirmations(catalogue, form.confirmations, methods.methods, problems),
        tolerance=_tolerance(catalogue.terms(store_id).tolerance, form, amount, problems),
        address_policy=_address_policy(form, problems),
        name=form.name,
        description=form.description,
        order_id=form.order_id,
        is_order_id_unique=form.unique_order_id,
        customer=form.customer,
        metadata=form.metadata,
        language=read_language(form.language, problems),
        success_url=None if form.success_url is None else form.success_url.text,
        fail_url=None if form.fail_url is None else form.fail_url.text,
        callback=read_callback(form, check, problems),
        provision=form.provision,
    )
    if form.unique_order_id and not form.order_id:
        problems.append(FieldProblem("/order_id", "required", "Give the order_id that is to be unique."))
    if problems:
        raise Invalid(problems)
    return command


def read_language(tag: str | None, problems: Problems) -> str | None:
    """The language of a tag such as `pt-BR` (BCP 47), if the checkout page speaks it."""
    if tag is None:
        return None
    match = _LANGUAGE_TAG.fullmatch(tag)
    language = match[1].lower() if match else ""
    if language not in LANGUAGES:
        problems.append(FieldProblem("/language", "unknown_language", f"Give one of {', '.join(LANGUAGES)}."))
    return language


def _currency(catalogue: Catalogue, store_id: str, form: InvoiceForm, problems: Problems) -> str:
    """The form's, else the store's."""
    written = form.currency or catalogue.terms(store_id).currency
    if written is None:
        detail = "Name the currency: the config gives this store's invoices none."
        problems.append(FieldProblem("/currency", "required", detail))
        return ""
    return read_currency(catalogue, written, problems)


def _amounts(
    catalogue: Catalogue, form: InvoiceForm, currency: str, problems: Problems
) -> tuple[Decimal | None, Decimal | None]:
    """What is asked for, and where the payer decides the least that counts."""
    if form.amount is UNSET and form.type is not Type.REUSABLE:
        problems.append(FieldProblem("/amount", "required", "This field is required."))
    elif form.amount is None and form.type is Type.POOL:
        problems.append(FieldProblem("/amount", "required", "A pool is paid once its amount is reached: name it."))
    amount = None
    if isinstance(form.amount, Number):
        amount = read_amount(catalogue, form.amount, currency, problems)
        if form.type is Type.REUSABLE:
            detail = "A reusable invoice asks for no sum: leave the amount out, or give min_amount."
            problems.append(FieldProblem("/amount", "conflicting", detail))
    if form.min_amount is None:
        return amount, None
    if amount is not None:
        detail = "Where an amount is asked for there is no smaller one; see tolerance."
        problems.append(FieldProblem("/min_amount", "conflicting", detail))
    return amount, read_amount(catalogue, form.min_amount, currency, problems, "min_amount")


def _methods(catalogue: Catalogue, form: InvoiceForm, problems: Problems) -> Chosen:
    written = form.methods.split(",") if isinstance(form.methods, str) else form.methods or []
    names = [str(each).strip() for each in written]
    return chosen(catalogue, names, problems) if names else Chosen((), frozenset())


def _markup(written: Number | None, problems: Problems) -> Decimal:
    if written is None:
        return Decimal(0)
    return read_percent(written, "/markup_percent", MARKUP_PERCENT_MIN, MARKUP_PERCENT_MAX, problems)


def _rates(
    catalogue: Catalogue, form: InvoiceForm, methods: Sequence[str], currency: str, problems: Problems
) -> Mapping[str, Decimal]:
    """What the merchant says that coins cost, by method. One rate for all is for one coin."""
    if form.rate is not None:
        rate, symbols = read_rate(form.rate, "/rate", problems), {catalogue.assets[method].symbol for method in methods}
        if form.rates is not None:
            problems.append(FieldProblem("/rates", "conflicting", "Give rate or rates, not both."))
        if len(symbols) != 1:
            detail = "One rate is for one coin: name methods of one coin, or give rates per method."
            problems.append(FieldProblem("/rate", "conflicting", detail))
        elif currency in {symbol.upper() for symbol in symbols}:
            problems.append(FieldProblem("/rate", "conflicting", "A price in this very coin needs no rate."))
        return dict.fromkeys(methods, rate)
    rates: dict[str, Decimal] = {}
    for method, where, written in by_method(catalogue, "rates", form.rates or {}, methods, problems):
        rates[method] = read_rate(written, where, problems)
        if method in catalogue.assets and catalogue.assets[method].symbol.upper() == currency:
            problems.append(FieldProblem(where, "conflicting", "A price in this very coin needs no rate."))
    return rates


def _display_currency(catalogue: Catalogue, text: str | None, currency: str, problems: Problems) -> str | None:
    if text is None:
        return None
    display = text.upper() if text.isascii() else text
    if display not in CURRENCIES:
        detail = f"{shown(display)} is no ISO 4217 currency."
        problems.append(FieldProblem("/display_currency", "unknown_currency", detail))
    elif not is_coin(catalogue, currency):
        detail = "Only a price in a coin is shown in another currency beside it."
        problems.append(FieldProblem("/display_currency", "conflicting", detail))
    return display


def _expires_in(form: InvoiceForm, problems: Problems) -> timedelta | None:
    field, value = ("expires_in", form.expires_in) if form.valid_for is None else ("valid_for", form.valid_for)
    if form.expires_in is not None and form.valid_for is not None:
        problems.append(FieldProblem("/valid_for", "conflicting", "Give expires_in or valid_for, not both."))
    if value is None:
        return None
    if form.type is Type.REUSABLE:
        problems.append(FieldProblem(pointer(field), "conflicting", "A reusable invoice has no deadline."))
    return read_span(value, field, EXPIRES_MIN, EXPIRES_MAX, problems)


def _address_policy(form: InvoiceForm, problems: Problems) -> AddressPolicy | None:
    policy, at = form.address_policy, pointer("address_policy", "rest")
    if policy is None:
        return None
    if policy.mode is AddressMode.REUSE and form.type is Type.REUSABLE:
        detail = "A reusable invoice keeps its addresses for ever."
        problems.append(FieldProblem(pointer("address_policy", "mode"), "conflicting", detail))
    if policy.rest is None:
        return AddressPolicy(policy.mode)
    rest = parse_duration(policy.rest)
    if policy.mode is AddressMode.FRESH:
        detail = 'Only addresses of mode "reuse" rest: nobody gets fresh ones again.'
        problems.append(FieldProblem(at, "conflicting", detail))
    elif rest is None:
        problems.append(FieldProblem(at, "not_a_duration", 'Give seconds, or a text such as "2h45m" or "PT15M".'))
    elif not REST_MIN <= rest <= REST_MAX:
        problems.append(FieldProblem(at, "out_of_range", "An address rests for 10 minutes to 365 days."))
    return AddressPolicy(policy.mode, rest)


def _confirmations(
    catalogue: Catalogue, value: int | Mapping[str, int] | None, methods: Sequence[str], problems: Problems
) -> int | Mapping[str, int] | None:
    if value is None:
        return None
    if isinstance(value, int):
        _check_depth(value, pointer("confirmations"), problems)
        return value
    depths: dict[str, int] = {}
    for method, where, depth in by_method(catalogue, "confirmations", value, methods, problems):
        _check_depth(depth, where, problems)
        depths[method] = depth
    return depths


def _check_depth(depth: int, where: str, problems: Problems) -> None:
    if depth == 0:
        detail = "A payment in no block yet can be taken back at will: ask for at least 1 confirmation."
        problems.append(FieldProblem(where, "out_of_range", detail))
    elif not 0 < depth <= CONFIRMATIONS_MAX:
        problems.append(FieldProblem(where, "out_of_range", f"Ask for 1 to {CONFIRMATIONS_MAX} confirmations."))


def _tolerance(default: Tolerance, form: InvoiceForm, amount: Decimal | None, problems: Problems) -> Tolerance | None:
    if form.tolerance is None:
        return None
    if amount is None:
        problems.append(FieldProblem("/tolerance", "conflicting", "Without an amount nothing is short or over."))
    under, over = (
        usual
        if written is None
        else read_percent(written, pointer("tolerance", name), Decimal(0), TOLERANCE_PERCENT_MAX, problems)
        for name, written, usual in (
            ("under_percent", form.tolerance.under_percent, default.under_percent),
            ("over_percent", form.tolerance.over_percent, default.over_percent),
        )
    )
    return Tolerance(under, over)
