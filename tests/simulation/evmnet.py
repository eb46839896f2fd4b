"""An EVM network in memory, and the product's own `EvmChain` over views of it.

What decides is the product: the pool, the tick, the choice of providers. Only what stands below JSON is here: a chain,
a mempool, and for each provider a view that may lie.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import msgspec
import trio
from tests.chains.evm.fakechain import FakeChain, Payment
from tests.chains.evm.fakereads import FakeReads

from paynode.chains.base import Fees, Outgoing, PlannedTx, Refused, SignedTx, TxStatus, Unavailable, WouldRevert
from paynode.chains.evm.adapter import EvmChain
from paynode.chains.evm.reads import Reads
from paynode.chains.rpc import Provider, RpcPool
from paynode.domain.chain import Books, Observation
from paynode.domain.money import Asset

FEE = 21_000  # of every transaction of ours


class Body(msgspec.Struct, frozen=True):
    """One of our transactions, before it is signed."""

    sender: str
    nonce: int
    to: str
    value: int
    units: int  # of a token
    contract: str  # '' for native coins
    fee: int
    chain: str

    @property
    def payment(self) -> Payment:
        tokens = ((self.contract, self.sender, self.to, self.units),) if self.contract else ()
        to = self.contract or self.to
        return Payment(self.sender, self.nonce, to, self.value, tokens=tokens, fee=self.fee, chain=self.chain)


@dataclass
class Net:
    """One chain, what waits to be mined on it, and how its providers see it."""

    name: str
    chain: FakeChain
    views: list[FakeReads]
    depth: int
    mempool: list[Payment] = field(default_factory=list)
    nonces: dict[str, int] = field(default_factory=dict)  # of strangers
    limits: frozenset[str] = frozenset()  # what no provider here ever gives
    is_out: bool = False  # nobody answers us, and the chain goes on
    meant: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # invoices, by (tx hash, address) that pays
    earliest_by_hash: dict[str, int] = field(default_factory=dict)  # when a payment can have been sent

    @property
    def next_block_at(self) -> int:
        return self.chain.head.timestamp + self.chain.seconds_per_block

    @property
    def is_alone(self) -> bool:
        return len(self.views) == 1

    def mine_until(self, at: int) -> None:
        while self.next_block_at <= at:
            self.mine()
            for view in self.views:
                if view.chain is not self.chain:
                    view.chain.mine()  # an old fork, for as long as a provider follows it

    def mine(self) -> None:
        """One block with all that can go into it."""
        self.chain.mine(self._mineable())

    def _mineable(self) -> list[Payment]:
        """A stranger's payment, once it is sent; ours in the order of nonces, once their sender can pay for them."""
        if not self.mempool:
            return []
        taken, left = [], []
        nonces, spent = dict(self.chain.head.nonces), dict[str, int]()
        for payment in self.mempool:
            if not payment.fee:
                is_sent = self.earliest_by_hash.get(payment.hash, 0) <= self.next_block_at
                (taken if is_sent else left).append(payment)
                continue
            nonce = nonces.get(payment.sender, 0)
            cost = spent.get(payment.sender, 0) + payment.value + payment.fee
            if payment.nonce < nonce:
                continue  # another version of it was mined
            if payment.nonce == nonce and self.chain.head.native.get(payment.sender, 0) >= cost:
                nonces[payment.sender], spent[payment.sender] = nonce + 1, cost
                taken.append(payment)
            else:
                left.append(payment)
        self.mempool = left
        return taken

    def send(self, sender: str, to: str, **how: object) -> Payment:
        """A stranger's transaction, to be in the next block."""
        nonce = self.nonces[sender] = self.nonces.get(sender, -1) + 1
        payment = Payment(sender, nonce, to, chain=self.name, **how)
        self.mempool.append(payment)
        return payment

    def units(self, address: str, asset: Asset) -> int:
        head = self.chain.head
        if asset.contract is None:
            return head.native.get(address, 0)
        return head.tokens.get((asset.contract.lower(), address), 0)


class ProviderName(NamedTuple):
    """A provider that is never asked by HTTP."""

    name: str

    def reveal(self) -> str:
        return "http://127.0.0.1:9"


def pool_of(net: Net, chain_id: int, clock: Callable[[], datetime]) -> RpcPool:
    return RpcPool([ProviderName(view.name) for view in net.views], chain_id=chain_id, clock=clock)


class SimulatedEvm(EvmChain):
    """The node's view of a `Net`. What it sends is taken at its word."""

    def __init__(self, net: Net, chain_id: int, assets: Sequence[Asset], pool: RpcPool, *, depth: int) -> None:
        super().__init__(net.name, chain_id, assets, pool, depth=depth)
        self._net = net
        self._view_by_name = {view.name: view for view in net.views}
        self.last_seen: Observation | None = None

    async def observe(self, books: Books) -> Observation:
        self.last_seen = None
        self.last_seen = await super().observe(books)
        return self.last_seen

    def _reads(self, provider: Provider) -> Reads:
        return self._view_by_name[provider.name]  # type: ignore[return-value]

    async def connect(self) -> str:
        await self._reached()
        return "in memory"

    async def head_number(self) -> int:
        return (await self._reached()).chain.head.number

    async def fees(self, asset: Asset, sender: str, recipient: str) -> Fees:
        await self._reached()
        return Fees(1, FEE)

    async def balance_units(self, asset: Asset, address: str) -> int:
        return (await self._reached()).units(address, asset)

    async def listing_trouble(self, asset: Asset) -> str | None:
        await self._reached()
        return None

    async def pending_nonce(self, sender: str) -> int:
        net = await self._reached()
        waiting = [payment.nonce + 1 for payment in net.mempool if payment.sender == sender]
        return max([net.chain.head.nonces.get(sender, 0), *waiting])

    async def final_nonce(self, sender: str) -> int:
        chain = (await self._reached()).chain
        return chain.blocks[max(0, chain.head.number - self._net.depth + 1)].nonces.get(sender, 0)

    async def prepare(self, wanted: Outgoing, nonce: int) -> PlannedTx:
        net = await self._reached()
        contract = (wanted.asset.contract or "").lower()
        value = 0 if contract else wanted.units - FEE * wanted.empties_sender
        held = net.units(wanted.sender, wanted.asset)
        if value < 0 or held < (wanted.units if contract else value + FEE):
            raise WouldRevert(f"{wanted.sender} holds {held}")
        units = wanted.units if contract else 0
        return _planned(Body(wanted.sender, nonce, wanted.recipient, value, units, contract, FEE, net.name))

    async def dry_run(self, wanted: Outgoing) -> None:
        if (await self._reached()).units(wanted.sender, wanted.asset) < wanted.units:
            raise WouldRevert(f"{wanted.sender} holds less")

    async def bump(self, planned: PlannedTx) -> PlannedTx:
        await self._reached()
        raise Refused("the fee is what everybody pays")

    def sign(self, planned: PlannedTx, private_key: bytes) -> SignedTx:
        return SignedTx(planned.body.encode(), msgspec.json.decode(planned.body, type=Body).payment.hash)

    async def broadcast(self, signed: SignedTx) -> None:
        net = await self._reached()
        payment = msgspec.json.decode(signed.raw, type=Body).payment
        if payment not in net.mempool and payment.hash not in net.chain.mined:
            net.mempool.append(payment)

    async def status(self, tx_hash: str) -> TxStatus:
        net = await self._reached()
        if tx_hash in net.chain.mined:
            return TxStatus.MINED
        return TxStatus.PENDING if any(each.hash == tx_hash for each in net.mempool) else TxStatus.UNKNOWN

    async def _reached(self) -> Net:
        await trio.lowlevel.cancel_shielded_checkpoint()
        if self._net.is_out:
            raise Unavailable("nobody answers")
        return self._net


def _planned(body: Body) -> PlannedTx:
    return PlannedTx(body.sender, body.nonce, msgspec.json.encode(body).decode(), body.value, body.fee)
