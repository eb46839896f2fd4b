"""Money that goes without us, and transfers that bring less than they say: booked as it is, loudly."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.lab.simnode import ETHER, SimNode

from paynode.config import CustodyMode
from paynode.domain.chain import Observation, Row, RowKind, RowSource
from paynode.domain.ledger import Account
from paynode.operations.observations import apply_observation, load_books

USDT = "alpha_usdt"
UNITS = 10_000_000


@pytest.fixture
def node(tmp_path: Path) -> SimNode:
    return SimNode(tmp_path)


def see(node: SimNode, **what: object) -> None:
    """Let the scanner store this sight of the head, and nothing else."""
    books = node.database.read(load_books, node.catalogue, "alpha")
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


async def test_an_address_with_code_stops_everything_once_and_is_never_collected_again(node: SimNode) -> None:
    node.fund_gas()
    coded, other = await paid(node), await paid(node)
    for _ in range(2):
        see(node, coded=frozenset({node.address(coded)}))
        assert node.pauses() == [("alpha", "")]
    await node.plan()
    assert [node.deposits(invoice)[0].sweep_wait for invoice in (coded, other)] == ["has_code", "outflows_paused"]
    node.resume()
    await node.plan()
    assert node.pauses() == []
    assert node.deposits(coded)[0].sweep_wait == "has_code"
    assert node.deposits(other)[0].sweep_state == "scheduled"


async def test_under_watch_the_merchant_may_give_an_address_code(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    custody = replace(node.config.custody, mode=CustodyMode.WATCH)
    node.config = replace(node.config, custody=custody)
    node.restart()
    invoice = await paid(node)
    see(node, coded=frozenset({node.address(invoice)}))
    assert node.pauses() == []


async def test_what_the_merchant_collects_by_hand_is_no_loss_to_a_node_that_only_watches(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    under_watch(node)
    invoice = await paid(node)
    collected = replace(
        drift(node, invoice, 0), kind=RowKind.OUT, source=RowSource.LOG, units=UNITS, tx_hash="0xwallet", log_index=0
    )
    see(node, rows=(collected,))
    (row_id,) = row_ids(node, RowKind.OUT)
    see(node, confirmed={row_id: UNITS})
    assert node.pauses() == []
    assert (node.balance(Account.OWNER, USDT), node.balance(Account.REVERSED, USDT)) == (UNITS, 0)
    assert collection(node, invoice) == [("swept", None)]
    assert node.invoice(invoice).record.sweep_state == "swept"
    node.check()


async def settle_loss(node: SimNode, row: Row) -> int:
    """Let the row be seen and become final; returns its number."""
    see(node, rows=(row,))
    (row_id,) = row_ids(node, row.kind)
    see(node, confirmed={row_id: row.units})
    node.resume()
    return row_id


def take(node: SimNode, invoice: str, units: int) -> None:
    """What an issuer does without a transfer."""
    node.worlds["alpha"]._past.state.units_by_method[node.address(invoice)][USDT] -= units


def collection(node: SimNode, invoice: str) -> list[tuple[str, str | None]]:
    return [(each.sweep_state, each.sweep_wait) for each in node.deposits(invoice)]


async def test_a_wiped_deposit_is_lost_for_good_and_says_so(node: SimNode) -> None:
    """Its money is gone: nobody tries to collect it, and nobody waits for it, until late evidence brings it back."""
    invoice = await paid(node)
    row_id = await settle_loss(node, drift(node, invoice, 10_000_000))
    assert collection(node, invoice) == [("failed", "lost")]
    assert node.invoice(invoice).record.sweep_state == "failed"
    await node.plan()
    assert (collection(node, invoice), node.sweeps()) == ([("failed", "lost")], [])
    node.check()
    see(node, dropped=(row_id,))
    assert collection(node, invoice) == [("unswept", None)]
    node.check()


async def test_of_a_deposit_that_lost_a_part_the_rest_is_collected(node: SimNode) -> None:
    node.fund_gas()
    invoice = await paid(node)
    take(node, invoice, 4)
    await settle_loss(node, drift(node, invoice, 4))
    await node.turn(9)
    assert collection(node, invoice) == [("swept", None)]
    assert [(item.units, item.moved) for item in node.items()] == [(9_999_996, 9_999_996)]
    assert (node.balance(Account.DEPOSITS, USDT), node.balance(Account.REVERSED, USDT)) == (0, 4)
    node.check()


async def test_an_address_whose_deposit_is_lost_is_not_looked_at_for_ever(node: SimNode) -> None:
    invoice = await paid(node)
    assert node.address(invoice) in watched(node)
    take(node, invoice, UNITS)
    await settle_loss(node, drift(node, invoice, UNITS))
    await pass_by(node)
    assert node.address(invoice) not in watched(node)


async def test_an_address_under_watch_is_not_looked_at_for_ever(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    under_watch(node)
    invoice = await paid(node)
    await node.plan()
    assert collection(node, invoice) == [("unswept", "watch_only")]
    await pass_by(node)
    assert node.address(invoice) not in watched(node)


async def pass_by(node: SimNode) -> None:
    """The time of every watch and every row."""
    node.clock.advance(timedelta(days=8))
    await node.mine(node.catalogue.networks["alpha"].reorg_horizon + 2, "alpha")


def watched(node: SimNode) -> set[str]:
    return {watch.address for watch in node.database.read(load_books, node.catalogue, "alpha").watches}


def under_watch(node: SimNode) -> None:
    custody = replace(node.catalogue.config.custody, mode=CustodyMode.WATCH)
    node.catalogue = replace(node.catalogue, config=replace(node.catalogue.config, custody=custody))


async def test_coins_that_the_merchant_collects_by_hand_are_no_loss_either(tmp_path: Path) -> None:
    """No log tells of coins: a fall is all that shows, and nobody but who has the key makes them fall."""
    node = SimNode(tmp_path)
    under_watch(node)
    await node.mine()
    invoice = node.create("10", methods=["alpha_sim"])
    node.pay(invoice, ETHER, "alpha_sim")
    await node.mine(15)
    fall = replace(drift(node, invoice, ETHER), method="alpha_sim")
    see(node, rows=(fall,))
    assert node.pauses() == []
    (row_id,) = row_ids(node, RowKind.ADJUSTMENT)
    see(node, confirmed={row_id: -ETHER})
    assert collection(node, invoice) == [("swept", None)]
    assert node.balance(Account.OWNER, "alpha_sim") == ETHER
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
