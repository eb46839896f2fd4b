"""The simulated network itself: one canonical chain, a mempool, and everything one may do to them.

Nothing here is random and nothing waits: time comes from the clock that is passed in, hashes from the seed and
what happened so far. Every change is handed to `save` before the call that made it returns, so that what was
acknowledged survives a crash.

    pay, fund, submit -> mempool -> mine -> block        reorg: block -> gone, or mined again elsewhere
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from paynode.chains.base import Refused
from paynode.chains.sim.keys import CUSTOMER, FAUCET, parse_address
from paynode.chains.sim.shapes import Block, Mined, Move, Tx, milliseconds
from paynode.chains.sim.state import State
from paynode.domain.chain import BlockRef

BLOCKS_KEPT = 2_000  # far below any reorg horizon in use, and a file of a few hundred kilobytes
BLOCKS_AT_ONCE_MAX = 1_000  # a tick must come before they are forgotten
GAS_PER_TX = 21_000  # every transaction costs the same
GWEI = 10**9

Clock = Callable[[], datetime]
Payment = tuple[str, str, int]  # address, method, units


class _Past(msgspec.Struct):
    """All that a restart must find again."""

    seed: str
    state: State
    blocks: Annotated[list[Block], msgspec.Meta(min_length=1)]  # the newest; those before them are final and forgotten
    mempool: list[Tx] = []
    gas_price: int = GWEI
    serial: int = 0  # of everything that ever happened, so that no two hashes are alike


class World:
    """One simulated network."""

    def __init__(self, native: str, clock: Clock, *, seed: str = "", save: Callable[[bytes], None] | None = None):
        genesis = Block(0, _digest(seed, "genesis", native), "", milliseconds(clock()))
        self._past = _Past(seed, State(native), [genesis])
        self._clock = clock
        self._found: dict[str, tuple[Block, Mined]] = {}  # by transaction hash
        self.save = save
        self.outage = False  # while it is on, nobody can reach the network

    # What is there.

    @property
    def head(self) -> BlockRef:
        return self._past.blocks[-1].ref

    @property
    def oldest_number(self) -> int:
        """The height of the first block that is remembered. It and all before it are final."""
        return self._past.blocks[0].number

    @property
    def native(self) -> str:
        return self._past.state.native

    @property
    def mempool(self) -> Sequence[Tx]:
        return tuple(self._past.mempool)

    @property
    def fee_units(self) -> int:
        """What a transaction costs now."""
        return GAS_PER_TX * self.gas_price

    @property
    def gas_price(self) -> int:
        return self._past.gas_price

    @gas_price.setter
    def gas_price(self, units: int) -> None:
        """Transactions of keyed accounts that offer less stay in the mempool."""
        self._past.gas_price = units
        self._saved()

    def units(self, address: str, method: str) -> int:
        """The balance at the head."""
        return self._past.state.units(address, method)

    def nonce(self, address: str) -> int:
        """How many transactions of a keyed account were mined."""
        return self._past.state.nonce(address)

    def pending_nonce(self, address: str) -> int:
        nonce = self.nonce(address)
        waiting = {tx.nonce for tx in self._past.mempool if tx.is_keyed and tx.sender == address}
        while nonce in waiting:
            nonce += 1
        return nonce

    def is_canonical(self, block: BlockRef) -> bool:
        """Whether the chain contains `block`. What is too old to be remembered is final, and so it does."""
        if block.number < self.oldest_number:
            return True
        return block.number <= self.head.number and self._block(block.number).hash == block.hash

    def blocks_above(self, number: int) -> Iterator[Block]:
        """The remembered blocks above a height, oldest first."""
        first = max(0, number + 1 - self.oldest_number)
        yield from self._past.blocks[first:]

    def find(self, tx_hash: str) -> tuple[Block, Mined] | None:
        """The transaction and its block, if it is mined and remembered."""
        return self._found.get(tx_hash)

    # What people do.

    def pay(self, address: str, method: str, units: int, *, sender: str = CUSTOMER, reverts: bool = False) -> str:
        """A customer's payment, waiting for a block; returns its hash. One that `reverts` will be mined for nothing."""
        return self.pay_many([(address, method, units)], sender=sender, reverts=reverts)

    def pay_many(self, payments: Sequence[Payment], *, sender: str = CUSTOMER, reverts: bool = False) -> str:
        """Several payments in one transaction.

        Raises:
            ValueError: an address that is none, or nothing to pay.
        """
        moves = tuple(Move(parse_address(address), method, units) for address, method, units in payments)
        if not moves or any(move.units <= 0 for move in moves):
            raise ValueError("A payment is of at least one base unit.")
        payer, serial = parse_address(sender), self._next_serial()
        tx_hash = _digest(self._past.seed, "payment", str(serial), payer)
        tx = Tx(tx_hash, payer, serial, moves, fee_units=0, is_keyed=False, reverts=reverts)
        self._past.mempool.append(tx)
        self._saved()
        return tx_hash

    def fund(self, address: str, method: str, units: int) -> str:
        """Money from the faucet, in a block of its own made now; returns the transaction's hash."""
        tx_hash = self.pay(address, method, units, sender=FAUCET)
        self.mine()
        return tx_hash

    def submit(self, tx: Tx) -> None:
        """Take a keyed account's transaction into the mempool; one that is known already is welcome again.

        Raises:
            Refused: its nonce is used, its fee is below the going one or hardly above the version it would replace,
                or the sender cannot pay it.
        """
        assert tx.is_keyed, "customers just pay"
        if tx.hash in self._found or tx in self._past.mempool:
            return
        if tx.nonce < self.nonce(tx.sender):
            raise Refused(f"nonce {tx.nonce} of {tx.sender} is used")
        if tx.fee_units < self.fee_units:
            raise Refused(f"the fee of {tx.fee_units} units is below the going {self.fee_units}")
        if self._past.state.native_cost(tx) > self.units(tx.sender, self.native):
            raise Refused(f"{tx.sender} cannot pay value and fee")
        for position, other in enumerate(self._past.mempool):
            if other.is_keyed and (other.sender, other.nonce) == (tx.sender, tx.nonce):
                if tx.fee_units * 10 < other.fee_units * 11:  # a tenth more, as Ethereum's nodes want it
                    raise Refused(f"another version pays {other.fee_units} units, and this one not a tenth more")
                self._past.mempool[position] = tx
                break
        else:
            self._past.mempool.append(tx)
        self._saved()

    # What the chain does.

    def mine(self, count: int = 1, *, at: datetime | None = None) -> BlockRef:
        """Make `count` blocks, dated `at` or now but never before their parent; the first takes what waits.

        Returns the new head.

        Raises:
            ValueError: more than 1,000 blocks, or none.
        """
        if not 1 <= count <= BLOCKS_AT_ONCE_MAX:
            raise ValueError(f"Between 1 and {BLOCKS_AT_ONCE_MAX} blocks can be made at once.")
        for _ in range(count):
            self._past.mempool = self._append_block(self._past.mempool, at)
        forgotten = self._past.blocks[:-BLOCKS_KEPT]
        for mined in (mined for block in forgotten for mined in block.mined):
            del self._found[mined.tx.hash]
        del self._past.blocks[: len(forgotten)]
        self._saved()
        return self.head

    def reorg(
        self, depth: int, *, keep: bool | Collection[str], reordered: bool = False, at: datetime | None = None
    ) -> BlockRef:
        """Replace the newest `depth` blocks by one more than that; returns the new head.

        Of the transactions in them, those to `keep` (all, none, or by hash) are mined again in the first new block;
        if `reordered`, the other way round and in the last. One that can no longer be mined waits in the mempool.

        Raises:
            ValueError: the chain is not that long, or forgot those blocks.
        """
        if not 1 <= depth < len(self._past.blocks):
            raise ValueError(f"Between 1 and {len(self._past.blocks) - 1} blocks can be replaced now.")
        dropped = self._past.blocks[-depth:]
        for block in reversed(dropped):
            self._past.state.take_back(block.mined)
            for mined in block.mined:
                del self._found[mined.tx.hash]
        del self._past.blocks[-depth:]
        txs = [mined.tx for block in dropped for mined in block.mined]
        kept = [tx for tx in txs if (keep if isinstance(keep, bool) else tx.hash in keep)]
        left: list[Tx] = []
        for position in range(depth + 1):
            is_theirs = position == (depth if reordered else 0)
            left += self._append_block((kept[::-1] if reordered else kept) if is_theirs else [], at)
        self._past.mempool = [*left, *self._past.mempool]
        self._saved()
        return self.head

    # Over a restart.

    def snapshot(self) -> bytes:
        """All of it but the clock and the outage, as JSON."""
        return msgspec.json.encode(self._past)

    def restore(self, snapshot: bytes) -> None:
        """Become what `snapshot` was taken of.

        Raises:
            ValueError: it is no snapshot, or one of a network with another native coin.
        """
        past = msgspec.json.decode(snapshot, type=_Past)
        if past.state.native != self.native:
            raise ValueError(f"the snapshot's native coin is {past.state.native}, not {self.native}")
        self._past = past
        self._found = {mined.tx.hash: (block, mined) for block in past.blocks for mined in block.mined}

    def _append_block(self, waiting: Iterable[Tx], at: datetime | None) -> list[Tx]:
        """Make the next block of those of `waiting` that can be mined, however they are ordered; returns the others."""
        mined: list[Mined] = []
        left, count_before = list(waiting), -1
        while len(mined) != count_before:
            count_before, tried, left = len(mined), left, []
            for tx in tried:
                if self._past.state.is_mineable(tx) and (tx.fee_units >= self.fee_units or not tx.is_keyed):
                    mined.append(self._past.state.carry_out(tx))
                else:
                    left.append(tx)
        parent = self._past.blocks[-1]
        at_ms = max(milliseconds(at or self._clock()), parent.at_ms)
        content = (str(self._next_serial()), parent.hash, str(at_ms), *(each.tx.hash for each in mined))
        hash_ = _digest(self._past.seed, "block", *content)
        block = Block(parent.number + 1, hash_, parent.hash, at_ms, tuple(mined))
        self._past.blocks.append(block)
        self._found |= {each.tx.hash: (block, each) for each in mined}
        return left

    def _block(self, number: int) -> Block:
        return self._past.blocks[number - self.oldest_number]

    def _next_serial(self) -> int:
        self._past.serial += 1
        return self._past.serial

    def _saved(self) -> None:
        if self.save is not None:
            self.save(self.snapshot())


def _digest(*content: str) -> str:
    """A hash of texts, in the form of block and transaction hashes; the same texts give the same hash."""
    return "0x" + hashlib.sha256(msgspec.json.encode(content)).hexdigest()
