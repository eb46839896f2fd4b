"""Blocks and transactions of a simulated network, in memory as on disk."""

from datetime import UTC, datetime, timedelta

import msgspec

from paynode.domain.chain import BlockRef

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)  # what the store keeps of a moment, and so all that a block has


class Move(msgspec.Struct, frozen=True, array_like=True):
    """One transfer of a coin or token to somebody."""

    recipient: str
    method: str
    units: int


class Tx(msgspec.Struct, frozen=True, array_like=True):
    """A transaction: all its moves are carried out, or none.

    Only keyed accounts are held to their balance. Everybody else stands for the world outside: a customer's purse
    has no bottom, their nonces only number their payments, and their fees are not our business.
    """

    hash: str
    sender: str
    nonce: int
    moves: tuple[Move, ...]
    fee_units: int  # paid by a keyed sender, whether or not it succeeds
    is_keyed: bool  # signed by an account of ours
    reverts: bool = False  # of payments: it will be mined, and fail


class Mined(msgspec.Struct, frozen=True, array_like=True):
    """A transaction in a block, and how it ended."""

    tx: Tx
    succeeded: bool


class Block(msgspec.Struct, frozen=True, array_like=True):
    number: int
    hash: str
    parent_hash: str
    at_ms: int
    mined: tuple[Mined, ...] = ()

    @property
    def ref(self) -> BlockRef:
        return BlockRef(self.number, self.hash, _EPOCH + self.at_ms * _MILLISECOND)


def milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND
