"""Lists: the envelope that every one of them comes in."""

from collections.abc import Iterable, Mapping
from typing import Any

from paynode.api.routes import answer
from paynode.operations.once import Answer
from paynode.store.pages import Page


def list_answer(data: Iterable[Mapping[str, Any]], page: Page | None = None, *, has_more: bool = False) -> Answer:
    """A list; `next_cursor` is where to go on in the direction that was asked for. None: the list is whole."""
    entries = list(data)
    last = 0 if page is not None and page.before is not None else -1
    cursor = entries[last]["id"] if has_more and entries else None
    return answer({"object": "list", "data": entries, "has_more": has_more, "next_cursor": cursor})
