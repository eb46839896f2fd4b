"""Anything that can happen on a simulated network, in any order: nothing is confirmed that is not there, and in the
end everything is.

The truth is kept by the test: which payments it made, and which of them are on the chain.
"""

import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.chains.sim.scene import COIN, DEPTH, ETHER, GAS, KEYS, METHODS, SECOND_SHOP, SHOP, TREASURY, USDT, Scene

from paynode.chains.base import Refused, SignedTx, TxStatus, Unavailable, WouldRevert
from paynode.domain.chain import Pair, RowKind

SHOPS = st.sampled_from([SHOP, SECOND_SHOP])
PAYMENT = st.tuples(SHOPS, st.sampled_from(METHODS), st.sampled_from([1, 5, ETHER]))
REORG_MAX = 6


class Network(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.paid: dict[str, dict[Pair, int]] = {}  # by transaction hash: what it brings to whom
        self.signed: dict[str, SignedTx] = {}
        self.is_looked_at = False
        tx_hash = self.scene.world.fund(GAS, COIN.method, 100 * ETHER)
        self.paid[tx_hash] = {Pair(GAS, COIN.method): 100 * ETHER}

    @rule(payments=st.lists(PAYMENT, min_size=1, max_size=4), reverts=st.booleans())
    def customer_pays(self, payments, reverts):
        tx_hash = self.scene.world.pay_many(payments, reverts=reverts)
        self.paid[tx_hash] = {}
        for address, method, units in [] if reverts else payments:
            pair = Pair(address, method)
            self.paid[tx_hash][pair] = self.paid[tx_hash].get(pair, 0) + units

    @rule(count=st.integers(1, 4))
    def blocks_come(self, count):
        self.scene.clock.advance(count)
        self.scene.world.mine(count)
        self.is_looked_at = False

    @rule(depth=st.integers(1, REORG_MAX), keep=st.sampled_from(["all", "none", "half"]), reordered=st.booleans())
    def blocks_are_replaced(self, depth, keep, reordered):
        depth = min(depth, self.scene.world.head.number - 1)  # the gas account keeps what it was given
        if depth:
            kept = {"all": True, "none": False, "half": set(sorted([*self.paid, *self.signed])[::2])}[keep]
            self.scene.world.reorg(depth, keep=kept, reordered=reordered)
            self.is_looked_at = False

    @rule(
        sender=st.sampled_from(sorted(KEYS)),
        recipient=st.sampled_from([TREASURY, SHOP, SECOND_SHOP]),
        asset=st.sampled_from([COIN, USDT]),
        empties_sender=st.booleans(),
    )
    def we_send(self, sender, recipient, asset, empties_sender):
        """Something of what is there, or all of it; never two at a time from one account."""
        units = self.scene.world.units(sender, asset.method)
        empties_sender = empties_sender and asset is COIN
        if any(own.sender == sender for own in self.scene.books.own) or self.scene.world.outage:
            return
        try:
            wanted = units if empties_sender else (units + 1) // 2
            signed = trio.run(self._signed, sender, recipient, asset, wanted, empties_sender)
        except WouldRevert:
            return
        self.signed[signed.tx_hash] = signed
        self.send_again()

    async def _signed(self, sender, recipient, asset, units, empties_sender):
        return await self.scene.signed(sender, recipient, asset, units, empties_sender=empties_sender)

    @rule()
    def send_again(self):
        """The same bytes, as often as it takes."""
        for own in self.scene.books.own:
            for tx_hash in own.tx_hashes:
                try:
                    if trio.run(self.scene.chain.status, tx_hash) is TxStatus.UNKNOWN:
                        trio.run(self.scene.chain.broadcast, self.signed[tx_hash])
                except (Refused, Unavailable):
                    continue

    @rule(is_on=st.booleans())
    def outage(self, is_on):
        self.scene.world.outage = is_on

    @rule()
    def tick(self):
        try:
            trio.run(self.scene.tick)
        except Unavailable:
            assert self.scene.world.outage
        else:
            assert not self.scene.world.outage
            self.is_looked_at = True

    @precondition(lambda self: self.is_looked_at)
    @invariant()
    def nothing_is_booked_that_is_not_there(self):
        for row in self.scene.books.standing:
            found = self.scene.world.find(row.tx_hash)
            assert found is not None
            assert found[0].ref == row.block
            if row.kind is RowKind.IN and not row.own:
                rows = [r for r in self.scene.books.standing if (r.pair, r.tx_hash) == (row.pair, row.tx_hash)]
                assert sum(r.units for r in rows) == self.paid[row.tx_hash][row.pair]
            if row.confirmed:
                assert self.scene.world.head.number - row.block.number + 1 >= DEPTH

    @precondition(lambda self: self.is_looked_at)
    @invariant()
    def customers_money_is_all_booked(self):
        booked = {pair: 0 for brought in self.paid.values() for pair in brought}
        for row in self.scene.books.standing:
            if row.kind is RowKind.IN and not row.own:
                booked[row.pair] += row.units
        truth = dict.fromkeys(booked, 0)
        for tx_hash, brought in self.paid.items():
            for pair, units in brought.items():
                truth[pair] += units if self._was_seen(tx_hash) else 0
        assert booked == truth

    @invariant()
    def nothing_is_disputed(self):
        assert not self.scene.books.disputes
        assert self.scene.books.hold is None

    def _was_seen(self, tx_hash):
        return self.scene.world.find(tx_hash) is not None

    def teardown(self):
        self.scene.world.outage = False
        self.send_again()
        self.scene.world.mine()
        trio.run(self.scene.settle)
        assert self.scene.confirmed_equals_balances()
        assert all(self.scene.world.find(tx_hash) is None for own in self.scene.books.own for tx_hash in own.tx_hashes)


TestNetwork = Network.TestCase
TestNetwork.settings = settings(max_examples=60, stateful_step_count=40)
