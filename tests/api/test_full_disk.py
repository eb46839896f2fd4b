"""A disk that is full: what is known is still told, what cannot be stored is refused with a reason."""

from tests.api.conftest import Api, World


def fill(world: World) -> None:
    """SQLite may not take another page, which is what a full disk is to it."""
    connection = world.shop.database._connection
    connection.execute("create table filler (content blob)").fetchall()
    pages = connection.execute("pragma page_count").fetchone()
    assert pages is not None
    connection.execute(f"pragma max_page_count = {pages[0]}").fetchall()


async def test_a_full_disk_refuses_what_it_cannot_store_and_tells_the_rest(world: World, api: Api) -> None:
    known = await api.invoice()
    fill(world)
    refused = []
    while not refused:  # until the last page is used up
        reply = await api.post("/v1/invoices", {"amount": "20", "currency": "USD", "description": "x" * 500})
        refused = [reply] if reply.status != 201 else []
    (reply,) = refused
    assert (reply.status, reply.json["code"]) == (503, "storage_unavailable")
    assert int(reply.headers["Retry-After"]) > 0
    assert (await api.get(f"/v1/invoices/{known['id']}")).status == 200
    world.shop.database._connection.execute("pragma max_page_count = 1000000").fetchall()
    await api.invoice()
