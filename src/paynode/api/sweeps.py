"""Sweeps: what was collected to the treasuries."""

from typing import ClassVar

from paynode.api.body import Nothing
from paynode.api.lists import ListView, list_answer
from paynode.api.query import PageQuery
from paynode.api.routes import Call, Routes, answer
from paynode.domain.errors import NotFound
from paynode.domain.sweep import State
from paynode.operations.once import Answer
from paynode.operations.sweep_items import sweep_view
from paynode.operations.views.sweep import SweepView
from paynode.store import sweeps as rows
from paynode.store.database import Tx

routes = Routes()


class SweepListQuery(PageQuery, frozen=True):
    prefix: ClassVar[str] = "swp"
    state: tuple[State, ...] = ()


@routes.get("/v1/sweeps", SweepListQuery, scope="sweeps:read", shows=ListView[SweepView])
def list_all(call: Call[SweepListQuery], tx: Tx) -> Answer:
    """List what was collected."""
    page = call.form.page
    found, has_more = rows.listed(tx, call.store_id, page, states=call.form.state)
    return list_answer((sweep_view(tx, call.node.catalogue, record) for record in found), page, has_more=has_more)


@routes.get("/v1/sweeps/<sweep_id>", scope="sweeps:read", shows=SweepView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show a sweep: its items, what it brought and what it cost."""
    record = rows.by_id(tx, call.path["sweep_id"])
    if record is None or call.store_id not in {None, record.store_id}:
        raise NotFound("sweep")
    return answer(sweep_view(tx, call.node.catalogue, record))
