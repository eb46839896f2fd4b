"""The books of an address that had a past begin with it: the owner's money, and its nonce."""

from collections.abc import Iterable
from datetime import datetime

import structlog

from paynode.domain import ledger as postings
from paynode.domain.chain import Observation, RowKind
from paynode.domain.ledger import Account
from paynode.operations.catalogue import Catalogue
from paynode.store import chain_rows, ledger, openings, outgoing, watches
from paynode.store.chain_rows import RowRecord
from paynode.store.database import Tx

log = structlog.get_logger()


def unopened(tx: Tx, network: str, gas_addresses: Iterable[str]) -> frozenset[str]:
    """Gas accounts of which nothing is known: no row, no transaction of ours, no opening."""
    addresses = sorted(gas_addresses)
    known = chain_rows.addresses_with_rows(tx, network, addresses)
    known |= outgoing.next_unfinal_nonces(tx, network, addresses).keys()
    return frozenset(address for address in addresses if address not in known)


def record(tx: Tx, network: str, observation: Observation) -> None:
    """Remember the nonces that books begin with."""
    for address, nonce in observation.openings.items():
        openings.add(tx, network, address, nonce)
        if nonce:
            log.warning("account_used_before", network=network, address=address, nonce=nonce)


def is_opening(row: RowRecord) -> bool:
    return row.kind is RowKind.ADJUSTMENT and row.as_row().effect > 0


def became_final(tx: Tx, catalogue: Catalogue, row: RowRecord, now: datetime) -> None:
    """What lay there is known for good: book it as the owner's."""
    watch = watches.watch(tx, row.network, row.address)
    assert watch is not None, "rows are only of addresses we watch"
    is_fee_money = watch.invoice_id is None or row.method == catalogue.native(row.network).method
    posting = postings.opened(Account.GAS if is_fee_money else Account.DEPOSITS, row.method, row.credited)
    ledger.post(tx, watch.store_id, posting, cause=f"row:{row.id}", reason="opened", now=now)


def undone(tx: Tx, row: RowRecord, now: datetime) -> None:
    """The block that the books began with left the chain, or was not as it was told: they begin anew."""
    openings.remove(tx, row.network, row.address)
    if row.confirmed_at is None:
        return
    watch = watches.watch(tx, row.network, row.address)
    assert watch is not None, "rows are only of addresses we watch"
    posting = postings.undone(ledger.posted(tx, f"row:{row.id}"))
    ledger.post(tx, watch.store_id, posting, cause=f"row:{row.id}", reason="opening_undone", now=now)
