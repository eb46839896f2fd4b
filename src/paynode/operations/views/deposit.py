"""One transfer to one of our addresses, as its merchant sees it."""

from msgspec import field

from paynode.domain.deposit import Stage
from paynode.domain.money import format_units
from paynode.domain.screening import Verdict
from paynode.domain.sweep import DepositSweep, Wait
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import InvoiceFacts
from paynode.operations.views.shapes import Amount, Moment, UnitsText, Url, View, amount_of, moment, moment_or_none
from paynode.store.deposits import PlacedDeposit
from paynode.store.screening import ScreeningRecord


class DepositView(View, frozen=True, tag_field="object", tag="deposit"):
    id: str
    invoice: str | None
    method: str
    network: str
    address: str
    address_invoice: str
    tx_hash: str | None
    log_index: int | None
    block_number: int
    block_hash: str
    sender: str | None = field(name="from")
    amount: Amount | None
    amount_units: UnitsText
    value: Amount | None
    state: Stage
    confirmations: int
    confirmations_required: int | None
    late: bool
    below_minimum: bool
    replaces: str | None
    screening: Verdict
    screening_source: str | None
    screening_reason: str | None
    screened_at: Moment | None
    held: bool
    released_at: Moment | None
    release_note: str | None
    sweep_state: DepositSweep
    sweep_wait: Wait | None
    explorer_url: Url | None
    block_at: Moment
    detected_at: Moment
    confirmed_at: Moment | None


def deposit(
    catalogue: Catalogue, placed: PlacedDeposit, loaded: InvoiceFacts | None, head_number: int = 0
) -> DepositView:
    """`loaded` is its invoice, if it has one; without, `head_number` tells how deep it lies."""
    record, row, asked = placed.deposit, placed.row, placed.screening or ScreeningRecord(placed.deposit.id)
    asset = catalogue.assets.get(record.method)
    depths = {} if loaded is None else {entry.method: entry.confirmations for entry in loaded.methods}
    required = depths.get(record.method)
    if required is None and record.network in catalogue.networks:
        required = catalogue.networks[record.network].confirmations
    if loaded is not None:
        depth = loaded.confirmations(placed)
    else:
        depth = 0 if record.stage is Stage.ORPHANED else max(0, head_number - row.block_number + 1)
    return DepositView(
        id=record.id,
        invoice=record.invoice_id,
        method=record.method,
        network=record.network,
        address=record.address,
        address_invoice=record.address_invoice_id,
        tx_hash=row.tx_hash or None,
        log_index=row.log_index if row.log_index >= 0 else None,
        block_number=row.block_number,
        block_hash=row.block_hash,
        sender=row.sender or row.tx_sender or None,
        amount=None if asset is None else format_units(record.units, asset.decimals),
        amount_units=str(record.units),
        value=None
        if record.worth is None or loaded is None
        else amount_of(catalogue, loaded.record.currency, record.worth),
        state=record.stage,
        confirmations=depth,
        confirmations_required=required,
        late=record.is_late,
        below_minimum=record.is_too_small,
        replaces=record.replaces,
        screening=record.screening,
        screening_source=asked.source or None,
        screening_reason=asked.reason,
        screened_at=moment_or_none(asked.at),
        held=record.is_held,
        released_at=moment_or_none(asked.released_at),
        release_note=asked.note,
        sweep_state=record.sweep_state,
        sweep_wait=record.sweep_wait,
        explorer_url=catalogue.explorer_tx_url(record.network, row.tx_hash),
        block_at=moment(row.block_at),
        detected_at=moment(record.detected_at),
        confirmed_at=moment_or_none(record.confirmed_at),
    )
