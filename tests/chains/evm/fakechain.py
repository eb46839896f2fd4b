"""A chain in memory with reorganisations, and views of it that lie: quick enough for thousands of random histories.

`FakeReads` stands where `reads.Reads` does, below every decision and above JSON. What it knows of the node's code
are the shapes of answers only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from paynode.chains.evm.look import Header, Look
from paynode.chains.evm.reads import Pruned
from paynode.chains.evm.traces import InnerTransfer, TraceMethod
from paynode.chains.evm.wire import Block, FullBlock, Log, Tx, TxReceipt
from paynode.chains.jsonrpc import ProviderFailed
from paynode.domain.chain import BlockRef

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
SECONDS_PER_BLOCK = 12


@dataclass(frozen=True)
class Payment:
    """One transaction: coins by its value or from inside a contract, and token logs; all or nothing by `succeeded`."""

    sender: str
    nonce: int
    to: str
    value: int = 0
    inside: tuple[tuple[str, int], ...] = ()  # (address, units) that a contract sends
    tokens: tuple[tuple[str, str, str, int], ...] = ()  # (contract, from, to, units)
    wiped: tuple[tuple[str, str, int], ...] = ()  # (contract, holder, units) that an issuer takes without a log
    fee: int = 0
    succeeded: bool = True

    @property
    def hash(self) -> str:
        return "0x" + sha256(repr(replace(self, succeeded=True)).encode()).hexdigest()


@dataclass(frozen=True)
class FakeBlock:
    number: int
    hash: str
    parent_hash: str
    payments: tuple[Payment, ...]
    native: dict[str, int]
    tokens: dict[tuple[str, str], int]
    nonces: dict[str, int]

    @property
    def timestamp(self) -> int:
        return 1_700_000_000 + self.number * SECONDS_PER_BLOCK

    @property
    def header(self) -> Header:
        return Header(self.number, self.hash, self.parent_hash, self.timestamp)


@dataclass
class FakeChain:
    blocks: list[FakeBlock] = field(default_factory=list)
    orphans: list[FakeBlock] = field(default_factory=list)
    salt: int = 0
    codes: dict[str, int] = field(default_factory=dict)  # code sizes by address

    def __post_init__(self) -> None:
        self.blocks.append(FakeBlock(0, "0x" + "00" * 32, "0x" + "ff" * 32, (), {}, {}, {}))

    @property
    def head(self) -> FakeBlock:
        return self.blocks[-1]

    def mine(self, payments: Sequence[Payment] = ()) -> None:
        before = self.head
        native, tokens, nonces = dict(before.native), dict(before.tokens), dict(before.nonces)
        done = []
        for payment in payments:
            value = payment.value if payment.succeeded else 0
            if native.get(payment.sender, 0) < value + payment.fee and payment.fee:
                payment = replace(payment, succeeded=False, value=payment.value)
                value = 0
            short = [(c, s) for c, s, _, units in payment.tokens if payment.fee and tokens.get((c, s), 0) < units]
            if short or any(tokens.get((c, holder), 0) < units for c, holder, units in payment.wiped):
                payment, value = replace(payment, succeeded=False), 0
            if payment.fee:  # only our own senders have a balance that matters
                native[payment.sender] = native.get(payment.sender, 0) - value - payment.fee
            nonces[payment.sender] = payment.nonce + 1
            if payment.succeeded:
                for to, units in ((payment.to, value), *payment.inside):
                    native[to] = native.get(to, 0) + units
                for contract, holder, units in payment.wiped:
                    tokens[contract, holder] -= units
                for contract, sender, to, units in payment.tokens:
                    tokens[contract, sender] = tokens.get((contract, sender), 0) - units
                    tokens[contract, to] = tokens.get((contract, to), 0) + units
            done.append(payment)
        self.salt += 1
        hash_ = "0x" + sha256(f"{before.hash}{self.salt}".encode()).hexdigest()
        self.blocks.append(FakeBlock(before.number + 1, hash_, before.hash, tuple(done), native, tokens, nonces))

    def reorg(self, depth: int) -> list[Payment]:
        """Take the newest `depth` blocks away; returns what was in them."""
        gone = self.blocks[len(self.blocks) - depth :]
        del self.blocks[len(self.blocks) - depth :]
        self.orphans += gone
        return [payment for block in gone for payment in block.payments]


def wire_tx(payment: Payment, block: FakeBlock | None) -> Tx:
    return Tx(
        hash=payment.hash,
        from_=payment.sender,
        value=hex(payment.value),
        to=payment.to,
        nonce=hex(payment.nonce),
        block_hash=block.hash if block else None,
    )


def wire_logs(block: FakeBlock) -> list[Log]:
    logs = []
    for payment in block.payments:
        for contract, sender, to, units in payment.tokens if payment.succeeded else ():
            topics = [TRANSFER, *("0x" + each[2:].lower().rjust(64, "0") for each in (sender, to))]
            logs.append(
                Log(contract, topics, f"0x{units:064x}", hex(block.number), block.hash, payment.hash, hex(len(logs)))
            )
    return logs


def wire_receipt(payment: Payment, block: FakeBlock) -> TxReceipt:
    return TxReceipt(
        transaction_hash=payment.hash,
        block_hash=block.hash,
        block_number=hex(block.number),
        gas_used="0x1",
        logs=[log for log in wire_logs(block) if log.transaction_hash == payment.hash],
        status=hex(payment.succeeded),
        effective_gas_price=hex(payment.fee),
    )


@dataclass
class FakeReads:
    """One provider's view of `chain`. `lies` name what is wrong with it now."""

    chain: FakeChain
    name: str
    lies: set[str] = field(default_factory=set)
    log_calls: int = 0

    @property
    def log_blocks(self) -> int:
        return 4 if "capped" in self.lies else 1 << 22

    @property
    def _lag(self) -> int:
        return 2 if "stale state" in self.lies else 0

    def _state(self, height: int) -> FakeBlock:
        return self.chain.blocks[max(height - self._lag, 0)]

    def _work(self, what: str) -> None:
        if f"no {what}" in self.lies:
            raise ProviderFailed(self.name, f"{what} fails")

    async def head(self) -> Block:
        self._work("head")
        at = self.chain.blocks[max(len(self.chain.blocks) - 3, 0)] if "old head" in self.lies else self.chain.head
        return self._block(at)

    async def look(
        self, header: Header, addresses: Sequence[str], tokens: Sequence[str], heights: Iterable[int]
    ) -> Look:
        self._work("look")
        seen = self.chain.blocks[max(header.number - 2, 0)] if "stale look" in self.lies else self._at(header)
        found = Look(header, 1)
        for height in heights:
            found.hash_by_number[height] = self.chain.blocks[height].hash if height < header.number else None
        for address in addresses:
            found.native_by_address[address] = seen.native.get(address, 0)
            found.code_size_by_address[address] = self.chain.codes.get(address, 0)
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
        return {block.hash: self._block(block) for block in self.chain.blocks if block.hash in hashes}

    async def full_block(self, hash_: str) -> FullBlock:
        self._work("blocks")
        block = next(block for block in self.chain.blocks if block.hash == hash_)
        header = self._block(block)
        return FullBlock(
            number=header.number,
            hash=header.hash,
            parent_hash=header.parent_hash,
            timestamp=header.timestamp,
            transactions=[wire_tx(payment, block) for payment in block.payments],
        )

    async def inner_transfers(self, block: BlockRef, method: TraceMethod) -> list[InnerTransfer]:
        self._work("traces")
        (found,) = (each for each in self.chain.blocks if each.hash == block.hash)
        return [
            InnerTransfer(payment.hash, payment.to.lower(), to.lower(), units)
            for payment in found.payments
            if payment.succeeded
            for to, units in payment.inside
        ]

    async def txs(self, hashes: Sequence[str]) -> dict[str, Tx]:
        found = self._mined()
        return {hash_: wire_tx(*found[hash_]) for hash_ in hashes if hash_ in found and "no txs" not in self.lies}

    async def receipts(self, hashes: Sequence[str]) -> dict[str, TxReceipt]:
        found = {} if "empty receipts" in self.lies else self._mined()
        return {hash_: wire_receipt(*found[hash_]) for hash_ in hashes if hash_ in found}

    async def nonces(self, addresses: Sequence[str], header: Header) -> list[int]:
        self._work("nonces")
        return [self._at(header).nonces.get(address, 0) for address in addresses]

    async def balances(self, asks: Sequence[tuple[str, int]], head: int) -> list[int]:
        self._work("balances")
        if "pruned" in self.lies and min(height for _, height in asks) < head - 5:
            raise Pruned
        if max(height for _, height in asks) > self.chain.head.number:
            raise ProviderFailed(self.name, "no such block")
        return [self._state(height).native.get(address, 0) for address, height in asks]

    async def token_balances(self, asks: Sequence[tuple[str, str, int]]) -> list[int]:
        self._work("balances")
        if "pruned" in self.lies and min(height for _, _, height in asks) < self.chain.head.number - 5:
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
        blocks = [*self.chain.blocks, *(self.chain.orphans if "old fork logs" in self.lies else ())]
        logs = [log for block in blocks if low < block.number <= high for log in wire_logs(block)]
        return [log for log in logs if ours & set(log.topics[1:]) and log.address in contracts], low

    def _at(self, header: Header) -> FakeBlock:
        return self.chain.blocks[header.number]

    def _mined(self) -> dict[str, tuple[Payment, FakeBlock]]:
        return {payment.hash: (payment, block) for block in self.chain.blocks for payment in block.payments}

    def _block(self, block: FakeBlock) -> Block:
        return Block(hex(block.number), block.hash, block.parent_hash, hex(block.timestamp))
