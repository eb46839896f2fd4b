"""Giving money that no invoice asked for to the invoice it was meant for.

It lies on an address of ours already and is in the ledger as the customers'; what changes is only what it counts for.
"""

from dataclasses import replace
from datetime import datetime

from paynode.domain.deposit import Stage
from paynode.domain.errors import Conflict, NotFound
from paynode.domain.events import EventType
from paynode.operations import loading
from paynode.operations.arrivals import is_late, tell_deposit, valued
from paynode.operations.catalogue import Catalogue
from paynode.operations.judging import judge_again
from paynode.store import deposits
from paynode.store.database import Tx
from paynode.store.deposits import PlacedDeposit


def assign(
    tx: Tx, catalogue: Catalogue, deposit_id: str, invoice_id: str, now: datetime, store_id: str | None = None
) -> PlacedDeposit:
    """Count an unattributed deposit for an invoice of its store; doing it again changes nothing.

    It is worth what any money at its moment is, and late if it came after that invoice's deadline: whose it is may be
    decided later, when it came may not.

    Raises:
        NotFound: no such deposit or invoice, or not of this store.
        Conflict: it counts for another invoice already, or its block left the chain.
    """
    placed = deposits.by_id(tx, deposit_id)
    if placed is None or store_id not in {None, placed.deposit.store_id}:
        raise NotFound("deposit")
    record = placed.deposit
    loaded = loading.facts(tx, invoice_id, record.store_id)
    if record.invoice_id == invoice_id:
        return placed
    if record.invoice_id is not None:
        raise Conflict("deposit_assigned", f"This deposit counts for invoice {record.invoice_id} already.")
    if record.stage is Stage.ORPHANED:
        raise Conflict("deposit_orphaned", "The chain took this deposit back; if it returns, it is a new deposit.")
    record = replace(record, invoice_id=invoice_id, is_late=is_late(loaded, record.seen_at))
    record = valued(tx, catalogue, loaded, record)
    deposits.save(tx, record)
    placed = replace(placed, deposit=record)
    if record.is_late:
        tell_deposit(tx, catalogue, EventType.DEPOSIT_LATE, placed, loaded, now)
    first = [EventType.INVOICE_DEPOSIT_DETECTED]
    if record.stage is Stage.SETTLED:
        first.append(EventType.INVOICE_DEPOSIT_CONFIRMED)
    judge_again(tx, catalogue, invoice_id, now, first=first)
    return placed
