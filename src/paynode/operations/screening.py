"""Screening deposits: what the lists say of their senders, what follows from it, and a person's word against it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from paynode.domain.deposit import FINAL, Stage
from paynode.domain.errors import Conflict, NotFound
from paynode.domain.events import EventType
from paynode.domain.screening import STANDING, Finding, Verdict, ask_again_after, conclude, holds
from paynode.domain.sweep import DepositSweep
from paynode.operations import collecting, held, loading
from paynode.operations.arrivals import Touched, judge_stage, tell_deposit
from paynode.operations.catalogue import Catalogue
from paynode.operations.judging import judge_again
from paynode.operations.screening_lists import ReadList, take, unusable
from paynode.store import bells, chain, deposits, screening
from paynode.store.database import Tx
from paynode.store.deposits import DepositRecord, PlacedDeposit
from paynode.store.screening import ScreeningRecord

LISTS = "lists"
CHAIN = "chain"
AT_ONCE = 50  # of one transaction

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Question:
    """A deposit whose senders others than our lists are to be asked about."""

    deposit_id: str
    network: str
    senders: tuple[str, ...]


def judge_due(
    tx: Tx, catalogue: Catalogue, asked_networks: Collection[str], now: datetime
) -> tuple[list[Question], bool]:
    """Judge the deposits that somebody is to be asked about by what is known here.

    Returns those that somebody out there is to be asked about too, on `asked_networks`, and whether there may be more.
    """
    questions: list[Question] = []
    due = screening.due(tx, now, AT_ONCE)
    for deposit_id in due:
        placed = deposits.placed(tx, deposit_id)
        known = _findings(tx, catalogue, placed, now)
        senders, network = _senders(placed), placed.deposit.network
        is_known = placed.deposit.screening in STANDING or conclude(known).verdict is Verdict.FLAGGED
        if is_known or not senders or network not in asked_networks:
            note(tx, catalogue, placed, known, now)
        else:
            questions.append(Question(deposit_id, network, tuple(senders)))
    return questions, len(due) == AT_ONCE


def answered(tx: Tx, catalogue: Catalogue, deposit_id: str, said: Sequence[Finding], now: datetime) -> None:
    """Judge a deposit by what others said of its senders, and by what is known here."""
    placed = deposits.placed(tx, deposit_id)
    note(tx, catalogue, placed, [*_findings(tx, catalogue, placed, now), *said], now)


def use_list(tx: Tx, catalogue: Catalogue, name: str, read: ReadList, now: datetime) -> None:
    """Use a file of addresses from now on; what it names is kept back at once, if it is not collected yet."""
    if take(tx, catalogue, name, read, now):
        for deposit_id in screening.uncollected_hits(tx):
            placed = deposits.placed(tx, deposit_id)
            note(tx, catalogue, placed, _findings(tx, catalogue, placed, now), now)


def _senders(placed: PlacedDeposit) -> list[str]:
    """Whoever sent it: by the log or trace that moved it, and by its transaction's signature."""
    return sorted({placed.row.sender, placed.row.tx_sender} - {""})


def _findings(tx: Tx, catalogue: Catalogue, placed: PlacedDeposit, now: datetime) -> list[Finding]:
    """What is known here of a deposit's senders."""
    found: list[Finding] = []
    if placed.deposit.network not in catalogue.networks:
        found.append(Finding(Verdict.NOT_SCREENED, CHAIN, "its network is not followed now"))
    elif not catalogue.is_screened(placed.deposit.network):
        return found
    if not (placed.row.sender and placed.row.tx_sender):
        reason = "no provider told who sent it"
        found.append(Finding(Verdict.NOT_SCREENED, CHAIN, reason, is_lasting=True))
    if catalogue.config.screening.deny_files:
        hits = screening.hits(tx, _senders(placed))
        found += [Finding(Verdict.FLAGGED, name, f"{address} is on {name}") for address, name in hits]
        bad = unusable(tx, catalogue, now)
        found += [Finding(Verdict.NOT_SCREENED, name, f"{name} {problem}") for name, problem in bad.items()]
        if not bad:
            found.append(Finding(Verdict.PASSED, LISTS))
    return found


def note(tx: Tx, catalogue: Catalogue, placed: PlacedDeposit, findings: list[Finding], now: datetime) -> None:
    """Conclude from what was found, and let it have its effect. What a person decided, or somebody knew, stays."""
    record, asked = placed.deposit, placed.screening or ScreeningRecord(placed.deposit.id)
    if record.screening in STANDING or record.stage is Stage.ORPHANED:
        screening.save(tx, replace(asked, ask_at=None))
        return
    said = conclude(findings)
    is_answer = said.verdict is not Verdict.NOT_SCREENED
    failed_count = 0 if is_answer else asked.failed_count + 1
    is_done_with = record.sweep_state is DepositSweep.SWEPT and record.stage is Stage.SETTLED
    is_over = is_answer or said.is_lasting or is_done_with
    ask_at = None if is_over else now + ask_again_after(failed_count)
    known = ScreeningRecord(record.id, said.source, said.reason, now, ask_at, failed_count)
    screening.save(tx, known)
    policy = catalogue.screening_policy(record.store_id)
    is_held = holds(said.verdict, policy, is_settled=record.stage is Stage.SETTLED)
    changed = replace(record, screening=said.verdict, is_held=is_held)
    if changed == record:
        return
    touched = _have_effect(tx, catalogue, changed, now)
    if said.verdict is Verdict.FLAGGED:
        log.warning("deposit_flagged", deposit=record.id, reason=said.reason, held=is_held)
        _tell(tx, catalogue, record.id, EventType.SCREENING_FLAGGED, now)
    _judge(tx, catalogue, touched, now)


def release(
    tx: Tx, catalogue: Catalogue, deposit_id: str, reason: str, now: datetime, store_id: str | None = None
) -> PlacedDeposit:
    """Let a deposit go that is kept back, or clear one that is only marked; doing it again changes nothing.

    Raises:
        NotFound: no such deposit, or not of this store.
        Conflict: nothing keeps it back.
    """
    placed = deposits.by_id(tx, deposit_id)
    if placed is None or store_id not in {None, placed.deposit.store_id}:
        raise NotFound("deposit")
    record = placed.deposit
    if record.screening is Verdict.RELEASED:
        return placed
    if record.stage is Stage.ORPHANED:
        raise Conflict("deposit_orphaned", "The chain took this deposit back; if it returns, it is a new deposit.")
    if not record.is_held and record.screening is not Verdict.FLAGGED:
        raise Conflict("deposit_not_held", "Screening does not keep this deposit back: there is nothing to release.")
    asked = placed.screening or ScreeningRecord(record.id)
    screening.save(tx, replace(asked, ask_at=None, released_at=now, note=reason))
    touched = _have_effect(tx, catalogue, replace(record, screening=Verdict.RELEASED, is_held=False), now)
    log.info("deposit_released", deposit=record.id, note=reason)
    _tell(tx, catalogue, record.id, EventType.SCREENING_RELEASED, now)
    _judge(tx, catalogue, touched, now)
    return deposits.placed(tx, deposit_id)


def _have_effect(tx: Tx, catalogue: Catalogue, changed: DepositRecord, now: datetime) -> Touched:
    """Save a deposit with another verdict, and what follows: its stage, where the ledger has it, why it waits."""
    touched = Touched()
    deposits.save(tx, changed)
    head_number = chain.network(tx, changed.network).head_number or 0
    placed = deposits.placed(tx, changed.id)
    judge_stage(tx, catalogue, placed, head_number, touched, now)
    record = deposits.placed(tx, changed.id).deposit
    if record.stage in FINAL:
        record = collecting.judge_deposit(tx, record)
    held.book(tx, record.id, now)
    if record.invoice_id is not None:
        touched.add(record.invoice_id)
    tx.ring(bells.OUTGOING)
    return touched


def _tell(tx: Tx, catalogue: Catalogue, deposit_id: str, kind: EventType, now: datetime) -> None:
    placed = deposits.placed(tx, deposit_id)
    invoice_id = placed.deposit.invoice_id
    loaded = None if invoice_id is None else loading.facts(tx, invoice_id)
    tell_deposit(tx, catalogue, kind, placed, loaded, now)


def _judge(tx: Tx, catalogue: Catalogue, touched: Touched, now: datetime) -> None:
    for invoice_id, events in touched.events.items():
        judge_again(tx, catalogue, invoice_id, now, first=events)
