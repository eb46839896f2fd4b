"""From what a network showed to what we believe: the books of a tick, and the one transaction that ends it.

`apply_observation` is rule 11 of the detection algorithm: rows, voids, disputes, checkpoint, ledger, judged invoices
and events together. A crash before it: the tick never was.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from paynode.domain import ledger as postings
from paynode.domain.chain import AHEAD_MAX, Books, Observation, OwnTx, RowKind
from paynode.domain.money import format_units
from paynode.operations import losses, opening, receipts, rescue
from paynode.operations.arrivals import Touched, age, arrived, became_final, left
from paynode.operations.catalogue import Catalogue
from paynode.operations.expiry import newest_passed_deadline, past_deadline_on_chain
from paynode.operations.judging import judge_again
from paynode.operations.opening import is_opening
from paynode.operations.outflows import pause
from paynode.store import bells, chain, chain_rows, invoices, ledger, outgoing, rescues, stores, sweeps, watches
from paynode.store.chain_rows import RowRecord
from paynode.store.database import Tx

DUST_SHARE = 1000  # less than this part of what is due is not worth a search: no payer means it as a payment

MINED_AGAIN = timedelta(days=1)  # what a reorganisation drops is in another block within minutes, or paid anew


def load_books(tx: Tx, catalogue: Catalogue, network: str, *, is_wide: bool = True) -> Books:
    """What one tick of `network` needs to know; a wide one is about every address that is watched."""
    checkpoints, config = chain.checkpoints(tx, network), catalogue.networks[network]
    cursor_number = checkpoints[0].number if checkpoints else 0
    open_watches = watches.open_watches(
        tx, network, horizon_number=cursor_number - config.reorg_horizon, is_wide=is_wide
    )
    addresses = [record.address for record in open_watches]
    final = (each.at for each in checkpoints if each.number <= cursor_number - config.confirmations)
    final_at = next(final, None)
    over_at = None if final_at is None else final_at - AHEAD_MAX  # a checkpoint's time is one provider's word
    methods = catalogue.methods_of(network)
    invoice_ids = [record.invoice_id for record in open_watches if record.invoice_id is not None]
    due_by_invoice = invoices.smallest_due(tx, invoice_ids, catalogue.native(network).method)
    under_way = [record for record in outgoing.under_way(tx, network) if record.nonce is not None]
    own = [
        OwnTx(record.id, record.sender, record.nonce, tuple(v.tx_hash for v in outgoing.versions(tx, record.id)))
        for record in under_way
        if record.nonce is not None
    ]
    gas_addresses = stores.gas_addresses(tx, catalogue.family(network))
    own_addresses = frozenset(gas_addresses) | frozenset(addresses)
    return Books(
        checkpoints=checkpoints,
        watches=[
            watches.as_watch(record, methods, due_by_invoice.get(record.invoice_id or "", 0) // DUST_SHARE, over_at)
            for record in open_watches
        ],
        rows=[record.as_row() for record in chain_rows.standing_rows(tx, network, addresses)],
        disputes=watches.disputes(tx, network),
        floors=watches.floors(tx, network, addresses),
        own=own,
        own_addresses=own_addresses,
        own_nonces=outgoing.next_unfinal_nonces(tx, network, own_addresses),
        horizon=config.reorg_horizon,
        newest_final=chain_rows.newest_final(tx, network, checkpoints[-1].number if checkpoints else 0),
        is_awaited=watches.is_awaiting(tx, network),
        passed_deadline=newest_passed_deadline(tx, network),
        is_wide=is_wide,
        wide=chain.wide_numbers(tx, network),
        treasuries=sweeps.treasury_addresses(tx, network),
        unopened=opening.unopened(tx, network, gas_addresses),
        touched=rescues.deep_checks(tx, network),
        claims=rescues.due_claims(tx, network),
        unseen={record.address: record.unseen for record in open_watches if record.unseen is not None},
    )


def apply_observation(
    tx: Tx, catalogue: Catalogue, network: str, books: Books, observation: Observation, now: datetime
) -> None:
    """Store what a tick found and judge every invoice that it touches."""
    touched = Touched()
    if observation.fork_number is not None:
        chain.fork_at(tx, network, observation.fork_number)
    for row_id in (*observation.voided, *observation.dropped):
        _void(tx, catalogue, chain_rows.row(tx, row_id), touched, now)
    gone = [chain_rows.row(tx, row_id) for row_id in observation.voided]
    _look_out_for(tx, gone, now)
    for row in observation.rows:
        new_id = chain_rows.add_row(tx, network, row, now)
        if new_id is None:
            continue
        if row.kind is RowKind.IN and not row.own:
            arrived(tx, catalogue, chain_rows.row(tx, new_id), touched, now)
        elif losses.is_loss(tx, chain_rows.row(tx, new_id)):
            losses.noticed(tx, catalogue, chain_rows.row(tx, new_id), now)
    for row_id, credit in observation.credits.items():
        if chain_rows.set_credit(tx, row_id, credit):
            losses.brought_less(tx, chain_rows.row(tx, row_id), touched)
    for row_id, credit in observation.confirmed.items() if observation.hold is None else ():
        if chain_rows.confirm_row(tx, row_id, credit, now):
            _confirm(tx, catalogue, chain_rows.row(tx, row_id), touched, now)
    opening.record(tx, network, observation)
    receipts.apply(tx, catalogue, network, books, observation, touched, now)
    losses.exposed(tx, catalogue, network, observation.coded, now)
    watches.set_floors(tx, network, observation.floors)
    watches.close(tx, network, observation.ended - {row.address for row in gone})
    watches.replace_disputes(tx, network, observation.disputes.values())
    rescues.looked(tx, network, {watch.address for watch in books.watches}, observation.read_again)
    rescue.answered(tx, network, observation.claims, now)
    before = chain.network(tx, network)
    chain.save_network(
        tx,
        replace(
            before,
            head_number=observation.head.number,
            head_hash=observation.head.hash,
            head_at=observation.head.at,
            looked_at=now,
            hold=observation.hold,
            agreed_until=observation.agreed_until or before.agreed_until,
        ),
    )
    tx.ring(bells.head_of(network))
    if observation.checkpoint is not None and observation.checkpoint != books.cursor:
        chain.add_checkpoint(tx, network, observation.checkpoint, is_wide=books.is_wide)
        disputed = {pair.address for pair in observation.disputes}
        watches.seen(tx, network, [address for address in books.unseen if address not in disputed])
    age(tx, catalogue, network, observation.head.number, touched, now)
    for record in past_deadline_on_chain(tx, catalogue, network):
        invoices.save(tx, replace(record, is_deadline_passed=True))
        touched.events.setdefault(record.id, [])
    for invoice_id, events in touched.events.items():
        judge_again(tx, catalogue, invoice_id, now, first=events)
    if touched.events:
        tx.ring(bells.OUTGOING)


def _void(tx: Tx, catalogue: Catalogue, row: RowRecord, touched: Touched, now: datetime) -> None:
    if not chain_rows.void_row(tx, row.id, now):
        return
    if is_opening(row):
        opening.undone(tx, row, now)
    elif losses.is_loss(tx, row):
        losses.found_again(tx, catalogue, row, touched, now)
    elif row.kind is RowKind.OUT:
        receipts.reopen(tx, catalogue, row, touched, now)
    elif row.kind is RowKind.IN and not row.own:
        store_id, units = _owner(tx, row), row.credited
        is_deposit = left(tx, catalogue, row, touched, now)
        if row.confirmed_at is None:
            return
        undo = postings.deposit_reversed if is_deposit else postings.owner_funding_reversed
        ledger.post(tx, store_id, undo(row.method, units), cause=f"row:{row.id}", reason=undo.__name__, now=now)
        if is_deposit:
            asset = catalogue.assets.get(row.method)
            amount = f"{units} units" if asset is None else f"{format_units(units, asset.decimals)} {asset.symbol}"
            what = f"{amount} in {row.tx_hash or row.block_hash} were final and the chain took them back"
            pause(tx, catalogue, row.network, row.method, what, now)


def _look_out_for(tx: Tx, gone: Iterable[RowRecord], now: datetime) -> None:
    """Watch the addresses of what left the chain for as long as it may take to come back."""
    for row in gone:
        watch = watches.watch(tx, row.network, row.address)
        if watch is not None and watch.watch_until is not None:
            watches.reopen(tx, replace(watch, watch_until=max(now, row.block_at) + MINED_AGAIN))


def _confirm(tx: Tx, catalogue: Catalogue, row: RowRecord, touched: Touched, now: datetime) -> None:
    """Book what a row moved into our addresses, or out without us; what we sent is booked with its receipt."""
    if is_opening(row):
        opening.became_final(tx, catalogue, row, now)
    elif losses.is_loss(tx, row):
        losses.became_final(tx, catalogue, row, touched, now)
    if row.kind is not RowKind.IN or row.own:
        return
    units = row.credited
    post = postings.deposit_confirmed if became_final(tx, catalogue, row) else postings.owner_funded
    ledger.post(tx, _owner(tx, row), post(row.method, units), cause=f"row:{row.id}", reason=post.__name__, now=now)


def _owner(tx: Tx, row: RowRecord) -> str:
    watch = watches.watch(tx, row.network, row.address)
    assert watch is not None, "rows are only of addresses we watch"
    return watch.store_id
