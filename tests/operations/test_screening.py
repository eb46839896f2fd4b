"""Screening: what is kept back, until when, and where the books have it meanwhile."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.lab.shop import sim_config
from tests.lab.simnode import TREASURY, TWO_NETWORKS, SimNode

from paynode.domain.errors import Conflict, NotFound
from paynode.domain.ledger import Account
from paynode.operations import screening
from paynode.operations.screening import release
from paynode.services.screening import Screener
from paynode.store.deposits import DepositRecord

DOLLAR = 10**6
FINNEY = 10**15
GOOD = "sim1" + "aa" * 20
BAD = "sim1" + "bd" * 20
WORSE = "sim1" + "be" * 20
UNKNOWN = "dep_01JZ8Q4M9C3V5T7X1B2D4F6H8K"
SCREENED = '[screening]\ndeny_files = ["deny.txt"]\n'


class ScreenedNode(SimNode):
    """A node with a list of one address, unless its config says more."""

    def __init__(self, folder: Path, toml: str = SCREENED) -> None:
        self.list = folder / "deny.txt"
        self.list.write_text(f"# the bad\n{BAD}\n")
        super().__init__(folder, f"{TWO_NETWORKS}\n{toml}")
        self.renew()

    def renew(self) -> None:
        parsers = [chain.parse_address for chain in self.chains.values()]
        self.screener = Screener(self.database, self.catalogue, parsers, self.clock)

    def write(self, *addresses: str) -> None:
        """A new list, of another size, that names these."""
        size = self.list.stat().st_size
        self.list.write_text("\n".join([*addresses, "#" * (size + 1)]))

    async def screen(self) -> None:
        while await self.screener.one_round():
            continue

    def release(self, deposit_id: str) -> None:
        self.database.write(release, self.catalogue, deposit_id, "looked into", self.clock())

    async def paid(self, sender: str, units: int = 10 * DOLLAR, method: str = "alpha_usdt") -> str:
        """An invoice of ten dollars, its money seen from `sender`; returns its id."""
        invoice_id = self.create("10", methods=[method])
        self.pay(invoice_id, units, method, sender=sender)
        await self.mine()
        return invoice_id

    def deposit(self, invoice_id: str) -> DepositRecord:
        (found,) = self.deposits(invoice_id)
        return found


@pytest.fixture
async def node(tmp_path: Path) -> ScreenedNode:
    return await begun(ScreenedNode(tmp_path))


async def begun(node: ScreenedNode) -> ScreenedNode:
    await node.look()
    node.fund_gas()
    await node.mine(2)
    return node


async def test_clean_money_is_settled_as_soon_as_it_is_deep_enough(node: ScreenedNode) -> None:
    invoice_id = await node.paid(GOOD)
    assert (node.deposit(invoice_id).screening, node.deposit(invoice_id).is_held) == ("pending", True)
    await node.screen()
    assert (node.deposit(invoice_id).screening, node.deposit(invoice_id).is_held) == ("passed", False)
    await node.mine(2)
    assert node.states(invoice_id) == ("paid", "exact")
    assert node.invoice(invoice_id).record.screening == "passed"
    node.check()


async def test_money_that_is_deep_enough_first_is_settled_by_the_verdict(node: ScreenedNode) -> None:
    invoice_id = await node.paid(GOOD)
    await node.mine(5)
    assert (node.deposit(invoice_id).stage, node.deposit(invoice_id).sweep_wait) == ("confirmed", "held")
    assert node.states(invoice_id) == ("confirming", "exact")
    await node.screen()
    assert (node.deposit(invoice_id).stage, node.deposit(invoice_id).sweep_wait) == ("settled", None)
    assert node.states(invoice_id) == ("paid", "exact")
    assert node.events(invoice_id) == [
        "invoice.created",
        "invoice.deposit_detected",
        "invoice.confirming",
        "invoice.deposit_confirmed",
        "invoice.paid",
    ]
    node.check()


async def test_flagged_money_is_shown_kept_back_and_counts_once_it_is_released(node: ScreenedNode) -> None:
    invoice_id = await node.paid(BAD)
    await node.screen()
    assert node.states(invoice_id) == ("open", "exact")
    assert node.invoice(invoice_id).record.screening == "flagged"
    await node.turn(8)
    assert (node.deposit(invoice_id).stage, node.deposit(invoice_id).sweep_wait) == ("confirmed", "held")
    assert (node.sweeps(), node.states(invoice_id)) == ([], ("open", "exact"))
    assert "invoice.deposit_confirmed" not in node.events(invoice_id)
    assert (node.balance(Account.HELD, "alpha_usdt"), node.balance(Account.DEPOSITS, "alpha_usdt")) == (10 * DOLLAR, 0)
    node.check()
    node.release(node.deposit(invoice_id).id)
    assert node.states(invoice_id) == ("paid", "exact")
    assert node.invoice(invoice_id).record.screening == "passed"
    assert (node.balance(Account.HELD, "alpha_usdt"), node.balance(Account.DEPOSITS, "alpha_usdt")) == (0, 10 * DOLLAR)
    await node.turn(10)
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdt") == 10 * DOLLAR
    assert [kind for kind in node.events(invoice_id) if kind.startswith("screening")] == [
        "screening.flagged",
        "screening.released",
    ]
    node.check_settled()


async def test_flagged_money_neither_delays_nor_travels_with_clean_money_of_one_address(node: ScreenedNode) -> None:
    """Of coins too, although a sweep of coins empties an address otherwise."""
    invoice_id = node.create("100", methods=["alpha_sim", "alpha_usdt"])
    for sender in (BAD, GOOD):
        node.pay(invoice_id, 40 * FINNEY, "alpha_sim", sender=sender)
        node.pay(invoice_id, 30 * DOLLAR, "alpha_usdt", sender=sender)
    await node.mine()
    await node.screen()
    await node.turn(24)
    address, world = node.address(invoice_id), node.worlds["alpha"]
    fees = 40 * FINNEY - world.units(TREASURY, "alpha_sim")
    assert fees in {world.fee_units, 2 * world.fee_units}  # the token's too, if the coins were still there
    assert world.units(TREASURY, "alpha_usdt") == 30 * DOLLAR
    assert world.units(address, "alpha_usdt") == 30 * DOLLAR
    assert world.units(address, "alpha_sim") >= 40 * FINNEY
    assert node.states(invoice_id) == ("paid", "over")
    assert sorted(each.sweep_state for each in node.deposits(invoice_id)) == ["swept", "swept", "unswept", "unswept"]
    node.check()


async def test_kept_back_coins_pay_no_fee_of_a_clean_token(node: ScreenedNode) -> None:
    invoice_id = node.create("100", methods=["alpha_sim", "alpha_usdt"])
    node.pay(invoice_id, 40 * FINNEY, "alpha_sim", sender=BAD)
    node.pay(invoice_id, 30 * DOLLAR, "alpha_usdt", sender=GOOD)
    await node.mine()
    await node.screen()
    await node.turn(16)
    assert [record.purpose for record in node.outgoing()] == ["top_up", "sweep"]
    assert node.worlds["alpha"].units(node.address(invoice_id), "alpha_sim") >= 40 * FINNEY
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdt") == 30 * DOLLAR
    node.check()


async def test_releasing_twice_is_once_and_there_must_be_something_to_release(node: ScreenedNode) -> None:
    flagged, clean = await node.paid(BAD), await node.paid(GOOD)
    await node.screen()
    await node.mine(3)
    for _ in range(2):
        node.release(node.deposit(flagged).id)
    assert node.events(flagged).count("screening.released") == 1
    with pytest.raises(Conflict, match="deposit_not_held"):
        node.release(node.deposit(clean).id)
    with pytest.raises(NotFound):
        node.release(UNKNOWN)
    node.check()


async def test_an_invoice_that_only_flagged_money_covers_expires_and_is_paid_by_the_release(node: ScreenedNode) -> None:
    invoice_id = await node.paid(BAD)
    await node.screen()
    node.clock.advance(timedelta(hours=1))
    await node.mine(3)
    assert node.states(invoice_id) == ("expired", "exact")
    node.release(node.deposit(invoice_id).id)
    assert node.states(invoice_id) == ("paid", "exact")
    assert "invoice.underpaid" not in node.events(invoice_id)
    node.check()


async def test_a_store_may_record_what_is_flagged_and_nothing_else(tmp_path: Path) -> None:
    toml = SCREENED + '[stores.main]\nscreening = { flagged = "record" }\n'
    node = await begun(ScreenedNode(tmp_path, toml))
    invoice_id = await node.paid(BAD)
    await node.screen()
    await node.turn(12)
    assert node.states(invoice_id) == ("paid", "exact")
    assert node.invoice(invoice_id).record.screening == "flagged"
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdt") == 10 * DOLLAR
    node.release(node.deposit(invoice_id).id)
    assert node.invoice(invoice_id).record.screening == "passed"
    node.check_settled()


async def test_without_anybody_to_ask_nothing_waits(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    await node.look()
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine(3)
    assert node.states(invoice_id) == ("paid", "exact")
    assert (node.invoice(invoice_id).record.screening, node.rows("select * from screenings")) == ("not_screened", [])


async def test_a_stale_list_passes_nothing_and_still_flags(tmp_path: Path) -> None:
    node = await begun(ScreenedNode(tmp_path, SCREENED + 'max_age = "1h"\n'))
    node.clock.now = node.clock.now.replace(year=2100)
    clean, bad = await node.paid(GOOD), await node.paid(BAD)
    await node.screen()
    await node.mine(3)
    assert (node.deposit(clean).screening, node.states(clean)) == ("not_screened", ("paid", "exact"))
    assert (node.deposit(bad).screening, node.states(bad)) == ("flagged", ("open", "exact"))
    assert node.events("screening") == ["screening_lists.degraded"]
    node.check()


async def test_where_screening_is_required_a_stale_list_keeps_money_back_until_there_is_a_fresh_one(
    tmp_path: Path,
) -> None:
    node = await begun(ScreenedNode(tmp_path, SCREENED + "required = true\n"))
    before = await node.paid(GOOD)
    await node.screen()
    await node.mine(3)
    assert node.states(before) == ("paid", "exact")
    node.run("update screening_lists set as_of = null")
    held = await node.paid(GOOD)
    node.database.write(screening.judge_due, node.catalogue, (), node.clock())
    await node.turn(4)
    assert (node.states(held), node.deposit(held).stage) == (("confirming", "exact"), "confirmed")
    assert (node.deposit(before).sweep_wait, node.sweeps()) == ("lists_stale", [])
    assert node.balance(Account.HELD, "alpha_usdt") == 10 * DOLLAR
    node.write(BAD)
    await node.screen()
    assert (node.states(held), node.deposit(held).screening) == (("paid", "exact"), "passed")
    await node.turn(12)
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdt") == 20 * DOLLAR
    node.check_settled()


async def test_a_new_list_keeps_back_what_is_not_collected_yet_and_takes_no_payment_back(node: ScreenedNode) -> None:
    collected = await node.paid(WORSE)
    await node.screen()
    await node.turn(12)
    invoice_id = await node.paid(WORSE)
    await node.screen()
    await node.mine(3)
    assert node.states(invoice_id) == ("paid", "exact")
    node.write(BAD, WORSE)
    await node.screen()
    assert (node.deposit(invoice_id).screening, node.deposit(invoice_id).is_held) == ("flagged", True)
    assert node.states(invoice_id) == ("paid", "exact")
    assert (node.deposit(collected).sweep_state, node.deposit(collected).screening) == ("swept", "passed")
    await node.turn(5)
    assert (node.deposit(invoice_id).sweep_state, node.deposit(invoice_id).sweep_wait) == ("unswept", "held")
    assert node.balance(Account.HELD, "alpha_usdt") == 10 * DOLLAR
    node.check()
    node.release(node.deposit(invoice_id).id)
    await node.turn(12)
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdt") == 20 * DOLLAR
    node.check_settled()


@pytest.mark.parametrize("is_lent", [False, True], ids=["before the loan for its fee", "after it"])
async def test_what_is_flagged_while_its_sweep_is_planned_is_not_signed(node: ScreenedNode, is_lent: bool) -> None:
    invoice_id, other = await node.paid(WORSE), await node.paid(GOOD)
    await node.screen()
    await node.mine(3)
    await node.plan()
    if is_lent:
        await node.send()
    assert [sweep.state for sweep in node.sweeps()] == ["funding" if is_lent else "queued"]
    node.write(BAD, WORSE)
    await node.screen()
    await node.turn(14)
    assert (node.deposit(invoice_id).sweep_state, node.deposit(invoice_id).sweep_wait) == ("failed", "held")
    assert node.deposit(other).sweep_state == "swept"
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdt") == 10 * DOLLAR
    assert node.balance(Account.HELD, "alpha_usdt") == 10 * DOLLAR
    node.check()
    node.release(node.deposit(invoice_id).id)
    await node.turn(14)
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdt") == 20 * DOLLAR
    node.check_settled()


async def test_the_same_payment_in_another_block_is_known_as_it_was(node: ScreenedNode) -> None:
    invoice_id = await node.paid(BAD)
    await node.screen()
    await node.mine(3)
    node.release(node.deposit(invoice_id).id)
    node.worlds["alpha"].reorg(4, keep=True)
    await node.mine(3)
    before, after = node.deposits(invoice_id)
    assert (before.stage, after.stage, after.screening) == ("orphaned", "settled", "released")
    node.check()


async def dropped(node: ScreenedNode) -> Callable[[], Awaitable[None]]:
    """Take the newest block of alpha out of the chain; what is returned mines its payments again, in other blocks."""
    world = node.worlds["alpha"]
    before = world.snapshot()
    world.reorg(1, keep=False)
    await node.look()

    async def mined_again() -> None:
        world.restore(before)
        world.reorg(1, keep=True)
        await node.mine(3)

    return mined_again


async def test_what_left_its_block_before_anybody_was_asked_is_asked_about_once_it_is_in_another(
    node: ScreenedNode,
) -> None:
    invoice_id = await node.paid(GOOD)
    mined_again = await dropped(node)
    await node.screen()
    assert [each.stage for each in node.deposits(invoice_id)] == ["orphaned"]
    await mined_again()
    await node.screen()
    assert (node.deposits(invoice_id)[1].screening, node.states(invoice_id)[0]) == ("passed", "paid")
    node.check()


async def test_what_a_list_names_while_it_is_in_no_block_is_kept_back_once_it_is_in_another(node: ScreenedNode) -> None:
    invoice_id = await node.paid(GOOD)
    await node.screen()
    mined_again = await dropped(node)
    node.write(BAD, GOOD)
    await node.screen()
    await mined_again()
    await node.screen()
    after = node.deposits(invoice_id)[1]
    assert (after.screening, after.stage) == ("flagged", "confirmed")
    node.check()


async def test_what_was_collected_before_it_left_its_block_is_asked_about_until_it_counts_again(tmp_path: Path) -> None:
    node = await begun(ScreenedNode(tmp_path, SCREENED + "required = true\n"))
    invoice_id = await node.paid(GOOD)
    await node.screen()
    await node.turn(8)
    assert node.deposit(invoice_id).sweep_state == "swept"
    node.worlds["alpha"].reorg(9, keep=True)
    node.run("update screening_lists set as_of = null")
    await node.mine(4)
    node.database.write(screening.judge_due, node.catalogue, (), node.clock())
    _, after = node.deposits(invoice_id)
    assert (after.stage, after.screening, after.sweep_state) == ("confirmed", "not_screened", "swept")
    node.write(BAD)
    node.clock.advance(timedelta(hours=2))
    await node.screen()
    assert node.states(invoice_id) == ("paid", "exact")
    node.check()


async def test_a_network_that_left_the_config_keeps_nobody_else_from_being_asked_about(tmp_path: Path) -> None:
    node = await begun(ScreenedNode(tmp_path))
    gone, stays = await node.paid(GOOD), await node.paid(GOOD, FINNEY * 5, "beta_sim")
    alone = TWO_NETWORKS.replace("[networks.alpha]", "[networks.gamma]")
    later = ScreenedNode(tmp_path, "")
    later.config = sim_config(tmp_path, alone)
    later.worlds, later.chains, later.clock = node.worlds, {"beta": node.chains["beta"]}, node.clock
    later.start(node.database)
    later.renew()
    await later.screen()
    assert later.deposit(gone).screening == "not_screened"
    assert later.deposit(stays).screening == "not_screened"
    assert later.rows("select 1 from screenings where ask_at is not null") == [(1,)]


async def test_what_the_chain_takes_back_is_not_held_any_more(node: ScreenedNode) -> None:
    invoice_id = await node.paid(BAD)
    await node.screen()
    await node.mine(3)
    assert node.balance(Account.HELD, "alpha_usdt") == 10 * DOLLAR
    node.worlds["alpha"].reorg(5, keep=False)
    await node.mine(6)
    assert (node.balance(Account.HELD, "alpha_usdt"), node.balance(Account.DEPOSITS, "alpha_usdt")) == (0, 0)
    with pytest.raises(Conflict, match="deposit_orphaned"):
        node.release(node.deposit(invoice_id).id)
    node.check()


async def test_a_crash_before_the_verdict_is_stored_loses_nothing(node: ScreenedNode) -> None:
    invoice_id = await node.paid(BAD)
    await node.mine(3)
    node.restart()
    node.renew()
    await node.turn(3)
    assert (node.deposit(invoice_id).stage, node.sweeps()) == ("confirmed", [])
    await node.screen()
    assert node.deposit(invoice_id).screening == "flagged"
    node.check()


async def test_turning_screening_on_looks_at_what_is_not_collected_yet(tmp_path: Path) -> None:
    node = await begun(ScreenedNode(tmp_path, ""))
    invoice_id = await node.paid(BAD)
    await node.mine(3)
    assert (node.states(invoice_id), node.deposit(invoice_id).screening) == (("paid", "exact"), "not_screened")
    later = ScreenedNode(tmp_path, SCREENED)
    later.worlds, later.chains, later.clock = node.worlds, node.chains, node.clock
    later.start(node.database)
    later.renew()
    await later.screen()
    assert (later.deposit(invoice_id).screening, later.deposit(invoice_id).is_held) == ("flagged", True)


async def test_turning_screening_off_lets_go_what_nobody_was_asked_about(node: ScreenedNode, tmp_path: Path) -> None:
    waiting, flagged = await node.paid(GOOD), await node.paid(BAD)
    node.release(node.deposit(waiting).id)
    pending = await node.paid(GOOD)
    await node.screen()
    node.pay(pending, 5 * DOLLAR, sender=GOOD)
    await node.mine(4)
    later = ScreenedNode(tmp_path, "")
    later.worlds, later.chains, later.clock = node.worlds, node.chains, node.clock
    later.start(node.database)
    later.renew()
    await later.screen()
    assert [each.screening for each in later.deposits(pending)] == ["passed", "not_screened"]
    assert {each.stage for each in later.deposits(pending)} == {"settled"}
    assert (later.deposit(flagged).screening, later.deposit(flagged).is_held) == ("flagged", True)
