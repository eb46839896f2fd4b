"""Addresses that serve one invoice after another, on a real chain: late money before and after a turn (I9, A14)."""

from collections import Counter
from pathlib import Path
from typing import Any

from tests.faults.checker import until_quiet
from tests.faults.test_spine import address
from tests.faults.test_time import MINUTE, Shop, shop_with_clock
from tests.lab.books import assert_books_match_chain

REUSE = {"mode": "reuse", "rest": "10m"}
ENDED_AND_RESTED = 20 * MINUTE


async def test_late_money_on_a_reused_address_counts_for_whom_the_design_says(tmp_path: Path) -> None:
    """Method: the holders before are one that paid, and pays more, and one that pays when it is too late."""
    async with shop_with_clock(tmp_path) as shop:
        paid, unpaid = [await ordered(shop, dollars, expires_in=5 * MINUTE) for dollars in (20, 30)]
        await shop.pay(paid, 20)
        await shop.node.until_invoice(paid, status="paid", sweep_state="swept")
        shop.set_clock(ENDED_AND_RESTED)
        await shop.lab.rpc("evm_increaseTime", ENDED_AND_RESTED)
        await shop.node.until_invoice(unpaid, status="expired")
        await shop.pay(paid, 5)
        await shop.node.until_invoice(paid, late=True, amount_confirmed="25.00", sweep_state="swept")
        await until_quiet(shop.node)

        second, third = [await ordered(shop, dollars, expires_in=60 * MINUTE) for dollars in (40, 50)]
        assert (address(second), address(third)) == (address(paid), address(unpaid))
        turns = [
            each["data"]["object"] for each in await shop.node.all_of("events") if each["type"] == "address.reused"
        ]
        assert [(each["previous_invoice"], each["invoice"]) for each in turns] == [
            (paid["id"], second["id"]),
            (unpaid["id"], third["id"]),
        ]
        await shop.pay(paid, 6)  # which owes nothing: it can only be for the next
        await shop.pay(unpaid, 30)  # which may be paid late still, and the next asks for another amount
        await shop.pay(second, 34)
        await shop.pay(third, 50)
        for invoice in (second, third):
            await shop.node.until_invoice(invoice, status="paid", payment_state="exact", sweep_state="swept")
        await until_quiet(shop.node)

        deposits = await shop.node.all_of("deposits")
        assert Counter((each["invoice"], each["amount"], each["late"]) for each in deposits) == Counter(
            [
                (paid["id"], "20", False),
                (paid["id"], "5", True),
                (second["id"], "6", False),
                (second["id"], "34", False),
                (third["id"], "50", False),
                (None, "30", False),
            ]
        )
        assert (await shop.node.seen(unpaid))["status"] == "expired"
        await assert_books_match_chain(shop.node, shop.lab, {"eth_usdt": shop.usdt})


async def ordered(shop: Shop, dollars: int, *, expires_in: int) -> dict[str, Any]:
    return await shop.node.invoice(str(dollars), "eth_usdt", expires_in=expires_in, address_policy=REUSE)
