"""Deadlines: an invoice expires only once the chains it asked for money on have passed them (I26).

Never on a chain that we cannot see, or on one provider's word where there are more, and not while more lies on its
address than anything explains: that may be its payment. An invoice without an address asked no chain, and expires by
the clock, as long as the chains do not contradict it.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from paynode.domain.chain import Pair
from paynode.operations.catalogue import Catalogue
from paynode.operations.judging import judge_again
from paynode.store import chain, invoices, watches
from paynode.store.database import Tx
from paynode.store.invoices import InvoiceRecord

CLOCK_TOLERANCE = timedelta(minutes=15)  # how far our clock may be ahead of every chain: an idle one rests for ten
SURPLUS_PATIENCE = timedelta(hours=6)  # past the deadline: disputed pairs are read again hourly, late evidence comes


def expire_without_address(tx: Tx, catalogue: Catalogue, now: datetime) -> int:
    """Expire invoices by the clock that no chain can judge, as none of their addresses was issued; returns how many."""
    seen = [cursor.at for name in catalogue.networks if (cursor := chain.cursor(tx, name)) is not None]
    moment = min(now, max(seen) + CLOCK_TOLERANCE) if seen else now
    expired = invoices.past_deadline_unasked(tx, catalogue.networks, moment)
    for record in expired:
        invoices.save(tx, replace(record, is_deadline_passed=True))
        judge_again(tx, catalogue, record.id, now)
    return len(expired)


def past_deadline_on_chain(tx: Tx, catalogue: Catalogue, network: str) -> list[InvoiceRecord]:
    """Invoices whose deadline every network with an issued address of theirs has passed, this one among them.

    A chain that we cannot see, or whose view is doubtful, passes nothing; one that left the config is not asked.
    """
    seen = {name: _seen_until(tx, name) for name in catalogue.networks}
    surplus = {name: _surplus(tx, name) for name in catalogue.networks}
    return invoices.past_deadline_on(tx, network, seen, surplus, SURPLUS_PATIENCE)


def newest_passed_deadline(tx: Tx, network: str) -> datetime | None:
    """The newest deadline that the network's cursor is past, of an invoice that still waits for money there."""
    cursor = chain.cursor(tx, network)
    return None if cursor is None else invoices.newest_passed_deadline(tx, network, cursor.at)


def _surplus(tx: Tx, network: str) -> list[Pair]:
    """The pairs that hold more than their rows say, or of which nobody knows."""
    return [
        pair
        for pair, dispute in watches.disputes(tx, network).items()
        if dispute.observed_units is None or dispute.observed_units > dispute.expected_units
    ]


def _seen_until(tx: Tx, network: str) -> datetime | None:
    """The time of the newest block that is known to be more than one provider's word, and stands."""
    cursor, record = chain.cursor(tx, network), chain.network(tx, network)
    if cursor is None or record.agreed_until is None or record.hold is not None:
        return None
    return min(cursor.at, record.agreed_until)
