"""Whatever happens in whatever order: flagged money stays on its address until it is released, and delays no other.

Method: random lives of a small node, with payments, lists, releases, sweeps, reorganisations and restarts. After each
step the books balance and what is kept back is all still there; at the end everything clean has been collected.
"""

import tempfile
from functools import partial
from pathlib import Path

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.operations.test_screening import BAD, DOLLAR, FINNEY, GOOD, WORSE, ScreenedNode, begun

from paynode.domain.screening import Verdict
from paynode.domain.sweep import ItemState
from paynode.store import sweeps
from paynode.store.deposits import DepositRecord

SIGNED = {ItemState.BROADCASTING, ItemState.CONFIRMING, ItemState.COMPLETED}

Step = tuple[str, int]
PAYMENTS = ("good pays", "bad pays", "worse pays")
OTHERS = ("screen", "mine", "sweep", "list grows", "release", "reorg", "restart")
STEPS = st.lists(st.tuples(st.sampled_from([*PAYMENTS, *OTHERS]), st.integers(0, 3)), max_size=25)


class Life:
    """Two invoices that can be paid in coins and in tokens, and what becomes of their payments."""

    def __init__(self, node: ScreenedNode) -> None:
        self.node = node
        self.invoices = [node.create("1000", methods=["alpha_sim", "alpha_usdt"]) for _ in range(2)]

    async def step(self, what: str, number: int) -> None:
        node = self.node
        match what:
            case "good pays" | "bad pays" | "worse pays":
                sender = {"good": GOOD, "bad": BAD, "worse": WORSE}[what.split()[0]]
                units, method = (40 * FINNEY, "alpha_sim") if number % 2 else (10 * DOLLAR, "alpha_usdt")
                node.pay(self.invoices[number // 2], units, method, sender=sender)
            case "screen":
                await node.screen()
            case "mine":
                await node.mine(number + 1, "alpha")
            case "sweep":
                await node.plan()
                await node.send()
            case "list grows":
                node.write(BAD, WORSE)
                await node.screen()
            case "release":
                for record in self.held()[:1]:
                    node.release(record.id)
            case "reorg":
                node.worlds["alpha"].reorg(1 + number % 2, keep=True)
                await node.mine(1, "alpha")
            case "restart":
                node.restart()
                node.renew()

    def held(self) -> list[DepositRecord]:
        """What is kept back and was not signed away before it was known for what it is."""
        found = [each for each in self.node.every_deposit() if each.is_held and each.stage != "orphaned"]
        return [each for each in found if not self._is_signed(each)]

    def _is_signed(self, record: DepositRecord) -> bool:
        shares = self.node.database.read(sweeps.shares_of_deposit, record.id)
        return any(share.state in SIGNED for share in shares)

    def check(self) -> None:
        node = self.node
        node.check()
        kept: dict[tuple[str, str], int] = {}
        for record in self.held():
            if record.screening is Verdict.FLAGGED and record.stage in {"confirmed", "settled"}:
                pair = (record.address, record.method)
                kept[pair] = kept.get(pair, 0) + record.units
        for (address, method), units in kept.items():
            assert node.worlds["alpha"].units(address, method) >= units


async def lived(steps: list[Step], folder: Path) -> None:
    node = await begun(ScreenedNode(folder))
    life = Life(node)
    for what, number in steps:
        await life.step(what, number)
        life.check()
    await node.screen()
    node.resume()  # what was final and left the chain for a moment pauses outflows
    for _ in range(30):
        await node.mine(1, "alpha")
        await node.plan()
        await node.send()
    life.check()
    for record in node.every_deposit():
        if record.stage != "orphaned" and not record.is_held:
            assert (record.stage, record.sweep_state) == ("settled", "swept"), (record.method, record.sweep_wait, steps)
    node.database.close()


@settings(max_examples=20)
@given(STEPS)
def test_what_is_flagged_stays_where_it_is_until_it_is_released_and_delays_nobody(steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trio.run(partial(lived, steps, Path(folder)))
