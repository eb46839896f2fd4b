"""Deposits: the transfers that came to our addresses."""

from collections.abc import Iterator
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from paynode.api.body import Form, Nothing
from paynode.api.lists import ListView, page_answer, stores_of
from paynode.api.method_names import named
from paynode.api.parameters import IdOf
from paynode.api.query import LIMIT_MAX, CountedPageQuery, PageQuery
from paynode.api.routes import Call, Routes, answer
from paynode.domain.deposit import Stage
from paynode.domain.errors import FieldProblem, Invalid, NotFound
from paynode.domain.money import Asset, power_of_ten
from paynode.domain.screening import Known, verdicts
from paynode.domain.sweep import DepositSweep
from paynode.operations import assigning, loading, screening
from paynode.operations.once import Answer
from paynode.operations.views.deposit import DepositView, deposit
from paynode.store import chain, deposit_lists
from paynode.store import deposits as rows
from paynode.store.database import Tx
from paynode.store.deposit_lists import DepositFilter
from paynode.store.deposits import PlacedDeposit
from paynode.store.pages import Page

routes = Routes()


class ReleaseForm(Form, frozen=True):
    note: Annotated[str, Meta(min_length=1, max_length=500)]  # why: it is kept with the deposit, and in the event


class AssignForm(Form, frozen=True):
    invoice: Annotated[str, Meta(max_length=30)]


class DepositsQuery(PageQuery, frozen=True):
    """Of an invoice's deposits."""

    prefix: ClassVar[str] = "dep"


class DepositListQuery(CountedPageQuery, frozen=True):
    prefix: ClassVar[str] = "dep"
    state: tuple[Stage, ...] = ()
    method: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    store: tuple[Annotated[str, IdOf("sto")], ...] = ()
    sweep_state: tuple[DepositSweep, ...] = ()
    screening: tuple[Known, ...] = ()
    held: bool | None = None
    invoice: Annotated[str, IdOf("inv")] | None = None
    address: str | None = None
    tx_hash: str | None = None
    amount_min: Annotated[Decimal | None, Meta(description="In whole coins of the one `method` that is named.")] = None
    amount_max: Decimal | None = None
    created_after: Annotated[datetime | None, Meta(description="Detected after this moment.")] = None
    created_before: datetime | None = None
    late: bool | None = None
    unattributed: bool = False

    def conflicts(self) -> Iterator[FieldProblem]:
        yield from super().conflicts()
        for name, amount in (("amount_min", self.amount_min), ("amount_max", self.amount_max)):
            if amount is not None and len(self.method) != 1:
                yield FieldProblem(name, "conflicting", "Amounts of different coins do not compare: name one method.")


class SearchForm(Form, frozen=True):
    tx_hash: Annotated[str, Meta(max_length=100)] | None = None
    address: Annotated[str, Meta(max_length=100)] | None = None
    network: str | None = None


def deposit_filter(call: Call[Any], query: DepositListQuery) -> DepositFilter:
    """What the query narrows a list of deposits to."""
    methods = [named(call.node.catalogue, each) for each in query.method]
    asset = None if len(methods) != 1 else call.node.catalogue.assets.get(methods[0])
    if asset is None and (query.amount_min, query.amount_max) != (None, None):
        raise Invalid.field("method", "unknown_method", "Amounts can only be told of a method that is offered.")
    return DepositFilter(
        store_ids=stores_of(call, query.store),
        stages=query.state,
        methods=methods,
        networks=query.network,
        sweep_states=query.sweep_state,
        verdicts=verdicts(query.screening),
        is_held=query.held,
        is_late=query.late,
        is_unattributed=True if query.unattributed else None,
        invoice_id=query.invoice,
        address=query.address,
        tx_hash=query.tx_hash,
        units_min=_units(query.amount_min, asset, ROUND_CEILING),
        units_max=_units(query.amount_max, asset, ROUND_FLOOR),
        created_after=query.created_after,
        created_before=query.created_before,
    )


@routes.get("/v1/deposits", DepositListQuery, scope="deposits:read", shows=ListView[DepositView], is_long=True)
def list_all(call: Call[DepositListQuery], tx: Tx) -> Answer:
    """List what came in."""
    wanted = deposit_filter(call, call.form)
    found = deposit_lists.page_of(tx, wanted, call.form.page)
    total = deposit_lists.count(tx, wanted) if "total" in call.form.include else None
    return page_answer(found.map(lambda placed: deposit_shown(call, tx, placed)), total)


@routes.post("/v1/deposits/search", SearchForm, scope="deposits:read", shows=ListView[DepositView])
def search(call: Call[SearchForm], tx: Tx) -> Answer:
    """Find what one transaction brought, or what came to one address.

    As the list does, with what is looked for in the body: nothing of it is in anybody's log of requests.
    """
    form = call.form
    if form.tx_hash is None and form.address is None:
        raise Invalid.field("/tx_hash", "required", "Give a tx_hash, an address, or both.")
    wanted = DepositFilter(
        store_ids=stores_of(call, ()),
        networks=() if form.network is None else (form.network,),
        address=form.address,
        tx_hash=form.tx_hash,
    )
    found = deposit_lists.page_of(tx, wanted, Page(LIMIT_MAX))
    return page_answer(found.map(lambda placed: deposit_shown(call, tx, placed)))


@routes.get("/v1/deposits/<deposit_id>", scope="deposits:read", shows=DepositView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show a deposit."""
    placed = rows.by_id(tx, call.path["deposit_id"])
    if placed is None or call.store_id not in {None, placed.deposit.store_id}:
        raise NotFound("deposit")
    return answer(deposit_shown(call, tx, placed))


@routes.post(
    "/v1/deposits/<deposit_id>/assign",
    AssignForm,
    scope="deposits:write",
    shows=DepositView,
    refuses=("deposit_assigned", "deposit_orphaned"),
)
def assign(call: Call[AssignForm], tx: Tx) -> Answer:
    """Count an unattributed deposit for an invoice."""
    placed = assigning.assign(
        tx, call.node.catalogue, call.path["deposit_id"], call.form.invoice, call.now, store_id=call.store_id
    )
    return answer(deposit_shown(call, tx, placed))


@routes.post(
    "/v1/deposits/<deposit_id>/release",
    ReleaseForm,
    scope="deposits:write",
    shows=DepositView,
    refuses=("deposit_not_held", "deposit_orphaned"),
)
def release(call: Call[ReleaseForm], tx: Tx) -> Answer:
    """Let a deposit go that screening keeps back."""
    placed = screening.release(
        tx, call.node.catalogue, call.path["deposit_id"], call.form.note, call.now, store_id=call.store_id
    )
    return answer(deposit_shown(call, tx, placed))


def deposit_shown(call: Call[Any], tx: Tx, placed: PlacedDeposit) -> DepositView:
    """A deposit with what its invoice says of it."""
    record = placed.deposit
    loaded = None if record.invoice_id is None else loading.facts(tx, record.invoice_id)
    head_number = chain.network(tx, record.network).head_number or 0
    return deposit(call.node.catalogue, placed, loaded, head_number)


def _units(amount: Decimal | None, asset: Asset | None, rounding: str) -> int | None:
    if amount is None or asset is None:
        return None
    return int((amount * power_of_ten(asset.decimals)).to_integral_value(rounding))
