"""Invoices with their methods, quotes and addresses."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from paynode.domain.chain import Pair
from paynode.domain.invoice import PaymentState, Status, Type
from paynode.domain.quote import Quote
from paynode.domain.screening import InvoiceScreening
from paynode.domain.sweep import InvoiceSweep
from paynode.store.database import Tx
from paynode.store.records import Columns
from paynode.store.times import from_ms, to_ms


@dataclass(frozen=True, slots=True)
class InvoiceRecord:
    id: str
    store_id: str
    type: Type
    status: Status
    payment_state: PaymentState
    sweep_state: InvoiceSweep
    amount: Decimal | None  # None: the payer decides how much
    currency: str
    under_percent: Decimal
    over_percent: Decimal
    is_late_accepted: bool
    name: str | None
    description: str | None
    order_id: str | None
    is_order_id_unique: bool
    customer: str | None
    metadata: str  # JSON object of strings
    language: str | None
    success_url: str | None
    fail_url: str | None
    quote_seconds: int
    monitor_seconds: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None  # None: never
    monitor_until: datetime | None  # None: for ever
    min_amount: Decimal | None = None  # only without an amount
    markup_percent: Decimal = Decimal(0)
    display_currency: str | None = None
    display_rate: Decimal | None = None  # of one whole coin, when the invoice was made
    is_late: bool = False
    is_cancelled: bool = False
    cancelled_at: datetime | None = None
    is_deadline_passed: bool = False
    is_archived: bool = False
    accepted: Fraction | None = None
    announced: str = ""
    paid_at: datetime | None = None
    set_aside: str | None = None
    screening: InvoiceScreening = InvoiceScreening.NOT_SCREENED
    rest_seconds: int | None = None  # how long past its end its addresses rest; None: for ever


@dataclass(frozen=True, slots=True)
class MethodRecord:
    """One way an invoice may be paid."""

    invoice_id: str
    position: int
    method: str
    network: str
    confirmations: int
    provisioned_at: datetime | None = None
    own_rate: Decimal | None = None  # the merchant's own word of what one whole coin costs; None: the market's


INVOICE = Columns(InvoiceRecord)
METHOD = Columns(MethodRecord)

_OF_GROUP = (
    *("store_id", "status", "payment_state", "sweep_state", "screening", "is_late", "is_archived", "type", "currency"),
)
_GROUP = (
    f"insert into invoice_groups ({', '.join(_OF_GROUP)}, methods) "
    f"values ({', '.join(f':{name}' for name in _OF_GROUP)}, :methods) on conflict do nothing"
)
_INSERT = (  # `invoice_search.SERIAL_BITS`: a serial is a moment, and a count within it
    f"insert into invoices (serial, group_no, {INVOICE.sql}) values (max(:created_at << 16, "
    "coalesce((select max(serial) + 1 from invoices where serial < (:created_at + 1) << 16), 0)), "
    f"(select id from invoice_groups where {' and '.join(f'{name} = :{name}' for name in _OF_GROUP)} "
    f"and methods = :methods), {INVOICE.placeholders})"
)


def add(tx: Tx, record: InvoiceRecord, methods: Sequence[MethodRecord]) -> None:
    names = "".join(f" {name}" for name in sorted(method.method for method in methods))
    values = INVOICE.encode(record) | {"methods": f"{names} "}
    tx.run(_GROUP, values)
    tx.run(_INSERT, values)
    tx.run_many(METHOD.insert("invoice_methods"), [METHOD.encode(method) for method in methods])


def save(tx: Tx, record: InvoiceRecord) -> None:
    tx.run(INVOICE.update("invoices", "id"), INVOICE.encode(record))


def delete(tx: Tx, invoice_id: str) -> None:
    """Remove an invoice that never had an address or a deposit."""
    for table in ("quotes", "invoice_methods"):
        tx.run(f"delete from {table} where invoice_id = ?", (invoice_id,))
    tx.run("delete from invoices where id = ?", (invoice_id,))


def by_id(tx: Tx, invoice_id: str) -> InvoiceRecord | None:
    row = tx.row(f"select {INVOICE.sql} from invoices where id = ?", (invoice_id,))
    return None if row is None else INVOICE.decode(row)


def of_order(tx: Tx, store_id: str, order_id: str) -> str | None:
    """The first invoice that the store made for an order."""
    row = tx.row(
        "select id from invoices where store_id = ? and order_id = ? order by id limit 1", (store_id, order_id)
    )
    return None if row is None else str(row[0])


def methods(tx: Tx, invoice_id: str) -> list[MethodRecord]:
    found = tx.rows(f"select {METHOD.sql} from invoice_methods where invoice_id = ? order by position", (invoice_id,))
    return [METHOD.decode(row) for row in found]


def mark_provisioned(tx: Tx, invoice_id: str, method: str, now: datetime) -> None:
    tx.run(
        "update invoice_methods set provisioned_at = ? where invoice_id = ? and method = ?",
        (to_ms(now), invoice_id, method),
    )


def add_quotes(tx: Tx, invoice_id: str, quotes: Sequence[tuple[str, Quote]]) -> None:
    tx.run_many(
        "insert into quotes (invoice_id, method, units, rate, locked_at, valid_until) values (?, ?, ?, ?, ?, ?)",
        [
            (invoice_id, method, str(q.units), format(q.rate, "f"), to_ms(q.locked_at), to_ms(q.valid_until))
            for method, q in quotes
        ],
    )


def quotes(tx: Tx, invoice_id: str) -> dict[str, list[Quote]]:
    """Every quote of an invoice by method, oldest first."""
    found: dict[str, list[Quote]] = {}
    for method, units, rate, locked, until in tx.rows(
        "select method, units, rate, locked_at, valid_until from quotes where invoice_id = ? order by locked_at, id",
        (invoice_id,),
    ):
        found.setdefault(method, []).append(Quote(int(units), Decimal(rate), from_ms(locked), from_ms(until)))
    return found


def smallest_due(tx: Tx, invoice_ids: Sequence[str], method: str) -> dict[str, int]:
    """What each of these invoices asks for in `method`, by its smallest quote; those that have none are left out."""
    due: dict[str, int] = {}
    for invoice_id, units in tx.rows(
        "select q.invoice_id, q.units from json_each(?) i cross join quotes q on q.invoice_id = i.value "
        "and q.method = ?",
        (json.dumps(invoice_ids), method),
    ):
        due[invoice_id] = min(int(units), due.get(invoice_id, int(units)))
    return due


_WAITING = (
    f"select {INVOICE.of('i')} from invoices i where i.status in ('open', 'confirming') and i.is_deadline_passed = 0 "
    "and i.set_aside is null and i.expires_at < :now"
)
_ASKED = (
    "select 1 from invoice_methods m join json_each(:networks) n on n.key = m.network "
    "where m.invoice_id = i.id and m.provisioned_at is not null"
)
_SURPLUS = (
    "select 1 from json_each(:surplus) s join holdings h on h.address = s.value ->> 1 and h.invoice_id = i.id "
    "join invoice_methods m on m.invoice_id = i.id and m.network = s.value ->> 0 and m.method = s.value ->> 2 "
    "where m.provisioned_at is not null"
)
EXPIRED_AT_ONCE_MAX = 500  # more are the next tick's


def past_deadline_unasked(tx: Tx, networks: Collection[str], now: datetime) -> list[InvoiceRecord]:
    """Invoices that still wait past their deadline and asked for money on none of these networks."""
    found = tx.rows(
        f"{_WAITING} and not exists ({_ASKED}) order by i.expires_at limit {EXPIRED_AT_ONCE_MAX}",
        {"now": to_ms(now), "networks": json.dumps(dict.fromkeys(networks, 0))},
    )
    return [INVOICE.decode(row) for row in found]


def past_deadline_on(
    tx: Tx,
    network: str,
    seen: Mapping[str, datetime | None],
    surplus: Mapping[str, Collection[Pair]],
    patience: timedelta,
) -> list[InvoiceRecord]:
    """Invoices that asked for money on `network` and whose deadline is over on all networks they asked on.

    `seen` says of every network up to which moment we have seen it; None: its view is doubtful. An invoice that asked
    for money of a pair of `surplus`, by network, is given `patience` more.
    """
    moment = seen[network]
    if moment is None:
        return []
    found = tx.rows(
        f"{_WAITING} and exists ({_ASKED} and m.network = :network) "
        f"and not exists ({_ASKED} and n.value <= i.expires_at) "
        f"and (i.expires_at < :patient_until or not exists ({_SURPLUS})) "
        f"order by i.expires_at limit {EXPIRED_AT_ONCE_MAX}",
        {
            "patient_until": to_ms(moment - patience),
            "surplus": json.dumps([(name, *pair) for name, pairs in surplus.items() for pair in sorted(pairs)]),
            "now": to_ms(moment),
            "network": network,
            "networks": json.dumps({name: -1 if at is None else to_ms(at) for name, at in seen.items()}),
        },
    )
    return [INVOICE.decode(row) for row in found]


def newest_passed_deadline(tx: Tx, network: str, moment: datetime) -> datetime | None:
    """The newest deadline before `moment` of an invoice that still waits and asked for money on `network`."""
    row = tx.row(
        f"{_WAITING} and exists ({_ASKED}) order by i.expires_at desc limit 1",
        {"now": to_ms(moment), "networks": json.dumps({network: 0})},
    )
    return None if row is None else INVOICE.decode(row).expires_at
