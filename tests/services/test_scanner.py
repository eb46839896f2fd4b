"""The scanner: how often it looks, and what becomes of a network that fails."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import trio
from tests.lab.simnode import SimNode

from paynode.chains.base import DeepReorg, Unavailable
from paynode.domain.attention import Attention
from paynode.domain.chain import Books, Observation
from paynode.operations import invoices, pace
from paynode.operations.pace import HEARTBEAT_SECONDS
from paynode.services import scanner
from paynode.services.scanner import RETRY_SECONDS_MAX, TICK_SECONDS_MAX
from paynode.store import bells, chain, watches

SLOW_TICKS = """
[networks.alpha]
family = "sim"
tick_seconds = 15
tokens = { usdt = { decimals = 6 } }

[networks.beta]
family = "sim"

[rates]
static = { "usdt/USD" = "1", "sim/USD" = "2000" }
"""
TICK_SECONDS = 15  # of alpha


@pytest.fixture
async def node(tmp_path: Path) -> SimNode:
    node = SimNode(tmp_path, SLOW_TICKS)
    await node.look()
    return node


def pause(node: SimNode, *, is_watched: bool = False) -> float:
    return node.database.read(pace.pause_seconds, node.catalogue, "alpha", node.clock(), is_watched=is_watched)


async def run_for(node: SimNode, seconds: float) -> int:
    """Let the scanner of alpha run that long; returns how often it came round."""
    beats: list[None] = []
    run = partial(
        scanner.run,
        node.database,
        node.catalogue,
        node.chains["alpha"],
        attention=Attention(trio.current_time),
        clock=node.clock,
        beat=partial(beats.append, None),
    )
    with trio.move_on_after(seconds):
        await run()
    return len(beats)


async def test_a_deposit_that_nobody_proves_is_hurried_for_until_twice_its_depth(node: SimNode) -> None:
    """One that is disputed stays so for as long as its token is odd: that must not cost calls at every block."""
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * 10**6)
    node.worlds["alpha"].mine()
    await node.look("alpha")
    [deposit] = node.deposits(invoice_id)
    watch = node.database.read(watches.watch, "alpha", deposit.address)
    record = node.database.read(chain.network, "alpha")
    assert deposit.stage == "detected"
    assert watch is not None
    assert record.head_number is not None
    for blocks, is_hurried in ((0, True), (2 * watch.depth, True), (2 * watch.depth + 1, False)):
        node.database.write(chain.save_network, replace(record, head_number=record.head_number + blocks))
        assert (pause(node) < TICK_SECONDS) is is_hurried
        assert node.database.read(pace.is_urgent, "alpha", node.clock()) is is_hurried
    node.run("update invoices set is_deadline_passed = 1")
    node.run("update chain_rows set block_number = -1000")
    assert pause(node) == TICK_SECONDS, "it is looked for, though nothing else is"


async def test_it_looks_often_only_while_somebody_waits(node: SimNode) -> None:
    assert pause(node) == HEARTBEAT_SECONDS
    invoice_id = node.create("10")
    assert pause(node) == 15
    node.pay(invoice_id, 10_000_000)
    await node.mine()
    assert pause(node) == 2
    node.fund_gas()
    await node.turn(10)
    assert pause(node) == 15  # its blocks may still be replaced
    await node.mine(node.catalogue.networks["alpha"].reorg_horizon)
    assert pause(node) == HEARTBEAT_SECONDS  # late money is still watched for, and need not hurry


async def test_what_the_chain_took_back_is_awaited_again(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 10_000_000)
    await node.mine(4)
    assert node.states(invoice_id)[0] == "paid"
    node.worlds["alpha"].reorg(4, keep=False)
    await node.look("alpha")
    assert node.states(invoice_id)[0] == "reversed"
    assert pause(node) == 15


async def test_a_scanner_that_rests_is_woken_by_a_transfer_of_ours(
    node: SimNode, autojump_clock: trio.testing.MockClock
) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 10_000_000)
    node.fund_gas()
    while pause(node) != HEARTBEAT_SECONDS:
        await node.mine()

    async def collect() -> None:
        await trio.sleep(100)
        await node.plan()
        await node.send()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect)
        assert await run_for(node, 99) == 1
        assert await run_for(node, 50) > 2


async def test_a_scarce_budget_stretches_the_pause_and_no_bell_shortens_it(
    node: SimNode, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, bool]] = []

    def pace(wanted_seconds: float, *, is_urgent: bool) -> float:
        asked.append((wanted_seconds, is_urgent))
        return 100.0

    monkeypatch.setattr(node.chains["alpha"], "pace", pace)
    invoice_id = node.create("10")
    node.pay(invoice_id, 10_000_000)

    async def ring() -> None:
        while True:
            node.database.bells.ring(bells.WATCHES)
            await trio.sleep(10)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ring)
        assert await run_for(node, 350) == 4
        nursery.cancel_scope.cancel()
    assert asked == [(15, False)] * 4
    await node.mine()
    with trio.move_on_after(1):
        await scanner.rest(
            node.database, node.catalogue, node.chains["alpha"], Attention(trio.current_time), node.clock()
        )
    assert asked[-1] == (2, True)


async def test_a_cancelled_invoice_is_still_watched_without_hurry(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.act(invoices.cancel, invoice_id)
    assert pause(node) == HEARTBEAT_SECONDS
    node.pay(invoice_id, 10_000_000)
    await node.mine()
    assert len(node.deposits(invoice_id)) == 1


async def test_of_many_addresses_those_that_nobody_waits_for_are_looked_at_now_and_then(
    node: SimNode, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "FEW", 1)
    looked: list[set[str]] = []
    observe = node.chains["alpha"].observe

    async def noting(books: Books) -> Observation:
        looked.append({watch.address for watch in books.watches})
        return await observe(books)

    monkeypatch.setattr(node.chains["alpha"], "observe", noting)
    cancelled, waiting = node.create("10"), node.create("10")
    node.act(invoices.cancel, cancelled)
    await run_for(node, 1300)
    slow = [number for number, addresses in enumerate(looked) if node.address(cancelled) in addresses]
    assert slow == [0, 40, 80]  # every ten minutes, in looks 15 s apart
    assert all(node.address(waiting) in addresses for addresses in looked)
    node.pay(cancelled, 10_000_000)
    node.worlds["alpha"].mine()
    await run_for(node, 100)
    assert len(node.deposits(cancelled)) == 1  # found by the first look of this run
    looked.clear()
    node.worlds["alpha"].mine()
    await scanner.tick(node.database, node.catalogue, node.chains["alpha"], node.clock, is_wide=False)
    assert node.address(cancelled) in looked[-1]  # what was found deepens: it is looked at with the rest


async def test_an_outage_degrades_and_recovery_is_told_each_once(
    node: SimNode, autojump_clock: trio.testing.MockClock
) -> None:
    node.create("10")
    node.worlds["alpha"].outage = True
    await run_for(node, 100)
    assert node.database.read(chain.network, "alpha").state == "degraded"
    assert node.database.read(chain.network, "beta").state == "ok"
    node.worlds["alpha"].outage = False
    await run_for(node, 100)
    assert node.database.read(chain.network, "alpha").state == "ok"
    assert node.events("network:alpha") == ["network.degraded", "network.recovered"]
    node.check()


async def test_a_trouble_that_is_over_in_seconds_is_not_told_and_one_that_stays_is_told_once_with_its_reason(
    node: SimNode, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Method: the providers contradict each other in every third look, and later in all of them."""
    observe = node.chains["alpha"].observe
    looks = 0
    is_lasting = False

    async def doubtful(books: Books) -> Observation:
        nonlocal looks
        looks += 1
        seen = await observe(books)
        return replace(seen, hold="another block 7") if is_lasting or looks % 3 == 0 else seen

    monkeypatch.setattr(node.chains["alpha"], "observe", doubtful)
    node.create("10")
    await run_for(node, 300)
    assert looks > 9
    assert node.events("network:alpha") == []
    is_lasting = True
    await run_for(node, 300)
    record = node.database.read(chain.network, "alpha")
    assert (record.state, record.reason, record.hold) == ("degraded", "another block 7", "another block 7")
    is_lasting, looks = False, 0
    await run_for(node, 10)
    assert node.events("network:alpha") == ["network.degraded", "network.recovered"]


async def test_what_a_provider_leaves_undone_is_told_and_stops_nothing(
    node: SimNode, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe = node.chains["alpha"].observe

    async def incomplete(books: Books) -> Observation:
        return replace(await observe(books), trouble="two does not prove 5 units")

    monkeypatch.setattr(node.chains["alpha"], "observe", incomplete)
    invoice_id = node.create("10")
    await run_for(node, 60)
    record = node.database.read(chain.network, "alpha")
    assert (record.state, record.reason, record.hold) == ("degraded", "two does not prove 5 units", None)
    node.worlds["alpha"].mine(at=node.invoice(invoice_id).record.expires_at + timedelta(seconds=1))
    await run_for(node, 60)
    assert node.states(invoice_id)[0] == "expired"
    monkeypatch.undo()
    await run_for(node, 60)
    assert node.events("network:alpha") == ["network.degraded", "network.recovered"]


async def test_failures_are_retried_less_and_less_often(node: SimNode, autojump_clock: trio.testing.MockClock) -> None:
    node.worlds["alpha"].outage = True
    turns = await run_for(node, 300)
    assert 300 / RETRY_SECONDS_MAX <= turns <= 300 / RETRY_SECONDS_MAX + 6


def observing(answer: Callable[[], Awaitable[Observation]]) -> Callable[[Books], Awaitable[Observation]]:
    async def observe(books: Books) -> Observation:
        return await answer()

    return observe


async def test_a_tick_that_never_ends_is_given_up(
    node: SimNode, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forever() -> Observation:
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(node.chains["alpha"], "observe", observing(forever))
    await run_for(node, TICK_SECONDS_MAX + 1)
    record = node.database.read(chain.network, "alpha")
    assert (record.state, record.reason) == ("degraded", f"no tick ended within {TICK_SECONDS_MAX:.0f} s")


async def test_a_reorganisation_too_deep_stops_the_network_until_somebody_looked(
    node: SimNode, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[None] = []

    async def deep() -> Observation:
        looks.append(None)
        raise DeepReorg("blocks below the horizon were replaced")

    monkeypatch.setattr(node.chains["alpha"], "observe", observing(deep))
    await run_for(node, 300)
    assert len(looks) == 1
    assert node.database.read(chain.network, "alpha").state == "stopped"
    assert node.pauses() == [("alpha", "")]
    assert node.events("network:alpha") == ["network.degraded"]


async def test_a_look_that_fails_writes_nothing(node: SimNode, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> Observation:
        raise Unavailable("bad gateway")

    monkeypatch.setattr(node.chains["alpha"], "observe", observing(fail))
    tables = ("checkpoints", "networks", "chain_rows", "events")
    before = [node.rows(f"select * from {table}") for table in tables]
    with pytest.raises(Unavailable):
        await node.look("alpha")
    assert [node.rows(f"select * from {table}") for table in tables] == before


async def test_an_address_issued_during_a_look_loses_no_money(node: SimNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look knows nothing of it and moves the cursor past its first payment; its floor is the cursor before."""
    network = node.chains["alpha"]
    observe = network.observe
    issued: list[str] = []

    async def slow(books: Books) -> Observation:
        if not issued:
            issued.append(node.create("10"))
            node.pay(issued[0], 10_000_000)
            node.worlds["alpha"].mine()
        return await observe(books)

    monkeypatch.setattr(network, "observe", slow)
    await node.look("alpha")
    assert node.states(issued[0]) == ("open", "none")
    await node.mine(2)
    assert node.states(issued[0]) == ("paid", "exact")
    node.check()
