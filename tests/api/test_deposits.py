"""Deposits over HTTP: unattributed money is found, shown to its merchant only, and assigned once."""

from tests.api.conftest import Api, World
from tests.lab.shop import NOW

from paynode.domain.chain import BlockRef, Observation, Row, RowKind, RowSource
from paynode.operations.observations import apply_observation, load_books

BLOCK = BlockRef(11, "0xbb", NOW)
DOLLAR = 10**6


def arrive(world: World, address: str, method: str, units: int = 20 * DOLLAR, log_index: int = 0) -> None:
    """A transfer is in a block, and the scanner has stored it."""
    database, catalogue, now = world.shop.database, world.shop.catalogue, world.clock()
    row = Row(RowKind.IN, RowSource.LOG, address, method, units, BLOCK, "0xcc", log_index, sender="0xdd")
    books = database.read(load_books, catalogue, "sim")
    database.write(apply_observation, catalogue, "sim", books, Observation(BLOCK, BLOCK, rows=(row,)), now)


async def stray(world: World, api: Api) -> tuple[str, str]:
    """The ids of an invoice in one coin and of a deposit to its address in another."""
    invoice = await api.invoice(methods=["sim_usdt"], provision=True)
    arrive(world, invoice["methods"][0]["address"], "sim_sim")
    [deposit] = (await api.get("/v1/deposits", unattributed="true")).json["data"]
    return invoice["id"], deposit["id"]


async def test_unattributed_money_names_the_invoice_whose_address_it_came_to(world: World, api: Api) -> None:
    invoice_id, deposit_id = await stray(world, api)
    shown = (await api.get(f"/v1/deposits/{deposit_id}")).json
    assert (shown["invoice"], shown["address_invoice"], shown["method"]) == (None, invoice_id, "sim_sim")
    assert (await api.get("/v1/deposits", invoice=invoice_id)).json["data"] == []


async def test_the_deposits_of_an_invoice_are_listed_in_pages_the_newest_first(world: World, api: Api) -> None:
    invoice = await api.invoice(amount=None, type="reusable", methods=["sim_usdt"], provision=True)
    for units in (1, 2, 3):
        arrive(world, invoice["methods"][0]["address"], "sim_usdt", units, log_index=units)
    path = f"/v1/invoices/{invoice['id']}/deposits"
    first = (await api.get(path, limit="2")).json
    assert [each["amount_units"] for each in first["data"]] == ["3", "2"]
    rest = (await api.get(path, limit="2", starting_after=first["next_cursor"])).json
    assert ([each["amount_units"] for each in rest["data"]], rest["has_more"]) == (["1"], False)
    shown = (await api.get(f"/v1/invoices/{invoice['id']}")).json
    assert shown["deposit_count"] == 3
    assert shown["deposits"] == [*rest["data"], *reversed(first["data"])]


async def test_it_is_assigned_once_and_the_payer_learns_nothing_of_other_invoices(world: World, api: Api) -> None:
    _, deposit_id = await stray(world, api)
    meant = await api.invoice(methods=["sim_usdt"])
    path = f"/v1/deposits/{deposit_id}/assign"
    assigned = await api.post(path, {"invoice": meant["id"]}, named="assign-1")
    assert (assigned.status, assigned.json["invoice"]) == (200, meant["id"])
    assert assigned.json == (await api.get(f"/v1/deposits/{deposit_id}")).json
    again = await api.post(path, {"invoice": meant["id"]}, named="assign-1")
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await api.invoice()
    refused = await api.post(path, {"invoice": other["id"]})
    assert (refused.status, refused.json["code"]) == (409, "deposit_assigned")
    [shown] = (await Api(world.app, None).get(f"/checkout/{meant['id']}")).json["deposits"]
    assert "address_invoice" not in shown


async def test_a_price_in_a_coin_is_reckoned_and_shown_to_its_smallest_part(world: World, api: Api) -> None:
    invoice = await api.invoice(amount="0.300000000000000003", currency="SIM", methods=["sim_sim"], provision=True)
    method = invoice["methods"][0]
    assert (method["amount"], invoice["amount_due"], invoice["amount_paid"]) == (invoice["amount"],) * 2 + ("0",)
    arrive(world, method["address"], "sim_sim", 10**17 + 1)
    seen = (await api.get(f"/v1/invoices/{invoice['id']}")).json
    assert (seen["amount_paid"], seen["amount_due"]) == ("0.100000000000000001", "0.200000000000000002")
    assert seen["methods"][0]["amount_due_units"] == str(2 * 10**17 + 2)
    assert seen["deposits"][0]["value"] == "0.100000000000000001"


async def test_nobody_else_assigns_it(world: World, api: Api) -> None:
    invoice_id, deposit_id = await stray(world, api)
    path = f"/v1/deposits/{deposit_id}/assign"
    stranger = world.caller_of_other_store()
    theirs = await stranger.invoice()
    assert (await stranger.post(path, {"invoice": theirs["id"]})).status == 404
    assert (await api.post(path, {"invoice": theirs["id"]})).status == 404
    reader = world.caller("deposits:read")
    assert (await reader.post(path, {"invoice": invoice_id})).json["code"] == "forbidden"
    assert list((await api.post(path, {})).problems) == ["/invoice"]
