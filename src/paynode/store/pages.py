"""Pages of lists: by key, never by offset, so that page ten thousand costs what page one costs.

A page is a walk through an index in the list's order. What the index cannot tell is asked of each entry, and after so
many entries the page ends where it is, even if it is not full: so no combination of filters makes a request long.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from paynode.store.database import Tx, Value
from paynode.store.ids import first_id, last_id

STEPS_MAX = 10_000  # entries of one walk: some ten milliseconds
COUNTED_MAX = 100_000  # entries of one count

K = TypeVar("K")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for. Ids sort by time, so an id is a cursor."""

    limit: int
    after: str | None = None  # older than this id, in the list's order
    before: str | None = None
    ascending: bool = False
    by_amount: bool = False  # and not by age

    @property
    def cursor(self) -> str | None:
        return self.after if self.before is None else self.before

    @property
    def walks_up(self) -> bool:
        """Whether the page is gathered from its cursor upwards."""
        return self.ascending if self.before is None else not self.ascending


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """The entries of one page in the list's order."""

    entries: list[R]
    has_more: bool = False
    cursor: str | None = None  # where to go on in the direction that was asked for; None: nowhere

    def map(self, show: Callable[[R], K]) -> "Found[K]":
        """The page with each entry as `show` makes it."""
        return Found([show(entry) for entry in self.entries], self.has_more, self.cursor)


@dataclass(frozen=True, slots=True)
class Gathered(Generic[K]):
    """What a walk brought for one page, in the list's order."""

    keys: list[K]
    has_more: bool
    last: K | None  # the entry to go on from, whether it fits or not


def gather(walk: Iterable[tuple[K, Any]], page: Page, steps_max: int = STEPS_MAX) -> Gathered[K]:
    """Take from a walk, which tells of each entry whether it fits, what fills the page."""
    keys: list[K] = []
    looked_at: K | None = None
    for step, (key, fits) in enumerate(walk):
        if step == steps_max:
            return Gathered(_ordered(keys, page), True, looked_at)
        if fits and len(keys) == page.limit:
            return Gathered(_ordered(keys, page), True, keys[-1])
        if fits:
            keys.append(key)
        looked_at = key
    return Gathered(_ordered(keys, page), False, None)


def _ordered(keys: list[K], page: Page) -> list[K]:
    return keys if page.before is None else keys[::-1]


class Conditions:
    """What a list is narrowed to, as SQL: `sought` by an index, `checked` of each entry that the index brings."""

    def __init__(self) -> None:
        self.sought: list[str] = []
        self.checked: list[str] = []
        self.values: dict[str, Value] = {}

    def seek(self, sql: str, **values: Value) -> None:
        self.sought.append(sql)
        self.values |= values

    def check(self, sql: str, **values: Value) -> None:
        self.checked.append(sql)
        self.values |= values

    def check_any(self, column: str, allowed: Sequence[str] | None) -> None:
        """`column` is one of `allowed`; None: anything."""
        if allowed is not None:
            name = column.replace(".", "_")
            self.check(f"{column} in (select value from json_each(:{name}))", **{name: json.dumps(allowed)})

    def seek_made(self, key: str, prefix: str, after: datetime | None, before: datetime | None) -> None:
        """Made between two moments: an id says when."""
        if after is not None:
            self.seek(f"{key} > :made_after", made_after=last_id(prefix, after))
        if before is not None:
            self.seek(f"{key} < :made_before", made_before=first_id(prefix, before))


def walk_page(
    tx: Tx,
    columns: str,
    source: str,
    conditions: Conditions,
    page: Page,
    key: str,
    key_of: Callable[[str], Value] = str,
    id_of: Callable[[Any], str] = str,
) -> Found[tuple[Any, ...]]:
    """The rows of one page of `source` in the order of its `key`, which is its id or goes with it."""
    sought, values = list(conditions.sought), dict(conditions.values)
    if page.cursor is not None:
        sought.append(f"{key} {'>' if page.walks_up else '<'} :cursor")
        values["cursor"] = key_of(page.cursor)
    walk = tx.each(
        f"select {key}, {' and '.join(conditions.checked) or '1'} from {source} where {' and '.join(sought) or '1'} "
        f"order by {key} {'asc' if page.walks_up else 'desc'}",
        values,
    )
    gathered: Gathered[Any] = gather(walk, page)
    order = {each: at for at, each in enumerate(gathered.keys)}
    rows = tx.rows(
        f"select {key}, {columns} from json_each(:keys) wanted cross join {source} where {key} = wanted.value",
        conditions.values | {"keys": json.dumps(gathered.keys)},
    )
    entries = [tuple(row[1:]) for row in sorted(rows, key=lambda row: order[row[0]])]
    return Found(entries, gathered.has_more, None if gathered.last is None else id_of(gathered.last))


def count_rows(tx: Tx, source: str, conditions: Conditions) -> tuple[int, bool]:
    """How many rows fit, and whether that is all of them: a count ends where it becomes long."""
    where, checks = " and ".join(conditions.sought) or "1", " and ".join(conditions.checked) or "1"
    looked_at = f"select {checks} as fits from {source} where {where} limit :most"
    row = tx.row(
        f"select count(*), coalesce(sum(fits), 0) from ({looked_at})", conditions.values | {"most": COUNTED_MAX}
    )
    assert row is not None, "an aggregate always answers"
    return int(row[1]), row[0] < COUNTED_MAX
