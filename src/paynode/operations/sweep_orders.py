"""Sweeps that a person asks for: what would be collected now and why not the rest, ordering it, and calling it off.

An order need not pay, but what forbids a sweep forbids an ordered one, too. What lies on one address in one coin goes
together.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from paynode.domain.deposit import FINAL, Stage
from paynode.domain.errors import Conflict, Invalid, NotFound
from paynode.domain.sweep import UNSIGNED, DepositSweep, ItemState, State, Wait
from paynode.operations.arrivals import Touched
from paynode.operations.catalogue import Catalogue
from paynode.operations.judging import judge_again
from paynode.operations.sweep_items import set_item
from paynode.operations.sweeps import queue
from paynode.operations.weighing import ITEMS_MAX, Pile, Weighing, known_prices, pile_of
from paynode.store import deposits, invoices, sweeps
from paynode.store.database import Tx
from paynode.store.deposits import DepositRecord
from paynode.store.sweeps import SweepRecord

SHOWN_MAX = 1000  # deposits of one preview


@dataclass(frozen=True, slots=True)
class Selection:
    """What a person wants to collect; all of the store's, where nothing is named."""

    store_id: str
    method: str | None = None
    invoice_ids: Sequence[str] = ()
    deposit_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would become of one deposit."""

    deposit: DepositRecord
    reason: Wait | None  # why it would not be collected; None: it would, or was


@dataclass(frozen=True, slots=True)
class Judged:
    """A selection, judged: what of it would be collected now."""

    outlooks: Sequence[Outlook]
    piles: Sequence[tuple[str, Pile, int]]  # that would go: the network, what goes, and the fee at most
    has_more: bool  # there is more than was looked at


def judge(tx: Tx, catalogue: Catalogue, selection: Selection, now: datetime) -> Judged:
    """Judge what an order would collect now.

    Raises:
        Invalid: it names what is not there.
    """
    chosen = _chosen(tx, catalogue, selection)
    weighings: dict[str, Weighing] = {}
    by_pair: dict[tuple[str, str, str], Wait | None] = {}
    going: list[tuple[str, Pile, int]] = []
    outlooks: list[Outlook] = []
    for record in chosen[:SHOWN_MAX]:
        wait = _before_it_may_go(record)
        pair = (record.network, record.address, record.method)
        if wait is None and record.sweep_state is not DepositSweep.SWEPT and pair not in by_pair:
            if record.network not in weighings:
                prices = known_prices(tx, record.network, now)
                weighings[record.network] = Weighing(tx, catalogue, record.network, prices, now, is_ordered=True)
            weighing, pile = weighings[record.network], pile_of(tx, *pair)
            assert pile is not None, "a settled deposit that is not collected lies somewhere"
            by_pair[pair] = weighing.reason_to_wait(pile)
            if by_pair[pair] is None:
                going.append((record.network, pile, weighing.fee_units(pile) or 0))
        if record.sweep_state is not DepositSweep.SWEPT:
            wait = wait or by_pair.get(pair)
        outlooks.append(Outlook(record, wait))
    return Judged(outlooks, going, has_more=len(chosen) > SHOWN_MAX)


def order(tx: Tx, catalogue: Catalogue, selection: Selection, now: datetime) -> tuple[list[SweepRecord], Judged]:
    """Plan sweeps of what was selected, now; returns them, and what became of each deposit.

    Raises:
        Invalid: it names what is not there.
        Conflict: nothing of it can be collected now.
    """
    judged = judge(tx, catalogue, selection, now)
    if not judged.piles:
        reasons = ", ".join(sorted({each.reason for each in judged.outlooks if each.reason is not None}))
        raise Conflict("nothing_to_sweep", f"Nothing of it can be collected now ({reasons or 'nothing is there'}).")
    together: dict[tuple[str, str], list[Pile]] = {}
    for network, pile, _ in judged.piles:
        together.setdefault((network, pile.method), []).append(pile)
    made = [
        queue(tx, catalogue, network, selection.store_id, method, found[start : start + ITEMS_MAX], now)
        for (network, method), found in together.items()
        for start in range(0, len(found), ITEMS_MAX)
    ]
    return made, judged


def cancel(tx: Tx, catalogue: Catalogue, sweep_id: str, now: datetime, store_id: str | None = None) -> SweepRecord:
    """Call off what of a sweep is not signed yet; doing it again changes nothing.

    Raises:
        NotFound: no such sweep, or not of this store.
        Conflict: all of it is signed already, and may be out.
    """
    record = sweeps.by_id(tx, sweep_id)
    if record is None or store_id not in {None, record.store_id}:
        raise NotFound("sweep")
    open_items = [item for item in sweeps.items(tx, sweep_id) if item.state in UNSIGNED]
    if not open_items and record.state is not State.CANCELLED:
        raise Conflict("sweep_signed", f"This sweep is {record.state}: what is signed may be out already.")
    touched = Touched()
    for item in open_items:
        set_item(tx, catalogue, replace(item, reason="cancelled"), ItemState.CANCELLED, touched, now)
    for invoice_id in touched.events:
        judge_again(tx, catalogue, invoice_id, now)
    cancelled = sweeps.by_id(tx, sweep_id)
    assert cancelled is not None, "sweeps are never deleted"
    return cancelled


def _before_it_may_go(record: DepositRecord) -> Wait | None:
    """What of the deposit itself keeps it where it is."""
    if record.stage not in FINAL:
        return Wait.NOT_FINAL
    if record.is_held:
        return Wait.HELD
    if record.sweep_wait is Wait.LOST:
        return Wait.LOST
    return Wait.UNDER_WAY if record.sweep_state in {DepositSweep.SCHEDULED, DepositSweep.SWEEPING} else None


def _chosen(tx: Tx, catalogue: Catalogue, selection: Selection) -> list[DepositRecord]:
    """The deposits that are meant, each once, without those that the chain took back."""
    named = [*_of_invoices(tx, selection), *_of_ids(tx, selection)]
    if not selection.invoice_ids and not selection.deposit_ids:
        named = [
            record
            for network in catalogue.networks
            for record in deposits.uncollected(tx, network, selection.store_id, SHOWN_MAX + 1)
        ]
    found = {record.id: record for record in named if record.stage is not Stage.ORPHANED}
    return [record for record in found.values() if selection.method in {None, record.method}]


def _of_invoices(tx: Tx, selection: Selection) -> Iterator[DepositRecord]:
    for position, invoice_id in enumerate(selection.invoice_ids):
        invoice = invoices.by_id(tx, invoice_id)
        if invoice is None or invoice.store_id != selection.store_id:
            raise Invalid.field(f"/invoices/{position}", "unknown_invoice", "There is no such invoice.")
        yield from (placed.deposit for placed in deposits.of_invoice(tx, invoice_id))


def _of_ids(tx: Tx, selection: Selection) -> Iterable[DepositRecord]:
    for position, deposit_id in enumerate(selection.deposit_ids):
        placed = deposits.by_id(tx, deposit_id)
        if placed is None or placed.deposit.store_id != selection.store_id:
            raise Invalid.field(f"/deposits/{position}", "unknown_deposit", "There is no such deposit.")
        yield placed.deposit
