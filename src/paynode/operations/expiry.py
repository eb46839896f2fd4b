"""Deadlines: an invoice expires only once the chains it asked for money on have passed them (I26).

Never on a chain that we cannot see. An invoice without an address asked no chain, and expires by the clock.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from paynode.operations.catalogue import Catalogue
from paynode.operations.judging import judge_again
from paynode.store import chain, invoices
from paynode.store.database import Tx
from paynode.store.invoices import InvoiceRecord


def expire_without_address(tx: Tx, catalogue: Catalogue, now: datetime) -> int:
    """Expire invoices by the clock that no chain can judge, as none of their addresses was issued; returns how many."""
    expired = [record for record in invoices.past_deadline(tx, now) if not _issued_networks(tx, catalogue, record)]
    for record in expired:
        invoices.save(tx, replace(record, is_deadline_passed=True))
        judge_again(tx, catalogue, record.id, now)
    return len(expired)


def past_deadline_on_chain(tx: Tx, catalogue: Catalogue, network: str) -> Iterable[InvoiceRecord]:
    """Invoices whose deadline every network with an issued address of theirs has passed, this one among them.

    A chain that we cannot see, or whose view is doubtful, passes nothing.
    """
    cursor = chain.cursor(tx, network)
    if cursor is None or chain.network(tx, network).hold is not None:
        return
    for record in invoices.past_deadline(tx, cursor.at):
        issued = _issued_networks(tx, catalogue, record)
        if network in issued and all(_has_passed(tx, name, record.expires_at) for name in issued):
            yield record


def _has_passed(tx: Tx, network: str, deadline: datetime) -> bool:
    cursor = chain.cursor(tx, network)
    return cursor is not None and cursor.at > deadline and chain.network(tx, network).hold is None


def _issued_networks(tx: Tx, catalogue: Catalogue, record: InvoiceRecord) -> set[str]:
    """The networks on which the invoice asked for money; one that left the config judges nothing any more."""
    return {
        entry.network
        for entry in invoices.methods(tx, record.id)
        if entry.provisioned_at is not None and entry.network in catalogue.networks
    }
