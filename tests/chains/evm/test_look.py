"""The look on a real chain, and before providers that lie about where they looked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import eth_abi
import pytest
from eth_utils import function_signature_to_4byte_selector
from hypothesis import given
from hypothesis import strategies as st
from tests.lab.anvil import anvil
from tests.lab.client import Lab
from tests.lab.solc import OWN_SOURCES, artifact, compile_folder
from tests.lab.stub import Reply, Stub, Twist, error, in_front_of, reply, result, stub

from paynode.chains.evm import ways
from paynode.chains.evm.look import Header, Look, Looker, WrongContext
from paynode.chains.evm.question import Question
from paynode.chains.evm.ways import Way, encode
from paynode.chains.jsonrpc import Garbled, ProviderFailed, RpcError
from paynode.chains.provider import Provider
from paynode.chains.rpc import RpcPool

CHAIN = 31337
HISTORY = "0x0000F90827F1C53a10cb7A02335B175320002935"
NOBODY = "0x" + "00" * 20


@dataclass(frozen=True)
class Url:
    url: str
    name: str = "node.example"

    def reveal(self) -> str:
        return self.url


def address(number: int) -> str:
    return f"0x{0xA11CE0000000000000000000000000000000 + number:040x}"


@asynccontextmanager
async def provider_at(url: str) -> AsyncIterator[Provider]:
    async with RpcPool([Url(url)], chain_id=CHAIN) as pool:
        yield pool.all[0]


@asynccontextmanager
async def liar(lab: Lab, twist: Twist) -> AsyncIterator[tuple[Provider, Stub]]:
    async with stub(in_front_of(lab, twist)) as server, provider_at(server.url) as provider:
        yield provider, server


async def header_of(lab: Lab, which: int | str = "latest") -> Header:
    block = await lab.block(which)
    return Header(int(block["number"], 16), block["hash"], block["parentHash"], int(block["timestamp"], 16))


def only_once(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """A provider without state overrides."""
    return error(call, -32602, "too many arguments, want at most 2") if len(call["params"]) > 2 else answer


def deaf_to_overrides(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    return result(call, "0x") if len(call["params"]) > 2 else answer


def faithful(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    return answer


@pytest.mark.parametrize("twist", [faithful, only_once, deaf_to_overrides])
async def test_one_look_sees_balances_codes_and_older_hashes(twist: Twist) -> None:
    async with anvil() as lab, liar(lab, twist) as (provider, _):
        usdt, tether, payer = await lab.deploy("Standard", 6), await lab.deploy("TetherLike"), await lab.deploy("Payer")
        await lab.transfer(usdt, address(1), 5_000_000)
        await lab.transfer(tether, address(2), 7)
        await lab.send_native(address(1), 3 * 10**18)
        header = await header_of(lab)
        watched = [address(1), address(2), payer.address]
        tokens = [usdt.address, tether.address]
        numbers = [0, header.number - 1, header.number, header.number + 5]
        look = await Looker(CHAIN).look(provider, header, watched, tokens, numbers)
        assert look.native_by_address == {address(1): 3 * 10**18, address(2): 0, payer.address: 0}
        assert look.code_size_by_address == {
            address(1): 0,
            address(2): 0,
            payer.address: len(payer.compiled.runtime_code) // 2 - 1,
        }
        assert look.units_by_holding == {
            (address(1), usdt.address): 5_000_000,
            (address(1), tether.address): 0,
            (address(2), usdt.address): 0,
            (address(2), tether.address): 7,
            (payer.address, usdt.address): 0,
            (payer.address, tether.address): 0,
        }
        assert look.hash_by_number == {
            0: (await lab.block(0))["hash"],
            header.number - 1: header.parent_hash,
            header.number: None,
            header.number + 5: None,
        }
        assert (look.header, look.chain_id) == (header, CHAIN)


async def test_a_look_is_pinned_to_its_block_and_not_to_the_head() -> None:
    async with anvil() as lab, provider_at(lab.url) as provider:
        await lab.send_native(address(1), 1)
        header = await header_of(lab)
        await lab.send_native(address(1), 1)
        look = await Looker(CHAIN).look(provider, header, [address(1)])
        assert look.native_by_address == {address(1): 1}


async def test_a_balance_that_a_token_does_not_tell_is_unknown_and_not_zero() -> None:
    async with anvil() as lab, provider_at(lab.url) as provider:
        awkward = await lab.deploy("Awkward")
        for number, way in enumerate(range(5)):
            await lab.transfer(awkward, address(number), 100 + number)
            await lab.invoke(awkward, "setWay", address(number), way)
        watched = [address(number) for number in range(5)]
        no_contract = address(99)
        look = await Looker(CHAIN).look(provider, await header_of(lab), watched, [awkward.address, no_contract])
        told = [look.units_by_holding[holder, awkward.address] for holder in watched]
        assert told == [100, None, None, None, 104]  # fine, reverts, burns gas, too short, too long
        assert {look.units_by_holding[holder, no_contract] for holder in watched} == {None}


async def test_hashes_older_than_256_blocks_come_from_the_history_contract() -> None:
    async with anvil() as lab, provider_at(lab.url) as provider:
        await lab.mine(300)
        header = await header_of(lab)
        look = await Looker(CHAIN).look(provider, header, [], [], [1, header.number - 256])
        assert look.hash_by_number == {
            1: (await lab.block(1))["hash"],
            header.number - 256: (await lab.block(header.number - 256))["hash"],
        }
        await lab.set_code(HISTORY, "0x")  # a chain without EIP-2935
        await lab.mine()
        look = await Looker(CHAIN).look(provider, await header_of(lab), [], [], [1, header.number])
        assert look.hash_by_number == {1: None, header.number: header.hash}


async def test_a_delegated_account_has_the_size_of_its_designator() -> None:
    async with anvil() as lab, provider_at(lab.url) as provider:
        await lab.set_code(address(1), "0xef0100" + "ab" * 20)
        await lab.mine()
        look = await Looker(CHAIN).look(provider, await header_of(lab), [address(1)])
        assert look.code_size_by_address == {address(1): 23}


@pytest.mark.parametrize(("twist", "calls"), [(faithful, 2), (only_once, 4)])
async def test_many_addresses_take_few_calls_and_the_way_is_remembered(twist: Twist, calls: int) -> None:
    async with anvil() as lab, liar(lab, twist) as (provider, server):
        token = await lab.deploy("Standard", 18)
        watched = [address(number) for number in range(500)]
        await lab.transfer(token, watched[499], 1)
        header, looker = await header_of(lab), Looker(CHAIN)
        first = await looker.look(provider, header, watched, [token.address, lab.faucet], [0])
        assert first.units_by_holding[watched[499], token.address] == 1
        assert len(first.native_by_address) == 500
        server.requests.clear()
        assert await looker.look(provider, header, watched, [token.address, lab.faucet], [0]) == first
        assert server.methods == ["eth_call"] * calls


async def test_a_token_that_burns_gas_everywhere_costs_calls_and_blinds_nobody() -> None:
    async with anvil(more=("--gas-limit", "16000000")) as lab, liar(lab, faithful) as (provider, server):
        awkward = await lab.deploy("Awkward")
        await lab.invoke(awkward, "setWayOfAll", 2)
        watched = [address(number) for number in range(200)]  # 40,000,000 gas
        await lab.send_native(watched[7], 7)
        look = await Looker(CHAIN).look(provider, await header_of(lab), watched, [awkward.address])
        assert look.native_by_address == {holder: 7 * (holder == watched[7]) for holder in watched}
        assert set(look.units_by_holding.values()) == {None}
        assert server.methods.count("eth_call") == 7  # 200, twice (100, 50, 50)
        assert not provider.is_resting


async def test_a_look_that_ran_elsewhere_is_refused() -> None:
    """Goal: any look computed at another block is refused.

    Method: the chain goes on; each header is a true one with one field bent, pinned to the true hash.
    """
    async with anvil() as lab, provider_at(lab.url) as provider:
        await lab.mine(3)
        true, looker = await header_of(lab), Looker(CHAIN)
        assert isinstance(await looker.look(provider, true, [address(1)]), Look)
        for bent in (
            replace(true, number=true.number + 1),
            replace(true, timestamp=true.timestamp - 1),
            replace(true, parent_hash=true.hash),
        ):
            with pytest.raises(WrongContext):
                await looker.look(provider, bent, [address(1)])
        with pytest.raises(WrongContext):
            await Looker(1).look(provider, true, [address(1)])


async def test_a_provider_that_ignores_the_pin_is_found_out() -> None:
    async with anvil() as lab:
        await lab.send_native(address(1), 1)
        header = await header_of(lab)
        await lab.send_native(address(1), 1)

        async def unpinned(call: Any) -> Reply:
            if call["method"] == "eth_call":
                call["params"][1] = "latest"
            return await in_front_of(lab, faithful)(call)

        async with stub(unpinned) as server, provider_at(server.url) as provider:
            with pytest.raises(WrongContext, match="asked at block 2, answered from block 3"):
                await Looker(CHAIN).look(provider, header, [address(1)])


async def test_a_block_that_a_reorg_took_away_gives_no_look() -> None:
    async with anvil() as lab, provider_at(lab.url) as provider:
        await lab.mine(3)
        gone = await header_of(lab)
        await lab.reorg(2)
        with pytest.raises(ProviderFailed):
            await Looker(CHAIN).look(provider, gone, [address(1)])


@pytest.mark.parametrize("bend", [
    lambda words: words[:-64],
    lambda words: words + "0" * 64,
    lambda words: words[:-1],
    lambda words: words[:-1] + "g",
    lambda words: "",
    lambda words: words[:127] + f"{int(words[127], 16) + 1:x}" + words[128:],
])  # fmt: skip
async def test_an_answer_of_another_shape_is_garbled(bend: Any) -> None:
    def bending(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        is_bent = call["method"] == "eth_call" and answer.get("result", "0x") != "0x"
        return answer | {"result": "0x" + bend(answer["result"][2:])} if is_bent else answer

    async with anvil() as lab, liar(lab, bending) as (provider, _):
        with pytest.raises(Garbled):
            await Looker(CHAIN).look(provider, await header_of(lab), [address(1)])


async def test_an_error_in_every_way_is_the_providers_failure() -> None:
    async def refusing(call: Any) -> Reply:
        if call["method"] == "eth_chainId":
            return reply(result(call, hex(CHAIN)))
        return reply(error(call, -32000, "header not found"))

    async with stub(refusing) as server, provider_at(server.url) as provider:
        with pytest.raises(RpcError, match="header not found"):
            await Looker(CHAIN).look(provider, Header(1, "0x" + "11" * 32, "0x" + "00" * 32, 1), [address(1)])
        assert server.methods == ["eth_chainId", *["eth_call"] * 6]


words = st.lists(st.integers(0, 2**160 - 1).map(lambda number: f"0x{number:040x}"), max_size=4)


@given(words, words, st.lists(st.integers(0, 2**64), max_size=4))
def test_arguments_are_packed_as_the_abi_says(holders: list[str], tokens: list[str], numbers: list[int]) -> None:
    expected = eth_abi.encode(["address[]", "address[]", "uint256[]"], [holders, tokens, numbers])
    assert encode(Question(0, holders, tokens, numbers)) == expected.hex()


def test_the_selector_is_that_of_the_signature() -> None:
    signature = "look(address[],address[],uint256[])"
    assert function_signature_to_4byte_selector(signature).hex() == ways.SELECTOR


def test_a_recompile_of_the_contracts_gives_the_committed_artifact_byte_for_byte() -> None:
    assert artifact(compile_folder(OWN_SOURCES)) == (OWN_SOURCES / "contracts.json").read_text()


def test_init_code_with_the_most_addresses_stays_below_the_limit() -> None:
    longest = encode(Question(0, [NOBODY] * (Way.ONCE.value // 2), [], []))
    assert len(ways._code()["LookOnce"].init_code + longest) // 2 < 49_152  # EIP-3860
