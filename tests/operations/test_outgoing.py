"""What we send: signed bytes are stored before they are seen; what is unclear is resolved by hash (I11, C1, C2)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.lab.simnode import ETHER, GAS, TREASURY, SimNode

from paynode.chains.base import Outgoing, PlannedTx, Refused, SignedTx, Unavailable
from paynode.chains.sim import keys, wallet
from paynode.domain.ledger import Account
from paynode.domain.outgoing import BumpPolicy, State
from paynode.domain.sweep import TOP_UP_MARGIN
from paynode.operations import outgoing as operations
from paynode.operations import pace
from paynode.operations.outflows import pause
from paynode.operations.outgoing import Clearance, Work
from paynode.services.sender import RESEND_AFTER
from paynode.store.database import Tx
from paynode.store.outgoing import OutgoingRecord

FINNEY = 10**15
STUCK = timedelta(minutes=3)
MALLORY = "sim1" + "66" * 20


async def planned(node: SimNode, method: str = "alpha_sim") -> OutgoingRecord:
    """A planned transaction: of coins the sweep itself, of a token the loan before it."""
    invoice_id = node.create("100", methods=[method])
    node.pay(invoice_id, 50 * FINNEY if method == "alpha_sim" else 100 * 10**6, method)
    await node.mine(3)
    await node.plan()
    [work] = node.database.read(operations.items_to_move, node.catalogue, "alpha")
    plan_next(node, work)
    return node.outgoing()[-1]


def plan_next(node: SimNode, work: Work) -> None:
    """Plan what the sender would plan, and sign nothing."""
    if work.is_native:
        node.database.write(operations.plan_transfer, work, node.clock())
    else:
        lent = TOP_UP_MARGIN * node.worlds["alpha"].fee_units
        node.database.write(operations.plan_top_up, node.catalogue, work, lent, node.clock())


def only(node: SimNode) -> OutgoingRecord:
    [record] = node.outgoing()
    return record


def drop(node: SimNode) -> None:
    """Every node of the network forgets what waits."""
    node.worlds["alpha"]._past.mempool.clear()


class Line:
    """What becomes of bytes on their way to the network."""

    def __init__(self, node: SimNode, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[bytes] = []
        self.stored_before: list[bool] = []
        self.fails_before: BaseException | None = None
        self.fails_after: BaseException | None = None
        network = node.chains["alpha"]
        self._node, self._broadcast = node, network.broadcast
        monkeypatch.setattr(network, "broadcast", self.broadcast)

    async def broadcast(self, signed: SignedTx) -> None:
        self.sent.append(signed.raw)
        stored = self._node.rows(
            "select 1 from outgoing_versions where tx_hash = ? and raw is not null", (signed.tx_hash,)
        )
        self.stored_before.append(bool(stored))
        if self.fails_before is not None:
            raise self.fails_before
        await self._broadcast(signed)
        if self.fails_after is not None:
            raise self.fails_after


@pytest.fixture
def line(node: SimNode, monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(node, monkeypatch)


async def test_bytes_are_in_the_file_before_anybody_sees_them(node: SimNode, line: Line) -> None:
    await planned(node)
    await node.send()
    assert line.stored_before == [True]
    assert node.passed == ["before broadcast", "after broadcast"]


async def test_bytes_that_did_not_get_out_are_sent_again_and_never_others(node: SimNode, line: Line) -> None:
    await planned(node)
    line.fails_before = Unavailable("connection refused")
    await node.send()
    assert only(node).state is State.SIGNED
    node.restart()
    line.fails_before = None
    await node.send()
    assert only(node).state is State.BROADCAST
    assert line.sent[0] == line.sent[1]
    await node.turn(6)
    assert only(node).state is State.CONFIRMED
    node.check_settled()


async def test_an_answer_that_got_lost_is_found_by_hash(node: SimNode, line: Line) -> None:
    """C1: the bytes were taken, the reply was not heard, the process died, the block came."""
    await planned(node)
    line.fails_after = Unavailable("timeout")
    await node.send()
    assert only(node).state is State.SIGNED
    node.restart()
    await node.mine(1)
    line.fails_after = None
    await node.turn(6)
    assert only(node).state is State.CONFIRMED
    assert len(line.sent) == 1
    node.check_settled()


async def test_what_is_known_as_pending_is_not_sent_again(node: SimNode, line: Line) -> None:
    await planned(node)
    await node.send()
    node.clock.advance(RESEND_AFTER)
    await node.send()
    assert len(line.sent) == 1


async def test_what_the_network_forgot_is_sent_again_after_a_while(node: SimNode, line: Line) -> None:
    await planned(node)
    await node.send()
    drop(node)
    await node.send()
    assert len(line.sent) == 1
    node.clock.advance(RESEND_AFTER)
    await node.send()
    assert line.sent[0] == line.sent[1]


async def test_a_signature_that_was_not_committed_was_never_seen(node: SimNode, line: Line) -> None:
    record = await planned(node)

    def broken(tx: Tx) -> None:
        operations.record_signed(tx, node.catalogue, record.id, plan, SignedTx(b"bytes", "0x01"), node.clock())
        raise OSError("no space left on device")

    plan = PlannedTx(record.sender, 0, "{}", 1, 1)
    with pytest.raises(OSError, match="no space"):
        node.database.write(broken)
    assert only(node).state is State.PLANNED
    assert node.versions(record.id) == []
    await node.turn(6)
    assert only(node).nonce == 0
    node.check_settled()


async def test_what_is_stuck_gets_a_higher_fee_under_the_same_nonce(node: SimNode, line: Line) -> None:
    record = await planned(node)
    await node.send()
    node.worlds["alpha"].gas_price = 10 * node.worlds["alpha"].gas_price
    await node.mine(2)
    node.clock.advance(STUCK)
    await node.send()
    first, second = node.versions(record.id)
    assert second.fee_limit > first.fee_limit
    assert {wallet.read(raw).nonce for raw in line.sent} == {0}
    await node.turn(6)
    assert only(node).receipt_hash == second.tx_hash
    assert node.worlds["alpha"].units(TREASURY, "alpha_sim") == 50 * FINNEY - second.fee_limit
    node.check_settled()


async def test_an_older_version_that_is_mined_ends_it_as_well(node: SimNode, line: Line) -> None:
    record = await planned(node)
    await node.send()
    node.clock.advance(STUCK)
    line.fails_before = Unavailable("timeout")  # the raised version stays with us
    await node.send()
    assert len(node.versions(record.id)) == 2
    line.fails_before = None
    await node.turn(6)
    assert only(node).receipt_hash == node.versions(record.id)[0].tx_hash
    node.check_settled()


async def test_fees_are_raised_a_bounded_number_of_times(node: SimNode) -> None:
    record = await planned(node)
    await node.send()
    for _ in range(12):
        drop(node)
        node.clock.advance(STUCK)
        await node.send()
    assert len(node.versions(record.id)) == BumpPolicy().versions_max


async def test_a_fee_that_cannot_be_raised_leaves_the_bytes_as_they_are(
    node: SimNode, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await planned(node)
    await node.send()
    drop(node)

    async def poor(planned: PlannedTx) -> PlannedTx:
        raise Refused("the sender cannot pay that much")

    monkeypatch.setattr(node.chains["alpha"], "bump", poor)
    node.clock.advance(STUCK)
    await node.send()
    assert len(node.versions(record.id)) == 1
    assert line.sent[0] == line.sent[1]


async def test_a_pause_stops_what_is_planned_and_not_what_is_out(node: SimNode) -> None:
    await planned(node)
    node.database.write(pause, node.catalogue, "alpha", "alpha_sim", "a test", node.clock())
    await node.turn(3)
    assert only(node).state is State.PLANNED
    node.resume()
    await node.send()
    node.database.write(pause, node.catalogue, "alpha", "", "a test", node.clock())
    await node.turn(3)
    assert only(node).state is State.CONFIRMED


async def test_what_is_paused_or_stuck_is_hurried_for_an_hour(node: SimNode) -> None:
    """A pause may last for days, and each look costs calls."""

    def is_urgent() -> bool:
        return node.database.read(pace.is_urgent, "alpha", node.clock())

    await planned(node)
    node.database.write(pause, node.catalogue, "alpha", "", "a test", node.clock())
    assert is_urgent()
    node.clock.advance(pace.MOVING + STUCK)
    assert not is_urgent()
    node.resume()
    await node.send()
    assert is_urgent()
    node.clock.advance(pace.MOVING + STUCK)
    assert not is_urgent()
    assert only(node).state is State.BROADCAST


async def test_a_pause_of_a_token_stops_the_loans_for_it(node: SimNode) -> None:
    await planned(node, "alpha_usdt")
    node.database.write(pause, node.catalogue, "alpha", "alpha_usdt", "a test", node.clock())
    await node.turn(3)
    assert only(node).state is State.PLANNED


async def test_a_pause_that_comes_while_a_plan_is_prepared_stops_it(
    node: SimNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    await planned(node)
    network = node.chains["alpha"]
    prepare = network.prepare

    async def slow(wanted: Outgoing, nonce: int) -> PlannedTx:
        node.database.write(pause, node.catalogue, "alpha", "", "a test", node.clock())
        return await prepare(wanted, nonce)

    monkeypatch.setattr(network, "prepare", slow)
    await node.send()
    assert (only(node).state, only(node).nonce) == (State.PLANNED, None)


@pytest.mark.parametrize(
    "edit",
    [
        "update treasuries set address = ?",  # the database alone
        "update outgoing set recipient = ?",
        "update sweeps set treasury = ?",
    ],
)
async def test_nothing_goes_to_an_address_that_the_config_does_not_name(node: SimNode, edit: str) -> None:
    invoice_id = node.create("100", methods=["alpha_sim"])
    node.pay(invoice_id, 50 * FINNEY, "alpha_sim")
    await node.mine(3)
    await node.plan()
    if "outgoing" in edit:
        [work] = node.database.read(operations.items_to_move, node.catalogue, "alpha")
        plan_next(node, work)
    node.run(edit, (MALLORY,))
    await node.send()
    record = node.outgoing()[0]
    assert (record.state, record.reason) == (State.FAILED, "treasury_changed")
    assert node.worlds["alpha"].units(MALLORY, "alpha_sim") == 0


async def test_a_loan_goes_to_no_other_address(node: SimNode) -> None:
    await planned(node, "alpha_usdt")
    node.run("update outgoing set recipient = ?", (MALLORY,))
    await node.send()
    assert node.outgoing()[0].state is State.FAILED
    await node.mine(2)
    assert node.worlds["alpha"].units(MALLORY, "alpha_sim") == 0


async def test_somebody_else_who_signs_for_our_account_stops_all_outflows(node: SimNode) -> None:
    """C12: a copy of this node, or a thief, has used the gas station's next nonce."""
    await planned(node, "alpha_usdt")
    await node.turn(8)
    await planned(node, "alpha_usdt")
    world = node.worlds["alpha"]
    coin, fee, nonce = node.catalogue.native("alpha"), world.fee_units, world.nonce(GAS)
    theft = wallet.plan(Outgoing(GAS, MALLORY, coin, 1, empties_sender=False), nonce, fee)
    await node.chains["alpha"].broadcast(wallet.sign(theft, keys.private_key(keys.gas_path(0))))
    world.mine()
    await node.send()
    assert node.pauses() == [("alpha", "")]
    assert node.outgoing()[-1].state is State.PLANNED


async def test_two_loans_are_not_made_of_the_same_coins(node: SimNode) -> None:
    world = node.worlds["alpha"]
    invoices = [node.create("100") for _ in range(2)]
    for invoice_id in invoices:
        node.pay(invoice_id, 100 * 10**6)
    await node.mine(3)
    await node.plan()
    world._past.state.units_by_method[GAS]["alpha_sim"] = 4 * world.fee_units
    await node.send()
    await node.send()
    assert sorted(record.state for record in node.outgoing()) == ["broadcast", "planned"]
    reasons = {item.reason is not None and "needed" in item.reason for item in node.items()}
    assert reasons == {True, False}
    world._past.state.units_by_method[GAS]["alpha_sim"] = 10 * ETHER


async def test_a_loan_that_left_the_chain_is_waited_for(node: SimNode) -> None:
    await planned(node, "alpha_usdt")
    await node.send()
    await node.mine()
    world = node.worlds["alpha"]
    world.reorg(1, keep=False)
    await node.look()
    await node.send()
    assert [record.purpose for record in node.outgoing()] == ["top_up"]
    node.clock.advance(RESEND_AFTER)
    await node.turn(10)
    assert [record.state for record in node.outgoing()] == ["confirmed", "confirmed"]
    node.check_settled()


async def test_a_transfer_whose_loan_left_the_chain_is_mined_in_the_end(node: SimNode) -> None:
    await planned(node, "alpha_usdt")
    await node.send()
    await node.mine()
    await node.send()
    assert [record.state for record in node.outgoing()] == ["broadcast", "broadcast"]
    node.worlds["alpha"].reorg(1, keep=False)
    await node.look()
    node.clock.advance(RESEND_AFTER)
    await node.turn(10)
    assert [record.state for record in node.outgoing()] == ["confirmed", "confirmed"]
    node.check_settled()


async def test_a_final_sweep_that_leaves_the_chain_is_unbooked_and_sent_again(node: SimNode, line: Line) -> None:
    await planned(node)
    await node.turn(5)
    record = only(node)
    assert (record.state, node.balance(Account.TREASURY, "alpha_sim") > 0) == (State.CONFIRMED, True)
    world = node.worlds["alpha"]
    assert record.receipt_block is not None
    world.reorg(world.head.number - record.receipt_block + 1, keep=False)
    await node.look()
    assert only(node).state is State.BROADCAST
    assert node.balance(Account.TREASURY, "alpha_sim") == 0
    assert node.balance(Account.IN_TRANSIT, "alpha_sim") == 50 * FINNEY
    assert node.balance(Account.FEES, "alpha_sim") == 0
    assert node.items()[0].state == "broadcasting"
    assert node.sweeps()[0].completed_at is None
    node.clock.advance(RESEND_AFTER)
    await node.turn(6)
    assert only(node).state is State.CONFIRMED
    assert set(line.sent) == {line.sent[0]}
    node.check_settled()


async def test_a_transfer_that_was_mined_and_failed_costs_its_fee_only(
    node: SimNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    await planned(node, "alpha_usdt")
    await node.send()
    await node.mine()
    await node.send()
    [held] = [address for (address,) in node.rows("select address from sweep_items")]
    balances = node.worlds["alpha"]._past.state.units_by_method[held]
    money, balances["alpha_usdt"] = balances["alpha_usdt"], 0  # frozen for the length of a block
    node.worlds["alpha"].mine()
    balances["alpha_usdt"] = money
    await node.mine(2)
    assert node.outgoing()[-1].state is State.REVERTED
    assert [(item.state, item.reason) for item in node.items()] == [("failed", "reverted")]
    assert node.balance(Account.DEPOSITS, "alpha_usdt") == 100 * 10**6
    await node.turn(10)
    assert [item.state for item in node.items()] == ["failed", "completed"]
    node.check_settled()


async def test_what_is_signed_cannot_simply_fail(node: SimNode) -> None:
    record = await planned(node)
    await node.send()
    with pytest.raises(AssertionError, match="may be out"):
        node.database.write(operations.record_failure, node.catalogue, record.id, "a test", node.clock())


async def test_giving_up_twice_is_giving_up_once(node: SimNode) -> None:
    record = await planned(node)
    for _ in range(2):
        node.database.write(operations.record_failure, node.catalogue, record.id, "a test", node.clock())
    assert node.events(node.sweeps()[0].id).count("sweep.failed") == 1
    assert node.database.read(operations.clearance, node.catalogue, only(node), node.clock()) is Clearance.WAIT


async def test_planning_a_transfer_again_gives_the_same_plan(node: SimNode) -> None:
    await planned(node)
    [work] = node.database.read(operations.items_to_move, node.catalogue, "alpha")
    again = node.database.write(operations.plan_transfer, work, node.clock())
    assert again == only(node)


async def test_an_asset_that_left_the_config_stops_nothing_else(node: SimNode) -> None:
    await planned(node, "alpha_usdt")
    tokens = {symbol: token for symbol, token in node.config.networks["alpha"].tokens.items() if symbol != "usdt"}
    networks = {**node.config.networks, "alpha": replace(node.config.networks["alpha"], tokens=tokens)}
    node.config = replace(node.config, networks=networks)
    node.restart()
    invoice_id = node.create("100", methods=["alpha_sim"])
    node.pay(invoice_id, 50 * FINNEY, "alpha_sim")
    await node.turn(10)
    assert node.invoice(invoice_id).record.sweep_state == "swept"
    assert {record.state for record in node.outgoing() if record.purpose == "top_up"} == {State.PLANNED}
