"""What a chain shows us, and where two views of it part.

Words (the detection page of the docs has the whole algorithm):

    pair        one (address, asset) we watch
    checkpoint  a block at which every undisputed pair equalled the books; the newest one is the cursor
    row         one movement of a pair: in, out or adjustment; only credit, confirmed_at and voided_at ever change
    books       all that one tick needs to know of the store; observation: all that one tick found

Addresses, hashes and transaction ids are opaque here: canonical text that the chain family defines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class BlockRef:
    """One block, by number and hash, with the time its producer gave it."""

    number: int
    hash: str
    at: datetime


class Pair(NamedTuple):
    """One address and one asset (by its method name) that we watch."""

    address: str
    method: str


class RowKind(StrEnum):
    IN = "in"
    OUT = "out"
    ADJUSTMENT = "adjustment"  # signed: what went without a transfer (negative), or lay there before (an opening)


class RowSource(StrEnum):
    """The evidence a row rests on."""

    LOG = "log"  # a Transfer log of the listed contract
    TX = "tx"  # a successful plain transaction's value
    INTERNAL = "internal"  # a balance step in one block that no plain transaction explains: coins a contract sent
    UNPLACED = "unplaced"  # a balance rise whose block can no longer be found, or is not worth it
    RECEIPT = "receipt"  # the receipt of one of our own transactions
    DRIFT = "drift"  # a balance change that nothing explains, agreed on by two providers


AHEAD_MAX = timedelta(minutes=15)  # no chain lets a block's time be later than it is by more: one that is, is a lie

INFERRED = frozenset({RowSource.INTERNAL, RowSource.UNPLACED})  # replaced when read anew, never added to
RECKONED = INFERRED | {RowSource.DRIFT}  # what rests on balances alone


@dataclass(frozen=True, slots=True)
class Row:
    """One movement of a pair, named by the block, transaction and log that made it."""

    kind: RowKind
    source: RowSource
    address: str
    method: str
    units: int
    block: BlockRef
    tx_hash: str = ""  # '' where no transaction is known
    log_index: int = -1  # -1 where there is no log
    earliest_at: datetime | None = None  # of an unplaced row: the lower bound of its time; `block.at` is the upper
    credit: int | None = None  # less than `units` where the balance rose by less; None: all of it
    sender: str = ""  # who the log or transaction says paid
    tx_sender: str = ""  # who signed the transaction
    tx_nonce: int | None = None
    own: bool = False  # sent by one of our own accounts: never a deposit
    id: int | None = None  # the store's number; None: not stored yet
    confirmed: bool = False

    @property
    def pair(self) -> Pair:
        return Pair(self.address, self.method)

    @property
    def key(self) -> tuple[RowKind, str, str, str, str, int]:
        """What makes two rows the same row; the network is understood."""
        return (self.kind, self.address, self.method, self.block.hash, self.tx_hash, self.log_index)

    @property
    def credited_units(self) -> int:
        return self.units if self.credit is None else self.credit

    @property
    def effect(self) -> int:
        """What the row does to the pair's balance."""
        return -self.units if self.kind is RowKind.OUT else self.credited_units


@dataclass(frozen=True, slots=True)
class Watch:
    """One of our addresses on one network."""

    address: str
    floor: int  # no search for its money starts above this height
    depth: int  # confirmations that its rows need
    methods: tuple[str, ...]  # the assets watched on it
    dust_units: int = 0  # native coins: a rise below it is booked, but not worth searching for its block
    is_ending: bool = False  # its time is over on the chain, at depth: its logs are read once more, and it is left


@dataclass(frozen=True, slots=True)
class Dispute:
    """A pair whose balance nothing explains yet. It confirms nothing, and delays no other pair."""

    pair: Pair
    since: BlockRef  # the head at which it was first seen
    expected_units: int
    observed_units: int | None  # None: the contract would not say
    reason: str  # for people: what was looked for and not found


class Claim(NamedTuple):
    """Somebody says that this transaction paid that address of ours."""

    address: str
    tx_hash: str


class ClaimAnswer(StrEnum):
    """What a network's chain says to a claim."""

    BOOKED = "booked"  # what it brought to the address is in rows: new ones, or older ones
    INCLUDED = "included"  # it is in the books within a sum whose single transactions are no longer known
    UNKNOWN = "unknown"  # there is no such transaction in a block of this chain, as far as we are told
    FAILED = "failed"  # it is in a block, and moved nothing
    ELSEWHERE = "elsewhere"  # it brings nothing that we list to the address
    UNSETTLED = "unsettled"  # it does not fit the balance as it is now: something else must be explained first


UNANSWERED = frozenset({ClaimAnswer.UNKNOWN, ClaimAnswer.UNSETTLED})  # worth asking again


@dataclass(frozen=True, slots=True)
class OwnTx:
    """A transaction of ours that is signed and has no final receipt yet: any of its versions may be mined."""

    id: str
    sender: str
    nonce: int
    tx_hashes: tuple[str, ...]  # every version signed under this nonce, newest last


@dataclass(frozen=True, slots=True)
class Receipt:
    """How one of our own transactions ended, in a block that is an ancestor of the observed head."""

    id: str  # OwnTx.id
    tx_hash: str
    block: BlockRef
    succeeded: bool
    fee_units: int  # all fees, in the native coin (on a rollup the L1 fee too)


@dataclass(frozen=True, slots=True)
class Books:
    """What the store believes about one network: the input of one tick."""

    checkpoints: Sequence[BlockRef]  # newest first; the first is the cursor; empty: never looked
    watches: Sequence[Watch]  # those of this tick: every open one if it is wide, else those that somebody waits for
    rows: Sequence[Row]  # every row of the watched addresses that is not void, oldest first
    disputes: Mapping[Pair, Dispute] = field(default_factory=dict)
    floors: Mapping[Pair, int] = field(default_factory=dict)  # where it differs from the watch's
    own: Sequence[OwnTx] = ()
    own_addresses: frozenset[str] = frozenset()  # every address of ours that can send: its transfers are not deposits
    own_nonces: Mapping[str, int] = field(
        default_factory=dict
    )  # by sender: how many of its transactions we hold final receipts of
    horizon: int = 64  # how deep a reorganisation we follow that takes back what is final; below it the network stops
    newest_final: BlockRef | None = None  # the block of the newest row that is final, on whatever address
    is_awaited: bool = True  # whether somebody waits for money here
    passed_deadline: datetime | None = None  # the newest that the cursor is past, of an invoice that still waits
    claims: Sequence[Claim] = ()  # to look into now
    unseen: Mapping[str, datetime] = field(default_factory=dict)  # by address not looked at since then until now
    touched: frozenset[str] = frozenset()  # addresses whose logs are read down to their floor though the balance fits
    is_wide: bool = True
    wide: frozenset[int] = frozenset()  # the heights of the checkpoints at which every open watch was looked at
    treasuries: frozenset[str] = frozenset()  # where sweeps go: a stranger's call may send our money there
    unopened: frozenset[str] = frozenset()  # gas accounts never looked at: what is there is where their books begin

    @property
    def cursor(self) -> BlockRef | None:
        return self.checkpoints[0] if self.checkpoints else None

    def floor(self, watch: Watch, method: str) -> int:
        return self.floors.get(Pair(watch.address, method), watch.floor)


@dataclass(frozen=True, slots=True)
class Observation:
    """What one tick found, to be stored in one transaction. Reads only: making it changed nothing."""

    head: BlockRef
    checkpoint: BlockRef | None  # the new cursor; None: hold the cursor where it is
    agreed_until: datetime | None = None  # the time up to which deadlines may be judged; None: as before
    fork_number: int | None = (
        None  # the height of the newest checkpoint that is still canonical, if some are not: later ones go
    )
    rows: tuple[Row, ...] = ()
    voided: tuple[int, ...] = ()  # ids of rows whose own block is no ancestor of the head
    dropped: tuple[int, ...] = ()  # ids of unconfirmed inferred rows that `rows` replaces, and of cancelled adjustments
    credits: Mapping[int, int] = field(default_factory=dict)  # row id -> units, of unconfirmed rows that brought less
    confirmed: Mapping[int, int] = field(default_factory=dict)  # row id -> credited units, verified at depth
    floors: Mapping[Pair, int] = field(default_factory=dict)  # lowered by voids, raised by closed ranges
    ended: frozenset[str] = frozenset()  # ending addresses that are read once more: their watch is over
    disputes: Mapping[Pair, Dispute] = field(
        default_factory=dict
    )  # all that are open now; a pair not here is not disputed
    receipts: tuple[Receipt, ...] = ()  # of every OwnTx that has one now, final or not
    final_receipts: frozenset[str] = frozenset()  # OwnTx ids whose receipt is at depth and checked
    claims: Mapping[Claim, ClaimAnswer] = field(default_factory=dict)  # the answer to each
    read_again: frozenset[str] = frozenset()  # of the touched addresses those whose logs were read to the end
    coded: frozenset[str] = frozenset()  # watched addresses that have code, and so obey others than us
    openings: Mapping[str, int] = field(default_factory=dict)  # address -> how often it had sent before its books began
    trouble: str | None = None  # what a provider leaves undone, for people: it stops nothing
    hold: str | None = (
        None  # the view is doubtful: nothing may expire, be paid or be sent on it; the reason, for people
    )


def confirmations(block_number: int, head_number: int) -> int:
    """How many blocks confirm one at `block_number`, counting its own; 0 above the head."""
    return max(0, head_number - block_number + 1)


def time_judged(row: Row) -> datetime:
    """The moment that decides whether a payment was on time: the payer gets the benefit of an interval."""
    return row.earliest_at or row.block.at
