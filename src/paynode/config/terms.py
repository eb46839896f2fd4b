"""[invoices], and what a store says of its own instead: the terms of invoices that say nothing else."""

from datetime import timedelta
from decimal import Decimal

from paynode.config.mistakes import Wrong
from paynode.config.shapes import InvoiceDefaults, LatePayment, PayerAddresses
from paynode.config.table import Table
from paynode.config.values import decimal, duration, one_of, whole
from paynode.domain.addresses import REST_MAX, REST_MIN, AddressMode, AddressPolicy
from paynode.domain.currencies import CURRENCIES
from paynode.domain.invoice import Tolerance

_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)

USUAL = InvoiceDefaults(
    currency=None,
    expires_in=30 * _MINUTE,
    monitor_for=7 * _DAY,
    quote_valid_for=15 * _MINUTE,
    late_payment=LatePayment.REVIEW,
    tolerance=Tolerance(),
    address_policy=AddressPolicy(mode=AddressMode.FRESH),
    payer_addresses=PayerAddresses(per_client_hour=100, per_store_day=5000),
)


def read_terms(top: Table, otherwise: InvoiceDefaults = USUAL) -> InvoiceDefaults:
    """What `top` says under `invoices`, key by key; what it leaves out is as `otherwise`."""
    with top.table("invoices") as invoices:
        with invoices.table("tolerance") as written:
            usual = otherwise.tolerance
            tolerance = Tolerance(
                under_percent=written.optional(
                    "under_percent", decimal(Decimal(0), Decimal(50), 4), usual.under_percent
                ),
                over_percent=written.optional("over_percent", decimal(Decimal(0), Decimal(100), 4), usual.over_percent),
            )
        return InvoiceDefaults(
            currency=invoices.optional("currency", _currency, otherwise.currency),
            expires_in=invoices.optional("expires_in", duration(_MINUTE, 365 * _DAY), otherwise.expires_in),
            monitor_for=invoices.optional("monitor_for", duration(60 * _MINUTE, 365 * _DAY), otherwise.monitor_for),
            quote_valid_for=invoices.optional("quote_valid_for", duration(_MINUTE, _DAY), otherwise.quote_valid_for),
            late_payment=invoices.optional("late_payment", one_of(LatePayment), otherwise.late_payment),
            tolerance=tolerance,
            address_policy=_address_policy(invoices, otherwise.address_policy),
            payer_addresses=_payer_addresses(invoices, otherwise.payer_addresses),
        )


def _currency(value: object) -> str:
    if not isinstance(value, str) or value not in CURRENCIES:
        raise Wrong("is no ISO 4217 currency", 'Write its code, e.g. "EUR"')
    return value


def _address_policy(invoices: Table, otherwise: AddressPolicy) -> AddressPolicy:
    """A policy is one thing: who names a mode names its rest, too."""
    with invoices.table("address_policy") as policy:
        is_given = "mode" in policy or "rest" in policy
        found = AddressPolicy(
            mode=policy.optional("mode", one_of(AddressMode), AddressMode.FRESH),
            rest=policy.optional("rest", duration(REST_MIN, REST_MAX), None),
        )
        if found.mode is AddressMode.FRESH and found.rest is not None:
            policy.note("rest", "is only for addresses that are used again", 'Remove it, or set mode = "reuse"')
        return found if is_given else otherwise


def _payer_addresses(invoices: Table, otherwise: PayerAddresses) -> PayerAddresses:
    with invoices.table("payer_addresses") as caps:
        return PayerAddresses(
            per_client_hour=caps.optional("per_client_hour", whole(1, 1_000_000), otherwise.per_client_hour),
            per_store_day=caps.optional("per_store_day", whole(1, 1_000_000), otherwise.per_store_day),
        )
