"""Money that screening keeps back: from when it is seen, and where the ledger has it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from paynode.domain import ledger as postings
from paynode.domain.ledger import Account
from paynode.domain.screening import STANDING, Verdict
from paynode.domain.sweep import ItemState
from paynode.operations.catalogue import Catalogue
from paynode.store import bells, deposits, ledger, screening, sweeps
from paynode.store.database import Tx
from paynode.store.deposits import DepositRecord
from paynode.store.screening import ScreeningRecord

_LEAVING = frozenset({ItemState.BROADCASTING, ItemState.CONFIRMING, ItemState.COMPLETED})  # signed, so perhaps gone


def first_verdict(catalogue: Catalogue, network: str, replaced: DepositRecord | None) -> tuple[Verdict, bool]:
    """How a new deposit begins, and whether it is kept back: until somebody has been asked, if anybody is to be.

    Of the same payment in another block what somebody knew, or a person decided, stays. Anything else is asked again:
    while it was in no block nobody was told of it, and lists went on.
    """
    if replaced is not None and replaced.screening in STANDING:
        return replaced.screening, replaced.is_held
    is_screened = catalogue.is_screened(network)
    return (Verdict.PENDING if is_screened else Verdict.NOT_SCREENED), is_screened


def begin(tx: Tx, record: DepositRecord, replaced: DepositRecord | None, now: datetime) -> None:
    """Have somebody asked about a new deposit, or note what stands of it."""
    if record.screening is Verdict.PENDING:
        screening.save(tx, ScreeningRecord(record.id, ask_at=now))
        tx.ring(bells.SCREENING)
    elif replaced is not None and record.screening in STANDING:
        before = screening.of_deposit(tx, replaced.id)
        assert before is not None, "a verdict that stands has its reason"
        screening.save(tx, replace(before, deposit_id=record.id))


def book_each(tx: Tx, records: Iterable[DepositRecord], now: datetime) -> None:
    """After something of these deposits was collected, or is gone, or came back."""
    for record in records:
        if record.is_held:
            book(tx, record.id, now)


def book(tx: Tx, deposit_id: str, now: datetime) -> None:
    """Let the ledger hold back what is kept back of a deposit: final money that is still on its address."""
    placed = deposits.placed(tx, deposit_id)
    record, row = placed.deposit, placed.row
    held = 0
    is_final = row.confirmed_at is not None and row.voided_at is None
    if record.is_held and record.screening is not Verdict.PENDING and is_final:
        leaving = sum(share.units for share in sweeps.shares_of_deposit(tx, record.id) if share.state in _LEAVING)
        held = max(0, record.units - record.lost - record.withdrawn - leaving)
    cause = f"{record.id}:held"
    booked = sum(entry.units for entry in ledger.posted(tx, cause) if entry.account is Account.HELD)
    if held != booked:
        posting = postings.deposit_held(record.method, held - booked)
        ledger.post(tx, record.store_id, posting, cause=cause, reason="deposit_held", now=now)
