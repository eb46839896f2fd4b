"""A chain in memory with reorganisations: quick enough for thousands of random histories."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256

from paynode.chains.evm.look import Header
from paynode.chains.evm.wire import Log

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


def wire_logs(block: FakeBlock) -> list[Log]:
    logs = []
    for payment in block.payments:
        for contract, sender, to, units in payment.moved:
            topics = [TRANSFER, *("0x" + each[2:].lower().rjust(64, "0") for each in (sender, to))]
            logs.append(
                Log(contract, topics, f"0x{units:064x}", hex(block.number), block.hash, payment.hash, hex(len(logs)))
            )
    return logs
