"""The machine of every transaction we send, whoever planned it.

    planned -> signed -> broadcast -> confirmed | reverted
       |          \\________/   \\---> replaced
       +-> failed                        reorganisation: confirmed | reverted -> broadcast

Only `planned` may simply fail: what was signed may already be out, so it ends by a final receipt of one of its
versions, or by another final transaction with its nonce. Signed bytes, hash and nonce are committed before the
first broadcast (I11). A fee bump is a new version under the same nonce.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class State(StrEnum):
    PLANNED = "planned"  # wanted; nothing signed
    SIGNED = "signed"  # bytes, hash and nonce are in the store; perhaps sent
    BROADCAST = "broadcast"  # a provider took it; perhaps mined, not final
    CONFIRMED = "confirmed"  # succeeded, deep enough
    REVERTED = "reverted"  # mined and failed, deep enough: the fee is gone
    REPLACED = "replaced"  # a transaction that is not ours took its nonce, deep enough
    FAILED = "failed"  # given up before anything was signed


NEXT: Mapping[State, frozenset[State]] = {
    State.PLANNED: frozenset({State.SIGNED, State.FAILED}),
    State.SIGNED: frozenset({State.BROADCAST, State.CONFIRMED, State.REVERTED, State.REPLACED}),
    State.BROADCAST: frozenset({State.CONFIRMED, State.REVERTED, State.REPLACED}),
    State.CONFIRMED: frozenset({State.BROADCAST}),
    State.REVERTED: frozenset({State.BROADCAST}),
    State.REPLACED: frozenset(),
    State.FAILED: frozenset(),
}

IN_FLIGHT = frozenset({State.SIGNED, State.BROADCAST})
ENDED = frozenset({State.CONFIRMED, State.REVERTED, State.REPLACED, State.FAILED})


class Purpose(StrEnum):
    TOP_UP = "top_up"  # from the gas station to an address that holds only tokens
    SWEEP = "sweep"  # from a deposit address to the treasury


@dataclass(frozen=True, slots=True)
class PlannedTx:
    """A transaction ready to be signed. `body` is the family's own encoding: JSON text without secrets."""

    sender: str
    nonce: int
    body: str
    value_units: int  # what the recipient gets
    fee_limit_units: int  # the most that its fee can be


@dataclass(frozen=True, slots=True)
class SignedTx:
    """Bytes that the network accepts. They are committed to the store before the first broadcast (I11)."""

    raw: bytes
    tx_hash: str


@dataclass(frozen=True, slots=True)
class BumpPolicy:
    """When a transaction that is not mined gets a higher fee."""

    patience: timedelta = timedelta(minutes=3)
    versions_max: int = 8  # 1.125**7 is 2.3 times the first fee, and each version follows the market upwards as well


def is_stuck(
    policy: BumpPolicy, *, last_version_at: datetime, version_count: int, is_mined: bool, now: datetime
) -> bool:
    """Whether to sign a new version at a higher fee."""
    return not is_mined and version_count < policy.versions_max and now - last_version_at >= policy.patience


class ForeignNonce(Exception):
    """The chain counts more transactions of an account than we signed: somebody else holds its key."""

    def __init__(self, sender: str, ours: int, chain: int) -> None:
        super().__init__(f"{sender}: our next nonce is {ours}, the chain's is {chain}")
        self.sender = sender
        self.chain = chain


def next_nonce(sender: str, *, own_next: int | None, chain_pending: int) -> int:
    """The nonce of the next transaction: after our last one, or where the chain stands if we never signed.

    Raises:
        ForeignNonce: the chain is ahead of us; outflows must pause.
    """
    if own_next is None:
        return chain_pending
    if chain_pending > own_next:
        raise ForeignNonce(sender, own_next, chain_pending)
    return own_next
