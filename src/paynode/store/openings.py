"""How often an address of ours had sent before its books began."""

import json
from collections.abc import Iterable

from paynode.store.database import Tx


def add(tx: Tx, network: str, address: str, nonce: int) -> None:
    tx.run("insert or replace into openings (network, address, nonce) values (?, ?, ?)", (network, address, nonce))


def remove(tx: Tx, network: str, address: str) -> None:
    tx.run("delete from openings where network = ? and address = ?", (network, address))


def nonces(tx: Tx, network: str, addresses: Iterable[str]) -> dict[str, int]:
    """Those that are known, by address."""
    found = tx.rows(
        "select o.address, o.nonce from json_each(?) a cross join openings o on o.network = ? and o.address = a.value",
        (json.dumps(sorted(addresses)), network),
    )
    return dict(found)
