"""Looks at providers that refuse this or that, and on chains whose contracts see another chain's blocks.

Method: a real chain behind a provider that refuses state overrides, calls without `to`, or pins by hash.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import eth_abi
import pytest
from eth_utils import function_signature_to_4byte_selector
from hypothesis import given
from hypothesis import strategies as st
from tests.chains.evm.scene import DEPTH, NATIVE, USDT, Scene, Url, scene
from tests.chains.evm.test_look import CHAIN, HISTORY, address, header_of, provider_at
from tests.lab.anvil import anvil
from tests.lab.client import Lab
from tests.lab.rollups import ARB_SYS, Arbitrum, OldArbitrum, Scrambled
from tests.lab.solc import test_contracts
from tests.lab.stub import Reply, Stub, error, in_front_of, reply, result, stub
from trio.testing import MockClock

from paynode.chains.base import Unavailable
from paynode.chains.evm import multicall, reads
from paynode.chains.evm.adapter import EvmChain
from paynode.chains.evm.look import CODE_SECONDS, Look, Looker, WrongContext
from paynode.chains.evm.multicall import MULTICALL3
from paynode.chains.evm.question import UNKNOWN, Question
from paynode.chains.evm.reads import LogRange, Reads
from paynode.chains.evm.ways import PLANS, Plan, Way
from paynode.chains.jsonrpc import ProviderFailed, RateLimited, RpcError
from paynode.chains.provider import Provider
from paynode.chains.rpc import RpcPool

BEST, *WORSE = PLANS


@dataclass
class Refusals:
    """What a provider lets through: looks by `plan` only. `refused` counts those it did not."""

    plan: Plan
    refused: int = 0
    bends: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)
    page_status: int | None = None  # of the page that a gateway refuses with, in place of a node's error

    def judge(self, call: dict[str, Any]) -> dict[str, Any] | None:
        """An error where `call` is of a kind that it does not know; else it is bent."""
        params = call["params"]
        if any(isinstance(param, dict) and "blockHash" in param for param in params) and not self.plan.is_by_hash:
            return self._refuse(call, "invalid argument 1: hex string expected")
        if call["method"] == "eth_call":
            way = Way.LENT if len(params) > 2 else Way.ONCE if "to" not in params[0] else Way.GATHERED
            is_look = way is not Way.GATHERED or params[0]["to"] == MULTICALL3
            if is_look and way is not self.plan.way:
                return self._refuse(call, "too many arguments, want at most 2")
        for bend in self.bends:
            bend(call)
        return None

    def _refuse(self, call: dict[str, Any], message: str) -> dict[str, Any]:
        self.refused += 1
        return error(call, -32602, message)

    def script(self, lab: Lab) -> Callable[[Any], Any]:
        honest = in_front_of(lab, lambda call, answer: answer)

        async def answer(body: Any) -> Reply:
            refusals = [self.judge(call) for call in (body if isinstance(body, list) else [body])]
            if not any(refusals):
                return await honest(body)
            if self.page_status is not None:
                return Reply(b"<html>Blocked</html>", status=self.page_status)
            return reply(refusals if isinstance(body, list) else refusals[0])

        return answer


@asynccontextmanager
async def picky(lab: Lab, plan: Plan) -> AsyncIterator[tuple[Provider, Refusals, Stub]]:
    """A provider at which only `plan` works; Multicall3 is on the chain."""
    await lab.set_code(MULTICALL3, test_contracts()["Multicall"].runtime_code)
    await lab.mine()
    refusals = Refusals(plan)
    async with stub(refusals.script(lab)) as server, provider_at(server.url) as provider:
        yield provider, refusals, server


def to_latest(call: dict[str, Any]) -> None:
    """A backend that ignores where the call was pinned to."""
    if call["method"] == "eth_call":
        call["params"][1] = "latest"


def to_height(height: int) -> Callable[[dict[str, Any]], None]:
    """A backend that runs every call at `height`."""

    def bend(call: dict[str, Any]) -> None:
        if call["method"] == "eth_call":
            call["params"][1] = hex(height)

    return bend


each_plan = pytest.mark.parametrize("plan", PLANS, ids=str)


@each_plan
async def test_every_way_sees_the_same(plan: Plan) -> None:
    async with anvil() as lab:
        usdt, awkward, payer = await lab.deploy("Standard", 6), await lab.deploy("Awkward"), await lab.deploy("Payer")
        await lab.transfer(usdt, address(1), 5_000_000)
        await lab.send_native(address(1), 3 * 10**18)
        for number, way in enumerate(range(5)):
            await lab.transfer(awkward, address(number), 100 + number)
            await lab.invoke(awkward, "setWay", address(number), way if way != 2 else 0)
        await lab.mine(300)
        watched = [*(address(number) for number in range(5)), payer.address]
        async with picky(lab, plan) as (provider, _, _):
            header = await header_of(lab)
            numbers = [1, header.number - 256, header.number - 1, header.number, header.number + 5]
            asked = header, watched, [usdt.address, awkward.address], numbers
            looker = Looker(CHAIN)
            look = await looker.look(provider, *asked)
            assert looker.plan(provider) == plan
            assert await looker.look(provider, *asked) == look
            async with provider_at(lab.url) as honest:
                best = await Looker(CHAIN).look(honest, *asked)
        assert best.units_by_holding[address(1), awkward.address] is None
        assert best.hash_by_number[1] is not None
        assert best.code_size_by_address[payer.address] > 0
        assert look == best


@pytest.mark.parametrize("status", [400, 403, 405, 413, 415])
@pytest.mark.parametrize("plan", [PLANS[1], PLANS[2], PLANS[-1]], ids=str)
async def test_a_gateway_that_blocks_one_way_is_passed_by_another(plan: Plan, status: int) -> None:
    async with anvil() as lab, picky(lab, plan) as (provider, refusals, _):
        refusals.page_status = status
        await lab.send_native(address(1), 5)
        header, looker = await header_of(lab), Looker(CHAIN)
        for _ in range(2):
            look = await looker.look(provider, header, [address(1), address(2)])
            assert look.native_by_address == {address(1): 5, address(2): 0}
        assert looker.plan(provider) == plan
        before = refusals.refused
        await looker.look(provider, header, [address(1)])
        assert refusals.refused <= before + 2 * len(PLANS)  # the better ones are tried again now and then


async def test_a_gateway_that_blocks_every_way_fails_and_rests() -> None:
    async with anvil() as lab, picky(lab, BEST) as (provider, _, server):
        header = await header_of(lab)

        async def blocking(_: Any) -> Reply:
            return Reply(b"<html>Blocked</html>", status=403)

        server.script = blocking
        with pytest.raises(ProviderFailed, match="HTTP 403"):
            await Looker(CHAIN).look(provider, header, [address(1)])
        assert provider.is_resting


@each_plan
async def test_a_look_at_another_block_is_refused_in_every_way(plan: Plan) -> None:
    """Goal: property 9. Method: headers with one field bent, a pin that is ignored, and a block that was replaced."""
    async with anvil() as lab, picky(lab, plan) as (provider, refusals, _):
        await lab.mine(3)
        header = await header_of(lab)
        looker = Looker(CHAIN)
        assert isinstance(await looker.look(provider, header, [address(1)]), Look)
        for bent in (replace(header, timestamp=header.timestamp - 1), replace(header, parent_hash=header.hash)):
            with pytest.raises(WrongContext):
                await looker.look(provider, bent, [address(1)])
        with pytest.raises(WrongContext):
            await Looker(1).look(provider, header, [address(1)])
        await lab.send_native(address(1), 1)
        refusals.bends.append(to_latest)
        with pytest.raises(WrongContext):
            await looker.look(provider, header, [address(1)])
        refusals.bends.clear()
        assert (await looker.look(provider, header, [address(1)])).native_by_address == {address(1): 0}
        await lab.reorg(2)
        with pytest.raises(ProviderFailed):
            await looker.look(provider, header, [address(1)])


@pytest.mark.parametrize(
    ("kind", "plan"),
    [
        (kind, plan)
        for kind in (Arbitrum, OldArbitrum, Scrambled, None)
        for plan in PLANS
        if (kind, plan.way) != (OldArbitrum, Way.GATHERED)  # is never believed
    ],
    ids=str,
)
async def test_no_block_but_the_pinned_one_can_answer_though_all_share_their_time(
    kind: type[Arbitrum | Scrambled] | None, plan: Plan
) -> None:
    """Goal: property 9. Method: the call runs at each other height of a chain whose blocks have all the same time."""
    async with anvil() as lab:
        await lab.set_code(ARB_SYS, "0xfe" if kind in (Arbitrum, OldArbitrum) else "0x")
        await lab.rpc("anvil_setBlockTimestampInterval", 0)
        async with picky(kind.over(lab) if kind else lab, plan) as (provider, refusals, _):
            await lab.mine(8)
            header, looker = await header_of(lab, 6), Looker(CHAIN)
            head = await header_of(lab)
            assert (head.number, head.timestamp) == (10, header.timestamp)
            assert isinstance(await looker.look(provider, header, [address(1)]), Look)
            for height in {*range(3, 11)} - {6}:
                refusals.bends = [to_height(height)]
                with pytest.raises(WrongContext):
                    await looker.look(provider, header, [address(1)])


@each_plan
async def test_a_sibling_of_the_same_height_parent_and_time_is_refused(plan: Plan) -> None:
    """Goal: the context inside a call cannot tell two siblings apart; the pin, or the header read again, does."""
    async with anvil() as lab, picky(lab, plan) as (provider, _, _):
        time = int((await lab.block())["timestamp"], 16) + 10
        before = await lab.snapshot()
        await lab.rpc("evm_setNextBlockTimestamp", time)
        await lab.send_native(address(1), 1)
        header = await header_of(lab)
        await lab.revert(before)
        await lab.rpc("evm_setNextBlockTimestamp", time)
        await lab.send_native(address(1), 2)
        sibling = await header_of(lab)
        assert sibling == replace(header, hash=sibling.hash) != header
        looker = Looker(CHAIN)
        assert (await looker.look(provider, sibling, [address(1)])).native_by_address == {address(1): 2}
        with pytest.raises(ProviderFailed, match=None if plan.is_by_hash else "was replaced"):
            await looker.look(provider, header, [address(1)])


@pytest.mark.parametrize("kind", [Arbitrum, OldArbitrum])
@each_plan
async def test_a_chain_whose_contracts_see_other_numbers_is_looked_at_and_proven(
    plan: Plan, kind: type[Arbitrum]
) -> None:
    async with anvil() as lab:
        await lab.set_code(ARB_SYS, "0xfe")
        await lab.send_native(address(1), 7)
        arbitrum = kind.over(lab)
        async with picky(arbitrum, plan) as (provider, refusals, _):
            await lab.mine(300)
            header, looker = await header_of(lab), Looker(CHAIN)
            numbers = [1, header.number - 256, header.number - 1, header.number]
            if plan.way is Way.GATHERED and kind is OldArbitrum:
                with pytest.raises(WrongContext):
                    await looker.look(provider, header, [address(1)], (), numbers)
                return
            look = await looker.look(provider, header, [address(1)], (), numbers)
            assert look.native_by_address == {address(1): 7}
            assert look.hash_by_number == {
                1: (await lab.block(1))["hash"] if kind is Arbitrum else None,
                header.number - 256: (await lab.block(header.number - 256))["hash"],
                header.number - 1: header.parent_hash,
                header.number: None,
            }
            for bent in (replace(header, timestamp=header.timestamp - 1), replace(header, parent_hash=header.hash)):
                with pytest.raises(WrongContext):
                    await looker.look(provider, bent, [address(1)])
            refusals.bends.append(to_latest)
            await lab.mine()
            with pytest.raises(WrongContext):
                await looker.look(provider, header, [address(1)])


@each_plan
async def test_a_chain_whose_blockhash_is_no_hash_of_a_block_is_proven_by_its_history(plan: Plan) -> None:
    async with anvil() as lab, picky(Scrambled.over(lab), plan) as (provider, _, _):
        await lab.mine(10)
        header = await header_of(lab)
        numbers = [header.number - 2, header.number - 1, header.number]
        look = await Looker(CHAIN).look(provider, header, [], (), numbers)
        assert look.hash_by_number == {
            header.number - 2: (await lab.block(header.number - 2))["hash"],
            header.number - 1: header.parent_hash,
            header.number: None,
        }
        await lab.set_code(HISTORY, "0x")
        await lab.mine()
        with pytest.raises(WrongContext):
            await Looker(CHAIN).look(provider, await header_of(lab), [])


async def test_whatever_else_lies_where_arbitrum_has_its_precompile_disturbs_nobody() -> None:
    async with anvil() as lab, provider_at(lab.url) as provider:
        await lab.set_code(ARB_SYS, test_contracts()["Burner"].runtime_code)
        await lab.send_native(address(1), 7)
        look = await Looker(CHAIN).look(provider, await header_of(lab), [address(1)])
        assert look.native_by_address == {address(1): 7}


async def test_multicall3_looks_ask_for_code_when_an_address_is_new_and_once_a_day(mock_clock: MockClock) -> None:
    mock_clock.rate = 1
    async with anvil() as lab, picky(lab, Plan(Way.GATHERED, is_by_hash=True)) as (provider, _, server):
        header, looker = await header_of(lab), Looker(CHAIN)

        async def asked(*addresses: str) -> int:
            """How many codes a look at them asks for."""
            server.requests.clear()
            look = await looker.look(provider, header, addresses)
            assert look.code_size_by_address == dict.fromkeys(addresses, 0)
            return server.methods.count("eth_getCode")

        assert await asked(address(1), address(2)) == 2
        assert await asked(address(1), address(2), address(3)) == 1
        assert await asked(address(1)) == 0
        mock_clock.jump(CODE_SECONDS)
        assert await asked(address(1)) == 1
        await lab.set_code(address(1), "0xef0100" + "ab" * 20)
        await lab.mine()
        mock_clock.jump(CODE_SECONDS)
        look = await looker.look(provider, await header_of(lab), [address(1)])
        assert look.code_size_by_address == {address(1): 23}


async def test_a_token_that_burns_all_gas_blinds_no_other_through_multicall3() -> None:
    plan = Plan(Way.GATHERED, is_by_hash=True)
    async with anvil() as lab, picky(lab, plan) as (provider, _, server):
        usdt, awkward = await lab.deploy("Standard", 6), await lab.deploy("Awkward")
        await lab.invoke(awkward, "setWayOfAll", 2)
        watched = [address(number) for number in range(30)]
        await lab.transfer(usdt, watched[3], 7)
        await lab.send_native(watched[4], 8)
        header, looker = await header_of(lab), Looker(CHAIN)
        look = await looker.look(provider, header, watched, [awkward.address, usdt.address])
        assert look.native_by_address == {holder: 8 * (holder == watched[4]) for holder in watched}
        for holder in watched:
            assert look.units_by_holding[holder, awkward.address] is None
            assert look.units_by_holding[holder, usdt.address] == 7 * (holder == watched[3])
        # Two ways refused; all tokens; none; the bad one alone, and again none; the good one alone.
        assert server.methods.count("eth_call") == 2 + 5


async def test_a_multicall_out_of_gas_is_asked_in_halves() -> None:
    plan = Plan(Way.GATHERED, is_by_hash=True)
    async with anvil(more=("--gas-limit", "2500000")) as lab, picky(lab, plan) as (provider, _, server):
        await lab.send_native(address(7), 7, gas=21_000)
        watched = [address(number) for number in range(900)]
        look = await Looker(CHAIN).look(provider, await header_of(lab), watched)
        assert look.native_by_address == {holder: 7 * (holder == address(7)) for holder in watched}
        assert server.methods.count("eth_call") > 4


@pytest.mark.parametrize("plan", WORSE, ids=str)
async def test_a_better_way_is_tried_again_and_ever_more_rarely(plan: Plan) -> None:
    async with anvil() as lab, picky(lab, plan) as (provider, refusals, server):
        header, looker = await header_of(lab), Looker(CHAIN)
        for _ in range(10):
            await looker.look(provider, header, [])
        better = PLANS.index(plan)
        assert refusals.refused == 4 * better  # at the looks 1, 2, 5 and 10
        refusals.plan = BEST
        for _ in range(20):
            if looker.plan(provider) == BEST:
                break
            try:
                await looker.look(provider, header, [])
            except RpcError:
                assert looker.plan(provider) is None
        assert looker.plan(provider) == BEST
        server.requests.clear()
        await looker.look(provider, header, [])
        assert server.methods == ["eth_call"]


async def test_an_accident_does_not_lock_a_worse_way_in() -> None:
    async with anvil() as lab, picky(lab, BEST) as (provider, refusals, _):
        header, looker = await header_of(lab), Looker(CHAIN)
        refusals.plan = Plan(Way.ONCE, is_by_hash=True)
        await looker.look(provider, header, [])
        assert looker.plan(provider) == refusals.plan
        refusals.plan = BEST
        await looker.look(provider, header, [])
        assert looker.plan(provider) == BEST


async def test_a_busy_provider_is_not_asked_in_other_ways() -> None:
    async def busy(body: Any) -> Reply:
        if body["method"] == "eth_chainId":
            return reply(result(body, hex(CHAIN)))
        return reply(error(body, 429, "too many requests"))

    async with anvil() as lab, stub(busy) as server, provider_at(server.url) as provider:
        looker = Looker(CHAIN)
        with pytest.raises(RateLimited):
            await looker.look(provider, await header_of(lab), [])
        assert len({str(body["params"]) for body in server.requests if body["method"] == "eth_call"}) == 1
        assert looker.plan(provider) is None


async def test_hundreds_of_hashes_take_few_calls_beside_any_number_of_addresses() -> None:
    async with anvil() as lab, picky(lab, BEST) as (provider, _, server):
        await lab.mine(700)
        header = await header_of(lab)
        watched = [address(number) for number in range(800)]
        look = await Looker(CHAIN).look(provider, header, watched, (), range(1, 701))
        assert server.methods.count("eth_call") == 3
        assert len(look.native_by_address) == 800
        truth = await lab.rpc_many("eth_getBlockByNumber", [(hex(height), False) for height in range(1, 701)])
        assert look.hash_by_number == {int(block["number"], 16): block["hash"] for block in truth}


@pytest.mark.parametrize(("has_history", "headers"), [(True, 1), (False, 3)])
async def test_what_the_chain_itself_no_longer_remembers_is_read_as_headers(
    has_history: bool, headers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_blocks = 300  # as if it were so few: to mine 8,191 takes a minute
    monkeypatch.setattr(reads, "CHAIN_MEMORY_BLOCKS", memory_blocks)
    async with anvil() as lab, picky(lab, BEST) as (provider, _, server):
        if not has_history:
            await lab.set_code(HISTORY, "0x")
        await lab.mine(memory_blocks + 1)
        header = await header_of(lab)
        heights = [header.number - back for back in (memory_blocks + 1, memory_blocks, 257, 256, 1, 0)]
        server.requests.clear()
        found = await Reads(provider, Looker(CHAIN), LogRange()).hashes(header, heights)
        assert found == {height: (await lab.block(height))["hash"] for height in heights}
        assert server.methods.count("eth_getBlockByNumber") == headers
        assert server.methods.count("eth_call") == 1


@pytest.mark.parametrize("is_by_hash", [True, False])
async def test_nonces_are_counted_at_the_block_however_it_may_be_named(is_by_hash: bool) -> None:
    async with anvil() as lab, picky(lab, Plan(Way.LENT, is_by_hash)) as (provider, refusals, _):
        await lab.send_native(address(1), 1)
        header = await header_of(lab)
        before = int(await lab.rpc("eth_getTransactionCount", lab.faucet, "latest"), 16)
        await lab.send_native(address(1), 1)
        asked = Reads(provider, Looker(CHAIN), LogRange())
        assert await asked.nonces([lab.faucet, address(1)], header) == [before, 0]
        assert refusals.refused == (0 if is_by_hash else 2)
        await lab.reorg(2)
        with pytest.raises(ProviderFailed):
            await asked.nonces([lab.faucet], header)


async def test_a_shop_finds_its_money_where_only_multicall3_and_numbers_are_let_through() -> None:
    async with scene(providers=1) as s:
        await s.lab.set_code(MULTICALL3, test_contracts()["Multicall"].runtime_code)
        await s.lab.mine()
        assert s.liars[0].server is not None
        s.liars[0].server.script = Refusals(PLANS[-1]).script(s.lab)
        await find_payments(s)


@each_plan
async def test_a_provider_whose_state_is_not_the_heads_decides_nothing(plan: Plan) -> None:
    async with scene(providers=1) as s:
        await s.lab.set_code(MULTICALL3, test_contracts()["Multicall"].runtime_code)
        await s.lab.mine()
        assert s.liars[0].server is not None
        refusals = Refusals(plan)
        s.liars[0].server.script = refusals.script(s.lab)
        (a,) = await s.shop()
        head = int((await s.lab.block())["number"], 16)
        await s.lab.transfer(s.usdt, a, 5)
        refusals.bends = [to_height(head)]
        with pytest.raises(Unavailable, match=f"asked at block {head + 1}, answered from block {head}"):
            await s.tick()
        assert not s.rows(a, USDT)
        assert s.pool.all[0].is_resting


@pytest.mark.parametrize(("plan", "calls"), [(BEST, 2), (Plan(Way.LENT, is_by_hash=False), 3)], ids=str)
async def test_a_quiet_tick_costs_one_call_more_where_only_numbers_are_taken(plan: Plan, calls: int) -> None:
    async with scene(providers=1) as s:
        liar = s.liars[0]
        assert liar.server is not None
        liar.server.script = Refusals(plan).script(s.lab)
        await s.shop()
        for _ in range(2):  # what is better is tried again at the second
            await s.tick()
        liar.forget()
        await s.tick()
        assert len(liar.methods) == calls


@pytest.mark.parametrize("kind", [Arbitrum, OldArbitrum])
async def test_a_shop_finds_its_money_on_a_chain_whose_contracts_see_other_numbers(kind: type[Arbitrum]) -> None:
    async with scene(providers=1) as s:
        assert s.liars[0].server is not None
        s.liars[0].server.script = in_front_of(kind.over(s.lab), lambda call, answer: answer)
        await find_payments(s)


async def find_payments(s: Scene) -> None:
    (a,) = await s.shop()
    await s.lab.transfer(s.usdt, a, 5)
    await s.lab.send_native(a, 7)
    await s.tick()
    await s.settle(DEPTH + 1)
    for method, units in ((USDT, 5), (NATIVE, 7)):
        (row,) = s.rows(a, method)
        assert (row.units, row.confirmed) == (units, True)
    assert not s.keeper.disputes


@each_plan
async def test_connecting_tells_how_each_provider_lets_us_look(plan: Plan) -> None:
    async with (
        anvil() as lab,
        picky(lab, plan) as (_, refusals, server),
        RpcPool([Url(server.url, "one")], chain_id=CHAIN) as pool,
    ):
        chain = EvmChain("lab", CHAIN, (), pool, depth=DEPTH)
        number = (await header_of(lab)).number
        assert await chain.connect() == f"one at block {number}, looks by {plan}"
        refusals.bends.append(lambda call: call.update(method="eth_nonsense") if call["method"] == "eth_call" else None)
        with pytest.raises(Unavailable):
            await chain.connect()


addresses = st.lists(st.integers(0, 2**160 - 1).map(lambda number: f"0x{number:040x}"), max_size=3)


@given(addresses, addresses, st.lists(st.integers(0, 2**64), max_size=3), st.integers(0, 2**64))
def test_multicalls_are_packed_as_the_abi_says(
    holders: list[str], tokens: list[str], heights: list[int], number: int
) -> None:
    packed = bytes.fromhex(multicall.call_data(Question(number, holders, tokens, heights)))
    assert packed[:4] == function_signature_to_4byte_selector("aggregate3((address,bool,bytes)[])")
    (calls,) = eth_abi.decode(["(address,bool,bytes)[]"], packed[4:])
    assert eth_abi.encode(["(address,bool,bytes)[]"], [calls]) == packed[4:]
    assert all(may_fail for _, may_fail, _ in calls)
    sent = [(target, data) for target, _, data in calls]
    balance_of = function_signature_to_4byte_selector("balanceOf(address)")
    wanted = [(token, balance_of + eth_abi.encode(["address"], [holder])) for token in tokens for holder in holders]
    assert sent[len(sent) - len(wanted) :] == wanted


def answers(*words: int | None) -> bytes:
    results = [(word is not None, b"" if word is None else word.to_bytes(32, "big")) for word in words]
    return eth_abi.encode(["(bool,bytes)[]"], [results])


def test_a_failed_balance_is_unknown_and_a_failed_native_balance_no_answer() -> None:
    question = Question(9, [address(1)], [address(2)], ())
    context = (9, 1_000, CHAIN, *(0xB8, None), *(0xB8, None))  # number, time, chain; remembered, hashes
    assert multicall.words(question, answers(*context, 5, None)) == [9, 1_000, CHAIN, 0xB8, 5, UNKNOWN, UNKNOWN]
    with pytest.raises(EOFError):
        multicall.words(question, answers(*context, None, None))
    with pytest.raises(ValueError, match="not the answers"):
        multicall.words(question, answers(*context, 5))


def test_block_hashes_count_only_where_the_number_is_the_chains_own() -> None:
    question = Question(9, (), (), (3, 4))
    remembered = 0x31, None, 0x81, None  # of the blocks 3, 4, 8 and 9
    hashes = 0x32, 0x42, 0x82, None
    assert multicall.words(question, answers(9, 1_000, CHAIN, *remembered, *hashes)) == [
        *(9, 1_000, CHAIN, 0x81),
        *(0x31, 0x42),
    ]
    assert multicall.words(question, answers(99, 1_000, CHAIN, *remembered, *hashes)) == [
        *(9, 1_000, CHAIN, 0x81),
        *(0x31, 0),
    ]
    later = 0x31, None, 0x81, 0x91  # it knows the block that it should be
    assert multicall.words(question, answers(99, 1_000, CHAIN, *later, *hashes))[0] == 99


@given(st.binary(max_size=400))
def test_any_bytes_are_words_or_no_answer(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|not the answers"):
        multicall.words(Question(9, [address(1)], (), ()), content)
