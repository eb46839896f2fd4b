"""A store with very many invoices, written straight into the file of a node that does not run.

Most were paid or have expired, some are open; the newest is an hour old, the oldest a year. Each has a method with its
quote, an address whose watch is closed, and two events, whose bodies are like that of an event that the node made.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import apsw

from paynode.domain.invoice import PaymentState, Status, Type
from paynode.domain.quote import Quote
from paynode.domain.screening import InvoiceScreening
from paynode.domain.sweep import InvoiceSweep
from paynode.store import database as databases
from paynode.store import invoices, outbox
from paynode.store.database import Tx
from paynode.store.ids import new_id
from paynode.store.invoices import InvoiceRecord, MethodRecord
from paynode.store.outbox import EventRecord
from paynode.store.records import Body
from paynode.store.times import to_ms

AT_ONCE = 5_000  # invoices in one transaction
YEAR = timedelta(days=365)
FUTURE = timedelta(days=30)
OUTCOMES = (  # weight, status, payment state, sweep state
    (600, Status.PAID, PaymentState.EXACT, InvoiceSweep.SWEPT),
    (40, Status.PAID, PaymentState.OVER, InvoiceSweep.SWEPT),
    (20, Status.PAID, PaymentState.EXACT, InvoiceSweep.UNSWEPT),
    (300, Status.EXPIRED, PaymentState.NONE, InvoiceSweep.NOT_APPLICABLE),
    (20, Status.EXPIRED, PaymentState.PARTIAL, InvoiceSweep.UNSWEPT),
    (18, Status.CANCELLED, PaymentState.NONE, InvoiceSweep.NOT_APPLICABLE),
    (2, Status.OPEN, PaymentState.NONE, InvoiceSweep.NOT_APPLICABLE),
)


@dataclass(frozen=True, slots=True)
class Crowd:
    """What to ask for."""

    count: int
    newest_id: str
    middle_id: str
    address: str


def fill(path: Path, count: int, methods: tuple[str, ...], *, seed: int = 1) -> Crowd:
    """Write `count` invoices into the database at `path`."""
    database = databases.open(path)
    connection: apsw.Connection = database._connection
    for pragma in ("synchronous = off", "cache_size = -200000", "wal_autocheckpoint = 20000"):
        connection.execute(f"pragma {pragma}").fetchall()
    store_id = database.read(lambda tx: tx.rows("select id from stores"))[0][0]
    told = database.read(lambda tx: outbox.event(tx, outbox.last_event_id(tx)))
    assert told is not None, "the node has made invoices before"
    ids: list[str] = []
    entries = _invoices(count, store_id, methods, random.Random(seed))
    address = ""
    for _ in range(0, count, AT_ONCE):
        address = database.write(_add, entries, ids, told)
    connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    database.close()
    return Crowd(count, ids[-1], ids[count // 2], address)


def _invoices(
    count: int, store_id: str, methods: tuple[str, ...], dice: random.Random
) -> Iterator[tuple[int, InvoiceRecord, str]]:
    start = datetime.now(UTC) - YEAR
    weights = [outcome[0] for outcome in OUTCOMES]
    for number in range(count):
        at = start + (YEAR - timedelta(hours=1)) * number / count
        _, status, payment_state, sweep_state = dice.choices(OUTCOMES, weights)[0]
        is_open = status is Status.OPEN
        record = InvoiceRecord(
            id=new_id("inv", at),
            store_id=store_id,
            type=Type.ONE_TIME,
            status=status,
            payment_state=payment_state,
            sweep_state=sweep_state,
            amount=Decimal(dice.randint(100, 50_000)) / 100,
            currency="USD" if number % 10 else "EUR",
            under_percent=Decimal("0.5"),
            over_percent=Decimal("0.5"),
            is_late_accepted=True,
            name=f"Order {number}",
            description=None,
            order_id=f"order-{number}",
            is_order_id_unique=False,
            customer=f"customer-{number % 1000}",
            metadata=f'{{"cart":"{dice.getrandbits(16):04x}","channel":"web"}}',
            language=None,
            success_url="https://shop.example.com/thanks",
            fail_url=None,
            quote_seconds=900,
            monitor_seconds=86400,
            created_at=at,
            updated_at=at,
            expires_at=at + (YEAR + FUTURE if is_open else timedelta(minutes=15)),
            monitor_until=at + (YEAR + FUTURE if is_open else timedelta(days=1)),
            is_late=number % 100 == 0,
            is_archived=number % 50 == 1,
            is_deadline_passed=not is_open,
            screening=InvoiceScreening.PASSED if status is Status.PAID else InvoiceScreening.NOT_SCREENED,
        )
        yield number, record, methods[0] if number % 1000 else methods[-1]


def _add(tx: Tx, entries: Iterator[tuple[int, InvoiceRecord, str]], ids: list[str], told: EventRecord) -> str:
    address = ""
    for _ in range(AT_ONCE):
        entry = next(entries, None)
        if entry is None:
            break
        number, record, method = entry
        network, at = method.partition("_")[0], to_ms(record.created_at)
        address = f"sim1{number * 0x9E3779B97F4A7C15 % 2**160:040x}"
        invoices.add(tx, record, [MethodRecord(record.id, 0, method, network, 1, record.created_at)])
        quote = Quote(4_990_000, Decimal(1), record.created_at, record.created_at + timedelta(minutes=15))
        invoices.add_quotes(tx, record.id, [(method, quote)])
        tx.run("insert into addresses values (?, 'sim', 0, ?, null)", (address, 1_000_000 + number))
        tx.run("insert into holdings values ('sim', ?, 0, ?, ?)", (address, record.id, at))
        tx.run(
            "insert into watches (network, address, store_id, invoice_id, depth, floor, watch_until, is_closed) "
            "values (?, ?, ?, ?, 1, 0, ?, 1)",
            (network, address, record.store_id, record.id, at),
        )
        for sequence, kind in enumerate(("invoice.created", f"invoice.{record.status}"), start=1):
            event_id = new_id("evt", record.created_at)
            body = Body(told.payload.replace(told.subject.encode(), record.id.encode()))
            event = EventRecord(event_id, record.store_id, kind, record.id, sequence, body, record.created_at)
            outbox.add_event(tx, event)
        ids.append(record.id)
    return address
