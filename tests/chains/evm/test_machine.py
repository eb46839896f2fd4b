"""Random histories: payments, reorganisations, our own sweeps and lying providers, in any order.

Goal: after each tick nothing is confirmed that is not on the chain at depth; once the lies end, everything is.
Method: the whole tick over a chain in memory; the truth is read from that chain directly.
"""

from datetime import UTC, datetime

import trio
from eth_utils import to_checksum_address
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.chains.evm.fakechain import FakeChain, Payment
from tests.chains.evm.fakereads import FakeReads
from tests.lab.bookkeeper import Bookkeeper

from paynode.chains.evm.closing import CLOSED_INTERVAL
from paynode.chains.evm.tick import Memory, Tick
from paynode.chains.evm.views import Views
from paynode.chains.evm.watchlist import Watchlist
from paynode.chains.jsonrpc import ProviderFailed
from paynode.domain.chain import Claim, OwnTx, Pair, Row, RowKind, RowSource
from paynode.domain.money import Asset

DEPTH = 4
LATER = datetime(2100, 1, 1, tzinfo=UTC)
USDT, NATIVE = "lab_usdt", "lab_eth"
CONTRACT = "0x" + "77" * 20
ASSETS = [Asset("lab", "usdt", 6, CONTRACT), Asset("lab", "eth", 18, None)]
OURS = [to_checksum_address(f"0x{0xA0000000000000000000000000000000000000 + n:040x}") for n in range(3)]
PAYER = to_checksum_address("0x" + "55" * 20)
TREASURY = to_checksum_address("0x" + "99" * 20)
LIES = [
    "no head", "no look", "no hashes", "no blocks", "no balances", "no logs", "no nonces", "no traces",
    "empty logs", "empty receipts", "old head", "stale state", "stale look", "pruned", "capped", "old fork logs",
]  # fmt: skip

ours = st.integers(0, len(OURS) - 1).map(OURS.__getitem__)
units = st.integers(1, 5)
lies = st.sets(st.sampled_from(LIES), max_size=2)


class Shop(RuleBasedStateMachine):
    """One shop, its books, two providers of which one may lie, and the chain as it is."""

    @initialize(is_alone=st.booleans())
    def open_shop(self, is_alone: bool) -> None:
        self.is_alone = is_alone
        self.chain = FakeChain()
        self.chain.mine()
        self.views = [FakeReads(self.chain, "one"), FakeReads(self.chain, "two")]
        self.keeper = Bookkeeper(horizon=16)
        self.memory = Memory()
        self.waiting: list[Payment] = []
        self.nonces: dict[str, int] = {}
        self.sweeps = 0
        self.look()
        for address in OURS:
            self.keeper.watch(address, [USDT, NATIVE], depth=DEPTH)
            self.keeper.own_addresses.add(address)

    def pay(self, to: str, **how: object) -> None:
        nonce = self.nonces[PAYER] = self.nonces.get(PAYER, -1) + 1
        self.waiting.append(Payment(PAYER, nonce, to, **how))

    @rule(to=ours, units=units)
    def pays_coins(self, to: str, units: int) -> None:
        self.pay(to, value=units)

    @rule(to=ours, units=units)
    def fails_to_pay_coins(self, to: str, units: int) -> None:
        self.pay(to, value=units, succeeded=False)

    @rule(to=ours, units=units)
    def pays_from_a_contract(self, to: str, units: int) -> None:
        self.pay(CONTRACT, inside=((to, units),))

    @rule(payments=st.lists(st.tuples(ours, st.integers(0, 5)), min_size=1, max_size=3))
    def pays_tokens(self, payments: list[tuple[str, int]]) -> None:
        self.pay(CONTRACT, tokens=tuple((CONTRACT, PAYER, to, units) for to, units in payments))

    @rule(address=ours, units=units)
    def loses_tokens_to_their_issuer(self, address: str, units: int) -> None:
        self.pay(CONTRACT, wiped=((CONTRACT, address, units),))

    @rule(payment=st.tuples(ours, units))
    def spoofs_a_worthless_token(self, payment: tuple[str, int]) -> None:
        self.pay("0x" + "66" * 20, tokens=(("0x" + "66" * 20, PAYER, *payment),))

    @rule(blocks=st.integers(1, 3))
    def mines(self, blocks: int) -> None:
        for _ in range(blocks):
            self.chain.mine(self.waiting)
            self.waiting = []

    @rule(depth=st.integers(1, DEPTH - 1), is_longer=st.booleans(), dropped=st.integers(0, 2))
    def reorganises(self, depth: int, is_longer: bool, dropped: int) -> None:
        depth = min(depth, len(self.chain.blocks) - 2)
        if depth <= 0:
            return
        back = self.chain.reorg(depth)
        own = [payment for payment in back if payment.sender != PAYER]
        # Strangers may think better of it; what we signed stays out there.
        self.waiting = own + [payment for payment in back if payment.sender == PAYER][dropped:] + self.waiting
        self.chain.mine()
        for _ in range(depth - 1 + is_longer):
            self.mines(1)

    @rule(address=ours, is_native=st.booleans())
    def sweeps_what_was_confirmed(self, address: str, is_native: bool) -> None:
        if any(own.sender == address for own in self.keeper.own):
            return  # one lane for each account
        held = self.keeper.confirmed_units(address, NATIVE if is_native else USDT)
        if held < 2 or self.keeper.confirmed_units(address, NATIVE) < 1:
            return
        nonce = self.nonces.get(address, 0)
        if is_native:
            payment = Payment(address, nonce, TREASURY, value=held - 1, fee=1)
        else:
            payment = Payment(address, nonce, CONTRACT, tokens=((CONTRACT, address, TREASURY, held),), fee=1)
        self.nonces[address] = nonce + 1
        self.sweeps += 1
        self.keeper.own.append(OwnTx(f"sweep{self.sweeps}", address, nonce, (payment.hash,)))
        self.waiting.append(payment)

    @rule(address=ours, data=st.data())
    def claims_that_a_transaction_paid(self, address: str, data: st.DataObject) -> None:
        """Any transaction that ever was, one that waits or was taken back too, is claimed for any address."""
        known = [payment for block in self.chain.blocks + self.chain.orphans for payment in block.payments]
        if known + self.waiting:
            payment = data.draw(st.sampled_from(known + self.waiting))
            self.keeper.claims.append(Claim(address, payment.hash))

    @rule(lies=lies)
    def looks_through_a_liar(self, lies: set[str]) -> None:
        if self.is_alone:
            # Alone, a provider that is believed about state can delay and misplace, so it may only be silent here.
            lies -= {"stale state", "stale look"}
        self.views[0].lies = lies
        self.look()
        self.views[0].lies = set()

    @rule()
    def looks(self) -> None:
        self.look()

    @rule()
    def looks_through_the_other(self) -> None:
        self.views.reverse()
        self.look()
        self.views.reverse()

    @rule()
    def restarts(self) -> None:
        self.memory = Memory()

    def look(self) -> None:
        books = self.keeper.books()
        tick = Tick(
            views=Views(self.views[0], None if self.is_alone else self.views[1], self.is_alone),
            depth=DEPTH,
            watchlist=Watchlist.of(books, ASSETS),
            books=books,
            memory=self.memory,
            our_time=LATER,
        )
        try:
            seen = trio.run(tick.observe)
        except ProviderFailed:
            return
        self.keeper.apply(seen)

    def movements(self, pair: Pair) -> list[tuple[str, int]]:
        """(block hash, effect) of everything that really moved a pair, summed by block."""
        found = []
        for before, block in zip(self.chain.blocks, self.chain.blocks[1:], strict=False):
            if pair.method == NATIVE:
                step = block.native.get(pair.address, 0) - before.native.get(pair.address, 0)
            else:
                key = (CONTRACT, pair.address)
                step = block.tokens.get(key, 0) - before.tokens.get(key, 0)
            if step:
                found.append((block.hash, step))
        return found

    @invariant()
    def every_confirmed_row_is_true(self) -> None:
        canonical = {block.hash: block for block in self.chain.blocks}
        for row in self.keeper.standing:
            if row.confirmed:
                assert row.block.hash in canonical, f"confirmed on a block that is gone: {row}"
                assert self.is_true(row), f"confirmed, and not on the chain: {row}"

    def is_true(self, row: Row) -> bool:
        block = self.chain.blocks[row.block.number]
        if row.source in {RowSource.UNPLACED, RowSource.DRIFT}:
            return True  # their sum is checked by the next invariant
        if row.source is RowSource.INTERNAL:
            paid = [p for p in block.payments if p.succeeded and row.tx_hash in {"", p.hash}]
            return row.units == sum(units for p in paid for to, units in p.inside if to == row.address)
        payment = next(payment for payment in block.payments if payment.hash == row.tx_hash)
        if row.method == NATIVE and row.kind is RowKind.OUT:
            return payment.sender == row.address and row.units == payment.value + payment.fee
        if row.method == NATIVE:
            return payment.succeeded and payment.to == row.address and payment.value == row.units
        sender, to, moved = payment.tokens[row.log_index - self.logs_before(payment.hash, row.block.number)][1:]
        return row.units == moved and row.address == (sender if row.kind is RowKind.OUT else to)

    def logs_before(self, tx_hash: str, height: int) -> int:
        count = 0
        for payment in self.chain.blocks[height].payments:
            if payment.hash == tx_hash:
                return count
            count += len(payment.tokens) if payment.succeeded else 0
        raise AssertionError("no such transaction")

    @invariant()
    def no_more_is_confirmed_than_arrived(self) -> None:
        for address in OURS:
            for method in (USDT, NATIVE):
                rows = self.keeper.confirmed(address, method)
                confirmed = sum(row.units for row in rows if row.kind is RowKind.IN)
                assert confirmed <= self.arrived(Pair(address, method))

    def arrived(self, pair: Pair) -> int:
        total = 0
        for block in self.chain.blocks:
            for payment in block.payments:
                if not payment.succeeded:
                    continue
                if pair.method == NATIVE:
                    total += payment.value if payment.to == pair.address else 0
                    total += sum(units for to, units in payment.inside if to == pair.address)
                else:
                    total += sum(u for c, _, to, u in payment.tokens if c == CONTRACT and to == pair.address)
        return total

    def settle_disputes(self) -> None:
        """A fall waits for a last search of the logs: as long again as its dispute is old, at most an hour."""
        is_settled = not self.keeper.disputes and all(row.confirmed for row in self.keeper.standing)
        for _ in range(0 if is_settled else 3 * DEPTH):
            for _ in range(26):
                self.chain.mine()
            self.look()

    @precondition(lambda self: hasattr(self, "chain"))
    @rule()
    def settles(self) -> None:
        """The liar stops: after a while the books are the chain."""
        self.mines(1)
        for _ in range(2 * DEPTH + 6):
            # Long enough apart for a search that rests to begin again.
            self.chain.mine()
            self.chain.mine()
            self.look()
        closing_at = self.chain.head.timestamp + CLOSED_INTERVAL.total_seconds()
        while self.chain.head.timestamp < closing_at:  # arrived and left between two looks: its range is closed
            self.chain.mine()
        self.look()
        for _ in range(2 * DEPTH):
            self.chain.mine()
            self.look()
        self.settle_disputes()
        assert not self.keeper.disputes
        assert self.keeper.own == []
        for address in OURS:
            for method in (USDT, NATIVE):
                pair = Pair(address, method)
                rows = self.keeper.confirmed(address, method)
                assert sum(row.units for row in rows if row.kind is RowKind.IN) == self.arrived(pair)
                assert sum(row.effect for row in rows) == sum(step for _, step in self.movements(pair))
                by_block: dict[str, int] = {}
                for row in rows:
                    by_block[row.block.hash] = by_block.get(row.block.hash, 0) + row.effect
                if not any(row.source in {RowSource.UNPLACED, RowSource.DRIFT} for row in rows):
                    assert {h: u for h, u in by_block.items() if u} == dict(self.movements(pair))
        assert self.keeper.reversed_ids == []


TestShop = Shop.TestCase
TestShop.settings = settings(max_examples=60, stateful_step_count=40)
