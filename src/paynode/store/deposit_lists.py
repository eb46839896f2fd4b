"""Lists of deposits by any filter."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from paynode.store.database import Tx
from paynode.store.deposits import PLACED_COLUMNS, PLACED_SOURCE, PlacedDeposit, placed_of_row
from paynode.store.pages import Conditions, Found, Page, count_rows, walk_page


@dataclass(frozen=True, slots=True)
class DepositFilter:
    """What a list is narrowed to; by what is left empty it is not."""

    store_ids: Sequence[str] | None = None
    stages: Sequence[str] = ()
    methods: Sequence[str] = ()
    networks: Sequence[str] = ()
    sweep_states: Sequence[str] = ()
    verdicts: Sequence[str] = ()
    is_held: bool | None = None
    is_late: bool | None = None
    is_unattributed: bool | None = None
    invoice_id: str | None = None
    address: str | None = None  # in any case
    tx_hash: str | None = None  # in any case
    units_min: int | None = None  # of `methods`, which is one then
    units_max: int | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def page_of(tx: Tx, wanted: DepositFilter, page: Page) -> Found[PlacedDeposit]:
    """One page of the deposits that fit."""
    return walk_page(tx, PLACED_COLUMNS, PLACED_SOURCE, _conditions(wanted), page, key="d.id").map(placed_of_row)


def count(tx: Tx, wanted: DepositFilter) -> tuple[int, bool]:
    """How many fit, and whether that is all of them."""
    return count_rows(tx, PLACED_SOURCE, _conditions(wanted))


def _conditions(wanted: DepositFilter) -> Conditions:
    """Of the conditions that have an index the narrowest is sought; the others are checked."""
    found = Conditions()
    found.seek_made("d.id", "dep", wanted.created_after, wanted.created_before)
    if wanted.invoice_id is not None:
        found.seek("d.invoice_id = :invoice_id", invoice_id=wanted.invoice_id)
    if wanted.tx_hash is not None:
        found.seek(
            "d.row_id in (select o.id from networks n cross join chain_rows o "
            "on o.network = n.network and o.tx_hash = :tx_hash)",
            tx_hash=wanted.tx_hash.lower(),
        )
    if wanted.address is not None:
        found.seek("d.address = :address collate nocase", address=wanted.address)
    is_narrow = (wanted.invoice_id, wanted.tx_hash, wanted.address) != (None, None, None)
    if wanted.store_ids is not None and len(wanted.store_ids) == 1 and not is_narrow:
        found.seek("d.store_id = :store_id", store_id=wanted.store_ids[0])
    else:
        found.check_any("d.store_id", wanted.store_ids)
    found.check_any("d.stage", wanted.stages or None)
    found.check_any("d.method", wanted.methods or None)
    found.check_any("d.network", wanted.networks or None)
    found.check_any("d.sweep_state", wanted.sweep_states or None)
    found.check_any("d.screening", wanted.verdicts or None)
    if wanted.is_held is not None:
        found.check("d.is_held = :is_held", is_held=wanted.is_held)
    if wanted.is_late is not None:
        found.check("d.is_late = :is_late", is_late=wanted.is_late)
    if wanted.is_unattributed is not None:
        found.check("(d.invoice_id is null) = :is_unattributed", is_unattributed=wanted.is_unattributed)
    for name, sign, units in (("units_min", ">=", wanted.units_min), ("units_max", "<=", wanted.units_max)):
        if units is not None:  # base units are text: the longer is the more
            found.check(
                f"(length(d.units), d.units) {sign} (length(:{name}), :{name})",
                **{name: str(units)},
            )
    return found
