"""What a tick asks of one provider, in our own terms. I/O.

The one rule: an answer must be about what was asked (the block of that hash,
the receipt of that transaction), or it is no answer. Nothing here decides
anything about money.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import trio

from paynode.chains.evm.codec import DECIMALS, address_topic, call_balance_of, call_is_sanctioned, log_filter
from paynode.chains.evm.log_range import LogRange
from paynode.chains.evm.look import Header, Look, Looker
from paynode.chains.evm.traces import FlatTrace, InnerTransfer, NestedTrace, TraceMethod, of_flat, of_nested
from paynode.chains.evm.wire import (
    AnyBlock,
    AnyLog,
    Block,
    Bytes,
    Count,
    FullBlock,
    Log,
    Quantity,
    Tx,
    TxReceipt,
    logs_with,
)
from paynode.chains.jsonrpc import Garbled, RpcError, TooMuch
from paynode.chains.provider import Provider
from paynode.domain.chain import BlockRef

TOPICS_MAX = 1000  # geth, bor and bsc cap a topic list
FULL_BLOCKS_MAX = 8  # in one answer: a block may be a megabyte of JSON
CHAIN_MEMORY_BLOCKS = 8_191  # EIP-2935
RECENT_STATE_BLOCKS = 64  # every full node has the state of the newest 128 blocks
ONE_WORD = re.compile(r"0x[0-9a-fA-F]{64}")


class Pruned(Exception):
    """The provider no longer has the state of that block."""


class Reads:
    """One provider's answers."""

    def __init__(self, provider: Provider, looker: Looker, log_range: LogRange) -> None:
        self.provider = provider
        self.log_calls = 0
        self._looker = looker
        self._log_range = log_range

    @property
    def name(self) -> str:
        return self.provider.name

    @property
    def log_blocks(self) -> int:
        """How many blocks the provider gives for one log query, as far as is known."""
        return self._log_range.blocks

    async def head(self) -> Block:
        block: Block = await self._ask("eth_getBlockByNumber", ["latest", False], Block)
        return block

    async def look(
        self, header: Header, addresses: Sequence[str], tokens: Sequence[str], heights: Collection[int]
    ) -> Look:
        return await self._looker.look(self.provider, header, addresses, tokens, sorted(heights))

    async def hashes(self, header: Header, heights: Iterable[int]) -> dict[int, str]:
        """The hashes of the ancestors of `header` at `heights`, and its own; heights above it are left out."""
        wanted = sorted(height for height in set(heights) if height < header.number)
        found = {header.number: header.hash}
        if young := [height for height in wanted if header.number - height <= CHAIN_MEMORY_BLOCKS]:
            known = (await self.look(header, (), (), young)).hash_by_number
            found |= {height: hash_ for height, hash_ in known.items() if hash_ is not None}
        # Beyond what the chain itself remembers, its provider is asked.
        old = [height for height in wanted if height not in found]
        for height, block in zip(old, await self.blocks_by_number(old), strict=True):
            if block is None:
                raise Garbled(self.name, f"eth_getBlockByNumber: no block {height} below the head")
            found[height] = block.header.hash
        return found

    async def blocks_by_number(self, heights: Sequence[int]) -> list[Block | None]:
        blocks: list[Block | None] = await self._ask_many(
            "eth_getBlockByNumber", [(hex(height), False) for height in heights], Block | None
        )
        for height, block in zip(heights, blocks, strict=True):
            self._check(block is None or int(block.number, 16) == height, "eth_getBlockByNumber")
        return blocks

    async def blocks_by_hash(self, hashes: Sequence[str]) -> dict[str, Block]:
        blocks = await self._ask_many("eth_getBlockByHash", [(hash_, False) for hash_ in hashes], Block)
        for hash_, block in zip(hashes, blocks, strict=True):
            self._check(block.header.hash == hash_, "eth_getBlockByHash")
        return dict(zip(hashes, blocks, strict=True))

    async def full_blocks(self, hashes: Sequence[str]) -> list[FullBlock]:
        """The blocks with their transactions. Where several are too much for one answer, fewer are asked for."""
        blocks: list[FullBlock] = []
        at_once = FULL_BLOCKS_MAX
        while len(blocks) < len(hashes):
            some = hashes[len(blocks) :][:at_once]
            try:
                found = await self._ask_many("eth_getBlockByHash", [(hash_, True) for hash_ in some], AnyBlock)
            except TooMuch:
                if len(some) == 1:
                    raise
                at_once = len(some) // 2
                continue
            self._check([block.header.hash for block in found] == list(some), "eth_getBlockByHash")
            blocks += [FullBlock(self.name, block.ref, block.transactions) for block in found]
        return blocks

    async def inner_transfers(self, block: BlockRef, method: TraceMethod) -> list[InnerTransfer]:
        """The native coins that moved inside the transactions of `block`, as `method` tells it."""
        match method:
            case TraceMethod.FLAT:
                flat: list[FlatTrace] | None = await self._ask(method, [hex(block.number)], list[FlatTrace] | None)
                self._check(all(trace.block_hash.lower() == block.hash for trace in flat or ()), method)
                return of_flat(flat or ())
            case TraceMethod.NESTED:
                params = [block.hash, {"tracer": "callTracer"}]
                nested: list[NestedTrace] | None = await self._ask(method, params, list[NestedTrace] | None)
                return of_nested(nested or ())

    async def txs(self, hashes: Sequence[str]) -> dict[str, Tx]:
        """Those transactions that the provider knows, by hash."""
        txs: list[Tx | None] = await self._ask_many(
            "eth_getTransactionByHash", [(hash_,) for hash_ in hashes], Tx | None
        )
        for hash_, tx in zip(hashes, txs, strict=True):
            self._check(tx is None or tx.hash.lower() == hash_, "eth_getTransactionByHash")
        return {hash_: tx for hash_, tx in zip(hashes, txs, strict=True) if tx is not None}

    async def receipts(self, hashes: Sequence[str]) -> dict[str, TxReceipt]:
        """The receipts that the provider has, by transaction hash."""
        receipts: list[TxReceipt | None] = await self._ask_many(
            "eth_getTransactionReceipt", [(hash_,) for hash_ in hashes], TxReceipt | None
        )
        for hash_, receipt in zip(hashes, receipts, strict=True):
            self._check(receipt is None or receipt.transaction_hash.lower() == hash_, "eth_getTransactionReceipt")
        return {hash_: receipt for hash_, receipt in zip(hashes, receipts, strict=True) if receipt is not None}

    async def nonces(self, addresses: Sequence[str], header: Header) -> list[int]:
        """How many transactions each address had sent by that block."""
        if not addresses:
            return []

        async def pinned(pin: Any) -> list[int]:
            asks = [(address, pin) for address in addresses]
            return [int(answer, 16) for answer in await self._ask_many("eth_getTransactionCount", asks, Count)]

        try:
            return await pinned({"blockHash": header.hash})
        except RpcError:  # perhaps it takes numbers only
            counts = await pinned(hex(header.number))
            await self._looker.confirm(self.provider, header)
            return counts

    async def nonce_at(self, address: str, height: int) -> int:
        """Raises `Pruned` if the state of that height is gone."""
        try:
            return int(await self._ask("eth_getTransactionCount", [address, hex(height)], Count), 16)
        except RpcError:
            raise Pruned from None

    async def balances(self, asks: Sequence[tuple[str, int]], head: int) -> list[int]:
        """The native balances of (address, height).

        Raises:
            Pruned: a state is gone that a full node may have thrown away.
        """
        try:
            answers = await self._ask_many("eth_getBalance", [(address, hex(h)) for address, h in asks], Quantity)
        except RpcError:
            # Providers name this in a dozen ways; that the newest state is missing is a fault, not an age.
            if min(height for _, height in asks) > head - RECENT_STATE_BLOCKS:
                raise
            raise Pruned from None
        return [int(answer, 16) for answer in answers]

    async def token_balances(self, asks: Sequence[tuple[str, str, int]]) -> list[int]:
        """The balances by (contract, address, height).

        Raises:
            Pruned: a state is gone, or a contract does not tell.
        """
        calls = [
            ({"to": contract, "data": call_balance_of(address)}, hex(height)) for contract, address, height in asks
        ]
        try:
            answers = await self._ask_many("eth_call", calls, Bytes)
        except RpcError:
            raise Pruned from None
        if not all(len(answer) == 66 for answer in answers):
            raise Pruned
        return [int(answer, 16) for answer in answers]

    async def token_balance(self, contract: str, address: str, block: str = "latest") -> int:
        answer: str = await self.provider.call(
            "eth_call", [{"to": contract, "data": call_balance_of(address)}, block], str
        )
        self._check(len(answer) >= 66 and answer.startswith("0x"), "eth_call")
        return int(answer[:66], 16)

    async def has_code(self, address: str) -> bool:
        answer: str = await self._ask("eth_getCode", [address, "latest"], Bytes)
        return len(answer) > len("0x")

    async def is_sanctioned(self, oracle: str, address: str) -> bool:
        """What a contract that keeps a list of addresses says of one; anything but yes or no is no answer."""
        answer: str = await self.provider.call(
            "eth_call", [{"to": oracle, "data": call_is_sanctioned(address)}, "latest"], str
        )
        self._check(ONE_WORD.fullmatch(answer) is not None and int(answer, 16) in {0, 1}, "eth_call")
        return int(answer, 16) == 1

    async def token_decimals(self, contract: str) -> int | None:
        """What the contract says; None: nothing that can be read. ERC-20 does not ask for it."""
        try:
            answer: str = await self.provider.call("eth_call", [{"to": contract, "data": DECIMALS}, "latest"], str)
        except RpcError:
            return None
        return int(answer, 16) if ONE_WORD.fullmatch(answer) else None

    async def newest_logs(
        self, contracts: Sequence[str], addresses: Sequence[str], low: int, high: int
    ) -> tuple[list[Log], int]:
        """The transfer logs of the newest part of (low, high] that the provider gives at once, and where it begins.

        Both directions; what is returned is complete over (reached, high].
        """
        while True:
            blocks = min(high - low, self._log_range.blocks)
            reached = high - blocks
            try:
                logs = await self._logs(contracts, addresses, reached, high)
            except TooMuch as failure:
                if blocks > 1:
                    self._log_range.refused(blocks, failure, trio.current_time())
                    continue
                logs = await self._logs_by_halves(contracts, addresses, reached, high, failure)
            self._log_range.answered(blocks, trio.current_time())
            return logs, reached

    async def _logs_by_halves(
        self, contracts: Sequence[str], addresses: Sequence[str], low: int, high: int, failure: TooMuch
    ) -> list[Log]:
        """The logs of one block that has too many of ours for one answer."""
        if len(addresses) > 1:
            at = len(addresses) // 2
            halves = [(contracts, addresses[:at]), (contracts, addresses[at:])]
        elif len(contracts) > 1:
            at = len(contracts) // 2
            halves = [(contracts[:at], addresses), (contracts[at:], addresses)]
        else:
            raise failure
        logs: list[Log] = []
        for some_contracts, some_addresses in halves:
            try:
                logs += await self._logs(some_contracts, some_addresses, low, high)
            except TooMuch as again:
                logs += await self._logs_by_halves(some_contracts, some_addresses, low, high, again)
        return logs

    async def _logs(self, contracts: Sequence[str], addresses: Sequence[str], low: int, high: int) -> list[Log]:
        logs: list[Log] = []
        for start in range(0, len(addresses), TOPICS_MAX):
            some = addresses[start : start + TOPICS_MAX]
            ours = {address_topic(address) for address in some}
            for outgoing in (False, True):
                self.log_calls += 1
                asked = log_filter(contracts, some, low + 1, high, outgoing=outgoing)
                logs += logs_with(self.name, await self._ask("eth_getLogs", [asked], list[AnyLog]), ours)
        return logs

    async def _ask(self, method: str, params: Sequence[Any], type_: Any) -> Any:
        return await self.provider.call(method, params, type_)

    async def _ask_many(self, method: str, many_params: Sequence[Sequence[Any]], type_: Any) -> list[Any]:
        return await self.provider.batch(method, many_params, type_) if many_params else []

    def _check(self, is_true: bool, method: str) -> None:
        if not is_true:
            raise Garbled(self.provider.name, f"{method}: the answer is about something else")
