"""Invoices of every type through whatever merchants, payers and the chain do, on a real database.

Goal: no order of events breaks the books, a status or an event's sequence. Method: a state machine whose rules are what
can happen; after each, `SimNode.check` compares books, statuses and credits with the facts, and with the chain's truth.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.lab.simnode import SimNode

from paynode.domain.addresses import AddressMode, AddressPolicy
from paynode.domain.errors import Rejected
from paynode.domain.invoice import Type
from paynode.operations import changing, invoices
from paynode.operations.changing import ChangeInvoice
from paynode.operations.expiry import expire_without_address
from paynode.operations.loading import LoadedInvoice

DOLLAR = 10**6
ACTIONS: list[Callable[..., LoadedInvoice]] = [
    *(invoices.cancel, invoices.accept, invoices.requote),
    *(changing.archive, changing.unarchive),
]
CAROUSEL = AddressPolicy(AddressMode.REUSE, timedelta(minutes=10))
KINDS: list[dict[str, Any]] = [
    {},
    {"markup_percent": Decimal(10), "methods": ["alpha_usdt", "beta_usdt"]},
    {"amount": None},
    {"amount": None, "min_amount": Decimal(7)},
    {"amount": None, "type": Type.REUSABLE},
    {"amount": None, "type": Type.REUSABLE, "min_amount": Decimal(7)},
    {"type": Type.POOL, "expires_in": timedelta(hours=2)},
    {"address_policy": CAROUSEL},
    {"address_policy": CAROUSEL, "type": Type.POOL, "expires_in": timedelta(minutes=20)},
]
which = st.integers(0, 8)


class Shop(RuleBasedStateMachine):
    """A shop's invoices, each with what became of it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.node = SimNode(Path(self.folder.name))
        self.ids: list[str] = []

    def teardown(self) -> None:
        self.node.database.close()
        self.folder.cleanup()

    def _id(self, which: int) -> str:
        return self.ids[which % len(self.ids)]

    @initialize()
    def the_network_is_reached(self) -> None:
        trio.run(self.node.mine, 2)
        self.ids.append(self.node.create())

    @precondition(lambda self: len(self.ids) < 9)
    @rule(kind=st.sampled_from(KINDS))
    def an_invoice_is_made(self, kind: dict[str, Any]) -> None:
        self.ids.append(self.node.create(**kind))

    @rule(which=which, dollars=st.sampled_from([1, 5, 7, 10, 11, 20]))
    def somebody_pays(self, which: int, dollars: int) -> None:
        self.node.pay(self._id(which), dollars * DOLLAR)

    @rule(blocks=st.integers(1, 3))
    def blocks_are_mined(self, blocks: int) -> None:
        trio.run(self.node.mine, blocks)

    @rule(depth=st.integers(1, 5), kept=st.booleans())
    def the_chain_reorganises(self, depth: int, kept: bool) -> None:
        with suppress(ValueError):  # it is not that long yet
            self.node.worlds["alpha"].reorg(depth, keep=kept)
        trio.run(self.node.look)

    @rule(minutes=st.sampled_from([5, 16, 31, 300]))
    def time_passes(self, minutes: int) -> None:
        self.node.clock.advance(timedelta(minutes=minutes))
        self.node.database.write(expire_without_address, self.node.catalogue, self.node.clock())
        trio.run(self.node.mine)

    @rule(which=which, action=st.sampled_from(ACTIONS))
    def the_merchant_acts(self, which: int, action: Callable[..., LoadedInvoice]) -> None:
        before = self.node.invoice(self._id(which)), self.node.events(self._id(which))
        try:
            self.node.act(action, self._id(which))
        except Rejected:
            assert (self.node.invoice(self._id(which)), self.node.events(self._id(which))) == before

    @rule(which=which, hours=st.integers(1, 50))
    def the_merchant_moves_the_deadline(self, which: int, hours: int) -> None:
        command = ChangeInvoice(metadata={"hours": str(hours)}, expires_in=timedelta(hours=hours))
        with suppress(Rejected):
            self.node.database.write(changing.change, self.node.catalogue, self._id(which), command, self.node.clock())

    @rule()
    def services_take_their_turn(self) -> None:
        self.node.resume()
        trio.run(self.node.turn)

    @invariant()
    def books_statuses_and_events_are_in_order(self) -> None:
        self.node.check()

    @invariant()
    def what_is_shared_or_open_for_ever_is_what_its_type_says(self) -> None:
        for invoice_id in self.ids:
            record, told = self.node.invoice(invoice_id).record, self.node.events(invoice_id)
            assert record.set_aside is None
            if record.type is Type.REUSABLE:
                assert record.status in {"open", "cancelled"}
                assert not {"invoice.paid", "invoice.expired", "invoice.reversed"} & set(told)
            if record.type is not Type.ONE_TIME or record.amount is None:
                assert "invoice.overpaid" not in told

    @invariant()
    def nothing_is_paid_with_less_than_it_asks_for_unless_accepted(self) -> None:
        for invoice_id in self.ids:
            record = self.node.invoice(invoice_id).record
            if record.status == "paid" and record.accepted is None:
                final = sum(each.worth or 0 for each in self.node.deposits(invoice_id) if each.stage == "settled")
                assert final >= (record.amount or record.min_amount or 1)


Shop.TestCase.settings = settings(max_examples=12, stateful_step_count=40)
TestShop = Shop.TestCase
