"""Lists: the envelope that every one of them comes in."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from msgspec import UNSET, Meta, UnsetType

from paynode.api.routes import Call, answer
from paynode.operations.once import Answer
from paynode.operations.views.shapes import View
from paynode.store.pages import Found

T = TypeVar("T")


class ListView(View, Generic[T], frozen=True, tag_field="object", tag="list"):
    """A page of a list; `next_cursor` is where to go on in the direction that was asked for."""

    data: list[T]
    has_more: bool
    next_cursor: str | None
    total: Annotated[int, Meta(description="Only with `include=total`.")] | UnsetType = UNSET
    total_is_exact: Annotated[bool, Meta(description="False: there are more than `total`.")] | UnsetType = UNSET


def list_answer(data: Iterable[View]) -> Answer:
    """A list that is whole."""
    return answer(ListView(data=list(data), has_more=False, next_cursor=None))


def page_answer(found: Found[T], total: tuple[int, bool] | None = None) -> Answer:
    """A page of a list that may be longer than one walk through it, and how long it is, if that was asked for."""
    count, is_exact = (UNSET, UNSET) if total is None else total
    return answer(
        ListView(
            data=found.entries,
            has_more=found.has_more,
            next_cursor=found.cursor,
            total=count,
            total_is_exact=is_exact,
        )
    )


def stores_of(call: Call[Any], wanted: Sequence[str]) -> Sequence[str] | None:
    """The stores to list of: those wanted that the caller may see; None: all."""
    if call.store_id is None:
        return wanted or None
    return [call.store_id] if call.store_id in {*wanted} or not wanted else []
