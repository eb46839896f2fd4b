"""The listing service: asks each network whether its tokens are what the config says of them.

A token that counts in other decimals than we think costs next to nothing, or a fortune: no address is issued for it
until config and contract agree. Payments to addresses that were issued before are seen as ever.
"""

from collections.abc import Callable
from datetime import datetime

import structlog
import trio

from paynode.chains.base import Chain, Unavailable
from paynode.operations.catalogue import Catalogue
from paynode.store import refused_methods
from paynode.store.database import Database

INTERVAL_SECONDS = 86_400.0  # contracts behind a proxy may change
AGAIN_SECONDS = 300.0  # nobody answered, or something was refused: perhaps its provider was wrong

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
    """Ask for ever."""
    task_status.started()
    while True:
        beat()
        try:
            is_fit = await ask(database, catalogue, network, clock)
        except Unavailable as trouble:
            log.info("listing_waits", network=network.network, reason=str(trouble))
            is_fit = False
        await trio.sleep(INTERVAL_SECONDS if is_fit else AGAIN_SECONDS)


async def ask(database: Database, catalogue: Catalogue, network: Chain, clock: Callable[[], datetime]) -> bool:
    """Ask about every token once, and store what is refused; tells whether nothing is."""
    reason_by_method: dict[str, str] = {}
    for asset in catalogue.networks[network.network].assets:
        if (reason := await network.listing_trouble(asset)) is not None:
            log.error("method_refused", method=asset.method, reason=reason)
            reason_by_method[asset.method] = reason
    database.write(refused_methods.replace, network.network, reason_by_method, clock())
    return not reason_by_method
