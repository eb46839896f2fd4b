"""What the world sees of our objects: the shapes of API answers and of webhooks' `data.object`, as plain values."""

import json
from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from functools import partial
from typing import Any

from paynode.domain.deposit import Stage
from paynode.domain.invoice import final_worth, seen_worth
from paynode.domain.money import format_decimal, format_fixed, format_trimmed, format_units, minor_digits
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import LoadedInvoice
from paynode.operations.payment_uri import payment_uri
from paynode.store.deposits import PlacedDeposit
from paynode.store.invoices import MethodRecord
from paynode.store.outbox import AttemptRecord, DeliveryRecord, EndpointRecord, EventRecord
from paynode.store.sweeps import ItemRecord, SweepRecord

View = dict[str, Any]


def moment(value: datetime | None) -> str | None:
    """RFC 3339, UTC, milliseconds."""
    return None if value is None else f"{value.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _seconds_until(value: datetime, now: datetime) -> int:
    return max(0, int((value - now).total_seconds()))


def _sum(catalogue: Catalogue, currency: str, worth: Fraction, *, round_up: bool = False) -> str:
    """An amount of an invoice's currency: a fiat one has its cents, a coin all that it can be divided into."""
    decimals = [asset.decimals for asset in catalogue.assets.values() if asset.symbol.upper() == currency]
    if decimals:
        return format_trimmed(worth, max(decimals), round_up=round_up)
    return format_fixed(worth, minor_digits(currency), round_up=round_up)


def invoice(catalogue: Catalogue, loaded: LoadedInvoice, now: datetime) -> View:
    """An invoice as its merchant sees it."""
    record = loaded.record
    return {
        "object": "invoice",
        "id": record.id,
        "store": record.store_id,
        "livemode": catalogue.is_live,
        "type": record.type,
        "status": record.status,
        "payment_state": record.payment_state,
        "sweep_state": record.sweep_state,
        "screening": "not_screened",
        "late": record.is_late,
        **_sums(catalogue, loaded),
        "tolerance": {
            "under_percent": format_decimal(record.under_percent),
            "over_percent": format_decimal(record.over_percent),
        },
        "name": record.name,
        "description": record.description,
        "order_id": record.order_id,
        "customer": record.customer,
        "metadata": json.loads(record.metadata),
        "methods": [method(catalogue, loaded, entry, now) for entry in loaded.methods],
        "deposits": [deposit(catalogue, placed, loaded) for placed in loaded.deposits],
        "checkout_url": f"{catalogue.public_url}/checkout/{record.id}",
        "success_url": record.success_url,
        "fail_url": record.fail_url,
        "expires_at": moment(record.expires_at),
        "expires_in": _seconds_until(record.expires_at, now),
        "monitor_until": moment(record.monitor_until),
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at),
        "paid_at": moment(record.paid_at),
        "needs_attention": record.set_aside,
    }


_SHOWN_TO_PAYERS = (
    *("id", "livemode", "type", "status", "payment_state", "late", "amount", "currency"),
    *("amount_paid", "amount_confirmed", "amount_due", "amount_overpaid", "name", "description", "order_id"),
    *("methods", "success_url", "fail_url", "expires_at", "expires_in", "created_at", "paid_at"),
)
_HIDDEN_FROM_PAYERS = frozenset({"address_invoice", "sweep_state", "sweep_wait", "screening"})


def checkout(catalogue: Catalogue, loaded: LoadedInvoice, now: datetime) -> View:
    """An invoice as its payer sees it: no metadata, no keys, nothing of other payers."""
    whole = invoice(catalogue, loaded, now)
    return {
        "object": "checkout",
        "store_name": catalogue.store_name(loaded.record.store_id),
        **{key: whole[key] for key in _SHOWN_TO_PAYERS},
        "deposits": [
            {key: value for key, value in entry.items() if key not in _HIDDEN_FROM_PAYERS}
            for entry in whole["deposits"]
        ],
        "now": moment(now),
    }


def _sums(catalogue: Catalogue, loaded: LoadedInvoice) -> View:
    record = loaded.record
    amount, seen = Fraction(record.amount), seen_worth(loaded.payments)
    shown = partial(_sum, catalogue, record.currency)
    return {
        "amount": format_decimal(record.amount),
        "currency": record.currency,
        "amount_paid": shown(seen),
        "amount_confirmed": shown(final_worth(loaded.payments)),
        "amount_due": shown(max(amount - seen, Fraction(0)), round_up=True),
        "amount_overpaid": shown(max(seen - amount, Fraction(0))),
    }


def method(catalogue: Catalogue, loaded: LoadedInvoice, entry: MethodRecord, now: datetime) -> View:
    """One way to pay an invoice: what to send, where, until when."""
    asset = catalogue.assets.get(entry.method)
    if asset is None:  # its network left the config; what was promised is still shown
        return {"method": entry.method, "state": "disabled"}
    quote = loaded.quotes[entry.method][-1]
    address = loaded.addresses.get(catalogue.family(entry.network))
    is_active = entry.provisioned_at is not None and address is not None
    seen = seen_worth(loaded.payments)
    price = Fraction(loaded.record.amount)
    share = quote.units * max(price - seen, Fraction(0)) / price
    step = 1 if loaded.price.is_in(asset) else 10 ** (asset.decimals - asset.payable_decimals)
    due_units = min(quote.units, -((-share.numerator) // (share.denominator * step)) * step)
    return {
        "method": entry.method,
        "network": entry.network,
        "symbol": asset.symbol,
        "decimals": asset.decimals,
        "contract": asset.contract,
        "state": "active" if is_active else "offered",
        "address": address.address if is_active and address is not None else None,
        "amount": format_units(quote.units, asset.decimals),
        "amount_units": str(quote.units),
        "amount_due": format_units(due_units, asset.decimals),
        "amount_due_units": str(due_units),
        "rate": format_decimal(quote.rate),
        "rate_expires_at": moment(quote.valid_until),
        "rate_expires_in": _seconds_until(quote.valid_until, now),
        "confirmations_required": entry.confirmations,
        "payment_uri": payment_uri(catalogue.networks[entry.network], asset, address.address, due_units)
        if is_active and address is not None
        else None,
        "explorer_url": catalogue.explorer_address_url(entry.network, address.address)
        if is_active and address is not None
        else None,
    }


def deposit(catalogue: Catalogue, placed: PlacedDeposit, loaded: LoadedInvoice | None, head_number: int = 0) -> View:
    """One transfer to one of our addresses; `loaded` is its invoice, if it has one."""
    record, row = placed.deposit, placed.row
    asset = catalogue.assets.get(record.method)
    depths = {} if loaded is None else {entry.method: entry.confirmations for entry in loaded.methods}
    required = depths.get(record.method)
    if required is None and record.network in catalogue.networks:
        required = catalogue.networks[record.network].confirmations
    if loaded is not None:
        depth = loaded.confirmations(placed)
    else:
        depth = 0 if record.stage is Stage.ORPHANED else max(0, head_number - row.block_number + 1)
    return {
        "object": "deposit",
        "id": record.id,
        "invoice": record.invoice_id,
        "method": record.method,
        "network": record.network,
        "address": record.address,
        "address_invoice": placed.address_invoice_id,
        "tx_hash": row.tx_hash or None,
        "log_index": row.log_index if row.log_index >= 0 else None,
        "block_number": row.block_number,
        "block_hash": row.block_hash,
        "from": row.sender or row.tx_sender or None,
        "amount": None if asset is None else format_units(record.units, asset.decimals),
        "amount_units": str(record.units),
        "value": None
        if record.worth is None or loaded is None
        else _sum(catalogue, loaded.record.currency, record.worth),
        "state": record.stage,
        "confirmations": depth,
        "confirmations_required": required,
        "late": record.is_late,
        "replaces": record.replaces,
        "screening": "not_screened",
        "sweep_state": record.sweep_state,
        "sweep_wait": record.sweep_wait,
        "explorer_url": catalogue.explorer_tx_url(record.network, row.tx_hash),
        "block_at": moment(row.block_at),
        "detected_at": moment(record.detected_at),
        "confirmed_at": moment(record.confirmed_at),
    }


def sweep(
    catalogue: Catalogue,
    record: SweepRecord,
    items: list[tuple[ItemRecord, list[str], str | None]],
) -> View:
    """A sweep with its items, each with its deposits' ids and its transfer's hash."""
    asset = catalogue.assets.get(record.method)
    native = catalogue.native(record.network) if record.network in catalogue.networks else None
    gross = sum(item.units for item, _, _ in items)
    moved = sum(item.moved for item, _, _ in items if item.moved is not None)
    fee = sum(item.fee for item, _, _ in items if item.fee is not None)
    return {
        "object": "sweep",
        "id": record.id,
        "store": record.store_id,
        "state": record.state,
        "method": record.method,
        "treasury": record.treasury,
        "gross_units": str(gross),
        "gross": None if asset is None else format_units(gross, asset.decimals),
        "net_units": str(moved),
        "net": None if asset is None else format_units(moved, asset.decimals),
        "fee_units": str(fee),
        "fee": None if native is None else format_units(fee, native.decimals),
        "fee_method": None if native is None else native.method,
        "items": [
            {
                "deposits": deposit_ids,
                "address": item.address,
                "units": str(item.units),
                "state": item.state,
                "reason": item.reason,
                "tx_hash": tx_hash,
                "explorer_url": catalogue.explorer_tx_url(record.network, tx_hash or ""),
            }
            for item, deposit_ids, tx_hash in items
        ],
        "created_at": moment(record.created_at),
        "completed_at": moment(record.completed_at),
    }


def event(record: EventRecord) -> Mapping[str, Any]:
    """An event as the API lists it: exactly the body that webhooks carry."""
    body: dict[str, Any] = json.loads(record.payload)
    return {"object": "event", **body, "subject": record.subject}


def endpoint(record: EndpointRecord, *, with_secret: bool = False) -> View:
    shown = {
        "object": "webhook_endpoint",
        "id": record.id,
        "store": record.store_id,
        "url": record.url,
        "events": record.events.split(),
        "state": record.state,
        "reason": record.reason,
        "old_secret_expires_at": moment(record.old_secret_expires_at),
        "created_at": moment(record.created_at),
    }
    return {**shown, "secret": record.secret} if with_secret else shown


def delivery(record: DeliveryRecord, endpoint: EndpointRecord | None, attempts: list[AttemptRecord]) -> View:
    return {
        "object": "delivery",
        "id": record.id,
        "event": record.event_id,
        "endpoint": record.endpoint_id,
        "url": None if endpoint is None else endpoint.url,
        "state": record.state,
        "attempts": [
            {
                "at": moment(attempt.at),
                "status": attempt.status,
                "duration_ms": attempt.duration_ms,
                "error": attempt.error,
                "response_excerpt": attempt.response_excerpt,
            }
            for attempt in attempts
        ],
        "next_attempt_at": moment(record.next_attempt_at),
        "created_at": moment(record.created_at),
    }
