"""Books in memory: applies observations as the store does, and refuses what the store would refuse."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from paynode.domain.chain import (
    INFERRED,
    UNANSWERED,
    BlockRef,
    Books,
    Claim,
    ClaimAnswer,
    Dispute,
    Observation,
    OwnTx,
    Pair,
    Receipt,
    Row,
    RowSource,
    Watch,
)


@dataclass(slots=True)
class Bookkeeper:
    """The books of one network. `confirmed_units` is what a merchant would have been told."""

    watches: list[Watch] = field(default_factory=list)
    horizon: int = 64
    passed_deadline: datetime | None = None
    checkpoints: list[BlockRef] = field(default_factory=list)  # newest first
    rows: dict[int, Row] = field(default_factory=dict)  # all that were ever stored
    void: set[int] = field(default_factory=set)
    floors: dict[Pair, int] = field(default_factory=dict)
    disputes: dict[Pair, Dispute] = field(default_factory=dict)
    own: list[OwnTx] = field(default_factory=list)
    own_addresses: set[str] = field(default_factory=set)
    own_nonces: dict[str, int] = field(default_factory=dict)
    unopened: set[str] = field(default_factory=set)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    reversed_ids: list[int] = field(default_factory=list)  # rows that went void after they were confirmed
    hold: str | None = None
    claims: list[Claim] = field(default_factory=list)  # looked into at every tick until they are answered for good
    answers: dict[Claim, ClaimAnswer] = field(default_factory=dict)
    unseen: dict[str, datetime] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    treasuries: set[str] = field(default_factory=set)

    def watch(
        self, address: str, methods: Iterable[str], *, depth: int = 3, floor: int | None = None, dust_units: int = 0
    ) -> None:
        """Begin to watch, as provisioning does: with the cursor as floor."""
        cursor = self.checkpoints[0].number if self.checkpoints else 0
        self.watches.append(Watch(address, cursor if floor is None else floor, depth, tuple(methods), dust_units))

    @property
    def standing(self) -> list[Row]:
        return [row for id_, row in self.rows.items() if id_ not in self.void]

    def books(self) -> Books:
        return Books(
            checkpoints=tuple(self.checkpoints),
            watches=tuple(self.watches),
            rows=tuple(self.standing),
            disputes=dict(self.disputes),
            floors=dict(self.floors),
            own=tuple(self.own),
            own_addresses=frozenset(self.own_addresses),
            own_nonces=dict(self.own_nonces),
            unopened=frozenset(self.unopened),
            horizon=self.horizon,
            newest_final=max((row.block for row in self.standing if row.confirmed), key=_number, default=None),
            passed_deadline=self.passed_deadline,
            claims=tuple(self.claims),
            unseen=dict(self.unseen),
            touched=frozenset(self.touched),
            treasuries=frozenset(self.treasuries),
            wide=frozenset(each.number for each in self.checkpoints),
        )

    def apply(self, seen: Observation) -> None:
        """One transaction of the store."""
        if seen.fork_number is not None:
            self.checkpoints = [each for each in self.checkpoints if each.number <= seen.fork_number]
        for id_ in (*seen.voided, *seen.dropped):
            row = self.rows[id_]
            assert id_ not in self.void, "a row goes void once"
            is_replaceable = row.source is RowSource.DRIFT or (row.source in INFERRED and not row.confirmed)
            assert id_ in seen.voided or is_replaceable, "only inferred rows and adjustments are dropped"
            self.void.add(id_)
            if row.confirmed:
                self.reversed_ids.append(id_)
        keys = {row.key for row in self.standing}
        for row in seen.rows:
            assert row.id is None, "a new row has no number yet"
            assert row.key not in keys, f"twice the same row: {row}"
            keys.add(row.key)
            id_ = len(self.rows) + 1
            self.rows[id_] = replace(row, id=id_)
        for id_, credit in seen.credits.items():
            assert not self.rows[id_].confirmed, "what a confirmed row credits is settled"
            assert id_ not in self.void, "a void row credits nothing"
            self.rows[id_] = replace(self.rows[id_], credit=credit)
        for id_, credit in seen.confirmed.items():
            row = self.rows[id_]
            assert id_ not in self.void, "a void row confirms nothing"
            assert not row.confirmed, "a row is confirmed once"
            assert row.pair not in seen.disputes, "a disputed pair confirms nothing"
            self.rows[id_] = replace(row, confirmed=True, credit=None if credit == row.units else credit)
        for pair, floor in seen.floors.items():
            self.floors[pair] = floor
        self.disputes = dict(seen.disputes)
        self.own_nonces |= seen.openings
        self.unopened -= seen.openings.keys()
        self.receipts |= {receipt.id: receipt for receipt in seen.receipts}
        for own in [own for own in self.own if own.id in seen.final_receipts]:
            self.own.remove(own)
            self.own_nonces[own.sender] = self.own_nonces.get(own.sender, 0) + 1
        if seen.checkpoint is not None and (not self.checkpoints or self.checkpoints[0] != seen.checkpoint):
            assert not self.checkpoints or self.checkpoints[0].number < seen.checkpoint.number, "the cursor only grows"
            self.checkpoints.insert(0, seen.checkpoint)
        self.hold = seen.hold
        assert seen.claims.keys() == set(self.claims), "every claim is answered"
        self.answers |= seen.claims
        self.claims = [claim for claim in self.claims if seen.claims[claim] in UNANSWERED]

    def confirmed(self, address: str, method: str) -> list[Row]:
        return [row for row in self.standing if row.pair == Pair(address, method) and row.confirmed]

    def confirmed_units(self, address: str, method: str) -> int:
        """The effect of all confirmed rows of a pair."""
        return sum(row.effect for row in self.confirmed(address, method))


def _number(block: BlockRef) -> int:
    return block.number
