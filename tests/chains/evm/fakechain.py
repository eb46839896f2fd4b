"""A chain in memory with reorganisations, and views of it that lie: quick enough for thousands of random histories.

`FakeReads` stands where `reads.Reads` does, below every decision and above JSON. What it knows of the node's code
are the shapes of answers only.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256

from paynode.chains.evm.look import Header, Look, Looker
from paynode.chains.evm.reads import Pruned
from paynode.chains.evm.traces import Frame, InnerTransfer, NestedTrace, TraceMethod, of_nested
from paynode.chains.evm.wire import Block, FullBlock, Log, Tx, TxReceipt
from paynode.chains.jsonrpc import ProviderFailed
from paynode.domain.chain import BlockRef

PROTOCOL = "0x" + "00" * 20  # as a sender: the chain itself, whose withdrawals are in no trace
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


@dataclass(frozen=True)
class Payment:
    """One transaction: coins by its value or from inside a contract, and token logs; all or nothing by `succeeded`."""

    sender: str
    nonce: int
    to: str
    value: int = 0
    inside: tuple[tuple[str, int], ...] = ()  # (address, units) that a contract sends
    undone: tuple[tuple[str, int], ...] = ()  # (address, units) that it sends in a call which then fails
    tokens: tuple[tuple[str, str, str, int], ...] = ()  # (contract, from, to, units)
    drains: tuple[tuple[str, str, str], ...] = ()  # (contract, from, to): whatever is there, by code at `from`
    wiped: tuple[tuple[str, str, int], ...] = ()  # (contract, holder, units) that go without a log, last of all
    codes: tuple[tuple[str, int], ...] = ()  # (address, code size) that it sets
    fee: int = 0
    chain: str = ""  # the signed bytes name it, so that the same payment has another hash on another one
    succeeded: bool = True
    drained: tuple[tuple[str, str, str, int], ...] = ()  # once mined: what `drains` moved

    @cached_property
    def hash(self) -> str:
        return "0x" + sha256(repr(self.as_sent).encode()).hexdigest()

    @property
    def as_sent(self) -> "Payment":
        return replace(self, succeeded=True, drained=())

    @property
    def moved(self) -> tuple[tuple[str, str, str, int], ...]:
        """Its token logs."""
        return self.tokens + self.drained if self.succeeded else ()


@dataclass(frozen=True)
class FakeBlock:
    number: int
    hash: str
    parent_hash: str
    timestamp: int
    payments: tuple[Payment, ...]
    native: dict[str, int]
    tokens: dict[tuple[str, str], int]
    nonces: dict[str, int]
    codes: dict[str, int]

    @cached_property
    def header(self) -> Header:
        return Header(self.number, self.hash, self.parent_hash, self.timestamp)

    @cached_property
    def logs(self) -> list[Log]:
        return wire_logs(self)


@dataclass
class FakeChain:
    """Blocks with the state after each. A block without payments shares its state with the one before."""

    seconds_per_block: int = 12
    began_at: int = 1_700_000_000
    blocks: list[FakeBlock] = field(default_factory=list)
    orphans: list[FakeBlock] = field(default_factory=list)
    salt: int = 0
    busy: list[int] = field(default_factory=list)  # the heights of blocks with payments
    block_by_hash: dict[str, FakeBlock] = field(default_factory=dict)
    mined: dict[str, tuple[Payment, FakeBlock]] = field(default_factory=dict)  # by transaction hash

    def __post_init__(self) -> None:
        if not self.blocks:
            self._append(FakeBlock(0, "0x" + "00" * 32, "0x" + "ff" * 32, self.began_at, (), {}, {}, {}, {}))

    @property
    def head(self) -> FakeBlock:
        return self.blocks[-1]

    @property
    def codes(self) -> dict[str, int]:
        """Code sizes by address, at the head."""
        return self.head.codes

    def busy_blocks(self, low: int, high: int) -> list[FakeBlock]:
        """The blocks with payments in (low, high]."""
        return [self.blocks[n] for n in self.busy[bisect_right(self.busy, low) : bisect_right(self.busy, high)]]

    def mine(self, payments: Sequence[Payment] = ()) -> None:
        before = self.head
        state = (before.native, before.tokens, before.nonces, before.codes)
        done: list[Payment] = []
        if payments:
            state = (dict(before.native), dict(before.tokens), dict(before.nonces), dict(before.codes))
            done = [_executed(payment, *state) for payment in payments]
        self.salt += 1
        hash_ = "0x" + sha256(f"{before.hash}{self.salt}".encode()).hexdigest()
        number = before.number + 1
        at = self.began_at + number * self.seconds_per_block
        self._append(FakeBlock(number, hash_, before.hash, at, tuple(done), *state))

    def reorg(self, depth: int) -> list[Payment]:
        """Take the newest `depth` blocks away; returns what was in them."""
        gone = self.blocks[len(self.blocks) - depth :]
        del self.blocks[len(self.blocks) - depth :]
        del self.busy[bisect_left(self.busy, len(self.blocks)) :]
        for block in gone:
            del self.block_by_hash[block.hash]
            for payment in block.payments:
                del self.mined[payment.hash]
        self.orphans += [block for block in gone if block.payments]
        return [payment for block in gone for payment in block.payments]

    def fork(self) -> "FakeChain":
        """The same chain, to go its own way from here."""
        return replace(
            self,
            blocks=[*self.blocks],
            orphans=[*self.orphans],
            salt=self.salt + (1 << 32),
            busy=[*self.busy],
            block_by_hash=dict(self.block_by_hash),
            mined=dict(self.mined),
        )

    def _append(self, block: FakeBlock) -> None:
        self.blocks.append(block)
        self.block_by_hash[block.hash] = block
        if block.payments:
            self.busy.append(block.number)
            self.mined |= {payment.hash: (payment, block) for payment in block.payments}


def _executed(
    payment: Payment,
    native: dict[str, int],
    tokens: dict[tuple[str, str], int],
    nonces: dict[str, int],
    codes: dict[str, int],
) -> Payment:
    """`payment` as it ended, and what it did to the state."""
    drained = tuple(
        (contract, holder, to, units)
        for contract, holder, to in payment.drains
        if (units := tokens.get((contract, holder), 0)) and (codes.get(holder) or holder == payment.sender)
    )
    payment = replace(payment, drained=drained)
    value = payment.value if payment.succeeded else 0
    if payment.fee and native.get(payment.sender, 0) < value + payment.fee:
        payment, value = replace(payment, succeeded=False), 0
    # Only our own senders, who pay a fee, have a balance that matters.
    short = [(c, s) for c, s, _, units in payment.tokens if payment.fee and tokens.get((c, s), 0) < units]
    if short or any(
        _held_after(payment, tokens, contract, holder) < units for contract, holder, units in payment.wiped
    ):
        payment, value = replace(payment, succeeded=False), 0
    if payment.fee:
        native[payment.sender] = native.get(payment.sender, 0) - value - payment.fee
    nonces[payment.sender] = payment.nonce + 1
    if payment.succeeded:
        for to, units in ((payment.to, value), *payment.inside):
            native[to] = native.get(to, 0) + units
        for contract, sender, to, units in payment.moved:
            tokens[contract, sender] = tokens.get((contract, sender), 0) - units
            tokens[contract, to] = tokens.get((contract, to), 0) + units
        for contract, holder, units in payment.wiped:
            tokens[contract, holder] -= units
        codes |= dict(payment.codes)
    return payment


def _held_after(payment: Payment, tokens: dict[tuple[str, str], int], contract: str, holder: str) -> int:
    """What a holder has of a token once the transfers of `payment` are done."""
    moves = [*payment.tokens, *payment.drained]
    come = sum(units for c, _, to, units in moves if (c, to) == (contract, holder))
    gone = sum(units for c, sender, _, units in moves if (c, sender) == (contract, holder))
    return tokens.get((contract, holder), 0) + come - gone


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
        for contract, sender, to, units in payment.moved:
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
        return self._block(at)

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

    async def full_block(self, hash_: str) -> FullBlock:
        self._work("blocks")
        block = self._known(hash_)
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
            raise ProviderFailed(self.name, "no such block")
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
