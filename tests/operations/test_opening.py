"""Books that begin with a past: the owner's money, the nonce that was used, and nothing twice."""

from pathlib import Path

import pytest
from tests.lab.simnode import ETHER, GAS, SimNode

from paynode.domain.chain import Books, Observation, Row, RowKind, RowSource
from paynode.domain.ledger import Account
from paynode.domain.outgoing import ForeignNonce, next_nonce
from paynode.operations.observations import apply_observation, load_books
from paynode.store import outgoing

COIN, USDT = "alpha_sim", "alpha_usdt"


@pytest.fixture
def node(tmp_path: Path) -> SimNode:
    return SimNode(tmp_path)


def books(node: SimNode) -> Books:
    return node.database.read(load_books, node.catalogue, "alpha")


def see(node: SimNode, **what: object) -> None:
    before, head = books(node), node.worlds["alpha"].head
    seen = Observation(head, None, **what)  # type: ignore[arg-type]
    node.database.write(apply_observation, node.catalogue, "alpha", before, seen, node.clock())


def begin(node: SimNode, units: int, address: str = GAS, method: str = COIN) -> int:
    """See an opening with nonce 5; returns its row's number."""
    head = node.worlds["alpha"].head
    row = Row(RowKind.ADJUSTMENT, RowSource.DRIFT, address, method, units, head)
    see(node, rows=(row,), openings={address: 5})
    [(row_id,)] = node.rows("select id from chain_rows where kind = 'adjustment' and voided_at is null")
    return int(row_id)


async def test_what_lay_on_a_gas_account_is_the_owners_and_alarms_nobody(node: SimNode) -> None:
    assert books(node).unopened == {GAS}
    row_id = begin(node, ETHER)
    assert (books(node).unopened, books(node).own_nonces) == (frozenset(), {GAS: 5})
    assert (node.pauses(), node.balance(Account.GAS, COIN)) == ([], 0)
    for _ in range(2):
        see(node, confirmed={row_id: ETHER})
        assert (node.balance(Account.GAS, COIN), node.balance(Account.OWNER, COIN)) == (ETHER, -ETHER)
    node.check()


async def test_a_nonce_beyond_the_past_is_somebody_elses(node: SimNode) -> None:
    """C12, also where nothing was ever signed: a stale copy of this database must not go on signing."""
    begin(node, ETHER)
    own_next = node.database.read(outgoing.next_own_nonce, "alpha", GAS)
    assert next_nonce(GAS, own_next=own_next, chain_pending=5) == 5
    with pytest.raises(ForeignNonce):
        next_nonce(GAS, own_next=own_next, chain_pending=6)


@pytest.mark.parametrize("is_final", [False, True])
async def test_an_opening_whose_block_left_is_made_anew(node: SimNode, is_final: bool) -> None:
    row_id = begin(node, ETHER)
    if is_final:
        see(node, confirmed={row_id: ETHER})
    see(node, voided=(row_id,))
    assert (books(node).unopened, node.balance(Account.GAS, COIN)) == ({GAS}, 0)
    node.check()
    begin(node, 2 * ETHER)
    assert books(node).unopened == frozenset()


@pytest.mark.parametrize(("method", "account"), [(COIN, Account.GAS), (USDT, Account.DEPOSITS)])
async def test_what_lay_on_a_deposit_address_is_nobodys_payment(node: SimNode, method: str, account: Account) -> None:
    await node.mine()
    invoice = node.create("10")
    row_id = begin(node, 500, node.address(invoice), method)
    see(node, confirmed={row_id: 500})
    assert (node.deposits(invoice), node.states(invoice)) == ([], ("open", "none"))
    assert node.balance(account, method) == 500
    node.check()
