"""Test routes, in sim mode only: pay as a customer would, mine, reorganise, fail, move time on."""

from datetime import timedelta
from fractions import Fraction
from typing import Annotated, Any

from msgspec import Meta, field

from paynode.api.body import Form, Number
from paynode.api.conflicts import NOT_PROVISIONED
from paynode.api.method_names import MethodName, named
from paynode.api.node import Simulation
from paynode.api.routes import Call, Routes, answer
from paynode.domain.durations import parse_duration
from paynode.domain.errors import Invalid
from paynode.domain.money import Asset, NotAnAmount, format_units, parse_decimal, to_units
from paynode.operations import invoices, loading
from paynode.operations.loading import LoadedInvoice
from paynode.operations.once import Answer
from paynode.operations.views.shapes import Amount, Moment, View, moment

routes = Routes()


class PaymentView(View, frozen=True, tag_field="object", tag="payment"):
    method: str
    amount: Amount
    tx_hash: str


class MinedView(View, frozen=True, tag_field="object", tag="mined"):
    blocks: int


class ReorgView(View, frozen=True, tag_field="object", tag="reorg"):
    depth: int


class OutageView(View, frozen=True, tag_field="object", tag="outage"):
    on: bool


class TimeView(View, frozen=True, tag_field="object", tag="time"):
    """What the node and its networks take for now."""

    now: Moment


BLOCKS_MAX = 1000
UNITS_BELOW = 2**128  # a chain's integers have 256 bits, and sums need room


class PayForm(Form, frozen=True):
    method: MethodName | int | None = None
    amount: Number | None = None  # in whole coins
    percent: Number | None = None  # of the amount of the quote
    late: bool = False  # time is moved on past the deadline first
    sender: Annotated[str, Meta(max_length=100)] | None = field(default=None, name="from")


class MineForm(Form, frozen=True):
    blocks: Annotated[int, Meta(ge=1, le=BLOCKS_MAX)] = 1


class ReorgForm(Form, frozen=True):
    depth: Annotated[int, Meta(ge=1, le=BLOCKS_MAX)]


class OutageForm(Form, frozen=True):
    on: bool


class TimeForm(Form, frozen=True):
    advance: int | str


@routes.act(
    "/v1/test/invoices/<invoice_id>/pay",
    PayForm,
    scope="invoices:write",
    shows=PaymentView,
    status=201,
    refuses=NOT_PROVISIONED,
)
async def pay(call: Call[PayForm]) -> Answer:
    """Pay an invoice as a customer would."""
    node, form, database = call.node, call.form, call.node.database
    loaded = database.read(loading.load, call.path["invoice_id"], call.store_id)
    method = loaded.methods[0].method if form.method is None else named(node.catalogue, form.method)
    asset = node.catalogue.assets.get(method)
    if asset is None or method not in {entry.method for entry in loaded.methods}:
        raise Invalid.field("/method", "unknown_method", "This invoice does not offer that payment method.")
    units = _units(form, asset, loaded)
    if form.late and loaded.record.expires_at is None:
        raise Invalid.field("/late", "conflicting", "This invoice has no deadline: cancel it, and what comes is late.")
    if not any(entry.method == method and entry.provisioned_at for entry in loaded.methods):
        loaded = database.write(
            invoices.provision, node.catalogue, loaded.record.id, method, node.derive, call.now, store_id=call.store_id
        )
    try:
        tx_hash = await _simulation(call).pay(loaded, method, units, late=form.late, sender=form.sender)
    except ValueError as problem:
        raise Invalid.field("/late" if form.sender is None else "/from", "out_of_range", str(problem)) from problem
    amount = format_units(units, asset.decimals)
    return answer(PaymentView(method=method, amount=amount, tx_hash=tx_hash), 201)


@routes.act("/v1/test/mine", MineForm, scope="invoices:write", shows=MinedView)
async def mine(call: Call[MineForm]) -> Answer:
    """Append blocks to every chain."""
    await _simulation(call).mine(call.form.blocks)
    return answer(MinedView(blocks=call.form.blocks))


@routes.act("/v1/test/reorg", ReorgForm, scope="invoices:write", shows=ReorgView)
async def reorg(call: Call[ReorgForm]) -> Answer:
    """Take the newest blocks of every chain back."""
    try:
        await _simulation(call).reorg(call.form.depth)
    except ValueError as problem:
        raise Invalid.field("/depth", "out_of_range", str(problem)) from problem
    return answer(ReorgView(depth=call.form.depth))


@routes.act("/v1/test/outage", OutageForm, scope="invoices:write", shows=OutageView)
async def outage(call: Call[OutageForm]) -> Answer:
    """Cut every chain off, or bring it back."""
    await _simulation(call).outage(call.form.on)
    return answer(OutageView(on=call.form.on))


@routes.act("/v1/test/time", TimeForm, scope="invoices:write", shows=TimeView)
async def time(call: Call[TimeForm]) -> Answer:
    """Move time on, for the node and every chain.

    Deadlines pass, prices lapse, webhooks are tried again, keys expire. What was to happen at several moments in
    between happens once, now.
    """
    duration = parse_duration(call.form.advance)
    if duration is None or duration <= timedelta(0):
        detail = 'Give seconds, or a text such as "2h45m" or "PT15M". Time only moves on.'
        raise Invalid.field("/advance", "not_a_duration", detail)
    try:
        now = await _simulation(call).advance(duration)
    except ValueError as problem:
        raise Invalid.field("/advance", "out_of_range", str(problem)) from problem
    return answer(TimeView(now=moment(now)))


def _simulation(call: Call[Any]) -> Simulation:
    assert call.node.simulation is not None, "without a simulation these routes are not registered"
    return call.node.simulation


def _units(form: PayForm, asset: Asset, loaded: LoadedInvoice) -> int:
    """How much to pay: the whole quote, or a part of it; without a quote, as much as is said."""
    if form.amount is not None and form.percent is not None:
        raise Invalid.field("/percent", "conflicting", "Give amount or percent, not both.")
    if loaded.price is None and form.amount is None:
        raise Invalid.field("/amount", "required", "This invoice asks for no sum: say how much to pay.")
    quoted = 0 if loaded.price is None else loaded.quotes[asset.method][-1].units
    if form.amount is None and form.percent is None:
        return quoted
    name, written = ("percent", form.percent) if form.amount is None else ("amount", form.amount)
    assert written is not None, "one of the two is given"
    try:
        value = parse_decimal(written.text, decimals_max=asset.decimals)
        units = to_units(value, asset.decimals) if name == "amount" else int(Fraction(value) * quoted / 100)
    except NotAnAmount as error:
        raise Invalid.field(f"/{name}", "not_an_amount", f"The {name} {error}.") from error
    if not 0 < units < UNITS_BELOW:
        raise Invalid.field(f"/{name}", "out_of_range", "Pay more than nothing, and not the world.")
    return units
