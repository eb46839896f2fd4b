"""Lists of the ledger's entries by any filter."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from paynode.domain.ledger import Account
from paynode.store.database import Tx
from paynode.store.ids import number_of, numbered_id
from paynode.store.pages import Conditions, Found, Page, count_rows, walk_page
from paynode.store.records import Columns, Units
from paynode.store.times import from_ms, to_ms

PREFIX = "led"


@dataclass(frozen=True, slots=True)
class EntryRecord:
    id: int
    store_id: str
    account: Account
    method: str
    units: Units
    cause: str
    reason: str
    at: datetime

    @property
    def name(self) -> str:
        """What it is called outside."""
        return numbered_id(PREFIX, self.id, self.at)


ENTRY = Columns(EntryRecord)


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """What a list is narrowed to; by what is left empty it is not."""

    store_ids: Sequence[str] | None = None
    methods: Sequence[str] = ()
    accounts: Sequence[str] = ()
    reasons: Sequence[str] = ()
    cause: str | None = None
    after: datetime | None = None
    before: datetime | None = None


def page_of(tx: Tx, wanted: EntryFilter, page: Page) -> Found[EntryRecord]:
    """One page of the entries that fit."""
    found = walk_page(
        tx,
        ENTRY.of("e"),
        "ledger_entries e",
        _conditions(wanted),
        page,
        key="e.id",
        key_of=number_of,
        id_of=lambda number: _name(tx, number),
    )
    return found.map(ENTRY.decode)


def count(tx: Tx, wanted: EntryFilter) -> tuple[int, bool]:
    """How many fit, and whether that is all of them."""
    return count_rows(tx, "ledger_entries e", _conditions(wanted))


def _name(tx: Tx, number: int) -> str:
    row = tx.row("select at from ledger_entries where id = ?", (number,))
    assert row is not None, "it was just read, and entries are never deleted"
    return numbered_id(PREFIX, number, from_ms(row[0]))


def _conditions(wanted: EntryFilter) -> Conditions:
    """Entries are numbered as they come, so a stretch of time is a stretch of numbers."""
    found = Conditions()
    if wanted.after is not None:
        found.seek(
            "e.id >= (select coalesce(min(o.id), 9223372036854775807) from (select id from ledger_entries "
            "where at > :after order by at, id limit 1) o)",
            after=to_ms(wanted.after),
        )
        found.check("e.at > :after")
    if wanted.before is not None:
        found.seek(
            "e.id <= (select coalesce(max(o.id), 0) from (select id from ledger_entries "
            "where at < :before order by at desc, id desc limit 1) o)",
            before=to_ms(wanted.before),
        )
        found.check("e.at < :before")
    if wanted.cause is not None:
        found.seek("e.cause = :cause", cause=wanted.cause)
    if wanted.store_ids is not None and len(wanted.store_ids) == 1 and wanted.cause is None:
        found.seek("e.store_id = :store_id", store_id=wanted.store_ids[0])
    else:
        found.check_any("e.store_id", wanted.store_ids)
    found.check_any("e.method", wanted.methods or None)
    found.check_any("e.account", wanted.accounts or None)
    found.check_any("e.reason", wanted.reasons or None)
    return found
