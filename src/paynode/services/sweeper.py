"""The sweeper: asks the network's prices and lets the economist plan. It signs nothing."""

from collections.abc import Callable
from datetime import datetime

import structlog
import trio

from paynode.chains.base import Chain, Refused, Unavailable, WouldRevert
from paynode.operations.catalogue import Catalogue
from paynode.operations.sweeps import note_waits, plan_due_sweeps
from paynode.operations.weighing import Pile, Prices, obstacle, piles
from paynode.store import bells, stores, sweeps
from paynode.store.database import Database, Tx

ROUND_SECONDS = 15.0

log = structlog.get_logger()


async def run(
    database: Database,
    catalogue: Catalogue,
    network: Chain,
    *,
    clock: Callable[[], datetime],
    beat: Callable[[], None],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Plan sweeps on one network for ever."""
    task_status.started()
    while True:
        beat()
        try:
            await plan(database, catalogue, network, clock)
        except Unavailable as trouble:
            log.info("sweep_planning_waits", network=network.network, reason=str(trouble))
        await database.bells.wait(bells.OUTGOING, seconds=ROUND_SECONDS)


async def plan(database: Database, catalogue: Catalogue, network: Chain, clock: Callable[[], datetime]) -> None:
    """One round: what may be collected is priced and weighed; what may not, learns why."""
    ready = database.write(_set_obstacles, catalogue, network.network, clock())
    if not ready:
        return
    prices = await _prices(database, catalogue, network, ready)
    for sweep in database.write(plan_due_sweeps, catalogue, network.network, prices, clock()):
        log.info("sweep_planned", sweep=sweep.id, method=sweep.method)


def _set_obstacles(tx: Tx, catalogue: Catalogue, network: str, now: datetime) -> list[Pile]:
    """The piles that nothing forbids to collect; the others' deposits say what does."""
    ready = []
    for pile in piles(tx, network):
        wait = obstacle(tx, catalogue, network, pile, now)
        if wait is None:
            ready.append(pile)
        else:
            note_waits(tx, [pile], wait)
    return ready


async def _prices(database: Database, catalogue: Catalogue, network: Chain, ready: list[Pile]) -> Prices:
    native = catalogue.native(network.network)
    costs: dict[str, int] = {}
    fee_price = 0
    for pile in ready:
        if pile.method not in costs:
            treasury = database.read(sweeps.treasury, network.network, pile.store_id)
            assert treasury is not None, "a pile without a treasury has an obstacle"
            try:
                fees = await network.fees(catalogue.assets[pile.method], pile.address, treasury.address)
            except (Refused, WouldRevert) as problem:
                log.warning("fee_unknown", network=network.network, method=pile.method, reason=str(problem))
                continue
            costs[pile.method], fee_price = fees.transfer_cost, max(fee_price, fees.unit_price)
    gas = {}
    for store_id in {pile.store_id for pile in ready}:
        account = database.read(stores.account_number, store_id)
        branch = database.read(stores.account, catalogue.family(network.network), account)
        if branch is not None and branch.gas_address:
            gas[store_id] = await network.balance_units(native, branch.gas_address)
    return Prices(fee_price, costs, gas)
