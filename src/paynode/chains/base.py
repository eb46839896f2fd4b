"""The Chain Protocol: all that the node needs of a network, and its one error.

Whoever implements it reads from the network and computes; it never writes anything of ours. Two kinds of
methods: pure ones (the same answer every time, no network) and I/O, each of which may raise `Unavailable`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from paynode.domain.budget import Usage
from paynode.domain.chain import Books, Observation
from paynode.domain.money import Asset
from paynode.domain.outgoing import PlannedTx as PlannedTx
from paynode.domain.outgoing import SignedTx as SignedTx


class Unavailable(Exception):
    """The network (or our view of it) failed; trying later may help. The message is for people and holds no secret."""


class DeepReorg(Exception):
    """Every provider says that blocks below the reorg horizon are gone, and what was final with them.

    The network stops until a human has decided.
    """


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A transfer we want to make from an address of ours."""

    sender: str
    recipient: str
    asset: Asset
    units: int  # of a native sweep: the balance to empty, fee included
    empties_sender: bool  # native only: the recipient gets `units` less all fees, and nothing stays behind


@dataclass(frozen=True, slots=True)
class Fees:
    """What a network asks now, in base units of the native coin."""

    unit_price: int  # price of one unit of work (gas) that gets a transaction mined soon
    transfer_cost: int  # upper bound of the cost of one transfer of the asset asked about, at that price


class ProviderState(StrEnum):
    """Whether a provider answers."""

    OK = "ok"
    FAILING = "failing"  # it gave no usable answer when it was asked last: left alone for a while, then asked again
    SPENT = "spent"  # its calls of today are used up: asked less often, and after those that have calls left


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """How one provider of a network does. Everything in it may be shown."""

    name: str  # never its URL, which may hold a key
    state: ProviderState
    reason: str | None  # why the state is not ok
    head_number: int | None  # the newest block it told us of
    lag_blocks: int | None  # how far that was behind the newest that anybody had told us of
    usage: Usage  # of today
    calls_per_day: int | None  # what it may be asked; None: as much as we like


class TxStatus(StrEnum):
    """What the network says about a transaction hash of ours."""

    UNKNOWN = "unknown"  # no provider knows it: send the same bytes again
    PENDING = "pending"
    MINED = "mined"  # the scanner brings the receipt


class Chain(Protocol):
    """One network. Addresses and hashes that come out are canonical text."""

    @property
    def network(self) -> str: ...

    # Pure.
    def parse_address(self, text: str) -> str:
        """The canonical form of `text`. Raises ValueError, with a sentence for people."""
        ...

    def sign(self, planned: PlannedTx, private_key: bytes) -> SignedTx: ...

    def providers(self) -> Sequence[ProviderHealth]:
        """How those we ask are doing, in the order they are asked; of what is known already, without asking."""
        ...

    def pace(self, wanted_seconds: float, *, is_urgent: bool) -> float:
        """How long to wait until the next look, at least `wanted_seconds`, for the providers' budgets to last.

        `is_urgent`: somebody waits for money to become final.
        """
        ...

    # I/O: each may raise Unavailable.
    async def connect(self) -> str:
        """Make sure that every provider serves this network; returns a sentence about them for people."""
        ...

    async def head_number(self) -> int:
        """The height that the first healthy provider reports."""
        ...

    async def observe(self, books: Books) -> Observation:
        """One tick: look at the balances, explain what differs, verify what is deep enough. Reads only.

        Raises:
            DeepReorg: stop following this network, and alert.
        """
        ...

    async def fees(self, asset: Asset, sender: str, recipient: str) -> Fees: ...

    async def balance_units(self, asset: Asset, address: str) -> int: ...

    async def listing_trouble(self, asset: Asset) -> str | None:
        """Why `asset` is not what we think it is, for people; None: nothing speaks against it."""
        ...

    async def pending_nonce(self, sender: str) -> int:
        """The next nonce of `sender` in the network's view, its mempool included."""
        ...

    async def final_nonce(self, sender: str) -> int:
        """How many transactions of `sender` are deep enough to be final."""
        ...

    async def dry_run(self, wanted: Outgoing) -> None:
        """Run a token's transfer without sending it; its sender needs no coins for a fee.

        Raises:
            WouldRevert: it fails.
        """
        ...

    async def prepare(self, wanted: Outgoing, nonce: int) -> PlannedTx:
        """A transaction for `wanted` at current fees.

        Raises:
            WouldRevert: simulating it fails.
            Refused: the sender cannot pay the fee, or the fee is more than what a native sweep would bring.
        """
        ...

    async def bump(self, planned: PlannedTx) -> PlannedTx:
        """The same transfer under the same nonce at a fee at least 12.5 % higher, and current.

        Raises:
            Refused: the sender cannot pay that much.
        """
        ...

    async def broadcast(self, signed: SignedTx) -> None:
        """Hand the bytes to the network. "Already known" is success; an unclear answer is `Unavailable`: ask `status`.

        Raises:
            Refused: the fee is too low now, or the sender cannot pay it.
        """
        ...

    async def status(self, tx_hash: str) -> TxStatus: ...

    async def aclose(self) -> None: ...


class WouldRevert(Exception):
    """The network simulated the transaction and it failed: signing it would only burn the fee."""


class Refused(Exception):
    """Not as things are: `bump`, or fund the sender. Of signed bytes it decides nothing: they may still be mined."""
