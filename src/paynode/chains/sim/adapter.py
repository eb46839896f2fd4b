"""A simulated network behind the Chain Protocol. During an outage every question is `Unavailable`."""

from collections.abc import Sequence

import trio

from paynode.chains.base import (
    Fees,
    Outgoing,
    PlannedTx,
    ProviderHealth,
    ProviderState,
    SignedTx,
    TxStatus,
    Unavailable,
    WouldRevert,
)
from paynode.chains.sim import keys, look, wallet
from paynode.chains.sim.world import World
from paynode.domain.budget import Usage
from paynode.domain.chain import Books, Observation
from paynode.domain.money import Asset

OUTAGE = "the simulated network has an outage"


class SimChain:
    """One simulated network, as the node sees it."""

    def __init__(self, network: str, world: World, *, confirmations: int) -> None:
        self._network = network
        self._world = world
        self._confirmations = confirmations

    @property
    def network(self) -> str:
        return self._network

    def parse_address(self, text: str) -> str:
        return keys.parse_address(text)

    def sign(self, planned: PlannedTx, private_key: bytes) -> SignedTx:
        return wallet.sign(planned, private_key)

    def providers(self) -> Sequence[ProviderHealth]:
        """The simulation itself, which nobody bills."""
        is_out = self._world.outage
        return [
            ProviderHealth(
                name="simulation",
                state=ProviderState.FAILING if is_out else ProviderState.OK,
                reason=OUTAGE if is_out else None,
                head_number=self._world.head.number,
                lag_blocks=0,
                usage=Usage(self._world.head.at.date()),
                calls_per_day=None,
            )
        ]

    def pace(self, wanted_seconds: float, *, is_urgent: bool) -> float:
        return wanted_seconds

    async def connect(self) -> str:
        world = await self._reached()
        return f"simulated in this process, at block {world.head.number}"

    async def head_number(self) -> int:
        return (await self._reached()).head.number

    async def observe(self, books: Books) -> Observation:
        return look.observe(await self._reached(), books, self._confirmations)

    async def fees(self, asset: Asset, sender: str, recipient: str) -> Fees:
        world = await self._reached()
        return Fees(world.gas_price, world.fee_units)

    async def balance_units(self, asset: Asset, address: str) -> int:
        return (await self._reached()).units(address, asset.method)

    async def listing_trouble(self, asset: Asset) -> str | None:
        await self._reached()
        return None

    async def pending_nonce(self, sender: str) -> int:
        return (await self._reached()).pending_nonce(sender)

    async def final_nonce(self, sender: str) -> int:
        world = await self._reached()
        deep = world.head.number - self._confirmations + 1
        young = sum(
            mined.tx.is_keyed and mined.tx.sender == sender
            for block in world.blocks_above(deep)
            for mined in block.mined
        )
        return world.nonce(sender) - young

    async def dry_run(self, wanted: Outgoing) -> None:
        _require_units(await self._reached(), wanted, wanted.units)

    async def prepare(self, wanted: Outgoing, nonce: int) -> PlannedTx:
        world = await self._reached()
        planned = wallet.plan(wanted, nonce, world.fee_units)
        is_native = wanted.asset.method == world.native
        _require_units(world, wanted, planned.value_units + (planned.fee_limit_units if is_native else 0))
        return planned

    async def bump(self, planned: PlannedTx) -> PlannedTx:
        world = await self._reached()
        raised = -(-planned.fee_limit_units * 9 // 8)  # 12.5 % more, rounded up
        return wallet.with_fee(planned, max(raised, world.fee_units))

    async def broadcast(self, signed: SignedTx) -> None:
        world = await self._reached()
        world.submit(wallet.read(signed.raw))

    async def status(self, tx_hash: str) -> TxStatus:
        world = await self._reached()
        if world.find(tx_hash) is not None:
            return TxStatus.MINED
        if any(tx.hash == tx_hash for tx in world.mempool):
            return TxStatus.PENDING
        return TxStatus.UNKNOWN

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()

    async def _reached(self) -> World:
        await trio.lowlevel.checkpoint()
        if self._world.outage:
            raise Unavailable(OUTAGE)
        return self._world


def _require_units(world: World, wanted: Outgoing, needed: int) -> None:
    """Raises `WouldRevert` if the sender holds less than `needed`."""
    if (held := world.units(wanted.sender, wanted.asset.method)) < needed:
        raise WouldRevert(f"{wanted.sender} holds {held} units, and {needed} are needed")
