"""Transactions of ours, their signed versions, and the pauses that stop them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from paynode.domain.outgoing import Purpose, State
from paynode.store import openings
from paynode.store.database import Tx
from paynode.store.records import Columns, Units
from paynode.store.times import to_ms


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    id: str
    network: str
    store_id: str
    purpose: Purpose
    state: State
    sender: str
    key_path: str  # the derivation path of the key that signs
    recipient: str
    method: str
    units: Units
    empties_sender: bool
    created_at: datetime
    updated_at: datetime
    nonce: int | None = None
    receipt_hash: str | None = None
    receipt_block: int | None = None
    receipt_block_hash: str | None = None
    receipt_succeeded: bool | None = None
    receipt_fee: Units | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class VersionRecord:
    outgoing_id: str
    version: int
    tx_hash: str
    raw: bytes
    body: str
    value_units: Units
    fee_limit: Units
    signed_at: datetime
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PauseRecord:
    id: int
    network: str
    method: str  # '': every asset
    reason: str
    paused_at: datetime
    resumed_at: datetime | None


OUTGOING = Columns(OutgoingRecord)
VERSION = Columns(VersionRecord)
PAUSE = Columns(PauseRecord)


def add(tx: Tx, record: OutgoingRecord) -> None:
    tx.run(OUTGOING.insert("outgoing"), OUTGOING.encode(record))


def save(tx: Tx, record: OutgoingRecord) -> None:
    tx.run(OUTGOING.update("outgoing", "id"), OUTGOING.encode(record))


def by_id(tx: Tx, outgoing_id: str) -> OutgoingRecord:
    row = tx.row(f"select {OUTGOING.sql} from outgoing where id = ?", (outgoing_id,))
    assert row is not None, "outgoing rows are never deleted"
    return OUTGOING.decode(row)


def by_tx_hash(tx: Tx, tx_hash: str) -> OutgoingRecord | None:
    """The transaction that has a version with this hash."""
    row = tx.row(
        f"select {OUTGOING.of('o')} from outgoing_versions v join outgoing o on o.id = v.outgoing_id "
        "where v.tx_hash = ?",
        (tx_hash,),
    )
    return None if row is None else OUTGOING.decode(row)


def under_way(tx: Tx, network: str) -> list[OutgoingRecord]:
    """Those that are planned, signed or broadcast, oldest first."""
    found = tx.rows(
        f"select {OUTGOING.sql} from outgoing where network = ? "
        "and state in ('planned', 'signed', 'broadcast') order by id",
        (network,),
    )
    return [OUTGOING.decode(row) for row in found]


def is_any_moving(tx: Tx, network: str, since: datetime) -> bool:
    """Whether one of those was planned, or signed in some version, since then."""
    row = tx.row(
        "select 1 from outgoing o where o.network = :network and o.state in ('planned', 'signed', 'broadcast') "
        "and (o.created_at >= :since or exists "
        "(select 1 from outgoing_versions v where v.outgoing_id = o.id and v.signed_at >= :since)) limit 1",
        {"network": network, "since": to_ms(since)},
    )
    return row is not None


def signed(tx: Tx, network: str, sender: str) -> list[OutgoingRecord]:
    """The sender's transactions that are signed and not final, oldest first."""
    found = tx.rows(
        f"select {OUTGOING.sql} from outgoing where network = ? and sender = ? "
        "and state in ('planned', 'signed', 'broadcast') and state <> 'planned' order by id",
        (network, sender),
    )
    return [OUTGOING.decode(row) for row in found]


def add_version(tx: Tx, record: VersionRecord) -> None:
    tx.run(VERSION.insert("outgoing_versions"), VERSION.encode(record))


def versions(tx: Tx, outgoing_id: str) -> list[VersionRecord]:
    """Every signed version, oldest first."""
    found = tx.rows(
        f"select {VERSION.sql} from outgoing_versions where outgoing_id = ? order by version", (outgoing_id,)
    )
    return [VERSION.decode(row) for row in found]


def mark_sent(tx: Tx, outgoing_id: str, version: int, now: datetime) -> None:
    tx.run(
        "update outgoing_versions set sent_at = ? where outgoing_id = ? and version = ?",
        (to_ms(now), outgoing_id, version),
    )


def next_own_nonce(tx: Tx, network: str, sender: str) -> int | None:
    """The nonce after the last one we signed for `sender`, else the one its books begin with; None: neither."""
    return _next_own_nonces(tx, network, [sender]).get(sender)


def _next_own_nonces(tx: Tx, network: str, senders: Iterable[str]) -> dict[str, int]:
    asked = sorted(senders)
    found = tx.rows(
        "select a.value, (select o.nonce + 1 from outgoing o indexed by outgoing_nonce "
        "where o.network = ? and o.sender = a.value and o.nonce is not null order by o.nonce desc limit 1) "
        "from json_each(?) a",
        (network, json.dumps(asked)),
    )
    return openings.nonces(tx, network, asked) | {sender: nonce for sender, nonce in found if nonce is not None}


def next_unfinal_nonces(tx: Tx, network: str, senders: Iterable[str]) -> dict[str, int]:
    """By sender, the lowest of its nonces whose end is not final; past all of them if every one is."""
    found: dict[str, int] = {}
    for record in under_way(tx, network):
        if record.nonce is not None:
            found[record.sender] = min(record.nonce, found.get(record.sender, record.nonce))
    return _next_own_nonces(tx, network, set(senders) - found.keys()) | found


def fees_since(tx: Tx, network: str, moment: datetime) -> int:
    """What transactions signed since `moment` cost, or may cost at most, in native units."""
    found = tx.rows(
        "select coalesce(o.receipt_fee, (select v.fee_limit from outgoing_versions v where v.outgoing_id = o.id "
        "order by v.version desc limit 1), '0') from outgoing o where o.network = ? and o.created_at >= ? "
        "and o.state <> 'failed'",
        (network, to_ms(moment)),
    )
    return sum(int(fee) for (fee,) in found)


# Pauses


def pause(tx: Tx, network: str, method: str, reason: str, now: datetime) -> bool:
    """Stop outflows of one asset ('' for all) until acknowledged; tells whether that is new."""
    return (
        tx.run(
            "insert into outflow_pauses (network, method, reason, paused_at) values (?, ?, ?, ?) "
            "on conflict do nothing",
            (network, method, reason, to_ms(now)),
        )
        == 1
    )


def pauses(tx: Tx) -> list[PauseRecord]:
    """Every pause that nobody has acknowledged."""
    return [
        PAUSE.decode(row)
        for row in tx.rows(f"select {PAUSE.sql} from outflow_pauses where resumed_at is null order by id")
    ]


def is_acknowledged(tx: Tx, network: str, reason: str) -> bool:
    """Whether an operator has acknowledged a pause of the network for this very reason."""
    row = tx.row(
        "select 1 from outflow_pauses where network = ? and reason = ? and resumed_at is not null limit 1",
        (network, reason),
    )
    return row is not None


def is_paused(open_pauses: Sequence[PauseRecord], network: str, method: str) -> bool:
    return any(p.network == network and p.method in {"", method} for p in open_pauses)


def resume(tx: Tx, now: datetime) -> int:
    """Acknowledge every pause; returns how many there were."""
    return tx.run("update outflow_pauses set resumed_at = ? where resumed_at is null", (to_ms(now),))
