"""Pages of lists: by key, never by offset, so that page ten thousand costs what page one costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paynode.store.database import Tx, Value


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for. Ids sort by time, so an id is a cursor."""

    limit: int
    after: str | None = None  # older than this id, in the list's order
    before: str | None = None
    ascending: bool = False


def select_page(
    tx: Tx, select: str, where: Sequence[str], values: Mapping[str, Value], page: Page, key: str = "id"
) -> tuple[list[tuple[Any, ...]], bool]:
    """The rows of one page in the page's order, and whether more follow in its direction. Keyset, never OFFSET."""
    conditions, bound = list(where), dict(values)
    forwards = page.before is None
    ascending = page.ascending if forwards else not page.ascending
    cursor = page.after if forwards else page.before
    if cursor is not None:
        conditions.append(f"{key} {'>' if ascending else '<'} :cursor")
        bound["cursor"] = cursor
    bound["limit"] = page.limit + 1
    rows = tx.rows(
        f"{select} where {' and '.join(conditions)} order by {key} {'asc' if ascending else 'desc'} limit :limit", bound
    )
    kept = rows[: page.limit]
    return (kept if forwards else kept[::-1]), len(rows) > page.limit
