"""Sweeps: what was collected to the treasuries."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from paynode.api.body import Nothing
from paynode.api.lists import ListView, page_answer, stores_of
from paynode.api.parameters import IdOf
from paynode.api.query import CountedPageQuery
from paynode.api.routes import Call, Routes, answer
from paynode.domain.errors import NotFound
from paynode.domain.sweep import State
from paynode.operations.once import Answer
from paynode.operations.sweep_items import sweep_view
from paynode.operations.views.sweep import SweepView
from paynode.store import sweep_lists
from paynode.store import sweeps as rows
from paynode.store.database import Tx
from paynode.store.sweep_lists import SweepFilter

routes = Routes()


class SweepListQuery(CountedPageQuery, frozen=True):
    prefix: ClassVar[str] = "swp"
    state: tuple[State, ...] = ()
    method: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    store: tuple[Annotated[str, IdOf("sto")], ...] = ()
    deposit: Annotated[str, IdOf("dep")] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def sweep_filter(call: Call[Any], query: SweepListQuery) -> SweepFilter:
    """What the query narrows a list of sweeps to."""
    return SweepFilter(
        store_ids=stores_of(call, query.store),
        states=query.state,
        methods=query.method,
        networks=query.network,
        deposit_id=query.deposit,
        created_after=query.created_after,
        created_before=query.created_before,
    )


@routes.get("/v1/sweeps", SweepListQuery, scope="sweeps:read", shows=ListView[SweepView], is_long=True)
def list_all(call: Call[SweepListQuery], tx: Tx) -> Answer:
    """List what was collected."""
    wanted = sweep_filter(call, call.form)
    found = sweep_lists.page_of(tx, wanted, call.form.page)
    total = sweep_lists.count(tx, wanted) if "total" in call.form.include else None
    return page_answer(found.map(lambda record: sweep_view(tx, call.node.catalogue, record)), total)


@routes.get("/v1/sweeps/<sweep_id>", scope="sweeps:read", shows=SweepView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show a sweep: its items, what it brought and what it cost."""
    record = rows.by_id(tx, call.path["sweep_id"])
    if record is None or call.store_id not in {None, record.store_id}:
        raise NotFound("sweep")
    return answer(sweep_view(tx, call.node.catalogue, record))
