"""The node's books held against the chain, read directly and never through the node."""

from collections.abc import Mapping, Sequence

from tests.lab.client import Deployed, Lab
from tests.lab.node import TREASURY, Node, gas_address

from paynode.config import load_config
from paynode.operations.audit import audit
from paynode.operations.catalogue import build
from paynode.store import database as databases


async def units_on_chain(lab: Lab, token: Deployed | None, address: str) -> int:
    """What lies on an address; `token` None: native coins."""
    if token is None:
        return int(await lab.rpc("eth_getBalance", address, "latest"), 16)
    return int(await lab.read(token, "balanceOf", address))


async def assert_books_match_chain(
    shop: Node,
    lab: Lab,
    token_by_method: Mapping[str, Deployed | None],
    *,
    treasuries: Sequence[str] = (TREASURY,),
) -> None:
    """Once all is quiet: the treasuries hold what we say was swept, our addresses what we say lies there."""
    invoices = await shop.all_of("invoices")
    addresses = {method["address"] for invoice in invoices for method in invoice["methods"] if method["address"]}
    balances = {balance["method"]: balance for balance in (await shop.get("/v1/balances"))["data"]}
    for method, token in token_by_method.items():
        booked = balances[method]
        in_treasury = sum([await units_on_chain(lab, token, treasury) for treasury in treasuries])
        assert in_treasury == int(booked["swept_units"]), f"{method} in the treasury"
        ours = [await units_on_chain(lab, token, address) for address in (*addresses, gas_address())]
        held = sum(int(booked[f"{account}_units"]) for account in ("deposits", "in_transit", "gas"))
        assert sum(ours) == held, f"{method} on our addresses"
    assert_audited(shop)


def assert_audited(shop: Node) -> None:
    """The ledger balances, and rests on the rows."""
    config = load_config(shop.config, environ=shop.env)
    database = databases.open(config.node.database)
    try:
        found = database.read(audit, build(config, {}, {}))
        assert found == [], found
    finally:
        database.close()
