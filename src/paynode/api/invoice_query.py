"""What a list of invoices may be narrowed to, and its order."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, field

from paynode.api.lists import stores_of
from paynode.api.method_names import named
from paynode.api.parameters import IdOf
from paynode.api.query import CountedPageQuery
from paynode.api.routes import Call
from paynode.domain.errors import FieldProblem
from paynode.domain.invoice import PaymentState, Status, Type
from paynode.domain.screening import InvoiceScreening
from paynode.domain.sweep import InvoiceSweep
from paynode.store.invoice_search import InvoiceFilter
from paynode.store.pages import Page


class InvoiceListQuery(CountedPageQuery, frozen=True):
    prefix: ClassVar[str] = "inv"
    sort: Literal["created_at", "-created_at", "amount", "-amount"] = "-created_at"  # type: ignore[assignment]
    type: tuple[Type, ...] = ()
    status: tuple[Status, ...] = ()
    payment_state: tuple[PaymentState, ...] = ()
    sweep_state: tuple[InvoiceSweep, ...] = ()
    screening: Annotated[
        tuple[Literal["clear", "passed", "flagged", "not_screened"], ...],
        Meta(description="`clear`: all its deposits passed, or were released; the same as `passed`."),
    ] = ()
    method: Annotated[tuple[str, ...], Meta(description="Offers one of these.")] = ()
    store: tuple[Annotated[str, IdOf("sto")], ...] = ()
    currency: str | None = None
    amount_min: Annotated[Decimal | None, Meta(description="In `currency`.")] = None
    amount_max: Annotated[Decimal | None, Meta(description="In `currency`.")] = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    order_id: str | None = None
    metadata: Annotated[dict[str, str], Meta(description="`metadata[colour]=red`")] = field(default_factory=dict)
    late: bool | None = None
    archived: Literal["false", "true", "any"] = "false"
    q: Annotated[
        str | None,
        Meta(
            description="Words of the order id, name, description, customer or a value of the metadata, or their "
            "beginnings; or the beginning of an id, an address or a transaction's hash."
        ),
    ] = None

    def conflicts(self) -> Iterator[FieldProblem]:
        yield from super().conflicts()
        for name, amount in (("amount_min", self.amount_min), ("amount_max", self.amount_max)):
            if amount is not None and self.currency is None:
                yield FieldProblem(name, "conflicting", "Amounts of different currencies do not compare: name one.")
            if amount is not None and amount < 0:
                yield FieldProblem(name, "out_of_range", "An amount is not negative.")

    @property
    def page(self) -> Page:
        by_amount = self.sort.endswith("amount")
        return Page(self.limit, self.starting_after, self.ending_before, not self.sort.startswith("-"), by_amount)


def invoice_filter(call: Call[Any], query: InvoiceListQuery) -> InvoiceFilter:
    """What the query narrows a list of invoices to."""
    return InvoiceFilter(
        store_ids=stores_of(call, query.store),
        types=query.type,
        statuses=query.status,
        payment_states=query.payment_state,
        sweep_states=query.sweep_state,
        screenings=[InvoiceScreening.PASSED if each == "clear" else each for each in query.screening],
        methods=[named(call.node.catalogue, each) for each in query.method],
        is_late=query.late,
        is_archived=None if query.archived == "any" else query.archived == "true",
        currency=None if query.currency is None else query.currency.upper(),
        amount_min=query.amount_min,
        amount_max=query.amount_max,
        created_after=query.created_after,
        created_before=query.created_before,
        order_id=query.order_id,
        metadata=query.metadata,
        text=query.q or None,
    )
