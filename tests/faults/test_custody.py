"""Who may move the money, where to, and what becomes of money that cannot be moved yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from tests.faults.test_spine import address, blocks, until_told
from tests.lab.anvil import anvil
from tests.lab.books import assert_audited, assert_books_match_chain, units_on_chain
from tests.lab.client import Deployed, Lab
from tests.lab.node import HOT, MNEMONIC, TEN_MINUTES_AHEAD, TREASURY, Node, gas_address, node
from tests.lab.receiver import Receiver

from paynode.cli.exit_codes import ExitCode
from paynode.config import Secret
from paynode.domain.key_paths import deposit_path, gas_path
from paynode.seed import Seed

USDT, COIN = 10**6, 10**18
NEW_TREASURY = "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF"  # of the private key 2
DELAY = "5m"
INSTALMENT_SECONDS = 1.0
DELEGATED_TO = "0xef0100"  # https://eips.ethereum.org/EIPS/eip-7702


@asynccontextmanager
async def going_chain() -> AsyncIterator[tuple[Lab, Deployed, Receiver]]:
    """A chain that goes on by itself with a token on it, and somebody to be told."""
    async with anvil() as lab, trio.open_nursery() as nursery:
        receiver = Receiver()
        await receiver.listen(nursery)
        usdt = await lab.deploy("TetherLike")
        await lab.mine(5)
        nursery.start_soon(blocks, lab)
        yield lab, usdt, receiver
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def busy(shop: Node, lab: Lab, usdt: Deployed) -> AsyncIterator[None]:
    """Another customer pays by instalments all the while, so that the sweeper's next round is never far."""
    other = await shop.invoice("5000", "eth_usdt")

    async def pay() -> None:
        while True:
            await lab.transfer(usdt, address(other), 5 * USDT)
            await trio.sleep(INSTALMENT_SECONDS)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pay)
        yield
        nursery.cancel_scope.cancel()


async def until_waits(shop: Node, invoice: dict[str, Any], reason: str) -> None:
    """Until the invoice's newest deposit says that it waits for this."""

    async def does_wait() -> bool:
        deposits = (await shop.seen(invoice))["deposits"]
        return bool(deposits) and deposits[-1]["sweep_wait"] == reason

    await shop.until(does_wait, f"a deposit that waits: {reason}")


async def test_from_an_extended_public_key_alone_everything_works_but_sending(tmp_path: Path) -> None:
    seed = Seed(Secret(MNEMONIC))
    custody = f'mode = "watch"\nxpub.evm = "{seed.account_xpub(0)}"'
    async with going_chain() as (lab, usdt, receiver):
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}, custody=custody, gas_units=0) as shop:
            invoice = await shop.invoice("20", "eth_usdt")
            assert address(invoice) == seed.address(deposit_path(0, 0)), "the owner's wallet finds it"
            await lab.transfer(usdt, address(invoice), 20 * USDT)
            await shop.until_invoice(invoice, status="paid", payment_state="exact", sweep_state="unswept")
            await until_told(shop, invoice, "invoice.paid")
            await until_waits(shop, invoice, "watch_only")
            assert await shop.listed("sweeps") == []
            await assert_books_match_chain(shop, lab, {"eth_usdt": usdt, "eth_eth": None})

            # The owner collects with a wallet of their own, from the very key, while another customer is waited for.
            again = await shop.invoice("5", "eth_usdt")
            await lab.set_balance(address(invoice), COIN)
            await lab.rpc("anvil_impersonateAccount", address(invoice))
            await lab.transfer(usdt, TREASURY, 20 * USDT, sender=address(invoice))
            await shop.until_invoice(invoice, status="paid", sweep_state="swept")
            await lab.transfer(usdt, address(again), 5 * USDT)
            await shop.until_invoice(again, status="paid")
            assert_audited(shop)
    assert_holds_no_key(tmp_path, seed)


def assert_holds_no_key(folder: Path, seed: Seed) -> None:
    """No file has the phrase or a key; so the node never had one, as it reads nothing else."""
    keys = [seed.private_key(path) for path in (deposit_path(0, 0), gas_path(0))]
    secrets = [MNEMONIC.encode(), *keys, *(key.hex().encode() for key in keys)]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert folder / "data" / "paynode.db" in files
    for file in files:
        content = file.read_bytes()
        assert not any(secret in content for secret in secrets), file


async def test_a_new_treasury_is_announced_and_gets_nothing_before_its_delay(tmp_path: Path) -> None:
    custody = f'{HOT}\ntreasury_change_delay = "{DELAY}"'
    async with going_chain() as (lab, usdt, receiver):
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}, custody=custody) as shop:
            before, after = await shop.invoice("20", "eth_usdt"), await shop.invoice("30", "eth_usdt")
            await lab.transfer(usdt, address(before), 20 * USDT)
            await shop.until_invoice(before, sweep_state="swept")
            shop.stop()
            await lab.transfer(usdt, address(after), 30 * USDT)
            shop.edit_config(TREASURY, gas_address())
            refused = shop.attempt("run")
            assert refused.returncode == ExitCode.CONFIG
            assert "one of this node's own addresses" in refused.stderr
            shop.edit_config(gas_address(), address(before))
            refused = shop.attempt("run")
            assert refused.returncode == ExitCode.CONFIG
            assert "one of this node's own addresses" in refused.stderr

            shop.edit_config(address(before), NEW_TREASURY)
            await shop.start()
            (told,) = await shop.until_told("treasury.changed")
            change = told["data"]["object"]
            assert (change["address"], change["previous_address"]) == (NEW_TREASURY, TREASURY)
            await until_waits(shop, after, "treasury_announced")
            shop.stop()
            shop.program = ("-c", TEN_MINUTES_AHEAD)
            await shop.start()
            async with busy(shop, lab, usdt):
                await shop.until_invoice(after, status="paid", sweep_state="swept")
            await until_quiet(shop)
            assert await units_on_chain(lab, usdt, TREASURY) == 20 * USDT, "the old one gets nothing more"
            swept = [sweep for sweep in await shop.listed("sweeps") if sweep["treasury"] == NEW_TREASURY]
            assert min(sweep["created_at"] for sweep in swept) >= change["effective_at"]
            tokens = {"eth_usdt": usdt, "eth_eth": None}
            await assert_books_match_chain(shop, lab, tokens, treasuries=(TREASURY, NEW_TREASURY))


async def test_deposits_wait_for_gas_and_once_it_is_there_a_frozen_address_fails_alone(tmp_path: Path) -> None:
    async with going_chain() as (lab, usdt, receiver):
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}, gas_units=0) as shop:
            frozen, good = await shop.invoice("20", "eth_usdt"), await shop.invoice("30", "eth_usdt")
            await lab.invoke(usdt, "setBlackListed", address(frozen), True)
            await lab.transfer(usdt, address(frozen), 20 * USDT)
            await lab.transfer(usdt, address(good), 30 * USDT)
            for invoice in (frozen, good):
                await shop.until_invoice(invoice, status="paid")
                await until_waits(shop, invoice, "no_gas")
            await lab.send_native(gas_address(), COIN)
            async with busy(shop, lab, usdt):
                await shop.until_invoice(good, sweep_state="swept")
                await shop.until_invoice(frozen, sweep_state="failed")
            await until_quiet(shop, frozen)
            assert {reason.partition(":")[0] for reason in await failures(shop)} == {"would_revert"}
            nonce = await lab.rpc("eth_getTransactionCount", address(frozen), "latest")
            assert nonce == "0x0", "nothing was signed"
            assert await units_on_chain(lab, None, address(frozen)) == 0, "nothing was lent"
            (coins,) = [held for held in (await shop.get("/v1/balances"))["data"] if held["method"] == "eth_eth"]
            assert 0 < int(coins["gas_units"]) < COIN
            held = sum(int(coins[f"{account}_units"]) for account in ("gas", "deposits", "fees"))
            assert held == COIN, "all of it is the owner's, who put it in"
            await assert_books_match_chain(shop, lab, {"eth_usdt": usdt, "eth_eth": None})


async def test_a8_an_address_of_ours_that_somebody_gave_code_stops_all_that_leaves(tmp_path: Path) -> None:
    """Only its key can do that (EIP-7702). What is paid to it is still seen, and credited like any other."""
    async with going_chain() as (lab, usdt, receiver):
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}) as shop:
            coded, other = await shop.invoice("20", "eth_usdt"), await shop.invoice("30", "eth_usdt")
            wallet = await lab.deploy("Wallet")
            await lab.set_code(address(coded), DELEGATED_TO + wallet.address[2:].lower())
            (told,) = await shop.until_told("outflows.paused")
            pause = told["data"]["object"]
            assert (pause["network"], pause["method"]) == ("eth", None)
            assert f"{address(coded)} has code" in pause["reason"]
            await lab.transfer(usdt, address(coded), 20 * USDT)
            await lab.transfer(usdt, address(other), 30 * USDT)
            for invoice, wait in ((coded, "has_code"), (other, "outflows_paused")):
                await shop.until_invoice(invoice, status="paid", payment_state="exact")
                await until_waits(shop, invoice, wait)
            shop.node_key = shop.paynode("keys", "create", "--node").split()[-1]
            await shop.post("/v1/outflows/resume", key=shop.node_key)
            await shop.until_invoice(other, sweep_state="swept")
            await until_waits(shop, coded, "has_code")
            assert await units_on_chain(lab, usdt, address(coded)) == 20 * USDT


async def failures(shop: Node) -> list[str]:
    """Why items of sweeps failed."""
    items = [item for sweep in await shop.listed("sweeps") for item in sweep["items"]]
    return [item["reason"] for item in items if item["state"] == "failed"]


async def until_quiet(shop: Node, frozen: dict[str, Any] | None = None) -> None:
    """No sweep is under way, and nothing but what lies frozen waits for one."""

    async def is_quiet() -> bool:
        sweeps, deposits = await shop.listed("sweeps"), await shop.listed("deposits")
        moving = [found for found in deposits if frozen is None or found["invoice"] != frozen["id"]]
        has_ended = all(sweep["state"] in {"completed", "failed", "partially_completed"} for sweep in sweeps)
        return has_ended and all(found["sweep_state"] == "swept" for found in moving)

    await shop.until(is_quiet, "all that can be is swept")


async def test_a_seed_that_was_used_before_serves_in_a_fresh_data_dir(tmp_path: Path) -> None:
    """Its gas account has coins and a past, and so has the first address it gives out again."""
    first, fresh = tmp_path / "first", tmp_path / "fresh"
    tokens = ("eth_usdt", "eth_eth")
    async with going_chain() as (lab, usdt, receiver):
        for folder in (first, fresh):
            folder.mkdir()
            async with node(folder, lab, receiver, {"usdt": (usdt, 6)}) as shop:
                invoices = [await shop.invoice("20", method) for method in tokens]
                assert address(invoices[0]) == Seed(Secret(MNEMONIC)).address(deposit_path(0, 0))
                await lab.transfer(usdt, address(invoices[0]), 20 * USDT)
                await lab.send_native(address(invoices[1]), COIN // 100)
                for invoice in invoices:
                    await shop.until_invoice(invoice, status="paid", payment_state="exact", sweep_state="swept")
                await until_quiet(shop)
                assert (await shop.get("/v1/node", key=await node_key(shop)))["outflows"]["paused"] is False
                assert_audited(shop)
                coins = await units_on_chain(lab, None, gas_address())
                left = await units_on_chain(lab, None, address(invoices[0]))
                assert int((await booked(shop, "eth_eth"))["gas_units"]) == coins + left
        assert await units_on_chain(lab, usdt, TREASURY) == 40 * USDT


async def node_key(shop: Node) -> str:
    return shop.paynode("keys", "create", "--node").split()[-1]


async def booked(shop: Node, method: str) -> dict[str, Any]:
    """What the ledger says lies where, in one coin."""
    (found,) = [each for each in (await shop.get("/v1/balances"))["data"] if each["method"] == method]
    return dict(found)


async def test_a_minimum_holds_back_until_more_came_and_a_swept_address_is_swept_again(tmp_path: Path) -> None:
    async with going_chain() as (lab, usdt, receiver):
        sweep = 'every = "1s", min_value = "20 USD"'
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}, sweep=sweep) as shop:
            invoice = await shop.invoice("60", "eth_usdt")
            await lab.transfer(usdt, address(invoice), 5 * USDT)
            await until_waits(shop, invoice, "below_min_value")
            await lab.transfer(usdt, address(invoice), 15 * USDT)
            await shop.until_invoice(invoice, payment_state="partial", sweep_state="swept")
            await lab.transfer(usdt, address(invoice), 40 * USDT)
            await shop.until_invoice(invoice, status="paid", payment_state="exact", sweep_state="swept")
            await until_quiet(shop)
            assert sorted(sweep["net"] for sweep in await shop.listed("sweeps")) == ["20", "40"]
            await assert_books_match_chain(shop, lab, {"eth_usdt": usdt, "eth_eth": None})
