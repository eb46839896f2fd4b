"""Lists of sweeps by any filter."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from paynode.store.database import Tx
from paynode.store.pages import Conditions, Found, Page, count_rows, walk_page
from paynode.store.sweeps import SWEEP, SweepRecord


@dataclass(frozen=True, slots=True)
class SweepFilter:
    """What a list is narrowed to; by what is left empty it is not."""

    store_ids: Sequence[str] | None = None
    states: Sequence[str] = ()
    methods: Sequence[str] = ()
    networks: Sequence[str] = ()
    deposit_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def page_of(tx: Tx, wanted: SweepFilter, page: Page) -> Found[SweepRecord]:
    """One page of the sweeps that fit."""
    return walk_page(tx, SWEEP.of("s"), "sweeps s", _conditions(wanted), page, key="s.id").map(SWEEP.decode)


def count(tx: Tx, wanted: SweepFilter) -> tuple[int, bool]:
    """How many fit, and whether that is all of them."""
    return count_rows(tx, "sweeps s", _conditions(wanted))


def _conditions(wanted: SweepFilter) -> Conditions:
    found = Conditions()
    found.seek_made("s.id", "swp", wanted.created_after, wanted.created_before)
    if wanted.deposit_id is not None:
        found.seek(
            "s.id in (select i.sweep_id from sweep_deposits d join sweep_items i on i.id = d.item_id "
            "where d.deposit_id = :deposit_id)",
            deposit_id=wanted.deposit_id,
        )
    if wanted.store_ids is not None and len(wanted.store_ids) == 1 and wanted.deposit_id is None:
        found.seek("s.store_id = :store_id", store_id=wanted.store_ids[0])
    else:
        found.check_any("s.store_id", wanted.store_ids)
    found.check_any("s.state", wanted.states or None)
    found.check_any("s.method", wanted.methods or None)
    found.check_any("s.network", wanted.networks or None)
    return found
