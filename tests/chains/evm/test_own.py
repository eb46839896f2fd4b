"""Our own transactions: booked from receipts, never from the plan, and never taken for deposits."""

from typing import Any

import pytest
from eth_account import Account
from tests.chains.evm.scene import CHAIN, DEPTH, NATIVE, USDT, Scene, honest, scene
from tests.lab.client import Deployed, call_data
from tests.lab.stub import result

from paynode.chains.base import Outgoing, PlannedTx, SignedTx
from paynode.domain.chain import OwnTx, Pair, RowKind, RowSource

KEY, GAS_KEY = bytes(31) + b"\x01", bytes(31) + b"\x02"
OURS, GAS_STATION = Account.from_key(KEY).address, Account.from_key(GAS_KEY).address
ETHER = 10**18


async def shop_with_key(s: Scene) -> None:
    """One deposit address whose key the test holds."""
    await s.tick()
    s.keeper.watch(OURS, [USDT, NATIVE], depth=DEPTH)
    s.keeper.own_addresses |= {OURS, GAS_STATION}


def remember(s: Scene, id_: str, planned: PlannedTx, *signed: SignedTx) -> None:
    """What the store knows of a signed transaction."""
    s.keeper.own.append(OwnTx(id_, planned.sender, planned.nonce, tuple(each.tx_hash for each in signed)))


async def sweep_native(s: Scene, id_: str, *, nonce: int = 0) -> tuple[PlannedTx, SignedTx]:
    """The whole balance to the treasury: planned, signed, remembered, sent."""
    native = s.assets[2]
    units = await s.chain.balance_units(native, OURS)
    planned = await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], native, units, empties_sender=True), nonce)
    signed = s.chain.sign(planned, KEY)
    remember(s, id_, planned, signed)
    await s.chain.broadcast(signed)
    await s.lab.receipt(signed.tx_hash)
    return planned, signed


async def test_a_native_sweep_leaves_nothing_and_its_row_holds_value_and_fee() -> None:
    async with scene() as s:
        await shop_with_key(s)
        await s.lab.send_native(OURS, ETHER)
        await s.tick()
        before = int(await s.lab.rpc("eth_getBalance", s.lab.accounts[9], "latest"), 16)
        planned, signed = await sweep_native(s, "sweep")
        seen = await s.tick()
        assert int(await s.lab.rpc("eth_getBalance", OURS, "latest"), 16) == 0
        after = int(await s.lab.rpc("eth_getBalance", s.lab.accounts[9], "latest"), 16)
        assert after - before == planned.value_units == ETHER - planned.fee_limit_units
        (row,) = seen.rows
        assert (row.kind, row.source, row.pair, row.units) == (
            RowKind.OUT,
            RowSource.RECEIPT,
            Pair(OURS, NATIVE),
            ETHER,
        )
        (receipt,) = seen.receipts
        assert (receipt.id, receipt.tx_hash, receipt.succeeded) == ("sweep", signed.tx_hash, True)
        assert receipt.fee_units == planned.fee_limit_units
        assert not seen.final_receipts
        await s.settle(DEPTH - 1)
        assert s.keeper.own == []
        assert s.keeper.own_nonces == {OURS: 1}
        assert s.keeper.confirmed_units(OURS, NATIVE) == 0
        assert len(s.keeper.confirmed(OURS, NATIVE)) == 2


async def test_a_deposit_that_arrives_behind_our_back_before_our_sweep_is_found() -> None:
    async with scene() as s:
        await shop_with_key(s)
        await s.lab.send_native(OURS, ETHER)
        await s.tick()
        await s.lab.send_native(OURS, 7 * ETHER)
        await s.lab.transfer(s.usdt, OURS, 5)
        await sweep_native(s, "sweep")
        await s.lab.send_native(OURS, 11)
        seen = await s.tick()
        assert not seen.disputes
        arrived = [row.units for row in s.rows(OURS, NATIVE) if row.kind is RowKind.IN]
        assert sorted(arrived) == [11, ETHER, 7 * ETHER]
        await s.settle()
        assert s.keeper.confirmed_units(OURS, NATIVE) == 11
        assert s.keeper.confirmed_units(OURS, USDT) == 5


async def test_a_gas_top_up_is_ours_and_a_token_sweep_is_booked_with_its_fee() -> None:
    async with scene() as s:
        usdt, _, native = s.assets
        await s.lab.send_native(GAS_STATION, ETHER)
        await shop_with_key(s)
        await s.lab.transfer(s.usdt, OURS, 500)
        await s.tick()
        cost = await s.chain.fees(usdt, OURS, s.lab.accounts[9])
        planned = await s.chain.prepare(Outgoing(GAS_STATION, OURS, native, cost.transfer_cost, False), 0)
        signed = s.chain.sign(planned, GAS_KEY)
        remember(s, "top-up", planned, signed)
        await s.chain.broadcast(signed)
        await s.lab.receipt(signed.tx_hash)
        (row,) = (await s.tick()).rows
        assert (row.kind, row.own, row.pair, row.units) == (RowKind.IN, True, Pair(OURS, NATIVE), cost.transfer_cost)

        planned = await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], usdt, 500, False), 0)
        signed = s.chain.sign(planned, KEY)
        remember(s, "sweep", planned, signed)
        await s.chain.broadcast(signed)
        await s.lab.receipt(signed.tx_hash)
        seen = await s.tick()
        fee = next(receipt.fee_units for receipt in seen.receipts if receipt.id == "sweep")
        assert fee <= planned.fee_limit_units <= cost.transfer_cost
        assert {(row.kind, row.method, row.units) for row in seen.rows} == {
            (RowKind.OUT, USDT, 500),
            (RowKind.OUT, NATIVE, fee),
        }
        assert not seen.disputes
        await s.settle()
        assert s.keeper.own_nonces == {OURS: 1, GAS_STATION: 1}
        assert s.keeper.confirmed_units(OURS, USDT) == 0


async def test_coins_that_our_own_account_sends_without_being_remembered_are_still_ours() -> None:
    async with scene() as s:
        await shop_with_key(s)
        await s.lab.send_native(GAS_STATION, ETHER)
        planned = await s.chain.prepare(Outgoing(GAS_STATION, OURS, s.assets[2], 9, False), 0)
        await s.chain.broadcast(s.chain.sign(planned, GAS_KEY))
        await s.lab.mine()
        (row,) = (await s.tick()).rows
        assert (row.source, row.own) == (RowSource.TX, True)


async def test_a_late_receipt_neither_hangs_nor_makes_a_phantom() -> None:
    async with scene(providers=1) as s:
        await shop_with_key(s)
        await s.lab.send_native(OURS, ETHER)
        await s.tick()
        await s.settle()
        cursor = s.keeper.checkpoints[0]
        await sweep_native(s, "sweep")
        await s.lab.send_native(OURS, 11)

        def without_receipts(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
            return result(call, None) if call["method"] == "eth_getTransactionReceipt" else answer

        s.liars[0].twist = without_receipts
        seen = await s.tick()
        assert (seen.rows, dict(seen.disputes), seen.checkpoint) == ((), {}, None)
        assert s.keeper.checkpoints[0] == cursor
        await s.lab.mine(DEPTH)
        seen = await s.tick()
        assert seen.disputes[Pair(OURS, NATIVE)].reason.startswith("its key has sent")
        assert seen.checkpoint == seen.head
        s.liars[0].twist = honest
        await s.tick()
        await s.settle()
        assert not s.keeper.disputes
        assert s.keeper.confirmed_units(OURS, NATIVE) == 11


async def test_a_transaction_that_we_did_not_sign_is_never_explained_away() -> None:
    async with scene() as s:
        await shop_with_key(s)
        await s.lab.send_native(OURS, ETHER)
        await s.tick()
        await sweep_native(s, "forgotten")
        s.keeper.own.clear()
        await s.lab.mine(DEPTH)
        await s.tick()
        await s.settle()
        assert s.keeper.disputes[Pair(OURS, NATIVE)].reason.startswith("its key has sent")
        assert s.keeper.confirmed_units(OURS, NATIVE) == 0


async def test_a_sweep_that_is_reorganised_away_is_booked_again_from_its_new_receipt() -> None:
    async with scene() as s:
        await shop_with_key(s)
        await s.lab.send_native(OURS, ETHER)
        await s.tick()
        await s.settle()
        _, signed = await sweep_native(s, "sweep")
        await s.tick()
        await s.lab.reorg(1)
        seen = await s.tick()
        assert len(seen.voided) == 1
        assert not seen.receipts
        assert not seen.disputes
        await s.chain.broadcast(signed)
        await s.lab.receipt(signed.tx_hash)
        seen = await s.tick()
        assert [receipt.tx_hash for receipt in seen.receipts] == [signed.tx_hash]
        await s.settle()
        assert s.keeper.confirmed_units(OURS, NATIVE) == 0
        assert s.keeper.own == []


async def test_of_two_versions_the_mined_one_is_booked() -> None:
    async with scene() as s:
        await shop_with_key(s)
        await s.lab.send_native(OURS, ETHER)
        await s.tick()
        await s.lab.rpc("evm_setAutomine", False)
        native = s.assets[2]
        planned = await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], native, ETHER, empties_sender=True), 0)
        bumped = await s.chain.bump(planned)
        first, second = s.chain.sign(planned, KEY), s.chain.sign(bumped, KEY)
        remember(s, "sweep", planned, first, second)
        await s.chain.broadcast(first)
        await s.chain.broadcast(second)
        await s.lab.mine()
        (receipt,) = (await s.tick()).receipts
        assert (receipt.tx_hash, receipt.fee_units) == (second.tx_hash, bumped.fee_limit_units)
        await s.settle()
        assert s.keeper.confirmed_units(OURS, NATIVE) == 0


async def test_a_sweep_that_reverts_costs_its_fee_and_moves_nothing() -> None:
    async with scene() as s:
        usdt = s.assets[0]
        await shop_with_key(s)
        await s.lab.transfer(s.usdt, OURS, 500)
        await s.lab.send_native(OURS, ETHER)
        await s.tick()
        planned = await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], usdt, 500, False), 0)
        signed = s.chain.sign(planned, KEY)
        remember(s, "sweep", planned, signed)
        code = await s.lab.rpc("eth_getCode", s.usdt.address, "latest")
        await s.lab.rpc("evm_setAutomine", False)
        await s.lab.set_code(s.usdt.address, "0x60006000fd")
        await s.chain.broadcast(signed)
        await s.lab.mine()
        await s.lab.set_code(s.usdt.address, code)
        await s.lab.mine()
        seen = await s.tick()
        (receipt,) = seen.receipts
        assert not receipt.succeeded
        assert [(row.kind, row.method, row.units) for row in seen.rows] == [(RowKind.OUT, NATIVE, receipt.fee_units)]
        assert not seen.disputes


async def authorise(s: Scene, nonce: int = 0) -> Deployed:
    """The test's address runs a wallet's code from now on: signed with our key, sent by the gas station (EIP-7702)."""
    code = await s.lab.deploy("WalletCode")
    authorisation = Account.from_key(KEY).sign_authorization(
        {"chainId": CHAIN, "address": code.address, "nonce": nonce}
    )
    fees = {"maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**9}
    sent = {"type": 4, "chainId": CHAIN, "nonce": 0, "to": GAS_STATION, "value": 0, "gas": 100_000, "data": "0x"}
    signed = Account.from_key(GAS_KEY).sign_transaction(sent | fees | {"authorizationList": [authorisation]})
    receipt = await s.lab.receipt(await s.lab.rpc("eth_sendRawTransaction", "0x" + signed.raw_transaction.hex()))
    assert receipt["status"] == "0x1"
    assert await s.lab.rpc("eth_getTransactionCount", OURS, "latest") == hex(nonce + 1)
    return code


async def test_a_nonce_that_an_authorisation_used_up_delays_coins_and_never_hangs_them() -> None:
    async with scene(providers=2) as s:
        await shop_with_key(s)
        await s.lab.set_balance(GAS_STATION, ETHER)
        await authorise(s)
        payer = await s.lab.deploy("Payer")
        plain = await s.lab.send_native(OURS, 11, gas=100_000)
        inner = await s.lab.invoke(payer, "pay", OURS, value=7)
        seen = await s.tick()
        assert (seen.rows, dict(seen.disputes), seen.checkpoint) == ((), {}, None)
        await s.lab.mine(DEPTH)
        seen = await s.tick()
        assert {(row.source, row.units, row.tx_hash, row.block.hash) for row in seen.rows} == {
            (RowSource.TX, 11, plain["transactionHash"], plain["blockHash"]),
            (RowSource.INTERNAL, 7, inner["transactionHash"], inner["blockHash"]),
        }
        await s.settle()
        assert not s.keeper.disputes
        assert s.keeper.confirmed_units(OURS, NATIVE) == 18


async def test_coins_that_leave_by_code_on_our_address_are_no_reason_to_invent_a_payment() -> None:
    """Method: our address runs a wallet's code and sends coins in a stranger's transaction; then a payment comes."""
    async with scene(providers=2) as s:
        await shop_with_key(s)
        await s.lab.set_balance(GAS_STATION, ETHER)
        await s.lab.send_native(OURS, 50)
        await s.tick()
        await s.settle()
        code = await authorise(s)
        out = call_data(code.compiled, "execute", [[s.lab.accounts[9]], [30], [b""]])
        await s.lab.send(OURS, out)
        await s.lab.send_native(OURS, 40, gas=100_000)
        for _ in range(3 * DEPTH):
            await s.lab.mine()
            await s.tick()
            assert s.keeper.confirmed_units(OURS, NATIVE) <= 60
        assert not s.keeper.disputes
        rows = [(row.kind, row.source, row.units) for row in s.keeper.standing if row.pair == Pair(OURS, NATIVE)]
        assert sorted(rows) == [
            (RowKind.ADJUSTMENT, RowSource.DRIFT, -30),
            (RowKind.IN, RowSource.TX, 40),
            (RowKind.IN, RowSource.TX, 50),
        ]
        assert s.keeper.confirmed_units(OURS, NATIVE) == 60


async def test_after_an_unknown_transaction_displaced_ours_what_left_is_booked_and_the_next_payment_found() -> None:
    """Method: its nonce goes to one that the node did not sign; once that is final the node gives its own up."""
    async with scene(providers=2) as s:
        await shop_with_key(s)
        await s.lab.send_native(OURS, ETHER)
        await s.tick()
        await s.settle()
        ours, theirs = [
            await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], s.assets[2], units, False), 0)
            for units in (ETHER // 2, 1)
        ]
        remember(s, "sweep", ours, s.chain.sign(ours, KEY))
        displacing = s.chain.sign(theirs, KEY)
        await s.chain.broadcast(displacing)
        receipt = await s.lab.receipt(displacing.tx_hash)
        spent = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16) + 1
        for _ in range(3 * DEPTH):
            await s.lab.mine()
            await s.tick()
        assert s.keeper.disputes[Pair(OURS, NATIVE)].reason.startswith("its key has sent")
        s.keeper.own.clear()  # as `record_replaced` does
        s.keeper.own_nonces[OURS] = 1
        for _ in range(3 * DEPTH):
            await s.lab.mine()
            await s.tick()
        assert s.keeper.confirmed_units(OURS, NATIVE) == ETHER - spent
        paid = await s.lab.send_native(OURS, 11)
        (row,) = (await s.tick()).rows
        assert (row.source, row.tx_hash) == (RowSource.TX, paid["transactionHash"])
        await s.settle()
        assert s.keeper.confirmed_units(OURS, NATIVE) == ETHER - spent + 11


@pytest.mark.parametrize("providers", [1, 2])
async def test_after_a_restart_the_same_rows_are_known_and_none_is_made_twice(providers: int) -> None:
    async with scene(providers=providers) as s:
        await shop_with_key(s)
        await s.lab.send_native(OURS, ETHER)
        await s.tick()
        await sweep_native(s, "sweep")
        for _ in range(DEPTH + 1):
            s.connect()
            await s.tick()
            await s.lab.mine()
        assert len(s.keeper.rows) == 2
        assert s.keeper.own == []
