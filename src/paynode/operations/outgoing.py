"""What we send, step by step: planned, signed (bytes, hash and nonce are stored before they are seen), sent.

Only a plan may fail; what is signed ends by what the chain says.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto

from paynode.domain import ledger as postings
from paynode.domain.deposit import Stage
from paynode.domain.key_paths import deposit_path, gas_path
from paynode.domain.outgoing import ENDED, IN_FLIGHT, NEXT, PlannedTx, Purpose, SignedTx, State
from paynode.domain.screening import Verdict
from paynode.domain.sweep import ItemState, Lying
from paynode.operations.arrivals import Touched
from paynode.operations.catalogue import Catalogue
from paynode.operations.judging import judge_again
from paynode.operations.outflows import pause
from paynode.operations.sweep_items import move_item, set_item
from paynode.operations.weighing import treasury_of
from paynode.store import bells, chain, chain_rows, deposits, holdings, ledger, outgoing, stores, sweeps
from paynode.store.database import Tx
from paynode.store.ids import new_id
from paynode.store.outgoing import OutgoingRecord, VersionRecord
from paynode.store.records import Units
from paynode.store.stores import AccountRecord
from paynode.store.sweeps import ItemRecord, SweepRecord


@dataclass(frozen=True, slots=True)
class Work:
    """One item of a sweep that has not ended, with all that its next step needs."""

    item: ItemRecord
    sweep: SweepRecord
    account: AccountRecord
    hd_index: int
    top_up: OutgoingRecord | None
    is_native: bool


def items_to_move(tx: Tx, catalogue: Catalogue, network: str) -> list[Work]:
    """Items that wait for their next transaction to be planned: queued ones, and those whose top-up was mined."""
    found = []
    for item in sweeps.items_under_way(tx, network):
        if item.state not in {ItemState.QUEUED, ItemState.FUNDING} or item.method not in catalogue.assets:
            continue
        top_up = None if item.top_up_id is None else outgoing.by_id(tx, item.top_up_id)
        if item.state is ItemState.FUNDING and not (top_up is not None and top_up.receipt_succeeded is True):
            continue
        sweep = sweeps.by_id(tx, item.sweep_id)
        issued = holdings.address(tx, catalogue.family(network), item.address)
        assert sweep is not None, "an item belongs to a sweep"
        assert issued is not None, "only issued addresses are swept"
        account = stores.account(tx, issued.family, issued.account)
        assert account is not None, "an issued address has its branch"
        is_native = catalogue.assets[item.method].contract is None
        found.append(Work(item, sweep, account, issued.hd_index, top_up, is_native))
    return found


def _add(tx: Tx, record: OutgoingRecord) -> None:
    """Add a plan. If nothing else is under way, its network's scanner may rest, and is to see what becomes of it."""
    if not outgoing.under_way(tx, record.network):
        tx.ring(bells.WATCHES)
    outgoing.add(tx, record)


def plan_top_up(tx: Tx, catalogue: Catalogue, work: Work, units: int, now: datetime) -> None:
    """Plan lending `units` of the native coin to the item's address, for the fee of its transfer."""
    if _is_past(tx, work):
        return
    network = work.item.network
    record = OutgoingRecord(
        id=new_id("txn", now),
        network=network,
        store_id=work.sweep.store_id,
        purpose=Purpose.TOP_UP,
        state=State.PLANNED,
        sender=work.account.gas_address,
        key_path=gas_path(work.account.account),
        recipient=work.item.address,
        method=catalogue.native(network).method,
        units=Units(units),
        empties_sender=False,
        created_at=now,
        updated_at=now,
    )
    _add(tx, record)
    _set(tx, catalogue, replace(work.item, top_up_id=record.id), ItemState.FUNDING, now)


def fail_item(tx: Tx, catalogue: Catalogue, work: Work, reason: str, now: datetime) -> None:
    """Give up an item that no transfer was planned for."""
    if not _is_past(tx, work):
        _set(tx, catalogue, replace(work.item, reason=reason), ItemState.FAILED, now)


def _is_past(tx: Tx, work: Work) -> bool:
    """Whether the item went on without us since it was read: while the network was asked, somebody called it off."""
    return sweeps.item(tx, work.item.id).state is not work.item.state


def plan_transfer(tx: Tx, work: Work, now: datetime) -> OutgoingRecord | None:
    """Plan the transfer of the item's units to the treasury; again for the same item it is the same plan."""
    item = work.item
    if item.transfer_id is not None:
        return outgoing.by_id(tx, item.transfer_id)
    if _is_past(tx, work):
        return None
    record = OutgoingRecord(
        id=new_id("txn", now),
        network=item.network,
        store_id=work.sweep.store_id,
        purpose=Purpose.SWEEP,
        state=State.PLANNED,
        sender=item.address,
        key_path=deposit_path(work.account.account, work.hd_index),
        recipient=work.sweep.treasury,
        method=item.method,
        units=item.units,
        empties_sender=work.is_native,
        created_at=now,
        updated_at=now,
    )
    _add(tx, record)
    sweeps.save_item(tx, replace(item, transfer_id=record.id))
    return record


class Clearance(Enum):
    """Whether a plan may be signed now."""

    GO = auto()
    WAIT = auto()  # outflows are paused, the view of the network is doubtful, or the sender has something out
    WRONG_RECIPIENT = auto()  # it is not, or no longer, one that we pay
    MONEY_GONE = auto()  # the chain took a deposit back that it would collect
    HELD = auto()  # screening keeps a deposit back that it would collect
    TAKEN = auto()  # it is not there any more: an earlier transaction, back from a reorganisation, or a loss took it


def clearance(tx: Tx, catalogue: Catalogue, record: OutgoingRecord, now: datetime) -> Clearance:
    """Judge a plan right before it is signed: fail closed (I16), and to nobody but today's treasury (I13)."""
    item = sweeps.item_of_outgoing(tx, record.id)
    methods = {record.method} if item is None else {record.method, item.method}
    if outgoing.by_id(tx, record.id).state in ENDED:  # since it was read
        return Clearance.WAIT
    if not methods <= catalogue.assets.keys():
        return Clearance.WAIT
    is_doubtful = chain.network(tx, record.network).hold is not None
    pauses = outgoing.pauses(tx)
    if is_doubtful or any(outgoing.is_paused(pauses, record.network, method) for method in methods):
        return Clearance.WAIT
    if item is None:  # a loan that a second one followed, back from a block that left: its nonce holds up later ones
        assert record.purpose is Purpose.TOP_UP, "every sweep serves an item"
        return Clearance.GO
    if (obstacle := _shortfall(tx, item)) is not None:
        return obstacle
    if record.purpose is Purpose.TOP_UP:
        return Clearance.GO if record.recipient == item.address else Clearance.WRONG_RECIPIENT
    treasury = treasury_of(tx, catalogue, record.network, record.store_id)
    if treasury is None or treasury.address != record.recipient or treasury.effective_at > now:
        return Clearance.WRONG_RECIPIENT
    # Two at once from one address would spend the same coins: a sweep of them takes what the other's fee needs.
    others = [other for other in outgoing.signed(tx, record.network, record.sender) if other.id != record.id]
    is_first = all(other.receipt_hash is not None and other.method != record.method for other in others)
    return Clearance.GO if is_first else Clearance.WAIT


def _shortfall(tx: Tx, item: ItemRecord) -> Clearance | None:
    """What happened to the deposits that an item collects; None: they are all final, free to go, and there."""
    collected, units_by_deposit = deposits.of_sweep_item(tx, item.id), sweeps.shares_of_item(tx, item.id)
    if any(record.is_held and record.screening is not Verdict.PENDING for record in collected):
        return Clearance.HELD
    settled = [record for record in collected if record.stage is Stage.SETTLED]
    for record in settled:
        others = [share for share in sweeps.shares_of_deposit(tx, record.id) if share.item_id != item.id]
        if Lying(record.units, record.lost, record.withdrawn, tuple(others)).left < units_by_deposit[record.id]:
            return Clearance.TAKEN
    if sum(units_by_deposit[record.id] for record in settled) == item.units:
        return None
    is_coming_back = any(record.stage not in {Stage.SETTLED, Stage.ORPHANED} for record in collected)
    return Clearance.WAIT if is_coming_back else Clearance.MONEY_GONE


def note_wait(tx: Tx, outgoing_id: str, reason: str) -> None:
    """Say on the item why its plan cannot be signed now."""
    item = sweeps.item_of_outgoing(tx, outgoing_id)
    if item is not None and item.reason != reason:
        sweeps.save_item(tx, replace(item, reason=reason))


def committed_units(tx: Tx, catalogue: Catalogue, network: str, sender: str) -> int:
    """How many native coins the sender's transactions may still take that are signed and not mined (I14)."""
    native = catalogue.native(network).method
    not_mined = [record for record in outgoing.signed(tx, network, sender) if record.receipt_hash is None]
    newest = [(record, outgoing.versions(tx, record.id)[-1]) for record in not_mined]
    return sum(v.fee_limit + (v.value_units if record.method == native else 0) for record, v in newest)


def units_to_send(tx: Tx, record: OutgoingRecord) -> int:
    """What the chain is asked to move: of a native sweep all that is final on the address, else the plan's units.

    Coins lent for fees travel along with a native sweep; deposits that became final after it was planned, or are kept
    back by screening, do not.
    """
    if not record.empties_sender:
        return record.units
    there = chain_rows.spendable_units(tx, record.network, record.sender, record.method)
    return max(0, there - deposits.lying_units(tx, record.network, record.sender, record.method))


def record_signed(
    tx: Tx, catalogue: Catalogue, outgoing_id: str, planned: PlannedTx, signed: SignedTx, now: datetime
) -> VersionRecord | None:
    """Commit signed bytes before their first broadcast (I11); returns the version.

    None: since the plan was cleared something came up against it. Then the bytes are forgotten; nobody saw them.
    """
    record = outgoing.by_id(tx, outgoing_id)
    earlier = outgoing.versions(tx, outgoing_id)
    if not earlier and clearance(tx, catalogue, record, now) is not Clearance.GO:
        return None
    assert record.nonce in {None, planned.nonce}, "a transaction keeps its nonce"
    version = VersionRecord(
        outgoing_id=outgoing_id,
        version=len(earlier) + 1,
        tx_hash=signed.tx_hash,
        raw=signed.raw,
        body=planned.body,
        value_units=Units(planned.value_units),
        fee_limit=Units(planned.fee_limit_units),
        signed_at=now,
    )
    outgoing.add_version(tx, version)
    if earlier:
        return version
    outgoing.save(tx, replace(_step(record, State.SIGNED), nonce=planned.nonce, updated_at=now))
    if record.purpose is Purpose.SWEEP:
        posting = postings.sweep_signed(record.method, record.units)
        ledger.post(tx, record.store_id, posting, cause=record.id, reason="sweep_signed", now=now)
        _move(tx, catalogue, record, ItemState.BROADCASTING, now)
    return version


def record_broadcast(tx: Tx, outgoing_id: str, version: int, now: datetime) -> None:
    """A provider took the bytes."""
    outgoing.mark_sent(tx, outgoing_id, version, now)
    record = outgoing.by_id(tx, outgoing_id)
    if record.state is State.SIGNED:
        outgoing.save(tx, replace(_step(record, State.BROADCAST), updated_at=now))


def record_failure(tx: Tx, catalogue: Catalogue, outgoing_id: str, reason: str, now: datetime) -> None:
    """Give up a plan that nothing was signed for."""
    record = outgoing.by_id(tx, outgoing_id)
    assert record.state not in IN_FLIGHT, "what was signed may be out and cannot simply fail"
    if record.state is State.FAILED:
        return
    outgoing.save(tx, replace(_step(record, State.FAILED), reason=reason, updated_at=now))
    _move(tx, catalogue, record, ItemState.FAILED, now, reason)


def record_replaced(tx: Tx, catalogue: Catalogue, outgoing_id: str, now: datetime) -> None:
    """Another transaction has spent the nonce for good, and none of our versions was it: ours can never be mined.

    What a sweep had on its way lies where it was, as far as the books know; a transfer of somebody else shows in the
    balance.
    """
    record = outgoing.by_id(tx, outgoing_id)
    if record.state not in IN_FLIGHT:
        return
    outgoing.save(tx, replace(_step(record, State.REPLACED), updated_at=now))
    if record.purpose is Purpose.SWEEP:
        posting = postings.sweep_released(record.method, record.units)
        ledger.post(tx, record.store_id, posting, cause=record.id, reason="sweep_released", now=now)
        _move(tx, catalogue, record, ItemState.FAILED, now, "nonce_taken")
    else:
        item = sweeps.item_of_outgoing(tx, record.id)
        if item is not None and item.state is ItemState.FUNDING:
            _move(tx, catalogue, record, ItemState.FAILED, now, "nonce_taken")
    reason = f"a transaction that is not ours took nonce {record.nonce} of {record.sender}"
    pause(tx, catalogue, record.network, "", reason, now)


def _move(
    tx: Tx, catalogue: Catalogue, record: OutgoingRecord, state: ItemState, now: datetime, reason: str | None = None
) -> None:
    touched = Touched()
    move_item(tx, catalogue, record, state, touched, now, reason=reason)
    for invoice_id in touched.events:
        judge_again(tx, catalogue, invoice_id, now)


def _set(tx: Tx, catalogue: Catalogue, item: ItemRecord, state: ItemState, now: datetime) -> None:
    touched = Touched()
    set_item(tx, catalogue, item, state, touched, now)
    for invoice_id in touched.events:
        judge_again(tx, catalogue, invoice_id, now)


def _step(record: OutgoingRecord, state: State) -> OutgoingRecord:
    assert state in NEXT[record.state], f"{record.state} -> {state}"
    return replace(record, state=state)
