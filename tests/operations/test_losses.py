"""Money that goes without us, and transfers that bring less than they say: booked as it is, loudly."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.lab.simnode import SimNode

from paynode.config import CustodyMode
from paynode.domain.chain import Observation, Row, RowKind, RowSource
from paynode.domain.ledger import Account
from paynode.operations.observations import apply_observation, load_books

USDT = "alpha_usdt"


@pytest.fixture
def node(tmp_path: Path) -> SimNode:
    return SimNode(tmp_path)


def see(node: SimNode, **what: object) -> None:
    """Let the scanner store this sight of the head, and nothing else."""
    books = node.database.read(load_books, node.catalogue, "alpha", node.clock())
    disputes = dict(books.disputes)
    seen = Observation(node.worlds["alpha"].head, None, disputes=disputes, **what)  # type: ignore[arg-type]
    node.database.write(apply_observation, node.catalogue, "alpha", books, seen, node.clock())


def row_ids(node: SimNode, kind: RowKind) -> list[int]:
    return [id_ for (id_,) in node.rows("select id from chain_rows where kind = ? order by id", (kind,))]


async def paid(node: SimNode, units: int = 10_000_000) -> str:
    await node.mine()
    invoice = node.create("10")
    node.pay(invoice, units)
    while node.deposits(invoice)[:1] == [] or node.deposits(invoice)[0].stage != "settled":
        await node.mine()
    return invoice


def drift(node: SimNode, invoice: str, units: int) -> Row:
    head = node.worlds["alpha"].head
    return Row(RowKind.ADJUSTMENT, RowSource.DRIFT, node.address(invoice), USDT, -units, head)


async def test_an_adjustment_pauses_outflows_at_once_and_is_booked_when_it_is_final(node: SimNode) -> None:
    invoice = await paid(node)
    see(node, rows=(drift(node, invoice, 4),))
    assert node.pauses() == [("alpha", USDT)]
    assert node.balance(Account.DEPOSITS, USDT) == 10_000_000
    node.check()
    (row_id,) = row_ids(node, RowKind.ADJUSTMENT)
    for _ in range(2):
        see(node, confirmed={row_id: -4})
        assert node.balance(Account.DEPOSITS, USDT) == 9_999_996
        assert node.balance(Account.REVERSED, USDT) == 4
        node.check()
    assert node.states(invoice)[0] == "paid"


@pytest.mark.parametrize("is_final", [False, True])
async def test_an_adjustment_that_is_cancelled_leaves_no_trace_in_the_balances(node: SimNode, is_final: bool) -> None:
    invoice = await paid(node)
    see(node, rows=(drift(node, invoice, 4),))
    (row_id,) = row_ids(node, RowKind.ADJUSTMENT)
    if is_final:
        see(node, confirmed={row_id: -4})
    see(node, dropped=(row_id,))
    assert node.balance(Account.DEPOSITS, USDT) == 10_000_000
    assert node.balance(Account.REVERSED, USDT) == 0
    node.check()


async def test_tokens_that_a_stranger_takes_are_booked_as_lost(node: SimNode) -> None:
    invoice = await paid(node)
    theft = replace(
        drift(node, invoice, 4), kind=RowKind.OUT, source=RowSource.LOG, units=4, tx_hash="0xtheft", log_index=0
    )
    see(node, rows=(theft,))
    (row_id,) = row_ids(node, RowKind.OUT)
    assert node.pauses() == [("alpha", "")], "who has one key may have all"
    see(node, confirmed={row_id: 4})
    assert node.balance(Account.REVERSED, USDT) == 4
    node.check()
    see(node, voided=(row_id,))
    assert node.balance(Account.REVERSED, USDT) == 0
    node.check()


async def test_what_the_merchant_collects_by_hand_is_no_loss_to_a_node_that_only_watches(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    custody = replace(node.catalogue.config.custody, mode=CustodyMode.WATCH)
    node.catalogue = replace(node.catalogue, config=replace(node.catalogue.config, custody=custody))
    invoice = await paid(node)
    collected = replace(
        drift(node, invoice, 4), kind=RowKind.OUT, source=RowSource.LOG, units=4, tx_hash="0xwallet", log_index=0
    )
    see(node, rows=(collected,))
    (row_id,) = row_ids(node, RowKind.OUT)
    see(node, confirmed={row_id: 4})
    assert node.pauses() == []
    assert (node.balance(Account.OWNER, USDT), node.balance(Account.REVERSED, USDT)) == (4, 0)
    node.check()


async def test_a_deposit_that_brought_less_is_worth_less_and_pays_less(node: SimNode) -> None:
    await node.mine()
    invoice = node.create("10")
    node.pay(invoice, 10_000_000)
    await node.mine()
    (row_id,) = row_ids(node, RowKind.IN)
    see(node, credits={row_id: 9_000_000})
    [deposit] = node.deposits(invoice)
    assert (deposit.units, deposit.worth) == (9_000_000, 9)
    assert node.states(invoice) == ("open", "partial")
    see(node, credits={row_id: 9_000_000}, confirmed={row_id: 9_000_000})
    assert node.balance(Account.DEPOSITS, USDT) == 9_000_000
    assert node.states(invoice) == ("open", "partial")
