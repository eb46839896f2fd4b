"""A payer's page while a payment comes in, on a simulated chain."""

from datetime import timedelta
from pathlib import Path

from tests.api.listener import listening
from tests.api.test_server import serving
from tests.lab.simnode import SimNode, derive

from paynode.api.app import create_app
from paynode.api.node import ApiNode
from paynode.chains.sim import keys


def api_of(node: SimNode) -> ApiNode:
    return ApiNode(
        database=node.database,
        catalogue=node.catalogue,
        derive=derive,
        parse_tx_hash=lambda family, text: keys.parse_tx_hash(text),
        clock=node.clock,
        check_outbound=lambda url: None,
        version="1.2.3",
        started_at=node.clock() - timedelta(hours=1),
        health=dict,
    )


async def test_the_payer_sees_every_confirmation_until_it_is_paid(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    await node.mine()
    invoice_id = node.create("10", confirmations=4)
    async with serving(create_app(api_of(node))) as served, listening(served, f"/checkout/{invoice_id}/events") as page:
        first = await page.next()
        assert (first.data["payment_state"], first.data["deposits"]) == ("none", [])
        node.pay(invoice_id, 10 * 10**6)
        seen, status = [], "open"
        while status != "paid":
            await node.mine()
            shown = (await page.next()).data
            status = shown["status"]
            [deposit] = shown["deposits"]
            seen.append((status, deposit["confirmations"]))
        assert seen == [("confirming", 1), ("confirming", 2), ("confirming", 3), ("paid", 4)]
        assert (await page.next()).name == "end"
        assert await page.is_over()
    node.database.close()
