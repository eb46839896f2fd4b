"""An invoice with all that belongs to it, loaded at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paynode.domain import deposit
from paynode.domain.chain import confirmations
from paynode.domain.errors import NotFound
from paynode.domain.events import EventType
from paynode.domain.invoice import Invoice, Payment, Tolerance
from paynode.domain.quote import Price, Quote
from paynode.domain.screening import Verdict
from paynode.store import callbacks, chain, deposits, holdings, invoices
from paynode.store.callbacks import CallbackRecord
from paynode.store.database import Tx
from paynode.store.deposits import PlacedDeposit
from paynode.store.holdings import HoldingRecord
from paynode.store.invoices import InvoiceRecord, MethodRecord


@dataclass(frozen=True, slots=True)
class LoadedInvoice:
    record: InvoiceRecord
    methods: Sequence[MethodRecord]
    quotes: Mapping[str, Sequence[Quote]]  # by method, oldest first
    addresses: Mapping[str, HoldingRecord]  # by family
    deposits: Sequence[PlacedDeposit]
    head_numbers: Mapping[str, int]  # by network, of those with a deposit
    callback: CallbackRecord | None = None

    @property
    def price(self) -> Price | None:
        """What is asked for; None where the payer decides."""
        record = self.record
        return None if record.amount is None else Price(record.amount, record.currency, record.markup_percent)

    @property
    def payments(self) -> tuple[Payment, ...]:
        """The deposits as the machine judges them; one without a known rate is worth nothing yet."""
        return tuple(
            Payment(
                placed.deposit.worth,
                placed.deposit.stage,
                placed.deposit.is_late,
                is_held=placed.deposit.is_held and placed.deposit.screening is Verdict.FLAGGED,
            )
            for placed in self.deposits
            if placed.deposit.worth is not None
        )

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


def load(tx: Tx, invoice_id: str, store_id: str | None = None) -> LoadedInvoice:
    """The invoice, whole.

    Raises:
        NotFound: there is none, or it is not of the given store.
    """
    record = invoices.by_id(tx, invoice_id)
    if record is None or store_id not in {None, record.store_id}:
        raise NotFound("invoice")
    return with_parts(tx, record)


def with_parts(tx: Tx, record: InvoiceRecord) -> LoadedInvoice:
    """The same, of a record at hand."""
    placed = deposits.of_invoice(tx, record.id)
    heads = {name: chain.network(tx, name).head_number or 0 for name in {p.deposit.network for p in placed}}
    return LoadedInvoice(
        record,
        invoices.methods(tx, record.id),
        invoices.quotes(tx, record.id),
        holdings.of_invoice(tx, record.id),
        placed,
        heads,
        callbacks.of_invoice(tx, record.id),
    )
