"""Lists: the envelope that every one of them comes in."""

from collections.abc import Iterable
from typing import Generic, TypeVar

from paynode.api.routes import answer
from paynode.operations.once import Answer
from paynode.operations.views.shapes import View
from paynode.store.pages import Page

T = TypeVar("T")


class ListView(View, Generic[T], frozen=True, tag_field="object", tag="list"):
    """A page of a list; `next_cursor` is where to go on in the direction that was asked for."""

    data: list[T]
    has_more: bool
    next_cursor: str | None


def list_answer(data: Iterable[View], page: Page | None = None, *, has_more: bool = False) -> Answer:
    """A list, or a page of one. No page: the list is whole."""
    entries = list(data)
    last = 0 if page is not None and page.before is not None else -1
    cursor = getattr(entries[last], "id", None) if has_more and entries else None
    return answer(ListView(data=entries, has_more=has_more, next_cursor=cursor))
