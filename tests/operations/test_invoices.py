"""What merchants and payers do with invoices, on a real database and a simulated chain."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from tests.lab.simnode import TWO_NETWORKS, SimNode, derive

from paynode.chains.sim import keys
from paynode.domain.errors import Conflict, Invalid, NotFound, RateUnavailable
from paynode.domain.invoice import Tolerance
from paynode.domain.quote import Rate
from paynode.operations import invoices, loading
from paynode.operations.creating import CreateInvoice, create_invoice
from paynode.operations.loading import LoadedInvoice
from paynode.store import chain, rates, stores, watches
from paynode.store.database import Tx

DOLLAR = 10**6
QUOTE_LAPSES = timedelta(minutes=16)
DEADLINE_PASSES = timedelta(minutes=31)


async def test_an_invoice_asks_for_its_price_in_every_method_rounded_up(node: SimNode) -> None:
    loaded = node.invoice(node.create("19.99", methods=["alpha_usdt", "alpha_sim"]))
    assert [loaded.quotes[entry.method][0].units for entry in loaded.methods] == [19_990_000, 9_995_000_000_000_000]
    assert node.events(loaded.record.id) == ["invoice.created"]


async def test_a_price_that_does_not_divide_rounds_up_to_what_wallets_can_type(node: SimNode) -> None:
    node.fix_rate("sim", "3000")
    node.clock.advance(timedelta(seconds=1))
    [quote] = node.invoice(node.create("10", methods=["alpha_sim"])).quotes["alpha_sim"]
    assert quote.units == 3_333_340_000_000_000


async def test_methods_are_offered_once_and_in_the_order_asked_for(node: SimNode) -> None:
    loaded = node.invoice(node.create(methods=["beta_usdt", "alpha_usdt", "beta_usdt"]))
    assert [entry.method for entry in loaded.methods] == ["beta_usdt", "alpha_usdt"]


async def test_every_unknown_method_is_named_and_nothing_remains(node: SimNode) -> None:
    with pytest.raises(Invalid) as refused:
        node.create(methods=["gamma_usdt", "alpha_usdt", "alpha_doge"])
    assert [problem.pointer for problem in refused.value.problems] == ["/methods", "/methods"]
    assert all(name in str(refused.value) for name in ("gamma_usdt", "alpha_doge"))
    assert node.rows("select * from invoices") == []


async def test_a_price_without_a_rate_is_refused(node: SimNode) -> None:
    with pytest.raises(RateUnavailable):
        node.create(currency="JPY")


async def test_a_price_in_a_coin_finer_than_its_unit_is_refused(node: SimNode) -> None:
    with pytest.raises(Invalid):
        node.create("1.0000001", "USDT")


async def test_a_price_in_a_coin_is_due_as_it_is(node: SimNode) -> None:
    [quote] = node.invoice(node.create("1.234567", "USDT")).quotes["alpha_usdt"]
    assert quote.units == 1_234_567


async def test_the_watch_of_an_address_starts_at_the_cursor_on_every_network_of_its_family(node: SimNode) -> None:
    address = node.address(node.create())
    for name in ("alpha", "beta"):
        watch, cursor = node.database.read(watches.watch, name, address), node.database.read(chain.cursor, name)
        assert watch is not None
        assert cursor is not None
        assert watch.floor == cursor.number


async def test_an_address_is_never_given_out_twice(node: SimNode) -> None:
    addresses = [node.address(node.create()) for _ in range(3)]
    assert addresses == [keys.deposit_address(0, index) for index in range(3)]


async def test_provisioning_again_changes_nothing(node: SimNode) -> None:
    invoice_id = node.create(provision=False)
    first = node.provision(invoice_id, "alpha_usdt")
    again = node.provision(invoice_id, "alpha_usdt")
    assert again == first
    assert node.events(invoice_id) == ["invoice.created", "invoice.updated"]
    assert node.rows("select next_index from accounts") == [(1,)]


async def test_a_second_method_has_the_same_address(node: SimNode) -> None:
    invoice_id = node.create(methods=["alpha_usdt", "beta_sim"], provision=False)
    node.provision(invoice_id, "alpha_usdt")
    node.provision(invoice_id, "beta_sim")
    assert node.rows("select count(*) from addresses") == [(1,)]


async def test_an_address_on_a_network_never_seen_is_refused_and_no_index_is_taken(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    invoice_id = node.create(provision=False)
    with pytest.raises(Conflict, match="network_not_ready"):
        node.provision(invoice_id, "alpha_usdt")
    assert node.rows("select next_index from accounts") == [(0,)]


async def test_a_creation_that_fails_half_way_leaves_nothing(node: SimNode) -> None:
    def broken(family: str, account: int, index: int) -> str:
        raise OSError("the keys are gone")

    command = CreateInvoice(Decimal(10), "USD", ["alpha_usdt"], provision=True)
    with pytest.raises(OSError, match="the keys are gone"):
        node.database.write(create_invoice, node.catalogue, node.store_id, command, broken, node.clock())
    assert node.rows("select 1 from invoices union all select 1 from events where subject like 'inv%'") == []
    assert node.rows("select next_index from accounts") == [(0,)]


async def test_a_closed_invoice_gets_no_new_address(node: SimNode) -> None:
    invoice_id = node.create(provision=False)
    node.act(invoices.cancel, invoice_id)
    with pytest.raises(Conflict, match="invoice_cancelled"):
        node.provision(invoice_id, "alpha_usdt")


async def test_a_method_that_is_not_offered_has_no_address(node: SimNode) -> None:
    with pytest.raises(NotFound):
        node.provision(node.create(), "beta_usdt")


async def test_another_store_sees_nothing(node: SimNode) -> None:
    invoice_id = node.create()
    with pytest.raises(NotFound):
        node.database.read(loading.load, invoice_id, "sto_other")
    with pytest.raises(NotFound):
        node.database.write(invoices.cancel, node.catalogue, invoice_id, node.clock(), "sto_other")


async def test_an_address_issued_late_renews_the_price(node: SimNode) -> None:
    invoice_id = node.create(provision=False)
    node.clock.advance(QUOTE_LAPSES)
    loaded = node.provision(invoice_id, "alpha_usdt")
    assert len(loaded.quotes["alpha_usdt"]) == 2
    assert loaded.quotes["alpha_usdt"][-1].locked_at == node.clock()


async def test_a_price_is_renewed_only_once_it_lapsed(node: SimNode) -> None:
    invoice_id = node.create()
    with pytest.raises(Conflict, match="quote_still_valid"):
        node.act(invoices.requote, invoice_id)
    node.clock.advance(QUOTE_LAPSES)
    assert len(node.act(invoices.requote, invoice_id).quotes["alpha_usdt"]) == 2


async def test_after_the_deadline_nothing_is_sold_that_would_come_late(node: SimNode) -> None:
    """The chain has not passed it yet, so the invoice is open; whoever pays now is late all the same."""
    shown, hidden = node.create(), node.create(provision=False)
    node.clock.advance(timedelta(minutes=30, seconds=1))
    for refused in (
        lambda: node.act(invoices.requote, shown),
        lambda: node.act(invoices.requote, hidden),
        lambda: node.provision(hidden, "alpha_usdt"),
    ):
        with pytest.raises(Conflict, match="invoice_expired"):
            refused()
    assert len(node.provision(shown, "alpha_usdt").quotes["alpha_usdt"]) == 1
    assert node.states(shown)[0] == "open"


async def settled(node: SimNode, invoice_id: str, units: int, method: str = "alpha_usdt") -> None:
    node.pay(invoice_id, units, method)
    await node.mine(3)


@pytest.mark.parametrize(
    ("payments", "tolerance", "states"),
    [
        ([10], Tolerance(), ("paid", "exact")),
        ([9], Tolerance(), ("open", "partial")),
        ([9], Tolerance(under_percent=Decimal(10)), ("paid", "exact")),
        ([4, 6], Tolerance(), ("paid", "exact")),
        ([11], Tolerance(), ("paid", "over")),
        ([11], Tolerance(over_percent=Decimal(10)), ("paid", "exact")),
        ([], Tolerance(), ("open", "none")),
    ],
)
async def test_what_is_final_decides(
    node: SimNode, payments: list[int], tolerance: Tolerance, states: tuple[str, str]
) -> None:
    invoice_id = node.create("10", tolerance=tolerance)
    for dollars in payments:
        await settled(node, invoice_id, dollars * DOLLAR)
    assert node.states(invoice_id) == states


async def test_two_methods_add_up(node: SimNode) -> None:
    invoice_id = node.create("10", methods=["alpha_usdt", "beta_sim"])
    await settled(node, invoice_id, 6 * DOLLAR)
    node.pay(invoice_id, 2 * 10**15, "beta_sim")  # 4 dollars at 2,000
    await node.mine(4)
    assert node.states(invoice_id) == ("paid", "exact")


async def test_overpaying_is_told_once_and_after_paid(node: SimNode) -> None:
    invoice_id = node.create("10")
    await settled(node, invoice_id, 12 * DOLLAR)
    await settled(node, invoice_id, 12 * DOLLAR)
    events = node.events(invoice_id)
    assert [events.count(kind) for kind in ("invoice.paid", "invoice.overpaid")] == [1, 1]
    assert events.index("invoice.paid") < events.index("invoice.overpaid")


async def test_nothing_is_paid_before_its_depth(node: SimNode) -> None:
    invoice_id = node.create("10", confirmations=4)
    node.pay(invoice_id, 10 * DOLLAR)
    seen = []
    for _ in range(4):
        await node.mine()
        seen.append((node.states(invoice_id)[0], node.deposits(invoice_id)[0].stage))
    assert seen == [
        ("confirming", "detected"),
        ("confirming", "confirming"),
        ("confirming", "confirming"),
        ("paid", "settled"),
    ]


async def test_within_the_quote_money_is_worth_its_share_whatever_the_rate_does(node: SimNode) -> None:
    invoice_id = node.create("2000", methods=["alpha_sim"])
    node.database.write(rates.add, Rate("sim", "USD", Decimal(1), node.clock(), "test"))
    await settled(node, invoice_id, 10**18, "alpha_sim")
    assert node.deposits(invoice_id)[0].worth == 2000


async def test_after_the_quote_money_is_worth_the_rate_of_its_moment(node: SimNode) -> None:
    invoice_id = node.create("2000", methods=["alpha_sim"])
    node.clock.advance(QUOTE_LAPSES)
    node.database.write(rates.add, Rate("sim", "USD", Decimal(1500), node.clock(), "test"))
    await settled(node, invoice_id, 10**18, "alpha_sim")
    assert node.deposits(invoice_id)[0].worth == 1500
    assert node.states(invoice_id) == ("open", "partial")


async def test_a_renewed_quote_prices_what_comes_after_it(node: SimNode) -> None:
    invoice_id = node.create("2000", methods=["alpha_sim"])
    node.clock.advance(QUOTE_LAPSES)
    node.fix_rate("sim", "1000")
    node.act(invoices.requote, invoice_id)
    await settled(node, invoice_id, 10**18, "alpha_sim")
    assert node.deposits(invoice_id)[0].worth == 1000
    await settled(node, invoice_id, 10**18, "alpha_sim")
    assert node.states(invoice_id) == ("paid", "exact")


async def test_cancelling_twice_is_cancelling_once(node: SimNode) -> None:
    invoice_id = node.create()
    node.act(invoices.cancel, invoice_id)
    node.act(invoices.cancel, invoice_id)
    assert node.events(invoice_id) == ["invoice.created", "invoice.cancelled"]


async def test_an_invoice_with_enough_money_on_its_way_is_not_cancelled(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine()
    with pytest.raises(Conflict, match="invoice_confirming"):
        node.act(invoices.cancel, invoice_id)


async def test_money_for_a_cancelled_invoice_is_late_told_and_kept(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.act(invoices.cancel, invoice_id)
    await settled(node, invoice_id, 10 * DOLLAR)
    assert node.states(invoice_id) == ("cancelled", "exact")
    assert node.deposits(invoice_id)[0].is_late
    assert {"deposit.late", "invoice.paid_late"} <= set(node.events(invoice_id))
    node.act(invoices.accept, invoice_id)
    assert node.states(invoice_id) == ("paid", "exact")


async def expired(node: SimNode, invoice_id: str) -> None:
    node.clock.advance(DEADLINE_PASSES)
    await node.mine()
    assert node.states(invoice_id)[0] == "expired"


async def test_late_money_waits_for_the_merchant_who_accepts_it(node: SimNode) -> None:
    invoice_id = node.create("10")
    await expired(node, invoice_id)
    await settled(node, invoice_id, 10 * DOLLAR)
    assert node.states(invoice_id) == ("expired", "exact")
    assert node.events(invoice_id).count("invoice.paid_late") == 1
    node.act(invoices.accept, invoice_id)
    node.act(invoices.accept, invoice_id)
    assert node.states(invoice_id) == ("paid", "exact")
    assert node.events(invoice_id).count("invoice.paid") == 1


async def test_late_money_counts_where_the_store_says_so(tmp_path: Path) -> None:
    node = SimNode(tmp_path, TWO_NETWORKS + '[invoices]\nlate_payment = "accept"\n')
    await node.look()
    invoice_id = node.create("10")
    await expired(node, invoice_id)
    await settled(node, invoice_id, 10 * DOLLAR)
    assert node.states(invoice_id) == ("paid", "exact")
    assert node.invoice(invoice_id).record.is_late
    node.check()


async def test_a_partial_payment_is_accepted_for_what_it_is_worth(node: SimNode) -> None:
    invoice_id = node.create("10")
    await settled(node, invoice_id, 7 * DOLLAR)
    record = node.act(invoices.accept, invoice_id).record
    assert (record.status, record.payment_state, record.accepted) == ("paid", "partial", Fraction(7))


async def test_expiry_with_a_partial_payment_is_told(node: SimNode) -> None:
    invoice_id = node.create("10")
    await settled(node, invoice_id, 7 * DOLLAR)
    await expired(node, invoice_id)
    assert node.events(invoice_id)[-2:] == ["invoice.expired", "invoice.underpaid"]


@pytest.mark.parametrize("blocks", [0, 1])
async def test_what_is_not_final_is_not_accepted(node: SimNode, blocks: int) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 7 * DOLLAR)
    for _ in range(blocks):
        await node.mine()
    with pytest.raises(Conflict, match="nothing_final"):
        node.act(invoices.accept, invoice_id)


OPERATIONS: list[Callable[..., LoadedInvoice]] = [invoices.cancel, invoices.accept]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_operation_that_fails_before_its_commit_leaves_nothing(
    node: SimNode, operation: Callable[..., LoadedInvoice]
) -> None:
    invoice_id = node.create("10")
    await settled(node, invoice_id, 7 * DOLLAR)
    before, events = node.invoice(invoice_id), node.events(invoice_id)

    def broken(tx: Tx) -> None:
        operation(tx, node.catalogue, invoice_id, node.clock())
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        node.database.write(broken)
    assert (node.invoice(invoice_id), node.events(invoice_id)) == (before, events)


async def test_an_index_is_taken_for_good_even_if_two_ask_at_once(node: SimNode) -> None:
    taken = [node.database.write(stores.take_index, "sim", 0) for _ in range(3)]
    assert taken == [0, 1, 2]
    assert derive("sim", 0, 3) == node.address(node.create())
