"""Books that begin with a past: the owner's money, the nonce that was used, and nothing twice."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.lab.simnode import ETHER, GAS, SimNode

from paynode.domain.chain import Books, Observation, Row, RowKind, RowSource
from paynode.domain.ledger import Account
from paynode.domain.outgoing import ForeignNonce, Purpose, State, next_nonce
from paynode.operations.observations import apply_observation, load_books
from paynode.store import openings, outgoing
from paynode.store.database import Tx
from paynode.store.outgoing import OutgoingRecord
from paynode.store.records import Units

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


async def test_an_accounts_next_nonce_is_that_after_ours_or_what_its_books_begin_with(node: SimNode) -> None:
    begin(node, ETHER)

    def told(signed: Mapping[int, State]) -> Mapping[str, int]:
        """With GAS having signed these since, beside an address with a past and two without."""

        def ask(tx: Tx) -> Mapping[str, int]:
            openings.add(tx, "alpha", "used", 7)
            for nonce, state in signed.items():
                ended = OutgoingRecord(
                    id=f"txn_{nonce:02}",
                    network="alpha",
                    store_id=node.store_id,
                    purpose=Purpose.TOP_UP,
                    state=state,
                    sender=GAS,
                    key_path="m",
                    recipient="0x01",
                    method=COIN,
                    units=Units(1),
                    empties_sender=False,
                    created_at=node.clock(),
                    updated_at=node.clock(),
                    nonce=nonce,
                )
                outgoing.add(tx, ended)
            return outgoing.next_unfinal_nonces(tx, "alpha", [GAS, "used", "new"])

        return node.database.write(ask)

    assert told({}) == {GAS: 5, "used": 7}
    assert told({5: State.CONFIRMED, 9: State.REVERTED}) == {GAS: 10, "used": 7}
    assert told({10: State.BROADCAST, 11: State.SIGNED}) == {GAS: 10, "used": 7}
    assert node.database.read(outgoing.next_own_nonce, "alpha", GAS) == 12
    assert node.database.read(outgoing.next_own_nonce, "alpha", "new") is None


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
