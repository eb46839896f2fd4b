"""What an order would collect, or did: for each deposit whether it goes, or why not, and what that brings and costs."""

from collections.abc import Iterable, Sequence

from paynode.domain.money import format_units
from paynode.domain.sweep import DepositSweep, Wait
from paynode.operations.catalogue import Catalogue
from paynode.operations.sweep_orders import Judged, Outlook
from paynode.operations.views.shapes import Amount, UnitsText, View
from paynode.operations.views.sweep import SweepView


class OutlookView(View, frozen=True):
    """Whether a deposit is collected by an order, and if not, why."""

    deposit: str
    invoice: str | None
    method: str
    amount: Amount | None
    amount_units: UnitsText
    collected: bool
    sweep_state: DepositSweep
    reason: Wait | None


class SweepSumView(View, frozen=True):
    """What an order brings in one method, and what it costs at most."""

    method: str
    addresses: int
    gross: Amount
    gross_units: UnitsText
    fee: Amount
    fee_units: UnitsText
    fee_method: str
    net: Amount
    net_units: UnitsText


class SweepPreviewView(View, frozen=True, tag_field="object", tag="sweep_preview"):
    sums: list[SweepSumView]
    deposits: list[OutlookView]
    has_more: bool


class SweepOrderView(View, frozen=True, tag_field="object", tag="sweep_order"):
    sweeps: list[SweepView]
    deposits: list[OutlookView]
    has_more: bool


def preview(catalogue: Catalogue, judged: Judged) -> SweepPreviewView:
    return SweepPreviewView(
        sums=list(_sums(catalogue, judged)), deposits=_outlooks(catalogue, judged), has_more=judged.has_more
    )


def ordered(catalogue: Catalogue, sweeps: Sequence[SweepView], judged: Judged) -> SweepOrderView:
    return SweepOrderView(sweeps=list(sweeps), deposits=_outlooks(catalogue, judged), has_more=judged.has_more)


def _sums(catalogue: Catalogue, judged: Judged) -> Iterable[SweepSumView]:
    for method in dict.fromkeys(pile.method for _, pile, _ in judged.piles):
        going = [(pile, fee) for _, pile, fee in judged.piles if pile.method == method]
        asset = catalogue.assets[method]
        native = catalogue.native(asset.network)
        gross, fee = sum(pile.units for pile, _ in going), sum(fee for _, fee in going)
        net = gross - fee if asset == native else gross
        yield SweepSumView(
            method=method,
            addresses=len(going),
            gross=format_units(gross, asset.decimals),
            gross_units=str(gross),
            fee=format_units(fee, native.decimals),
            fee_units=str(fee),
            fee_method=native.method,
            net=format_units(net, asset.decimals),
            net_units=str(net),
        )


def _outlooks(catalogue: Catalogue, judged: Judged) -> list[OutlookView]:
    return [_outlook(catalogue, each) for each in judged.outlooks]


def _outlook(catalogue: Catalogue, outlook: Outlook) -> OutlookView:
    record, asset = outlook.deposit, catalogue.assets.get(outlook.deposit.method)
    return OutlookView(
        deposit=record.id,
        invoice=record.invoice_id,
        method=record.method,
        amount=None if asset is None else format_units(record.units, asset.decimals),
        amount_units=str(record.units),
        collected=outlook.reason is None and record.sweep_state is not DepositSweep.SWEPT,
        sweep_state=record.sweep_state,
        reason=outlook.reason,
    )
