"""How far each store's branch of the key tree is used: what a wallet must search to find all that was paid."""

from paynode.operations.views.shapes import View
from paynode.store import stores
from paynode.store.database import Tx


class BranchView(View, frozen=True):
    store: str
    family: str
    account: int
    highest_index: int | None  # of the newest deposit address; null: none was issued


def branches(tx: Tx) -> list[BranchView]:
    store_by_account = {record.account: record.id for record in stores.all_stores(tx)}
    return [
        BranchView(
            store=store_by_account[record.account],
            family=record.family,
            account=record.account,
            highest_index=record.next_index - 1 if record.next_index else None,
        )
        for record in stores.accounts(tx)
        if record.account in store_by_account
    ]
