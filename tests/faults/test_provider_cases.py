"""What providers do to a node (B1 to B10 of the list of cases), and where each is put to the test.

B1   logs of a block that is not indexed yet
         test_outages.test_a_provider_without_logs_delays_a_token_payment_and_does_not_lose_it
         evm.test_liars.test_logs_that_are_not_indexed_yet_delay_the_credit_and_nothing_else
         evm.test_liars.test_logs_that_one_provider_lacks_are_read_at_the_other
B2   no block where there must be one
         test_b2_a_provider_that_does_not_know_its_own_newest_block_decides_nothing
B3   a head that is old, stands still or goes back
         test_chaos.test_b3_behind_a_frozen_head_nothing_is_decided_and_nothing_is_lost
         test_chaos.test_b3_a_chain_that_is_rolled_back_and_goes_another_way_is_followed
         test_outages.test_a_chain_that_stands_still_expires_nothing_until_it_goes_on
         evm.test_reorgs.test_a_provider_whose_head_stands_still_is_left_for_one_that_goes_on
B4   providers on two forks of one network
         test_chaos.test_b4_while_the_second_provider_is_on_another_fork_nothing_is_paid_or_leaves
B5   another network
         test_b5_a_provider_that_turns_to_another_network_of_our_chain_id_is_refused_and_the_other_goes_on
         test_chaos.test_b5_a_chain_id_that_changes_at_run_time_is_noticed_without_a_new_connection
         test_outages.test_a_provider_that_changes_to_another_chain_is_refused_loudly_and_credits_nothing
         evm.test_pinning.test_b5_at_first_sight_the_majority_tells_our_network_and_the_others_go_on
B6   reorganisations
         test_reorgs.test_a_detected_payment_that_is_reorged_out_counts_no_more_and_can_be_paid_again
         test_reorgs.test_a_paid_invoice_that_is_reversed_pauses_outflows_and_can_be_paid_again
         evm.test_reorgs.test_a_reorg_below_the_horizon_stops_the_network
B7   two transactions with one nonce, and a provider that knows both
         test_b7_of_two_transactions_with_one_nonce_one_is_credited_whatever_the_provider_says
         evm.test_pure.test_b7_of_two_transactions_with_one_nonce_of_one_sender_one_is_confirmed
B8   answers that are none
         test_b8_whatever_comes_instead_of_an_answer_each_payment_is_credited_once
         test_chaos.test_a_broken_provider_is_neither_hammered_nor_given_up
         chains.test_rpc.test_what_is_no_answer_to_the_question_is_garbled
         chains.test_rpc.test_silence_and_dripping_end_at_the_deadline
         chains.test_rpc.test_a_rate_limit_is_kept_as_long_as_the_provider_asks_within_reason
B9   caps
         test_b9_caps_on_range_results_and_batches_are_learned_once_and_delay_nothing
         evm.test_liars.test_a_cap_on_log_ranges_is_found_out_and_obeyed
B10  logs that a reorganisation took away
         test_b10_a_log_that_says_that_it_was_removed_is_never_booked
"""

import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio
from tests.faults.chaosproxy import Backend, Fault, Rule, honest, of
from tests.faults.checker import never_more_than
from tests.faults.street import COIN, USDT, Street, street
from tests.faults.test_spine import address, blocks
from tests.faults.together import Together
from tests.lab.anvil import anvil
from tests.lab.client import Lab
from tests.lab.stub import result

Json = dict[str, Any]
FAULTS_OF_THE_WIRE = (
    Rule(Fault.TRUNCATE),
    Rule(Fault.HTML),
    Rule(Fault.WRONG_ID),
    Rule(Fault.DUP),
    Rule(Fault.SWAP),
    Rule(Fault.REORDER),
    Rule(Fault.RATE_LIMIT),
    Rule(Fault.RATE_LIMIT, value=3),
    Rule(Fault.GZIP_BOMB),
    Rule(Fault.HUGE),
    Rule(Fault.DRIP),
)
UNANSWERED = frozenset(rule.fault for rule in FAULTS_OF_THE_WIRE) - {Fault.DUP, Fault.SWAP, Fault.REORDER}
CAPS = (Rule(Fault.RANGE_CAP, value=10), Rule(Fault.RESULT_CAP, value=3), Rule(Fault.NO_BATCH, value=2))
PAYERS = 8

cases = Together(partial(street, goes_on=True))


def test_every_case_that_is_named_above_exists() -> None:
    tests = Path(__file__).parent.parent
    folders = {"evm": tests / "chains" / "evm", "chains": tests / "chains"}
    named = re.findall(r"^ {9}(?:(evm|chains)\.)?(?:(\w+)\.)?(test_\w+)$", __doc__ or "", re.MULTILINE)
    assert len(named) > 20
    for folder, module, name in named:
        path = folders.get(folder, tests / "faults") / f"{module or Path(__file__).stem}.py"
        assert f"def {name}(" in path.read_text(), name


async def until(town: Street, is_so: Callable[[], bool], what: str) -> None:
    async def asked() -> bool:
        return is_so()

    await town.shop.until(asked, what)


async def canary_has_sung(town: Street) -> None:
    """Until the node has gone past the newest block; by a coin, which needs no logs."""
    canary = await town.shop.invoice("20", "eth_eth")
    await town.lab.send_native(address(canary), COIN // 100)
    await town.shop.until_invoice(canary, status="paid")


@cases.in_the_end
async def test_b2_a_provider_that_does_not_know_its_own_newest_block_decides_nothing(town: Street) -> None:
    invoice = await town.shop.invoice("20", "eth_usdt")
    town.proxy.rules = [Rule(Fault.NULL, methods=of("eth_getBlockByNumber"))]
    await town.lab.transfer(town.usdt, address(invoice), 20 * USDT)
    seen = await town.shop.until_network("degraded")
    assert re.search(r"eth_getBlockByNumber|does not know block", seen["reason"])
    assert (await town.shop.seen(invoice))["deposits"] == []
    town.proxy.calm()
    paid = await town.shop.until_invoice(invoice, status="paid", payment_state="exact")
    assert len(paid["deposits"]) == 1
    await town.shop.until_network("ok")


@cases.in_the_end
async def test_b8_whatever_comes_instead_of_an_answer_each_payment_is_credited_once(town: Street) -> None:
    invoices = [await town.shop.invoice("20", "eth_usdt") for _ in FAULTS_OF_THE_WIRE]
    due = {invoice["id"]: 20 * USDT for invoice in await town.shop.listed("invoices")}
    async with never_more_than(town.shop, due | {each["id"]: COIN // 100 for each in await coins_of(town)}):
        for rule, invoice in zip(FAULTS_OF_THE_WIRE, invoices, strict=True):
            before = town.proxy.done(rule.fault)
            town.proxy.rules = [rule]
            await town.lab.transfer(town.usdt, address(invoice), 20 * USDT)
            await until(town, lambda rule=rule, before=before: town.proxy.done(rule.fault) > before, rule.fault.value)
            town.proxy.calm()
            await town.until_looked(1)
        for invoice in invoices:
            paid = await town.shop.until_invoice(invoice, status="paid", payment_state="exact")
            assert len(paid["deposits"]) == 1
    (provider,) = (await town.shop.network())["providers"]
    assert provider["errors_today"] >= len(UNANSWERED) - len({Fault.GZIP_BOMB, Fault.HUGE})  # those are too much
    assert provider["lies_today"] == 0


async def coins_of(town: Street) -> list[Json]:
    return [each for each in await town.shop.listed("invoices") if each["methods"][0]["method"] == "eth_eth"]


@cases.in_the_end
async def test_b9_caps_on_range_results_and_batches_are_learned_once_and_delay_nothing(town: Street) -> None:
    """Goal: each cap costs its refusals once. Method: two outages of 40 blocks with more payments than one answer."""
    town.shop.stop()
    await town.shop.start()  # what it learned from the answers of other cases is forgotten
    refused: list[tuple[int, int]] = []
    for _ in range(2):
        since = trio.current_time()
        town.proxy.rules = CAPS
        invoices = [await town.shop.invoice("20", "eth_usdt") for _ in range(PAYERS)]
        town.proxy.rules = [Rule(Fault.ERROR)]
        for invoice in invoices:
            await town.lab.transfer(town.usdt, address(invoice), 20 * USDT)
        await town.lab.mine(40)
        town.proxy.rules = CAPS
        for invoice in invoices:
            paid = await town.shop.until_invoice(invoice, status="paid", payment_state="exact")
            assert len(paid["deposits"]) == 1
        entries = town.proxy.calls_since(since)
        too_wide = [each for each in entries if each.answer and "block range" in str(each.answer.get("error"))]
        too_many = {each.at for each in entries if each.answer is None and Fault.NO_BATCH in each.faults}
        refused.append((len(too_wide), len(too_many)))
    town.proxy.calm()
    (ranges, batches), again = refused
    assert (ranges, batches > 0) == (1, True)  # the provider says how many blocks it takes
    assert again == (0, 0)


@cases.in_the_end
async def test_b10_a_log_that_says_that_it_was_removed_is_never_booked(town: Street) -> None:
    invoice = await town.shop.invoice("20", "eth_usdt")
    town.proxy.rules = [Rule(Fault.REMOVED)]
    await town.lab.transfer(town.usdt, address(invoice), 20 * USDT)
    await until(town, lambda: town.proxy.done(Fault.REMOVED) > 0, "logs were asked for")
    await canary_has_sung(town)
    assert (await town.shop.seen(invoice))["deposits"] == []
    town.proxy.calm()
    paid = await town.shop.until_invoice(invoice, status="paid", payment_state="exact")
    assert len(paid["deposits"]) == 1


async def test_b5_a_provider_that_turns_to_another_network_of_our_chain_id_is_refused_and_the_other_goes_on(
    tmp_path: Path,
) -> None:
    async with anvil(timestamp=int(time.time()) - 1000) as stranger, street(tmp_path) as first:
        assert (await stranger.block(0))["hash"] != (await first.lab.block(0))["hash"]
        first.shop.edit_config(f"rpc = ['{first.proxy.url}']", f"rpc = ['{first.proxy.url}', '{first.lab.url}']")
        first.shop.stop()
        await first.shop.start()
        invoice = await first.shop.invoice("20", "eth_usdt")
        await stranger.mine(200)
        elsewhere = Rule(Fault.SPLIT_BACKEND, backend=honest(stranger))
        first.proxy.rules = [Rule(Fault.DROP), elsewhere]
        await until(first, lambda: first.proxy.done(Fault.DROP) > 0, "the connection breaks")
        first.proxy.rules = [elsewhere]
        await first.lab.transfer(first.usdt, address(invoice), 20 * USDT)
        paid = await first.shop.until_invoice(invoice, status="paid", payment_state="exact")
        assert len(paid["deposits"]) == 1

        async def is_refused() -> Json | None:
            network = await first.shop.network()
            return network if "serves another network" in (network["providers"][0]["reason"] or "") else None

        network = await first.shop.until(is_refused, "the first provider is refused")
        refused, good = network["providers"]
        assert (network["state"], network["hold"]) == ("ok", None)
        assert re.search(rf"of chain id {stranger.chain_id}: its block \d+ is 0x", refused["reason"])
        assert (refused["state"], refused["lies_today"] > 0, good["state"]) == ("failing", True, "ok")


def remembering(lab: Lab, receipt: Json, tx: Json) -> Backend:
    """A provider that also knows a transaction of an old fork, and says that it is in the newest block."""
    truth = honest(lab)
    tx_hash = receipt["transactionHash"]

    async def ask(call: Json) -> Json:
        answer = await truth(call)
        head = await lab.block()
        here = {"blockHash": head["hash"], "blockNumber": head["number"]}
        match call["method"]:
            case "eth_getTransactionReceipt" if call["params"][0] == tx_hash:
                return result(call, receipt | here | {"logs": [log | here for log in receipt["logs"]]})
            case "eth_getTransactionByHash" if call["params"][0] == tx_hash:
                return result(call, tx | here)
            case "eth_getLogs":
                return result(call, [*answer["result"], *(log | here for log in logs_for(call, receipt))])
        return answer

    return ask


def logs_for(call: Json, receipt: Json) -> list[Json]:
    """The logs of `receipt` that the filter is about."""
    (asked,) = call["params"]
    (log,) = receipt["logs"]
    fits = all(
        wanted is None or topic in ([wanted] if isinstance(wanted, str) else wanted)
        for wanted, topic in zip(asked["topics"], log["topics"], strict=False)
    )
    return [log] if fits else []


async def test_b7_of_two_transactions_with_one_nonce_one_is_credited_whatever_the_provider_says(tmp_path: Path) -> None:
    async with street(tmp_path, goes_on=False) as town:
        lab, payer = town.lab, town.lab.accounts[3]
        await lab.transfer(town.usdt, payer, 100 * USDT)
        await lab.mine(10)
        before, after = await town.shop.invoice("20", "eth_usdt"), await town.shop.invoice("20", "eth_usdt")
        due = {before["id"]: 20 * USDT, after["id"]: 20 * USDT}

        async with never_more_than(town.shop, due):
            first = await lab.transfer(town.usdt, address(before), 20 * USDT, sender=payer)
            tx = await lab.rpc("eth_getTransactionByHash", first["transactionHash"])
            await town.shop.until_invoice(before, status="confirming")
            await lab.reorg(1)
            town.proxy.rules = [Rule(Fault.SPLIT_BACKEND, backend=remembering(lab, first, tx))]
            second = await lab.transfer(town.usdt, address(after), 20 * USDT, sender=payer)
            again = await lab.rpc("eth_getTransactionByHash", second["transactionHash"])
            assert (again["nonce"], again["hash"] != tx["hash"]) == (tx["nonce"], True)
            town.nursery.start_soon(blocks, lab)
            await town.shop.until_invoice(after, status="paid", payment_state="exact")
            seen = await town.shop.seen(before)
            assert (seen["status"], seen["amount_paid"], seen["amount_confirmed"]) == ("open", "0.00", "0.00")
            assert [deposit["state"] for deposit in seen["deposits"]] == ["orphaned"]
        town.proxy.calm()
        await lab.transfer(town.usdt, address(before), 20 * USDT)
        town.invoices += [before, after]
        await town.assert_all_is_well()
