"""The `Chain` of an EVM network.

The one rule: a provider that fails, lies about its context or is behind costs
a turn to the next, never a decision. Only if all agree that the past is gone
does the network stop.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import trio

from paynode.chains.base import (
    DeepReorg,
    Fees,
    Outgoing,
    PlannedTx,
    ProviderHealth,
    ProviderState,
    SignedTx,
    TxStatus,
    Unavailable,
)
from paynode.chains.evm import sending
from paynode.chains.evm.agreement import OurTime, WrongTime
from paynode.chains.evm.doubts import Doubts
from paynode.chains.evm.fork import PastGone
from paynode.chains.evm.ground import Behind
from paynode.chains.evm.log_range import LogRange
from paynode.chains.evm.look import Looker, WrongContext
from paynode.chains.evm.pinning import agreed_pin, pins_of
from paynode.chains.evm.reads import Reads
from paynode.chains.evm.tick import Memory, Tick
from paynode.chains.evm.views import Views
from paynode.chains.evm.watchlist import Watchlist
from paynode.chains.evm.wire import Count, Quantity, parse_address
from paynode.chains.jsonrpc import Garbled, ProviderFailed
from paynode.chains.provider import LEAST_REST_SECONDS, Provider
from paynode.chains.rpc import RpcPool
from paynode.domain.chain import Books, Observation
from paynode.domain.money import Asset

HEARD_SECONDS = 3600.0


class EvmChain:
    """One EVM network behind the `Chain` Protocol."""

    def __init__(self, network: str, chain_id: int, assets: Sequence[Asset], pool: RpcPool, *, depth: int) -> None:
        """`depth` is the number of confirmations after which one of our own transactions is final."""
        self._network = network
        self._assets = tuple(assets)
        self._pool = pool
        self._depth = depth
        self._looker = Looker(chain_id)
        self._log_ranges = {provider.name: LogRange() for provider in pool.all}
        self._memory = Memory()
        self._heads: dict[str, tuple[int, int]] = {}  # by provider: its head, and how far it was behind the others
        self._heard_at: dict[str, float] = {}  # by provider that is not the first: when we last asked for its head
        self._doubts = Doubts(self._head_number)
        self._our_time = OurTime(pool.clock)
        self._sending = sending.Sending(chain_id, pool)

    @property
    def network(self) -> str:
        return self._network

    def parse_address(self, text: str) -> str:
        return parse_address(text)

    def sign(self, planned: PlannedTx, private_key: bytes) -> SignedTx:
        return sending.sign(planned, private_key)

    def providers(self) -> Sequence[ProviderHealth]:
        return [self._health(provider) for provider in self._pool.all]

    def pace(self, wanted_seconds: float, *, is_urgent: bool) -> float:
        next_asked = next(iter(self._pool.providers()), None)
        return wanted_seconds if next_asked is None else next_asked.meter.pace(wanted_seconds, is_urgent=is_urgent)

    async def connect(self) -> str:
        """Every provider is asked for its head and for a look at it; that one answers is enough."""
        found: list[str] = []
        failures: list[str] = []
        for provider in self._pool.all:
            try:
                block = await self._reads(provider).head()
                await self._looker.look(provider, block.header, ())
                found.append(f"{provider.name} at block {block.ref.number}, looks by {self._looker.plan(provider)}")
            except ProviderFailed as failure:
                failures.append(str(failure))
        if not found:
            raise Unavailable("; ".join(failures))
        return "; ".join([*found, *failures])

    async def head_number(self) -> int:
        return await self._head_number(self._pool.first)

    async def observe(self, books: Books) -> Observation:
        await self._pin(books)
        watchlist = Watchlist.of(books, self._assets)
        failures: list[Exception] = []
        self._memory.is_cursor_doubted = self._doubts.is_cursor_doubted(self._pool.providers())
        for primary in self._pool.providers() or (self._pool.first,):
            others = [provider for provider in self._pool.providers() if provider is not primary]
            second = self._doubts.second_of(others)
            primary.meter.looked()
            tick = Tick(
                views=Views(
                    primary=self._reads(primary),
                    second=self._reads(second) if second is not None else None,
                    is_alone=len(self._pool.all) == 1,
                ),
                depth=self._depth,
                watchlist=watchlist,
                books=books,
                memory=self._memory,
                our_time=self._our_time.latest(),
            )
            try:
                seen = await tick.observe()
                self._note_head(primary, seen.head.number)
                trouble = await self._doubts.looked(primary, second, self._pool.all, books, seen)
                await self._ask_after_others(primary)
                return replace(seen, trouble=trouble)
            except PastGone as gone:
                if self._doubts.is_past_gone(primary, gone.head, self._pool.all):
                    raise DeepReorg(str(gone)) from None
                failures.append(gone)
                if len(self._pool.all) > 1:
                    primary.meter.lied()  # it is not believed in anything for a while
                    primary.degrade(f"not the chain that we followed: {gone}")
            except (WrongContext, WrongTime) as failure:
                primary.meter.lied()
                primary.degrade(failure.reason)
                failures.append(failure)
            except Behind as behind:
                self._doubts.is_behind(primary)
                failures.append(behind)
            except ProviderFailed as failure:
                if isinstance(failure, Garbled) and failure.provider == primary.name:
                    primary.degrade(failure.reason, LEAST_REST_SECONDS)
                failures.append(failure)
        raise Unavailable("; ".join(map(str, failures)))

    async def _pin(self, books: Books) -> None:
        """Tell the pool by which blocks to know our network."""
        identity, pins = self._pool.identity, pins_of(books.checkpoints, books.horizon)
        if identity.first_pin is not None:
            pins = (identity.first_pin, *pins[-1:])  # the same to the end: another would have to be proven anew
        elif not pins:
            asked = self._pool.providers() or (self._pool.first,)
            pins = (await agreed_pin([self._reads(each) for each in asked], books.horizon),)
        identity.pins = pins

    async def _ask_after_others(self, primary: Provider) -> None:
        """Hear of each other provider once an hour: one that has died is known before it is needed."""
        now = trio.current_time()
        for provider in self._pool.providers():
            if provider is not primary and now - self._heard_at.get(provider.name, -float("inf")) > HEARD_SECONDS:
                self._heard_at[provider.name] = now
                with suppress(ProviderFailed):
                    await self._head_number(provider)

    async def balance_units(self, asset: Asset, address: str) -> int:
        provider = self._pool.first
        if asset.contract is not None:
            return await self._reads(provider).token_balance(asset.contract, address)
        return int(await provider.call("eth_getBalance", [address, "latest"], Quantity), 16)

    async def is_sanctioned(self, oracle: str, address: str) -> bool:
        """Whether the contract at `oracle` lists an address, as the first provider says that can tell."""
        failures: list[str] = []
        for provider in self._pool.providers() or (self._pool.first,):
            try:
                return await self._reads(provider).is_sanctioned(oracle, address)
            except ProviderFailed as failure:
                failures.append(str(failure))
        raise Unavailable("; ".join(failures))

    async def listing_trouble(self, asset: Asset) -> str | None:
        """What a contract says of its decimals is never believed, only compared."""
        if asset.contract is None:
            return None
        reads = self._reads(self._pool.first)
        if not await reads.has_code(asset.contract):
            return f"there is no contract at {asset.contract}"
        decimals = await reads.token_decimals(asset.contract)
        if decimals not in {None, asset.decimals}:
            return f"its contract counts in {decimals} decimals, the config in {asset.decimals}"
        return None

    async def pending_nonce(self, sender: str) -> int:
        """The highest that a provider counts: each knows its own mempool only."""
        counts: list[int] = []
        failures: list[str] = []
        for provider in self._pool.providers() or (self._pool.first,):
            try:
                answer = await provider.call("eth_getTransactionCount", [sender, "pending"], Count)
                counts.append(int(answer, 16))
            except ProviderFailed as failure:
                failures.append(str(failure))
        if not counts:
            raise Unavailable("; ".join(failures))
        return max(counts)

    async def final_nonce(self, sender: str) -> int:
        provider = self._pool.first
        height = max(0, await self._head_number(provider) - self._depth + 1)
        return int(await provider.call("eth_getTransactionCount", [sender, hex(height)], Count), 16)

    async def fees(self, asset: Asset, sender: str, recipient: str) -> Fees:
        return await self._sending.fees(asset, sender, recipient)

    async def dry_run(self, wanted: Outgoing) -> None:
        await self._sending.dry_run(wanted)

    async def prepare(self, wanted: Outgoing, nonce: int) -> PlannedTx:
        return await self._sending.prepare(wanted, nonce)

    async def bump(self, planned: PlannedTx) -> PlannedTx:
        return await self._sending.bump(planned)

    async def broadcast(self, signed: SignedTx) -> None:
        await self._sending.broadcast(signed)

    async def status(self, tx_hash: str) -> TxStatus:
        return await self._sending.status(tx_hash)

    async def aclose(self) -> None:
        await self._pool.aclose()

    def _health(self, provider: Provider) -> ProviderHealth:
        state, reason, meter = ProviderState.OK, None, provider.meter
        head_number, lag_blocks = self._heads.get(provider.name, (None, None))
        if provider.reason:
            state, reason = ProviderState.FAILING, provider.reason
        elif meter.is_spent:
            state, reason = ProviderState.SPENT, f"its {meter.calls_per_day} calls of today (UTC) are used up"
        return ProviderHealth(
            name=provider.name,
            state=state,
            reason=reason,
            head_number=head_number,
            lag_blocks=lag_blocks,
            usage=meter.usage,
            calls_per_day=meter.calls_per_day,
        )

    async def _head_number(self, provider: Provider) -> int:
        number = (await self._reads(provider).head()).ref.number
        self._note_head(provider, number)
        return number

    def _note_head(self, provider: Provider, number: int) -> None:
        newest = max([number, *(head for name, (head, _) in self._heads.items() if name != provider.name)])
        self._heads[provider.name] = (number, newest - number)

    def _reads(self, provider: Provider) -> Reads:
        return Reads(provider, self._looker, self._log_ranges[provider.name])
