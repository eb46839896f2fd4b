"""Providers that fail, lag or lie: money is delayed, never lost, never credited twice."""

from typing import Any

import pytest
from tests.chains.evm.scene import CHAIN, DEPTH, NATIVE, USDT, honest, our_address, scene
from tests.lab.stub import error, result

from paynode.chains.base import Unavailable
from paynode.chains.evm.log_range import LogRange
from paynode.chains.evm.look import Looker
from paynode.chains.evm.reads import Reads
from paynode.domain.chain import Pair, RowSource

Call = dict[str, Any]


def deaf(method: str) -> Any:
    """A provider that answers `method` with nothing."""

    def twist(call: Call, answer: Call) -> Call:
        return result(call, [] if method == "eth_getLogs" else None) if call["method"] == method else answer

    return twist


async def test_logs_that_are_not_indexed_yet_delay_the_credit_and_nothing_else() -> None:
    async with scene(providers=1) as s:
        a, b = await s.shop(2)
        s.liars[0].twist = deaf("eth_getLogs")
        await s.lab.transfer(s.usdt, a, 5)
        await s.lab.send_native(b, 6)
        seen = await s.tick()
        assert seen.disputes.keys() == {Pair(a, USDT)}
        assert seen.checkpoint == seen.head
        await s.settle()
        assert s.keeper.confirmed_units(b, NATIVE) == 6
        since = s.keeper.disputes[Pair(a, USDT)].since
        assert since == seen.head
        s.liars[0].twist = honest
        await s.lab.rpc("evm_increaseTime", 60)
        await s.settle(2)
        assert s.keeper.confirmed_units(a, USDT) == 5
        assert not s.keeper.disputes


async def test_logs_that_one_provider_lacks_are_read_at_the_other() -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        s.liars[0].twist = deaf("eth_getLogs")
        await s.lab.transfer(s.usdt, a, 5)
        seen = await s.tick()
        assert [row.units for row in seen.rows] == [5]
        assert not seen.disputes


@pytest.mark.parametrize("cap", [1, 7, 100])
async def test_a_cap_on_log_ranges_is_found_out_and_obeyed(cap: int) -> None:
    async with scene(providers=1) as s:
        (a,) = await s.shop()

        def capped(call: Call, answer: Call) -> Call:
            if call["method"] != "eth_getLogs":
                return answer
            asked = call["params"][0]
            wide = int(asked["toBlock"], 16) - int(asked["fromBlock"], 16) + 1 > cap
            return error(call, -32600, f"up to a {cap} block range is allowed") if wide else answer

        s.liars[0].twist = capped
        await s.lab.transfer(s.usdt, a, 5)
        await s.lab.mine(120)
        for _ in range(6):
            await s.tick()
            await s.lab.mine()
        assert s.keeper.confirmed_units(a, USDT) == 5


async def test_a_deposit_is_not_confirmed_before_the_other_provider_has_it() -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        await s.lab.transfer(s.usdt, a, 5)
        await s.tick()
        s.liars[1].twist = deaf("eth_getTransactionReceipt")
        await s.settle(DEPTH + 3)
        assert s.keeper.confirmed_units(a, USDT) == 0
        assert s.keeper.hold is None
        s.liars[1].twist = honest
        await s.tick()
        assert s.keeper.confirmed_units(a, USDT) == 5


async def test_a_forged_log_is_refused_by_the_other_provider_and_the_network_holds() -> None:
    async with scene(providers=2) as s:
        a, b, c = await s.shop(3)
        receipt = await s.lab.transfer(s.usdt, b, 5_000_001)

        def forged(call: Call, answer: Call) -> Call:
            """The log pays another address, and the balances agree with it."""
            if call["method"] == "eth_getLogs" and call["params"][0]["topics"][1] is None:
                (log,) = receipt["logs"]
                return result(call, [log | {"topics": [*log["topics"][:2], "0x" + a[2:].lower().rjust(64, "0")]}])
            if call["method"] == "eth_call" and len(answer["result"]) > 66 * 8:
                words = [answer["result"][at : at + 64] for at in range(2, len(answer["result"]), 64)]
                (paid,) = [at for at, word in enumerate(words) if word == f"{5_000_001:064x}"]
                # Words of a: native, code, two tokens; then those of b.
                words[paid], words[paid - 4] = words[paid - 4], words[paid]
                return result(call, "0x" + "".join(words))
            return answer

        s.liars[0].twist = forged
        await s.tick()
        assert [row.tx_hash for row in s.rows(a, USDT)] == [receipt["transactionHash"]]
        await s.lab.transfer(s.usdt, c, 7)
        await s.settle()
        await s.settle()
        assert s.keeper.hold is not None
        assert s.keeper.confirmed_units(c, USDT) == 0
        assert s.keeper.confirmed_units(a, USDT) == 0
        s.liars[0].twist = honest
        await s.settle(2)
        assert s.keeper.confirmed_units(a, USDT) == 0
        assert s.keeper.disputes.keys() == {Pair(a, USDT)}
        assert s.keeper.confirmed_units(b, USDT) == 5_000_001
        assert s.keeper.confirmed_units(c, USDT) == 7


async def test_two_providers_on_different_blocks_confirm_nothing() -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        receipt = await s.lab.transfer(s.usdt, a, 5)

        def other_fork(call: Call, answer: Call) -> Call:
            if call["method"] == "eth_getBlockByNumber" and call["params"][0] == receipt["blockNumber"]:
                return result(call, answer["result"] | {"hash": "0x" + "ab" * 32})
            return answer

        s.liars[1].twist = other_fork
        await s.tick()
        await s.settle()
        assert s.keeper.hold is not None
        assert "another block" in s.keeper.hold
        assert s.keeper.confirmed_units(a, USDT) == 0
        s.liars[1].twist = honest
        await s.tick()
        assert s.keeper.confirmed_units(a, USDT) == 5


async def test_while_the_other_provider_is_away_twice_the_depth_is_waited_for() -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        await s.lab.transfer(s.usdt, a, 5)
        await s.tick()
        s.pool.all[1].degrade("away", rest_seconds=3600)
        await s.lab.mine(2 * DEPTH - 2)
        await s.tick()
        assert s.keeper.confirmed_units(a, USDT) == 0
        await s.lab.mine()
        await s.tick()
        assert s.keeper.confirmed_units(a, USDT) == 5


async def test_state_that_is_stale_places_a_payment_wrongly_and_it_is_credited_once() -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        await s.lab.mine(10)
        await s.tick()
        receipt = await s.lab.send_native(a, 7)
        await s.lab.mine(8)
        wrong = int(receipt["blockNumber"], 16) + 3

        def stale(call: Call, answer: Call) -> Call:
            if call["method"] == "eth_getBalance" and call["params"][0] == a and int(call["params"][1], 16) < wrong:
                return result(call, "0x0")
            return answer

        s.liars[0].twist = stale
        seen = await s.tick()
        assert [(row.source, row.block.number) for row in seen.rows] == [(RowSource.INTERNAL, wrong)]
        s.liars[0].twist = honest
        await s.settle(3)
        (row,) = s.keeper.confirmed(a, NATIVE)
        assert (row.units, row.tx_hash) == (7, receipt["transactionHash"])


async def test_where_the_state_is_pruned_a_rise_is_booked_without_a_place_and_with_an_interval() -> None:
    async with scene(providers=1) as s:
        (a,) = await s.shop()
        await s.lab.mine(3)
        await s.tick()
        believed = s.keeper.checkpoints[0]
        await s.lab.send_native(a, 7)
        await s.lab.mine(400)
        recent = await s.lab.send_native(a, 11)
        await s.lab.mine(2)
        head = int((await s.lab.block())["number"], 16)

        def pruned(call: Call, answer: Call) -> Call:
            if call["method"] == "eth_getBalance" and int(call["params"][1], 16) < head - 127:
                return error(call, -32000, "missing trie node")
            return answer

        s.liars[0].twist = pruned
        await s.tick()
        unplaced, placed = sorted(s.rows(a, NATIVE), key=lambda row: row.units)
        assert (unplaced.source, unplaced.units, unplaced.earliest_at) == (RowSource.UNPLACED, 7, believed.at)
        assert (placed.source, placed.units, placed.tx_hash) == (RowSource.TX, 11, recent["transactionHash"])
        await s.lab.send_native(a, 13)
        await s.tick()
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == 31
        assert len(s.keeper.rows) == 3


async def test_a_provider_that_ignores_the_pin_is_degraded_and_the_next_one_asked() -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        await s.lab.transfer(s.usdt, a, 5)
        old = await s.lab.rpc("eth_getBlockByNumber", "latest", False)
        await s.lab.mine()

        def lagging_header(call: Call, answer: Call) -> Call:
            if call["params"][:1] == ["latest"]:
                return result(call, answer["result"] | {"timestamp": old["timestamp"], "parentHash": old["parentHash"]})
            return answer

        s.liars[0].twist = lagging_header
        seen = await s.tick()
        assert [row.units for row in seen.rows] == [5]
        assert s.pool.all[0].is_resting


@pytest.mark.parametrize("is_native", [True, False])
async def test_a_provider_that_garbles_a_transfer_of_ours_is_degraded_and_the_next_one_asked(is_native: bool) -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        await (s.lab.send_native(a, 5) if is_native else s.lab.transfer(s.usdt, a, 5))

        def garbling(call: Call, answer: Call) -> Call:
            match call["method"], answer.get("result"):
                case "eth_getBlockByHash", {"transactions": [{"to": _}, *_] as txs}:
                    return result(call, answer["result"] | {"transactions": [tx | {"value": "5"} for tx in txs]})
                case "eth_getLogs", [_, *_] as logs:
                    return result(call, [log | {"logIndex": "0"} for log in logs])
            return answer

        s.liars[0].twist = garbling
        seen = await s.tick()
        assert [row.units for row in seen.rows] == [5]
        assert "Expected `str` matching regex" in s.pool.all[0].reason


@pytest.mark.parametrize("method", ["eth_getBlockByNumber", "eth_call", "eth_getLogs", "eth_getBalance"])
async def test_an_error_anywhere_stores_nothing_and_the_next_tick_heals(method: str) -> None:
    async with scene(providers=1) as s:
        a, b = await s.shop(2)
        await s.lab.transfer(s.usdt, a, 5)
        await s.lab.send_native(b, 6)

        def broken(call: Call, answer: Call) -> Call:
            return error(call, -32603, "internal error") if call["method"] == method else answer

        s.liars[0].twist = broken
        with pytest.raises(Unavailable):
            await s.tick()
        s.liars[0].twist = honest
        await s.tick()
        await s.settle()
        assert s.keeper.confirmed_units(a, USDT) == 5
        assert s.keeper.confirmed_units(b, NATIVE) == 6


async def test_an_old_dispute_is_read_again_by_the_hour_and_costs_no_calls_between() -> None:
    async with scene(providers=1) as s:
        issued = await s.lab.deploy("Issued")
        (a,) = await s.shop(methods=[s.list_token("issued", issued)])
        await s.lab.invoke(issued, "rebase", a, 5)
        await s.tick()
        counts = []
        for seconds in (10, 7200, 60, 3600):
            await s.lab.rpc("evm_increaseTime", seconds)
            await s.lab.mine()
            s.liars[0].forget()
            await s.tick()
            counts.append(s.liars[0].methods.count("eth_getLogs"))
        assert [count > 0 for count in counts] == [True, True, False, True]
        assert s.keeper.disputes.keys() == {Pair(a, "lab_issued")}


async def test_thousands_of_addresses_are_asked_for_a_thousand_at_a_time() -> None:
    async with scene(providers=1) as s:
        addresses = [our_address(number) for number in range(2001)]
        await s.lab.transfer(s.usdt, addresses[0], 5)
        await s.lab.transfer(s.usdt, addresses[-1], 6)
        reads = Reads(s.pool.all[0], Looker(CHAIN), LogRange())
        logs, reached = await reads.newest_logs([s.usdt.address], addresses, 0, 10**6)
        assert (len(logs), reached) == (2, 0)
        assert s.liars[0].server is not None
        filters = [
            body["params"][0]["topics"] for body in s.liars[0].server.requests if body["method"] == "eth_getLogs"
        ]
        assert [max(len(each) for each in topics if isinstance(each, list)) for topics in filters] == [1000] * 4 + [
            1
        ] * 2
