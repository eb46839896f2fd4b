"""An invoice with all that belongs to it, loaded at once; of its deposits, which have no end, totals and the newest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paynode.domain import deposit
from paynode.domain.chain import confirmations
from paynode.domain.errors import NotFound
from paynode.domain.events import EventType
from paynode.domain.invoice import Invoice, Payment, Tolerance
from paynode.domain.quote import Price, Quote
from paynode.domain.screening import Verdict
from paynode.store import callbacks, chain, deposit_totals, deposits, holdings, invoices
from paynode.store.callbacks import CallbackRecord
from paynode.store.database import Tx
from paynode.store.deposit_totals import Total
from paynode.store.deposits import PlacedDeposit
from paynode.store.holdings import HoldingRecord
from paynode.store.invoices import InvoiceRecord, MethodRecord

DEPOSITS_SHOWN = 100  # the newest; of a reusable invoice there is no end, and each event shows the invoice


@dataclass(frozen=True, slots=True)
class InvoiceFacts:
    """All that an invoice is judged by, and what comes to it."""

    record: InvoiceRecord
    methods: Sequence[MethodRecord]
    quotes: Mapping[str, Sequence[Quote]]  # by method, oldest first
    addresses: Mapping[str, HoldingRecord]  # by family
    totals: Sequence[Total]  # of all deposits, by kind
    head_numbers: Mapping[str, int]  # by network

    @property
    def price(self) -> Price | None:
        """What is asked for; None where the payer decides."""
        record = self.record
        return None if record.amount is None else Price(record.amount, record.currency, record.markup_percent)

    @property
    def payments(self) -> tuple[Payment, ...]:
        """The deposits as the machine judges them, kind by kind; one without a known rate is worth nothing yet."""
        return tuple(
            Payment(
                total.worth,
                total.stage,
                total.is_late,
                is_held=total.is_held and total.screening is Verdict.FLAGGED,
                is_too_small=total.is_too_small,
            )
            for total in self.totals
            if total.worth is not None
        )

    @property
    def deposit_count(self) -> int:
        """How many there ever were, those included that the chain took back."""
        return sum(total.count for total in self.totals)

    @property
    def machine(self) -> Invoice:
        record = self.record
        return Invoice(
            type=record.type,
            status=record.status,
            payment_state=record.payment_state,
            amount=record.amount,
            min_amount=record.min_amount,
            tolerance=Tolerance(record.under_percent, record.over_percent),
            is_late_accepted=record.is_late_accepted,
            is_cancelled=record.is_cancelled,
            is_deadline_passed=record.is_deadline_passed,
            accepted=record.accepted,
            is_late=record.is_late,
            announced=frozenset(EventType(name) for name in record.announced.split()),
        )

    def entry(self, method: str) -> MethodRecord | None:
        """The method as this invoice offers it; None if it does not."""
        return next((entry for entry in self.methods if entry.method == method), None)

    def quote(self, method: str) -> Quote | None:
        """The newest quote of a method; None where the payer decides how much."""
        quotes = self.quotes.get(method)
        return quotes[-1] if quotes else None

    def confirmations(self, placed: PlacedDeposit) -> int:
        """How many blocks confirm a deposit now; 0 if it is orphaned."""
        if placed.deposit.stage is deposit.Stage.ORPHANED:
            return 0
        return confirmations(placed.row.block_number, self.head_numbers.get(placed.deposit.network, 0))


@dataclass(frozen=True, slots=True)
class LoadedInvoice(InvoiceFacts):
    """An invoice as it can be shown."""

    newest: Sequence[PlacedDeposit] = ()  # oldest first
    callback: CallbackRecord | None = None


def facts(tx: Tx, invoice_id: str, store_id: str | None = None) -> InvoiceFacts:
    """What an invoice is judged by, without what only a look at it needs.

    Raises:
        NotFound: there is none, or it is not of the given store.
    """
    return _facts_of(tx, _record(tx, invoice_id, store_id))


def load(tx: Tx, invoice_id: str, store_id: str | None = None) -> LoadedInvoice:
    """The invoice as it can be shown.

    Raises:
        NotFound: there is none, or it is not of the given store.
    """
    return with_parts(tx, _record(tx, invoice_id, store_id))


def with_parts(tx: Tx, record: InvoiceRecord) -> LoadedInvoice:
    """The same, of a record at hand."""
    known = _facts_of(tx, record)
    return LoadedInvoice(
        record,
        known.methods,
        known.quotes,
        known.addresses,
        known.totals,
        known.head_numbers,
        deposits.newest_of_invoice(tx, record.id, DEPOSITS_SHOWN),
        callbacks.of_invoice(tx, record.id),
    )


def _record(tx: Tx, invoice_id: str, store_id: str | None) -> InvoiceRecord:
    record = invoices.by_id(tx, invoice_id)
    if record is None or store_id not in {None, record.store_id}:
        raise NotFound("invoice")
    return record


def _facts_of(tx: Tx, record: InvoiceRecord) -> InvoiceFacts:
    return InvoiceFacts(
        record,
        invoices.methods(tx, record.id),
        invoices.quotes(tx, record.id),
        holdings.of_invoice(tx, record.id),
        deposit_totals.of_invoice(tx, record.id),
        chain.head_numbers(tx),
    )
