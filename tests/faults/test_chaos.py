"""The whole daemon behind a provider that misbehaves: steady payments, then calm, then all is held against the truth.

`PAYNODE_CHAOS_SEED` repeats a run, or makes another. Nothing is asserted to be absent by waiting: the proxy's memory
shows that the node has looked, or a later payment that it has passed.
"""

import random
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import trio
from tests.faults.chaosproxy import Fault, Rule, behind, chaos, honest, of
from tests.faults.checker import never_more_than
from tests.faults.street import COIN, LOOKS, SEED, USDT, street
from tests.faults.test_spine import address, blocks
from tests.lab.anvil import anvil
from tests.lab.client import LabError
from tests.lab.node import Node

RECOVERY_SECONDS = 30.0
CALLS_PER_SECOND_MAX = 60  # a busy node stays far below; one that runs hot makes hundreds
HORIZON = 64  # of the test node
SHALLOW = (1, 2)  # nothing final is lost
ANY_DEPTH = (1, 2, 3, 5, 8, 20, HORIZON - 1)
LOOKED_AT = of("eth_getBlockByNumber", "eth_getBlockByHash", "eth_getTransactionByHash", "eth_getTransactionReceipt")

LAGGING = (
    Rule(Fault.EMPTY, 0.3, of("eth_getLogs", "eth_call")),
    Rule(Fault.NULL, 0.3, LOOKED_AT),
)
BROKEN = (
    Rule(Fault.TRUNCATE, 0.08),
    Rule(Fault.RATE_LIMIT, 0.08),
    Rule(Fault.RATE_LIMIT, 0.04, value=2),
    Rule(Fault.ERROR, 0.08),
    Rule(Fault.HTML, 0.06),
    Rule(Fault.DROP, 0.05),
    Rule(Fault.RESET, 0.05),
    Rule(Fault.GZIP_BOMB, 0.02),
    Rule(Fault.HANG, 0.03),
    Rule(Fault.WRONG_ID, 0.05),
    Rule(Fault.DUP, 0.05),
    Rule(Fault.DELAY, 0.2, value=300),
)


async def test_steady_payments_through_a_provider_that_lags_and_forgets_are_each_found_once(tmp_path: Path) -> None:
    async with street(tmp_path) as town:
        await town.open(8)
        late = behind(town.lab, lambda head: head - 2)
        async with never_more_than(town.shop, town.paid_by_invoice):
            town.proxy.rules = [*LAGGING, Rule(Fault.SPLIT_BACKEND, 0.3, backend=late)]
            await town.pay_all()
            town.proxy.calm()
            await town.assert_all_is_well()
        assert sum(town.proxy.done(fault) for fault in (Fault.EMPTY, Fault.NULL, Fault.SPLIT_BACKEND)) >= LOOKS


async def test_a_broken_provider_is_neither_hammered_nor_given_up(tmp_path: Path) -> None:
    await through_a_broken_provider(tmp_path, customers=15)


@pytest.mark.soak
async def test_a_provider_broken_for_a_minute_is_neither_hammered_nor_given_up(tmp_path: Path) -> None:
    await through_a_broken_provider(tmp_path, customers=60)


async def through_a_broken_provider(folder: Path, *, customers: int) -> None:
    """A second each; then the provider works, and the node with it again within half a minute."""
    async with street(folder) as town:
        await town.open(customers)
        await town.shop.until_network("ok")
        began = trio.current_time()
        async with never_more_than(town.shop, town.paid_by_invoice):
            town.proxy.rules = BROKEN
            await town.pay_all()
            busiest = town.proxy.busiest_second(began)
            town.proxy.calm()
            calm_since = trio.current_time()
            await town.until_looked(1)
            await town.shop.until_network("ok")
            print(f"looked again after {trio.current_time() - calm_since:.1f} s")
            assert trio.current_time() - calm_since < RECOVERY_SECONDS
            await town.assert_all_is_well()
        print(f"at most {busiest} calls in a second while it was broken")
        assert 0 < busiest < CALLS_PER_SECOND_MAX


async def test_b3_behind_a_frozen_head_nothing_is_decided_and_nothing_is_lost(tmp_path: Path) -> None:
    async with street(tmp_path) as town:
        await town.open(3)
        height = int(await town.lab.rpc("eth_blockNumber"), 16)
        town.proxy.rules = [Rule(Fault.FREEZE, value=height)]
        for number in range(3):
            await town.pay(number)
        await town.until_looked()
        assert [(await town.shop.seen(invoice))["deposits"] for invoice in town.invoices] == [[], [], []]
        town.proxy.calm()
        await town.assert_all_is_well()


async def test_b3_a_chain_that_is_rolled_back_and_goes_another_way_is_followed(tmp_path: Path) -> None:
    async with street(tmp_path, goes_on=False) as town:
        await town.open(3)
        await town.lab.mine(10)
        await town.pay(0)
        await town.shop.until_invoice(town.invoices[0], status="confirming")
        await town.lab.rpc("anvil_rollback", 3)
        await town.until_looked()
        town.nursery.start_soon(blocks, town.lab)
        for number in range(3):
            await town.pay(number)
        await town.assert_all_is_well()


async def test_b5_a_chain_id_that_changes_at_run_time_is_noticed_without_a_new_connection(tmp_path: Path) -> None:
    async with street(tmp_path) as town:
        await town.open(2)
        await town.lab.rpc("anvil_setChainId", 5)
        await town.shop.until_network("degraded")
        await town.lab.rpc("anvil_setChainId", town.lab.chain_id)
        await town.pay(0)
        await town.pay(1)
        await town.assert_all_is_well()


async def test_b4_while_the_second_provider_is_on_another_fork_nothing_is_paid_or_leaves(tmp_path: Path) -> None:
    began = int(time.time())
    async with anvil(timestamp=began) as fork, trio.open_nursery() as nursery:
        async with (
            chaos(fork, seed=SEED) as second,
            street(tmp_path, others=[second.url], timestamp=began) as town,
        ):
            assert (await fork.block(0))["hash"] == (await town.lab.block(0))["hash"]
            nursery.start_soon(blocks, fork)
            there, here = honest(fork), honest(town.lab)
            second.rules = [Rule(Fault.SPLIT_BACKEND, backend=here)]
            await town.open(2)
            await fork.mine(40)
            await town.pay(0)
            await town.shop.until_invoice(town.invoices[0], status="paid", sweep_state="swept")
            second.rules = [Rule(Fault.SPLIT_BACKEND, backend=there)]
            sent = town.proxy_sent()
            await town.pay(1)
            await town.shop.until(partial(is_held, town.shop), "the network holds")
            await town.until_looked()
            seen = await town.shop.seen(town.invoices[1])
            assert (seen["status"], seen["amount_confirmed"]) == ("confirming", "0.00")
            assert town.proxy_sent() == sent, "nothing was sent"
            second.rules = [Rule(Fault.SPLIT_BACKEND, backend=here)]
            await town.assert_all_is_well()
        nursery.cancel_scope.cancel()


async def is_held(shop: Node) -> bool:
    return bool((await shop.network())["hold"])


async def test_a_lost_answer_to_a_broadcast_and_a_death_make_no_second_transaction(tmp_path: Path) -> None:
    """C1 and C2: the bytes are out, nobody knows, and the node dies; twice, once for the gas and once for the sweep."""
    async with street(tmp_path) as town:
        await town.open(2)
        town.proxy.rules = [Rule(Fault.SWALLOW_REPLY_AFTER_FORWARD, methods=of("eth_sendRawTransaction"))]

        async def are_lost(count: int) -> bool:
            return town.proxy.done(Fault.SWALLOW_REPLY_AFTER_FORWARD) >= count

        await town.pay(0)
        await town.pay(1)
        for deaths in range(1, 3):
            lost = town.proxy.done(Fault.SWALLOW_REPLY_AFTER_FORWARD)
            await town.shop.until(partial(are_lost, lost + 1), f"broadcast {deaths} is lost")
            town.shop.kill()
            await town.shop.start()
        town.proxy.calm()
        await town.assert_all_is_well()


async def test_shallow_reorgs_while_customers_pay_end_in_the_truth(tmp_path: Path) -> None:
    await reorganised(tmp_path, customers=4, rounds=4, depths=SHALLOW)


@pytest.mark.soak
async def test_reorgs_of_any_depth_while_customers_pay_end_in_the_truth(tmp_path: Path) -> None:
    await reorganised(tmp_path, customers=8, rounds=8, depths=ANY_DEPTH)


@pytest.mark.soak
async def test_reorgs_of_any_depth_for_minutes_end_in_the_truth(tmp_path: Path) -> None:
    await reorganised(tmp_path, customers=9, rounds=100, depths=ANY_DEPTH)


async def reorganised(folder: Path, *, customers: int, rounds: int, depths: Sequence[int]) -> None:
    """What a reorganisation drops is at once in another block, or paid again by the same customer a little later."""
    drawn = random.Random(SEED)
    async with street(folder, goes_on=False) as town:
        lab, shop = town.lab, town.shop
        payers = lab.accounts[1 : customers + 1]
        for payer in payers:
            await lab.transfer(town.usdt, payer, 10**4 * USDT)
        await lab.mine(HORIZON + 8)
        await town.open(customers)
        shop.node_key = shop.paynode("keys", "create", "--node").split()[-1]
        hash_by_number: dict[int, str] = {}

        async def pay(number: int) -> None:
            to, payer = address(town.invoices[number]), payers[number]
            paid = (
                await lab.transfer(town.usdt, to, 20 * USDT, sender=payer)
                if number % 3 == 0
                else await lab.send_native(to, COIN // 100, sender=payer)
            )
            hash_by_number[number] = paid["transactionHash"]

        async def pay_what_is_gone() -> None:
            for number, tx_hash in list(hash_by_number.items()):
                if await lab.rpc("eth_getTransactionReceipt", tx_hash) is None:
                    await pay(number)

        async with never_more_than(shop, town.paid_by_invoice):
            for round_ in range(rounds):
                if round_ < customers:
                    await pay(round_)
                for _ in range(drawn.randint(1, 4)):
                    await lab.mine()
                    await trio.sleep(drawn.random() * 0.6)
                depth = drawn.choice(depths)
                raws = [await lab.rpc("eth_getRawTransactionByHash", tx_hash) for tx_hash in hash_by_number.values()]
                kept = [(raw, drawn.randrange(depth)) for raw in raws if raw and drawn.random() < 0.5]
                print(f"reorg of {depth}, with {len(kept)} transactions again")
                try:
                    await lab.reorg(depth, kept)
                except LabError:  # one of them is older than the fork
                    await lab.reorg(depth)
                await lab.mine()
                await trio.sleep(drawn.random() * 1.5)
                await pay_what_is_gone()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(blocks, lab)
                nursery.start_soon(resuming, shop)
                await town.assert_all_is_well()
                nursery.cancel_scope.cancel()


async def resuming(shop: Node) -> None:
    """The operator, who looks at each pause and goes on."""
    while True:
        state = await shop.get("/v1/node", key=shop.node_key)
        if state["outflows"]["paused"]:
            await shop.post("/v1/outflows/resume", key=shop.node_key)
        await trio.sleep(1)
