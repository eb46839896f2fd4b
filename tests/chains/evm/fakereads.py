"""Views of a chain in memory, that lie: `FakeReads` stands where `reads.Reads` does, below every decision, above JSON.

What it knows of the node's code are the shapes of answers only.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
from tests.chains.evm.fakechain import PROTOCOL, FakeBlock, FakeChain, Payment

from paynode.chains.evm.look import Header, Look, Looker
from paynode.chains.evm.reads import Pruned
from paynode.chains.evm.traces import Frame, InnerTransfer, NestedTrace, TraceMethod, of_nested
from paynode.chains.evm.wire import AnyTx, Block, FullBlock, Log, Tx, TxReceipt
from paynode.chains.jsonrpc import ProviderFailed
from paynode.domain.chain import BlockRef

FUTURE_SECONDS = {"future head": 600, "far future head": 86_400}


def wire_tx(payment: Payment, block: FakeBlock | None) -> Tx:
    return Tx(
        hash=payment.hash,
        from_=payment.sender,
        value=hex(payment.value),
        to=payment.to,
        nonce=hex(payment.nonce),
        block_hash=block.hash if block else None,
    )


def wire_receipt(payment: Payment, block: FakeBlock) -> TxReceipt:
    return TxReceipt(
        transaction_hash=payment.hash,
        block_hash=block.hash,
        block_number=hex(block.number),
        gas_used="0x1",
        logs=[log for log in block.logs if log.transaction_hash == payment.hash],
        status=hex(payment.succeeded),
        effective_gas_price=hex(payment.fee),
    )


def wire_trace(payment: Payment) -> NestedTrace:
    """What a tracer tells of a transaction: under the failed call, a transfer that names no error of its own."""
    moves = payment.inside if payment.sender != PROTOCOL else ()
    inside = [Frame("CALL", payment.to, to, hex(units)) for to, units in moves]
    undone = [Frame("CALL", payment.to, to, hex(units)) for to, units in payment.undone]
    failed = Frame("CALL", payment.to, payment.to, "0x0", "execution reverted", tuple(undone))
    error = None if payment.succeeded else "execution reverted"
    top = Frame("CALL", payment.sender, payment.to, hex(payment.value), error, (*inside, failed))
    return NestedTrace(payment.hash, top)


@dataclass
class FakeReads:
    """One provider's view of `chain`. `lies` name what is wrong with it now."""

    chain: FakeChain
    name: str
    lies: set[str] = field(default_factory=set)
    log_calls: int = 0
    was_believed_elsewhere: bool = False  # a look that ran in another block was taken for the head's
    before_read: Callable[[str, str], None] | None = None  # told the provider and what it is asked for; may raise

    @property
    def log_blocks(self) -> int:
        return 4 if "capped" in self.lies else 1 << 22

    @property
    def _lag(self) -> int:
        return 2 if "stale state" in self.lies else 0

    def _state(self, height: int) -> FakeBlock:
        return self.chain.blocks[max(height - self._lag, 0)]

    def _work(self, what: str) -> None:
        if self.before_read is not None:
            self.before_read(self.name, what)
        if f"no {what}" in self.lies:
            raise ProviderFailed(self.name, f"{what} fails")

    async def head(self) -> Block:
        self._work("head")
        at = self.chain.blocks[max(len(self.chain.blocks) - 3, 0)] if "old head" in self.lies else self.chain.head
        block = self._block(at)
        ahead = sum(seconds for lie, seconds in FUTURE_SECONDS.items() if lie in self.lies)
        return msgspec.structs.replace(block, timestamp=hex(at.timestamp + ahead)) if ahead else block

    async def look(
        self, header: Header, addresses: Sequence[str], tokens: Sequence[str], heights: Iterable[int]
    ) -> Look:
        self._work("look")
        found = Look(header, 1)
        blocks = self.chain.blocks
        at = self._at(header)
        if "elsewhere" in self.lies:
            # Whether an answer from another block is believed is for the product's own look to say.
            at = blocks[max(header.number - 3, 0)]
            await Looker(1).look(_Elsewhere(self.name, at.header), header, ())
            self.was_believed_elsewhere = True
        seen = blocks[max(header.number - 2, 0)] if "stale look" in self.lies else at
        for height in heights:
            found.hash_by_number[height] = blocks[height].hash if height < header.number else None
        for address in addresses:
            found.native_by_address[address] = seen.native.get(address, 0)
            found.code_size_by_address[address] = seen.codes.get(address, 0)
            for token in tokens:
                found.units_by_holding[address, token] = seen.tokens.get((token, address), 0)
        return found

    async def hashes(self, header: Header, heights: Iterable[int]) -> dict[int, str]:
        self._work("hashes")
        return {height: self.chain.blocks[height].hash for height in heights if height <= header.number}

    async def blocks_by_number(self, heights: Sequence[int]) -> list[Block | None]:
        self._work("blocks")
        known = self.chain.blocks
        return [self._block(known[height]) if height < len(known) else None for height in heights]

    async def blocks_by_hash(self, hashes: Sequence[str]) -> dict[str, Block]:
        self._work("blocks")
        known = self.chain.block_by_hash
        return {hash_: self._block(known[hash_]) for hash_ in hashes if hash_ in known}

    async def full_blocks(self, hashes: Sequence[str]) -> list[FullBlock]:
        self._work("blocks" if hashes else "nothing")
        return [
            FullBlock(
                self.name,
                self._block(block).ref,
                [msgspec.convert(wire_tx(payment, block), AnyTx, from_attributes=True) for payment in block.payments],
            )
            for block in map(self._known, hashes)
        ]

    async def inner_transfers(self, block: BlockRef, method: TraceMethod) -> list[InnerTransfer]:
        self._work("traces")
        return of_nested([wire_trace(payment) for payment in self._known(block.hash).payments])

    async def txs(self, hashes: Sequence[str]) -> dict[str, Tx]:
        self._work("txs" if hashes else "nothing")
        found = self.chain.mined
        return {hash_: wire_tx(*found[hash_]) for hash_ in hashes if hash_ in found}

    async def receipts(self, hashes: Sequence[str]) -> dict[str, TxReceipt]:
        self._work("receipts" if hashes else "nothing")
        found = {} if "empty receipts" in self.lies else self.chain.mined
        return {hash_: wire_receipt(*found[hash_]) for hash_ in hashes if hash_ in found}

    async def nonces(self, addresses: Sequence[str], header: Header) -> list[int]:
        self._work("nonces")
        return [self._at(header).nonces.get(address, 0) for address in addresses]

    async def nonce_at(self, address: str, height: int) -> int:
        self._work("nonces")
        return self._state(height).nonces.get(address, 0)

    async def balances(self, asks: Sequence[tuple[str, int]], head: int) -> list[int]:
        self._work("balances")
        if "pruned" in self.lies and min(height for _, height in asks) < head - 5:
            raise Pruned
        if max(height for _, height in asks) > self.chain.head.number:
            raise ProviderFailed(self.name, "no such block")
        return [self._state(height).native.get(address, 0) for address, height in asks]

    async def token_balances(self, asks: Sequence[tuple[str, str, int]]) -> list[int]:
        self._work("balances")
        if not asks:
            return []
        lowest, highest = (extreme(height for _, _, height in asks) for extreme in (min, max))
        if "pruned" in self.lies and lowest < self.chain.head.number - 5:
            raise Pruned
        if highest > self.chain.head.number:
            raise Pruned
        return [self._state(height).tokens.get((contract, address), 0) for contract, address, height in asks]

    async def newest_logs(
        self, contracts: Sequence[str], addresses: Sequence[str], low: int, high: int
    ) -> tuple[list[Log], int]:
        self._work("logs")
        self.log_calls += 1
        low = max(low, high - 4) if "capped" in self.lies else low
        if "empty logs" in self.lies:
            return [], low
        ours = {"0x" + address[2:].lower().rjust(64, "0") for address in addresses}
        blocks = self.chain.busy_blocks(low, high)
        if "old fork logs" in self.lies:
            blocks += [block for block in self.chain.orphans if low < block.number <= high]
        logs = [log for block in blocks for log in block.logs if log.address in contracts]
        return [log for log in logs if not ours.isdisjoint(log.topics[1:])], low

    def _at(self, header: Header) -> FakeBlock:
        """The block of a header; a provider that does not have it says so."""
        return self._known(header.hash)

    def _known(self, hash_: str) -> FakeBlock:
        block = self.chain.block_by_hash.get(hash_)
        if block is None:
            raise ProviderFailed(self.name, "no such block")
        return block

    def _block(self, block: FakeBlock) -> Block:
        return Block(hex(block.number), block.hash, block.parent_hash, hex(block.timestamp))


@dataclass(frozen=True)
class _Elsewhere:
    """A provider that ignores the pin: it answers a look of nothing from the block of its own choice."""

    name: str
    header: Header

    async def call(self, method: str, params: object, type_: object) -> str:
        at = self.header
        words = [32, 4, at.number, at.timestamp, 1, int(at.parent_hash, 16)]
        return "0x" + "".join(f"{word:064x}" for word in words)
