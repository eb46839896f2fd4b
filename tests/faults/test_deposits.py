"""What may happen to a deposit on an EVM network (A1 to A13): each case on one whole node, all of them side by side."""

from eth_account import Account
from eth_account.messages import encode_typed_data
from tests.faults.checker import assert_all_is_well
from tests.faults.test_spine import address
from tests.faults.together import Together
from tests.faults.town import COIN, COIN_USD, USDT, Town, town
from tests.lab.books import units_on_chain
from tests.lab.client import EVERYTHING, Deployed, call_data
from tests.lab.node import TREASURY

cases = Together(town)

PRICE_USD = "20"  # of most invoices
DUE_COINS = COIN * int(PRICE_USD) // COIN_USD
SPOOFED_LOGS = 5000
NATIVE_LOGGER = "0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE"  # https://eips.ethereum.org/EIPS/eip-7708
DELEGATED_TO = "0xef0100"  # https://eips.ethereum.org/EIPS/eip-7702
GWEI = 10**9


@cases.case
async def test_a1_a_transfer_that_returns_false_is_no_payment(town: Town) -> None:
    invoice, shy = await town.shop.invoice(PRICE_USD, "eth_shy"), town.tokens["shy"]
    receipt = await town.lab.transfer(shy, address(invoice), 20 * 10**18, sender=town.lab.accounts[5])
    assert (receipt["status"], receipt["logs"]) == ("0x1", [])
    await town.passed()
    await town.assert_unpaid(invoice)
    await town.lab.transfer(shy, address(invoice), 20 * 10**18)
    assert len(await town.until_paid(invoice)) == 1


@cases.case
async def test_a2_a_transaction_that_fails_is_no_payment(town: Town) -> None:
    tokens, coins = await town.shop.invoice(PRICE_USD, "eth_usdt"), await town.shop.invoice(PRICE_USD, "eth_eth")
    payer = await town.lab.deploy("Payer")
    without = await town.lab.transfer(town.usdt, address(tokens), 20 * USDT, sender=town.lab.accounts[5])
    undone = await town.lab.invoke(payer, "payThenRevert", address(coins), value=DUE_COINS)
    assert (without["status"], undone["status"]) == ("0x0", "0x0")
    await town.passed()
    await town.assert_unpaid(tokens, coins)


@cases.case
async def test_a3_a_clone_with_the_same_name_symbol_and_decimals_is_another_token(town: Town) -> None:
    invoice, clone = await town.shop.invoice(PRICE_USD, "eth_usdt"), await town.lab.deploy("TetherLike")
    for what in ("name", "symbol", "decimals"):
        assert await town.lab.read(clone, what) == await town.lab.read(town.usdt, what)
    await town.lab.transfer(clone, address(invoice), 20 * USDT)
    await town.passed()
    await town.assert_unpaid(invoice)
    assert all(deposit["address"] != address(invoice) for deposit in await town.shop.all_of("deposits"))


@cases.case
async def test_a4_thousands_of_spoofed_logs_in_one_transaction_are_not_even_asked_for(town: Town) -> None:
    invoice, fake = await town.shop.invoice(PRICE_USD, "eth_usdt"), await town.lab.deploy("FakeToken")
    spoofed = await town.lab.invoke(fake, "spoofMany", address(invoice), SPOOFED_LOGS)
    assert len(spoofed["logs"]) == SPOOFED_LOGS
    assert int(spoofed["logs"][0]["data"], 16) == EVERYTHING
    await town.lab.transfer(town.usdt, address(invoice), 20 * USDT)
    assert [deposit["amount"] for deposit in await town.until_paid(invoice)] == [PRICE_USD]
    asked = [entry.params[0] for entry in town.proxy.history if entry.method == "eth_getLogs"]
    assert asked
    for query in asked:
        assert query["address"], "a query names the contracts it is about"
        assert fake.address.lower() not in str(query["address"]).lower()


@cases.case
async def test_a5_transfers_of_nothing_from_our_address_lead_no_money_astray(town: Town) -> None:
    """Anyone may log a transfer of 0 from an address that is not theirs, to one that looks like the treasury."""
    invoice = await town.shop.invoice(PRICE_USD, "eth_usdt")
    lookalike = (TREASURY[:8] + "0" * 28 + TREASURY[-6:]).lower()
    for half in range(2):
        poison = await town.lab.invoke(town.usdt, "transferFrom", address(invoice), lookalike, 0)
        await town.lab.transfer(town.usdt, address(invoice), 0)
        assert poison["logs"][0]["topics"][2].endswith(lookalike[2:])
        await town.lab.transfer(town.usdt, address(invoice), 10 * USDT)
        if half == 0:
            await town.shop.until_invoice(invoice, payment_state="partial")
    deposits = await town.until_paid(invoice)
    assert [deposit["amount"] for deposit in deposits] == ["10", "10"]
    assert lookalike not in str(await town.shop.get(f"/checkout/{invoice['id']}")).lower()
    await town.shop.until_invoice(invoice, sweep_state="swept")
    assert await units_on_chain(town.lab, town.usdt, lookalike) == 0
    assert {sweep["treasury"] for sweep in await town.shop.all_of("sweeps")} == {TREASURY}


@cases.case
async def test_a6_whoever_sends_the_transaction_the_holder_of_the_tokens_has_paid(town: Town) -> None:
    lab, permit = town.lab, town.tokens["permit"]
    allowed, routed = await town.shop.invoice(PRICE_USD, "eth_usdt"), await town.shop.invoice(PRICE_USD, "eth_permit")
    holder, relayer, key = lab.accounts[1], lab.accounts[2], Account.create()
    await lab.transfer(town.usdt, holder, 20 * USDT)
    await lab.invoke(town.usdt, "approve", relayer, 20 * USDT, sender=holder)
    await lab.invoke(town.usdt, "transferFrom", holder, address(allowed), 20 * USDT, sender=relayer)

    router = await lab.deploy("PermitRouter")
    await lab.transfer(permit, key.address, 20 * USDT)
    signed = key.sign_message(encode_typed_data(full_message=permission(lab.chain_id, permit, key.address, router)))
    r, s = signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")
    terms = (permit.address, key.address, address(routed), 20 * USDT, signed.v, r, s)
    paid = await lab.invoke(router, "pay", *terms, sender=relayer)
    assert paid["status"] == "0x1"

    (by_allowance,), (by_permit,) = await town.until_paid(allowed), await town.until_paid(routed)
    assert (by_allowance["from"], by_permit["from"]) == (holder, key.address)


def permission(chain_id: int, token: Deployed, owner: str, spender: Deployed) -> dict[str, object]:
    """What the owner of tokens signs to let somebody spend 20 of them."""
    named = [("owner", "address"), ("spender", "address"), ("value", "uint256"), ("nonce", "uint256")]
    return {
        "domain": {"chainId": chain_id, "verifyingContract": token.address},
        "primaryType": "Permit",
        "types": {
            "EIP712Domain": [
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Permit": [{"name": name, "type": kind} for name, kind in [*named, ("deadline", "uint256")]],
        },
        "message": {
            "owner": owner,
            "spender": spender.address,
            "value": 20 * USDT,
            "nonce": 0,
            "deadline": EVERYTHING,
        },
    }


@cases.case
async def test_a7_coins_sent_by_contracts_count_and_those_of_undone_frames_do_not(town: Town) -> None:
    payer = await town.lab.deploy("Payer")
    paid, left, undone = [await town.shop.invoice(PRICE_USD, "eth_eth") for _ in range(3)]
    first = await town.lab.invoke(payer, "pay", address(paid), value=DUE_COINS)
    second = await town.lab.invoke(payer, "payBySelfdestruct", address(left), value=DUE_COINS)
    third = await town.lab.invoke(payer, "payAndRevertInside", address(undone), value=DUE_COINS)
    assert {each["status"] for each in (first, second, third)} == {"0x1"}
    await town.passed()
    await town.assert_unpaid(undone)
    for invoice, receipt in ((paid, first), (left, second)):
        (deposit,) = await town.until_paid(invoice)
        assert (deposit["amount_units"], deposit["block_hash"]) == (str(DUE_COINS), receipt["blockHash"])


@cases.case
async def test_a8_a_delegated_wallet_pays_in_a_batch_that_somebody_else_sends(town: Town) -> None:
    lab, wallet, payer, sponsor = town.lab, await town.lab.deploy("Wallet"), Account.create(), Account.create()
    tokens, coins = await town.shop.invoice(PRICE_USD, "eth_usdt"), await town.shop.invoice(PRICE_USD, "eth_eth")
    for key in (payer, sponsor):
        await lab.send_native(key.address, COIN)
    await lab.transfer(town.usdt, payer.address, 20 * USDT)
    transfer = bytes.fromhex(call_data(town.usdt.compiled, "transfer", [address(tokens), 20 * USDT])[2:])
    targets, values, calls = [town.usdt.address, address(coins)], [0, DUE_COINS], [transfer, b""]
    consent = payer.sign_authorization({"chainId": lab.chain_id, "address": wallet.address, "nonce": 0})
    signed = sponsor.sign_transaction(
        {
            "type": 4,
            "chainId": lab.chain_id,
            "nonce": 0,
            "to": payer.address,
            "value": 0,
            "gas": 500_000,
            "maxFeePerGas": 10 * GWEI,
            "maxPriorityFeePerGas": GWEI,
            "data": call_data(wallet.compiled, "execute", [targets, values, calls]),
            "authorizationList": [consent],
        }
    )
    receipt = await lab.receipt(await lab.rpc("eth_sendRawTransaction", signed.raw_transaction.to_0x_hex()))
    assert (receipt["status"], receipt["to"]) == ("0x1", payer.address.lower())
    assert await lab.rpc("eth_getCode", payer.address, "latest") == DELEGATED_TO + wallet.address[2:].lower()
    (in_tokens,), (in_coins,) = await town.until_paid(tokens), await town.until_paid(coins)
    assert in_tokens["from"] == payer.address
    assert in_coins["amount_units"] == str(DUE_COINS)


@cases.case
async def test_a9_coins_that_are_logged_like_tokens_count_once(town: Town) -> None:
    invoice, template = await town.shop.invoice(PRICE_USD, "eth_eth"), await town.lab.deploy("LoggedCoin")
    await town.lab.set_code(NATIVE_LOGGER, template.compiled.runtime_code)
    logger = Deployed(NATIVE_LOGGER, template.compiled)
    paid = await town.lab.invoke(logger, "pay", address(invoice), value=DUE_COINS)
    assert len(paid["logs"]) == 1
    (deposit,) = await town.until_paid(invoice)
    assert (deposit["method"], deposit["amount_units"]) == ("eth_eth", str(DUE_COINS))
    await town.passed()
    found = [deposit for deposit in await town.shop.all_of("deposits") if deposit["address"] == address(invoice)]
    assert len(found) == 1


@cases.case
async def test_a11_coins_to_four_recipients_in_one_transaction_are_each_credited(town: Town) -> None:
    """Of tokens the daily journey of `test_spine` shows the same."""
    batch = await town.lab.deploy("Batch")
    three = [await town.shop.invoice(PRICE_USD, "eth_eth") for _ in range(3)]
    twice = await town.shop.invoice("40", "eth_eth")
    await town.lab.pay_many_native(batch, [(address(each), DUE_COINS) for each in (*three, twice, twice)])
    for invoice in three:
        await town.until_paid(invoice)
    (deposit,) = await town.until_paid(twice)  # of internal coins only their sum in a block can be seen
    assert deposit["amount_units"] == str(2 * DUE_COINS)


@cases.case
async def test_a12_amounts_are_exact_with_no_decimals_and_with_twenty_four(town: Town) -> None:
    shop, lab, whole, fine = town.shop, town.lab, town.tokens["whole"], town.tokens["fine"]
    sums, large = await shop.invoice("30.3", "eth_fine"), await shop.invoice("10", "eth_fine")
    short, rounded = await shop.invoice("10", "eth_fine"), await shop.invoice("20.5", "eth_whole")
    due = [invoice["methods"][0]["amount_units"] for invoice in (sums, large, rounded)]
    assert due == [str(303 * 10**23), str(10**25), "21"]
    for units in (101 * 10**23, 202 * 10**23):
        await lab.transfer(fine, address(sums), units)
    await lab.transfer(fine, address(large), 10**25)
    await lab.transfer(fine, address(short), 10**25 - 1)
    await lab.transfer(whole, address(rounded), 21)
    assert {deposit["amount_units"] for deposit in await town.until_paid(sums)} == {
        str(101 * 10**23),
        str(202 * 10**23),
    }
    (deposit,) = await town.until_paid(large)
    assert (deposit["amount"], deposit["amount_units"]) == ("10", str(10**25))
    (deposit,) = await town.until_paid(rounded)
    assert (deposit["amount"], deposit["amount_units"]) == ("21", "21")
    await town.passed()
    seen = await shop.seen(short)
    assert (seen["status"], seen["payment_state"]) == ("open", "partial"), "one unit is missing"
    await lab.transfer(fine, address(short), 5 * 10**24)  # one unit more would not be worth its sweep
    await town.until_paid(short, "over")


@cases.case
async def test_a13_the_third_part_that_is_too_much_pays_once(town: Town) -> None:
    invoice = await town.shop.invoice(PRICE_USD, "eth_usdt")
    for dollars in (5, 7):
        await town.lab.transfer(town.usdt, address(invoice), dollars * USDT)
        seen = await town.shop.until_invoice(invoice, status="open", payment_state="partial")
    assert seen["amount_paid"] in ("5.00", "12.00")
    await town.lab.transfer(town.usdt, address(invoice), 11 * USDT)
    assert len(await town.until_paid(invoice, "over")) == 3
    seen = await town.shop.until_invoice(invoice, amount_paid="23.00", amount_overpaid="3.00", amount_due="0.00")
    await town.passed()
    told = [event["type"] for event in await town.shop.all_of("events") if event["subject"] == invoice["id"]]
    assert (told.count("invoice.paid"), told.count("invoice.overpaid")) == (1, 1)


@cases.in_the_end
async def test_in_the_end_books_events_webhooks_and_treasury_agree_with_the_chain(town: Town) -> None:
    tokens = {f"eth_{symbol}": token for symbol, token in town.tokens.items()}
    await assert_all_is_well(town.shop, town.lab, {**tokens, "eth_eth": None})
