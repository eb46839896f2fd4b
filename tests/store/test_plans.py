"""How SQLite runs what the services ask all the time: by what is open, never through all that ever was."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.lab.simnode import ETHER, SimNode

from paynode.store import database

Values = Mapping[str, database.Value] | tuple[database.Value, ...]

GROWING = {"invoices", "watches", "chain_rows", "deposits", "outgoing", "sweeps", "sweep_items", "events", "deliveries"}
OPEN_ONLY = {  # partial indexes over what is not finished
    *("deposits_unfinished", "deposits_unpriced", "deposits_unswept"),
    *("outgoing_open", "sweep_items_open", "invoices_unfinished", "watches_open", "invoices_reversed"),
}


def steps_through_history(node: SimNode, sql: str, values: Values) -> list[str]:
    """The steps of a query's plan that visit every row of a growing table, or every one of a network."""
    plan = [row[3] for row in node.database.read(lambda tx: tx.rows(f"explain query plan {sql}", values))]
    table_by_alias = {alias: name for name, alias in re.findall(r"(?:from|join|update) (\w+)(?: (\w)\b)?", sql)}
    found = []
    for step in plan:
        match = re.fullmatch(r"(SCAN|SEARCH) (\w+)(?:.* INDEX (\w+))?(?:.*\((.*)\))?(?:.*)", step)
        if match is None or match[3] in OPEN_ONLY:
            continue
        is_wide = match[1] == "SCAN" or match[4] in {"network=?", "store_id=?", "rowid>?"}
        if is_wide and table_by_alias.get(match[2], match[2]) in GROWING:
            found.append(step)
    return found


async def test_no_turn_of_the_services_goes_through_the_whole_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Method: a payment's whole life, each query's plan looked at."""
    asked: dict[str, Values] = {}
    rows, row = database.Tx.rows, database.Tx.row

    def noted_rows(tx: database.Tx, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        asked[sql] = values
        return rows(tx, sql, values)

    def noted_row(tx: database.Tx, sql: str, values: Values = ()) -> tuple[Any, ...] | None:
        asked[sql] = values
        return row(tx, sql, values)

    monkeypatch.setattr(database.Tx, "rows", noted_rows)
    monkeypatch.setattr(database.Tx, "row", noted_row)
    node = SimNode(tmp_path)
    await node.mine()
    node.fund_gas()
    paid, coin = node.create("1000"), node.create("2000", methods=["alpha_sim"])
    node.pay(paid, 1000 * 10**6)
    node.pay(coin, ETHER, "alpha_sim")
    await node.turn(20)
    monkeypatch.undo()
    assert {item.state for item in node.items()} == {"completed"}
    wide = {sql: steps for sql, values in asked.items() if (steps := steps_through_history(node, sql, values))}
    assert wide == {}
