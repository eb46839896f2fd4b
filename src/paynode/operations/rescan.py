"""The operator's way to have everything read once more: what `paynode rescan` queues for the next ticks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from paynode.domain.errors import Invalid
from paynode.domain.rescue import ALLOWANCES, Asker
from paynode.operations import loading
from paynode.operations.addresses import watch_again
from paynode.operations.catalogue import Catalogue
from paynode.store import bells, rescues, watches
from paynode.store.database import Tx


@dataclass(frozen=True, slots=True)
class Rescan:
    """Which addresses to read again."""

    network: str | None = None  # None: every network
    from_block: int | None = None  # None: as far down as each address's own floor
    invoice_id: str | None = None  # None: every address that was issued
    with_closed: bool = False  # also addresses whose watch is over


@dataclass(frozen=True, slots=True)
class Queued:
    """What the next ticks of one network will read again."""

    network: str
    addresses: int
    from_block: int | None


def rescan(tx: Tx, catalogue: Catalogue, wanted: Rescan, now: datetime) -> list[Queued]:
    """Queue another look, balances and logs; doing it again before it was served changes nothing.

    One tick reads the newest logs; what lies deeper is read over as many ticks as it takes, oldest blocks first.

    Raises:
        Invalid: no such network.
        NotFound, Conflict: no such invoice, or it has no address.
    """
    if wanted.network is not None and wanted.network not in catalogue.networks:
        known = ", ".join(catalogue.networks)
        raise Invalid.field("--network", "unknown_network", f"There is no network {wanted.network} here, only {known}.")
    networks = catalogue.networks if wanted.network is None else (wanted.network,)
    found = {name: _addresses(tx, catalogue, wanted, name, now) for name in networks}
    for name, addresses in found.items():
        rescues.ask_looks(tx, name, addresses, is_deep=True)
        if wanted.from_block is not None:
            watches.lower(tx, name, addresses, max(wanted.from_block - 1, 0))
    tx.ring(bells.WATCHES)
    return [Queued(name, len(addresses), wanted.from_block) for name, addresses in found.items()]


def _addresses(tx: Tx, catalogue: Catalogue, wanted: Rescan, name: str, now: datetime) -> Sequence[str]:
    if wanted.invoice_id is None:
        return watches.issued(tx, name, with_closed=wanted.with_closed)
    loaded = loading.load(tx, wanted.invoice_id)
    watched = watch_again(tx, catalogue, loaded, now + ALLOWANCES[Asker.MERCHANT].watch_for)
    return [watch.address for watch in watched if watch.network == name]
