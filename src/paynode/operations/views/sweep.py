"""A sweep as its merchant sees it: what moved, what it cost, and how each transfer went."""

from collections.abc import Sequence

from paynode.domain.money import format_units
from paynode.domain.sweep import ItemState, State
from paynode.operations.catalogue import Catalogue
from paynode.operations.views.shapes import Amount, Moment, UnitsText, Url, View, moment, moment_or_none
from paynode.store.sweeps import ItemRecord, SweepRecord


class SweepItemView(View, frozen=True):
    deposits: list[str]
    address: str
    units: UnitsText
    state: ItemState
    reason: str | None
    tx_hash: str | None
    explorer_url: Url | None


class SweepView(View, frozen=True, tag_field="object", tag="sweep"):
    id: str
    store: str
    state: State
    method: str
    treasury: str
    gross_units: UnitsText
    gross: Amount | None
    net_units: UnitsText
    net: Amount | None
    fee_units: UnitsText
    fee: Amount | None
    fee_method: str | None
    items: list[SweepItemView]
    created_at: Moment
    completed_at: Moment | None


def sweep(
    catalogue: Catalogue, record: SweepRecord, items: Sequence[tuple[ItemRecord, list[str], str | None]]
) -> SweepView:
    """Each item comes with its deposits' ids and its transfer's hash."""
    asset = catalogue.assets.get(record.method)
    native = catalogue.native(record.network) if record.network in catalogue.networks else None
    gross = sum(item.units for item, _, _ in items)
    moved = sum(item.moved for item, _, _ in items if item.moved is not None)
    fee = sum(item.fee for item, _, _ in items if item.fee is not None)
    return SweepView(
        id=record.id,
        store=record.store_id,
        state=record.state,
        method=record.method,
        treasury=record.treasury,
        gross_units=str(gross),
        gross=None if asset is None else format_units(gross, asset.decimals),
        net_units=str(moved),
        net=None if asset is None else format_units(moved, asset.decimals),
        fee_units=str(fee),
        fee=None if native is None else format_units(fee, native.decimals),
        fee_method=None if native is None else native.method,
        items=[
            SweepItemView(
                deposits=deposit_ids,
                address=item.address,
                units=str(item.units),
                state=item.state,
                reason=item.reason,
                tx_hash=tx_hash,
                explorer_url=catalogue.explorer_tx_url(record.network, tx_hash or ""),
            )
            for item, deposit_ids, tx_hash in items
        ],
        created_at=moment(record.created_at),
        completed_at=moment_or_none(record.completed_at),
    )
