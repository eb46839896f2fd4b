"""The way out: what is built, what is refused, what a broadcast may answer."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import eth_abi
import msgspec
import pytest
from eth_account import Account
from eth_utils import function_signature_to_4byte_selector
from hypothesis import given
from hypothesis import strategies as st
from tests.chains.evm.scene import NATIVE, Scene, honest, scene
from tests.lab.stub import error, result

from paynode.chains.base import Outgoing, Refused, TxStatus, Unavailable, WouldRevert
from paynode.chains.evm import sending
from paynode.chains.evm.refusals import Answer, answer_to_broadcast, is_revert
from paynode.chains.evm.sending import L1_FEE_ORACLE, NODE_INTERFACE, Draft, raised
from paynode.chains.jsonrpc import RpcError
from paynode.domain.money import Asset

KEY = bytes(31) + b"\x01"
OURS = Account.from_key(KEY).address
ETHER = 10**18


def draft(body: str) -> Draft:
    return msgspec.json.decode(body, type=Draft)


def native(s: Scene) -> Asset:
    return next(asset for asset in s.assets if asset.method == NATIVE)


async def test_a_chain_without_base_fees_gets_legacy_transactions() -> None:
    async with scene(providers=1) as s:
        await s.lab.send_native(OURS, ETHER)

        def without_base_fee(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
            if call["method"] != "eth_getBlockByNumber":
                return answer
            return result(call, {name: field for name, field in answer["result"].items() if name != "baseFeePerGas"})

        s.liars[0].twist = without_base_fee
        wanted = Outgoing(OURS, s.lab.accounts[9], native(s), ETHER, empties_sender=True)
        planned = await s.chain.prepare(wanted, 0)
        assert draft(planned.body).is_legacy
        signed = s.chain.sign(planned, KEY)
        await s.chain.broadcast(signed)
        assert (await s.lab.receipt(signed.tx_hash))["status"] == "0x1"
        assert await s.chain.balance_units(native(s), OURS) == 0


async def test_an_oracle_answers_yes_or_no_and_what_is_no_contract_answers_nothing() -> None:
    oracle, bad, good = f"0x{'0a' * 20}", f"0x{'bd' * 20}", f"0x{'aa' * 20}"
    async with scene(providers=2) as s:
        # calldataload(4) == bad, as one word
        await s.lab.rpc("anvil_setCode", oracle, f"0x60043573{bad[2:]}145f5260205ff3")
        s.liars[0].twist = lambda call, answer: result(call, "0x") if call["method"] == "eth_call" else answer
        assert await s.chain.is_sanctioned(oracle, bad) is True
        assert await s.chain.is_sanctioned(oracle, good) is False
        with pytest.raises(Unavailable):
            await s.chain.is_sanctioned(good, bad)


async def test_a_bump_keeps_nonce_and_recipient_and_raises_both_fees_by_an_eighth() -> None:
    async with scene() as s:
        await s.lab.send_native(OURS, 2 * ETHER)
        planned = await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], native(s), ETHER, False), 0)
        bumped = await s.chain.bump(planned)
        before, after = draft(planned.body), draft(bumped.body)
        assert (after.nonce, after.to, after.value, after.gas) == (before.nonce, before.to, before.value, before.gas)
        assert after.price_max >= before.price_max * 9 / 8
        assert after.tip >= before.tip * 9 / 8
        assert bumped.value_units == ETHER


async def test_a_bump_of_a_native_sweep_lowers_the_value_and_still_leaves_nothing() -> None:
    async with scene() as s:
        await s.lab.send_native(OURS, ETHER)
        wanted = Outgoing(OURS, s.lab.accounts[9], native(s), ETHER, empties_sender=True)
        planned = await s.chain.prepare(wanted, 0)
        bumped = await s.chain.bump(planned)
        assert bumped.value_units < planned.value_units
        assert bumped.value_units + bumped.fee_limit_units == planned.value_units + planned.fee_limit_units == ETHER
        signed = s.chain.sign(bumped, KEY)
        await s.chain.broadcast(signed)
        await s.lab.receipt(signed.tx_hash)
        assert await s.chain.balance_units(native(s), OURS) == 0


async def test_a_sum_below_its_own_fee_is_not_swept() -> None:
    async with scene() as s:
        await s.lab.send_native(OURS, 1000)
        with pytest.raises(Refused, match="more than a quarter"):
            await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], native(s), 1000, empties_sender=True), 0)


async def test_a_loan_from_an_empty_account_is_refused_and_not_taken_for_an_outage() -> None:
    """Goal: an empty gas station does not stop the lane. Method: geth's answer, which anvil does not give."""
    async with scene(providers=1) as s:

        def poor(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
            if call["method"] != "eth_estimateGas":
                return answer
            return error(call, -32000, "insufficient funds for transfer")

        s.liars[0].twist = poor
        with pytest.raises(Refused):
            await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], native(s), ETHER, empties_sender=False), 0)


async def test_a_token_transfer_without_gas_money_is_refused_before_it_is_signed() -> None:
    async with scene() as s:
        await s.lab.transfer(s.usdt, OURS, 500)
        with pytest.raises(Refused, match="cannot pay the fee"):
            await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], s.assets[0], 500, False), 0)


async def test_a_frozen_address_would_revert_and_nothing_is_signed() -> None:
    async with scene() as s:
        await s.lab.transfer(s.tether, OURS, 500)
        await s.lab.send_native(OURS, ETHER)
        wanted = Outgoing(OURS, s.lab.accounts[9], s.assets[1], 500, False)
        assert (await s.chain.prepare(wanted, 0)).value_units == 500
        await s.lab.invoke(s.tether, "setBlackListed", OURS, True)
        with pytest.raises(WouldRevert):
            await s.chain.prepare(wanted, 0)


async def test_whether_a_token_can_leave_is_known_before_its_address_has_any_coins() -> None:
    async with scene() as s:
        await s.lab.transfer(s.tether, OURS, 500)
        wanted = Outgoing(OURS, s.lab.accounts[9], s.assets[1], 500, False)
        assert await s.chain.balance_units(native(s), OURS) == 0
        await s.chain.dry_run(wanted)
        await s.lab.invoke(s.tether, "setBlackListed", OURS, True)
        with pytest.raises(WouldRevert):
            await s.chain.dry_run(wanted)


async def test_a_transfer_that_returns_false_is_taken_for_the_failure_it_is() -> None:
    async with scene() as s:
        false = await s.lab.deploy("FalseTopUp")
        await s.lab.send_native(OURS, ETHER)
        asset = Asset("lab", "false", 18, false.address)
        with pytest.raises(WouldRevert, match="returns false"):
            await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], asset, 500, False), 0)


async def test_a_payee_that_burns_gas_gets_no_boundless_limit() -> None:
    async with scene() as s:
        await s.lab.send_native(OURS, ETHER)
        burner = s.lab.accounts[8]
        # for (i = 0; i < 65535; i++) {}: 1.6 million gas in a plain payment
        await s.lab.set_code(burner, "0x61ffff5b6001900380600357" + "00")
        with pytest.raises(WouldRevert, match="gas"):
            await s.chain.prepare(Outgoing(OURS, burner, native(s), 1, False), 0)


def rollup(estimate: int, parent_gas: int) -> Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]:
    """Answers as Arbitrum's: gas estimates hold what the parent chain costs, and its NodeInterface tells how much."""

    def twist(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_estimateGas":
            return result(call, hex(estimate))
        if call["method"] != "eth_call" or call["params"][0]["to"] != NODE_INTERFACE:
            return answer
        data = bytes.fromhex(call["params"][0]["data"][2:])
        assert data[:4] == function_signature_to_4byte_selector("gasEstimateL1Component(address,bool,bytes)")
        to, is_creation, inner = eth_abi.decode(["address", "bool", "bytes"], data[4:])
        assert (len(to), is_creation, len(inner) in {0, 68}) == (42, False, True)
        return result(call, "0x" + eth_abi.encode(["uint64", "uint256", "uint256"], [parent_gas, 10**7, 10**11]).hex())

    return twist


async def test_gas_for_a_dear_parent_chain_is_no_reason_to_wait_and_gas_that_is_burned_is() -> None:
    async with scene(providers=1) as s:
        await s.lab.send_native(OURS, ETHER)
        await s.lab.transfer(s.usdt, OURS, 500)
        payee = s.lab.accounts[9]
        coins = Outgoing(OURS, payee, native(s), ETHER, empties_sender=True)
        token = Outgoing(OURS, payee, s.assets[0], 500, empties_sender=False)
        s.liars[0].twist = rollup(2_021_000, 2_000_000)
        assert draft((await s.chain.prepare(coins, 0)).body).gas == 2_021_000 * 5 // 4
        assert draft((await s.chain.prepare(token, 0)).body).gas == 2_021_000 * 5 // 4
        assert (await s.chain.fees(native(s), OURS, payee)).transfer_cost > 0
        for parent_gas in (0, 500_000):
            s.liars[0].twist = rollup(2_021_000, parent_gas)
            for wanted in (coins, token):
                with pytest.raises(WouldRevert, match="gas"):
                    await s.chain.prepare(wanted, 0)


async def test_no_coins_are_collected_for_a_fee_of_more_than_a_quarter_of_them() -> None:
    async with scene(providers=1) as s:
        await s.lab.send_native(OURS, ETHER)
        wanted = Outgoing(OURS, s.lab.accounts[9], native(s), ETHER, empties_sender=True)
        s.liars[0].twist = rollup(10**6, 10**6)
        fee = (await s.chain.prepare(wanted, 0)).fee_limit_units
        enough = Outgoing(OURS, s.lab.accounts[9], native(s), 4 * fee, empties_sender=True)
        assert (await s.chain.prepare(enough, 0)).value_units == 3 * fee
        with pytest.raises(Refused, match="quarter"):
            await s.chain.prepare(replace(enough, units=4 * fee - 1), 0)


async def test_what_is_sent_twice_is_accepted_twice_and_its_state_can_be_asked() -> None:
    async with scene() as s:
        await s.lab.send_native(OURS, ETHER)
        await s.lab.rpc("evm_setAutomine", False)
        planned = await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], native(s), 5, False), 0)
        signed = s.chain.sign(planned, KEY)
        assert await s.chain.status(signed.tx_hash) is TxStatus.UNKNOWN
        await s.chain.broadcast(signed)
        await s.chain.broadcast(signed)
        assert await s.chain.status(signed.tx_hash) is TxStatus.PENDING
        assert await s.chain.pending_nonce(OURS) == 1
        await s.lab.mine()
        assert await s.chain.status(signed.tx_hash) is TxStatus.MINED
        with pytest.raises(Unavailable):  # "nonce too low": only its hash can tell what became of it
            await s.chain.broadcast(signed)


async def test_bytes_that_the_sender_cannot_pay_for_are_refused() -> None:
    async with scene() as s:
        await s.lab.send_native(OURS, ETHER)
        planned = await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], native(s), ETHER // 2, False), 0)
        signed = s.chain.sign(planned, KEY)
        await s.lab.set_balance(OURS, 1000)
        with pytest.raises(Refused):
            await s.chain.broadcast(signed)


async def test_a_refusal_beside_an_unclear_answer_is_unclear() -> None:
    async with scene(providers=2) as s:
        await s.lab.send_native(OURS, ETHER)
        planned = await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], native(s), 5, False), 0)
        signed = s.chain.sign(planned, KEY)
        s.liars[0].twist = lambda call, _: error(call, -32000, "transaction underpriced")
        s.liars[1].twist = lambda call, _: error(call, -32000, "nobody knows what this means")
        with pytest.raises(Unavailable):
            await s.chain.broadcast(signed)
        s.liars[0].twist = s.liars[1].twist = honest
        await s.lab.receipt(signed.tx_hash)  # both had taken it
        assert await s.chain.status(signed.tx_hash) is TxStatus.MINED


async def test_a_rollup_keeps_a_bound_of_its_data_fee_behind() -> None:
    async with scene() as s:
        # The predeploy answers 1,000 wei to everything.
        await s.lab.set_code("0x420000000000000000000000000000000000000F", "0x6103e860005260206000f3")
        await s.lab.send_native(OURS, ETHER)
        planned = await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], native(s), ETHER, empties_sender=True), 0)
        before = draft(planned.body)
        assert planned.value_units == ETHER - before.gas * before.price_max - 2000
        assert planned.value_units + planned.fee_limit_units == ETHER


async def test_an_empty_answer_of_the_fee_oracle_is_believed_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene(providers=1) as s:
        await s.lab.set_code(L1_FEE_ORACLE, "0x6103e860005260206000f3")
        await s.lab.send_native(OURS, ETHER)
        wanted = Outgoing(OURS, s.lab.accounts[9], native(s), ETHER, empties_sender=True)

        def without_oracle(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
            is_oracle = call["method"] == "eth_call" and call["params"][0].get("to") == L1_FEE_ORACLE
            return result(call, "0x") if is_oracle else answer

        s.liars[0].twist = without_oracle
        assert draft((await s.chain.prepare(wanted, 0)).body).l1_reserve == "0x0"
        s.liars[0].twist = honest
        assert draft((await s.chain.prepare(wanted, 0)).body).l1_reserve == "0x0"
        monkeypatch.setattr(sending, "NO_L1_FEE_SECONDS", 0.0)
        s.connect()
        s.liars[0].twist = without_oracle
        assert draft((await s.chain.prepare(wanted, 0)).body).l1_reserve == "0x0"
        s.liars[0].twist = honest
        assert draft((await s.chain.prepare(wanted, 0)).body).l1_reserve == hex(2000)
        s.liars[0].twist = without_oracle
        with pytest.raises(Unavailable, match="nothing where the fee oracle is"):
            await s.chain.prepare(wanted, 0)


async def test_the_wrong_key_signs_nothing() -> None:
    async with scene() as s:
        await s.lab.send_native(OURS, ETHER)
        planned = await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], native(s), 5, False), 0)
        with pytest.raises(AssertionError):
            s.chain.sign(planned, bytes(31) + b"\x02")


@given(st.integers(min_value=0, max_value=10**30))
def test_a_raise_is_an_eighth_at_least_and_never_nothing(price: int) -> None:
    assert raised(price) > price
    assert raised(price) * 8 >= price * 9


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("already known", Answer.KNOWN),  # geth, reth
        ("ALREADY_EXISTS: already known", Answer.KNOWN),  # erigon
        ("AlreadyKnown", Answer.KNOWN),  # nethermind
        ("Known transaction", Answer.KNOWN),  # besu
        ("transaction already imported", Answer.KNOWN),  # anvil
        ("insufficient funds for gas * price + value: balance 1, tx cost 2", Answer.TOO_POOR),
        ("InsufficientFunds, Balance is 0 less than sending value", Answer.TOO_POOR),
        ("replacement transaction underpriced", Answer.TOO_CHEAP),
        ("max fee per gas less than block base fee: maxFeePerGas: 1, baseFee: 7", Answer.TOO_CHEAP),
        ("FeeTooLow, MaxFeePerGas too low", Answer.TOO_CHEAP),
        ("nonce too low: next nonce 5, tx nonce 4", Answer.UNCLEAR),
        ("internal error", Answer.UNCLEAR),
    ],
)
def test_a_nodes_words_are_understood_or_unclear(words: str, meaning: Answer) -> None:
    assert answer_to_broadcast(RpcError("node", -32000, words)) is meaning


def test_only_a_contracts_own_failure_is_a_revert() -> None:
    assert is_revert(RpcError("node", 3, "execution reverted: frozen"))
    assert is_revert(RpcError("node", -32000, "execution reverted"))
    assert not is_revert(RpcError("node", -32000, "header not found"))
