"""Lists of invoices: whatever the filter, what is listed is what fits, in order, and nothing is looked at for long."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from paynode.domain.errors import Invalid
from paynode.domain.invoice import PaymentState, Status, Type
from paynode.domain.screening import InvoiceScreening
from paynode.domain.sweep import InvoiceSweep
from paynode.store import database as databases
from paynode.store import invoice_lists, invoice_search, invoices, stores
from paynode.store.database import Database, Tx
from paynode.store.ids import new_id
from paynode.store.invoice_search import InvoiceFilter
from paynode.store.invoices import INVOICE, METHOD, InvoiceRecord, MethodRecord
from paynode.store.pages import Page

START = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 300
CASES = 120
METHODS = ("sim_usdt", "sim_usdc", "sim_usd", "sim_sim")
AMOUNTS = ("0.05", "0.5", "3", "9.99", "10", "10.0", "100", "99999999999999999999", "99999999999999999999.000001")
NAMES = ("Blue shoes", "Red shoes", "Cafés & Tea", "a shoe-lace", None)


@dataclass(frozen=True)
class Shelf:
    database: Database
    store_ids: Sequence[str]
    made: Sequence[tuple[InvoiceRecord, frozenset[str]]]  # oldest first, with its methods


def record(number: int, dice: random.Random, store_ids: Sequence[str], now: datetime) -> InvoiceRecord:
    return InvoiceRecord(
        id=new_id("inv", now),
        store_id=dice.choice(store_ids),
        type=Type.ONE_TIME,
        status=Status.OPEN,
        payment_state=PaymentState.NONE,
        sweep_state=InvoiceSweep.NOT_APPLICABLE,
        amount=None if number % 50 == 0 else Decimal(dice.choice(AMOUNTS)),
        currency=dice.choice(("USD", "EUR")),
        under_percent=Decimal(0),
        over_percent=Decimal(0),
        is_late_accepted=True,
        name=dice.choice(NAMES),
        description=None,
        order_id=dice.choice((None, "same", f"W-{number}")),
        is_order_id_unique=False,
        customer=dice.choice((None, "ann@example.com")),
        metadata=json.dumps(dice.choice(({}, {"size": "blue 12"}, {"colour": "blue"}, {"size": "12"}))),
        language=None,
        success_url=None,
        fail_url=None,
        quote_seconds=900,
        monitor_seconds=900,
        created_at=now,
        updated_at=now,
        expires_at=now,
        monitor_until=now,
    )


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shelf]:
    """Invoices of two stores, several in each millisecond, each changed after it was made, some of them deleted."""
    database = databases.in_memory()
    dice = random.Random(7)
    store_ids = [database.write(stores.add, name, at, START).id for at, name in enumerate(("main", "other"))]
    made: list[tuple[InvoiceRecord, frozenset[str]]] = []

    def make(tx: Tx) -> None:
        for number in range(COUNT):
            new = record(number, dice, store_ids, START + timedelta(milliseconds=number // 3))
            offered = dice.sample(METHODS, dice.randint(1, 2))
            invoices.add(tx, new, [MethodRecord(new.id, at, name, "sim", 1) for at, name in enumerate(offered)])
            changed = replace(
                new,
                status=dice.choice((Status.OPEN, Status.PAID)),
                payment_state=dice.choice((PaymentState.NONE, PaymentState.EXACT)),
                screening=dice.choice((InvoiceScreening.PASSED, InvoiceScreening.FLAGGED)),
                is_late=number % 7 == 0,
                is_archived=number % 5 == 0,
                customer=dice.choice((new.customer, "Zoë")),
            )
            invoices.save(tx, changed)
            made.append((changed, frozenset(offered)))
        for gone, _ in made[::40]:
            tx.run("delete from invoice_methods where invoice_id = ?", (gone.id,))
            tx.run("delete from invoices where id = ?", (gone.id,))
        del made[::40]

    database.write(make)
    yield Shelf(database, store_ids, made)
    database.close()


def words(entry: InvoiceRecord) -> list[str]:
    texts = (entry.order_id, entry.name, entry.description, entry.customer, *json.loads(entry.metadata).values())
    return split(" ".join(filter(None, texts)))


def split(text: str) -> list[str]:
    plain = text.lower().translate(str.maketrans("éë", "ee"))
    return "".join(letter if letter.isalnum() else " " for letter in plain).split()


def fits(entry: InvoiceRecord, offered: frozenset[str], wanted: InvoiceFilter) -> bool:
    """The plain meaning of a filter."""
    amount = entry.amount
    return (
        (wanted.store_ids is None or entry.store_id in wanted.store_ids)
        and (not wanted.statuses or entry.status in wanted.statuses)
        and (not wanted.payment_states or entry.payment_state in wanted.payment_states)
        and (not wanted.screenings or entry.screening in wanted.screenings)
        and (not wanted.methods or bool(offered & {*wanted.methods}))
        and wanted.is_late in {None, entry.is_late}
        and wanted.is_archived in {None, entry.is_archived}
        and wanted.currency in {None, entry.currency}
        and (wanted.amount_min is None or (amount is not None and amount >= wanted.amount_min))
        and (wanted.amount_max is None or (amount is not None and amount <= wanted.amount_max))
        and (wanted.created_after is None or entry.created_at > wanted.created_after)
        and (wanted.created_before is None or entry.created_at < wanted.created_before)
        and wanted.order_id in {None, entry.order_id}
        and wanted.metadata.items() <= json.loads(entry.metadata).items()
        and (wanted.text is None or said(words(entry), split(wanted.text)))
    )


def said(held: Sequence[str], beginnings: Sequence[str]) -> bool:
    return all(any(word.startswith(beginning) for word in held) for beginning in beginnings)


def in_order(shelf: Shelf, wanted: InvoiceFilter, page: Page) -> list[InvoiceRecord]:
    found = [entry for entry, offered in shelf.made if fits(entry, offered, wanted)]
    if page.by_amount:
        found.sort(key=lambda entry: (entry.currency, -1 if entry.amount is None else entry.amount))
    return found if page.ascending else found[::-1]


def walked(database: Database, wanted: InvoiceFilter, page: Page) -> list[InvoiceRecord]:
    """All pages, one after the other."""
    entries: list[InvoiceRecord] = []
    for _ in range(COUNT + 1):
        found = database.read(invoice_lists.page_of, wanted, page)
        entries = [*found.entries, *entries] if page.before else [*entries, *found.entries]
        if not found.has_more:
            return entries
        page = replace(page, before=found.cursor) if page.before else replace(page, after=found.cursor)
    raise AssertionError("the list has no end")


def drawn(dice: random.Random, shelf: Shelf) -> InvoiceFilter:
    """A filter of up to three conditions."""
    possible: dict[str, Any] = {
        "store_ids": dice.choice([[], [shelf.store_ids[0]], shelf.store_ids]),
        "statuses": dice.choice([["open"], ["paid"], ["reversed"], ["open", "paid"]]),
        "payment_states": dice.choice([["none"], ["exact", "over"]]),
        "screenings": dice.choice([["passed"], ["not_screened", "flagged"]]),
        "methods": dice.sample(METHODS, dice.randint(1, 2)),
        "is_late": dice.random() < 0.5,
        "is_archived": dice.random() < 0.5,
        "currency": dice.choice(["USD", "EUR"]),
        "amount_min": Decimal(dice.choice(AMOUNTS)),
        "amount_max": Decimal(dice.choice(AMOUNTS)),
        "created_after": START + timedelta(milliseconds=dice.randint(-1, COUNT // 3)),
        "created_before": START + timedelta(milliseconds=dice.randint(0, COUNT // 3 + 1)),
        "order_id": dice.choice(["same", "W-11", "none"]),
        "metadata": dice.choice([{"size": "12"}, {"size": "blue 12"}, {"colour": "12"}, {"colour": "blue"}]),
        "text": dice.choice(["sh", "Blue", "blu sho", "cafes", "CAFÉS tea", "zoe", "12", "w", "nothing", "ann exa"]),
    }
    return InvoiceFilter(**{name: possible[name] for name in dice.sample(sorted(possible), dice.randint(0, 3))})


def page_drawn(dice: random.Random) -> Page:
    return Page(dice.randint(1, 40), ascending=dice.random() < 0.5, by_amount=dice.random() < 0.5)


@pytest.mark.parametrize("few", [16, 1000])
def test_a_list_is_what_fits_in_its_order(shelf: Shelf, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Method: against the plain meaning; with limits at which little is few, so that every way to look is taken."""
    monkeypatch.setattr(invoice_search, "FEW", few)
    monkeypatch.setattr(invoice_search, "FEW_TO_MATCH", few // 2)
    dice = random.Random(few)
    for _ in range(CASES):
        wanted, page = drawn(dice, shelf), page_drawn(dice)
        expected = in_order(shelf, wanted, page)
        assert walked(shelf.database, wanted, page) == expected, (wanted, page)
        assert shelf.database.read(invoice_lists.count, wanted) == (len(expected), True), wanted


def test_a_page_before_an_invoice_ends_right_before_it(shelf: Shelf) -> None:
    """The invoice need not be in the list itself."""
    dice = random.Random(1)
    for _ in range(CASES):
        wanted, page = replace(drawn(dice, shelf), store_ids=None), page_drawn(dice)
        start, _ = dice.choice(shelf.made)
        everything = in_order(shelf, InvoiceFilter(), page)
        before = {entry.id for entry in everything[: everything.index(start)]}
        expected = [entry for entry in in_order(shelf, wanted, page) if entry.id in before]
        assert walked(shelf.database, wanted, replace(page, before=start.id)) == expected, (wanted, page)


def test_every_walk_is_in_the_order_of_an_index(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sorted and no table is gone through, whatever is asked for."""
    walks: dict[str, Any] = {}
    each = Tx.each

    def noted(tx: Tx, sql: str, values: Any = ()) -> Iterator[tuple[Any, ...]]:
        walks[sql] = values
        return each(tx, sql, values)

    monkeypatch.setattr(Tx, "each", noted)
    monkeypatch.setattr(invoice_search, "FEW", 5)
    monkeypatch.setattr(invoice_search, "FEW_TO_MATCH", 5)
    dice = random.Random(3)
    for _ in range(CASES):
        shelf.database.read(invoice_lists.page_of, drawn(dice, shelf), page_drawn(dice))
    assert len(walks) > 20
    for sql, values in walks.items():
        plan = [row[3] for row in shelf.database.read(lambda tx: tx.rows(f"explain query plan {sql}", values))]  # noqa: B023
        assert not [step for step in plan if "ORDER BY" in step or step == "SCAN i"], (sql, plan)


def test_the_groups_count_what_is_in_them(shelf: Shelf) -> None:
    rows = shelf.database.read(
        lambda tx: tx.rows(
            "select g.count, count(i.serial), g.status = i.status and g.payment_state = i.payment_state and "
            "g.is_late = i.is_late and g.screening = i.screening and g.is_archived = i.is_archived and "
            "g.currency = i.currency and "
            "g.store_id = i.store_id and g.methods = (select ' ' || group_concat(method, ' ' order by method) || ' ' "
            "from invoice_methods m where m.invoice_id = i.id) "
            "from invoice_groups g left join invoices i on i.group_no = g.id group by g.id"
        )
    )
    assert rows
    assert all(counted == held > 0 and is_same == 1 for counted, held, is_same in rows)


def test_a_deleted_invoice_is_still_a_place_in_a_list_by_age(shelf: Shelf) -> None:
    gone = new_id("inv", START + timedelta(milliseconds=50))
    found = shelf.database.read(invoice_lists.page_of, InvoiceFilter(), Page(1, after=gone))
    assert found.entries[0].created_at == START + timedelta(milliseconds=49)
    with pytest.raises(Invalid):
        shelf.database.read(invoice_lists.page_of, InvoiceFilter(), Page(1, after=gone, by_amount=True))


def test_no_store_learns_an_amount_from_another_stores_invoice(shelf: Shelf) -> None:
    own, foreign = shelf.store_ids
    theirs = next(entry for entry, _ in shelf.made if entry.store_id == foreign)
    with pytest.raises(Invalid):
        shelf.database.read(
            invoice_lists.page_of, InvoiceFilter(store_ids=[own]), Page(1, after=theirs.id, by_amount=True)
        )


HOSTILE = [
    '"',
    "'",
    "*",
    '" OR "',
    "NEAR(a b)",
    "words:blue",
    "-blue",
    "^blue",
    "(",
    "{",
    "a" * 5000,
    "\x00",
    "%",
    "_",
    "kx",
    "",
]


@pytest.mark.parametrize(
    "text", [*HOSTILE, "\U0001f600", "日本", "🏴", "and or not", "blue AND", "x" * 100 + " " + "y " * 100]
)
def test_no_text_is_an_error(shelf: Shelf, text: str) -> None:
    found = shelf.database.read(invoice_lists.page_of, InvoiceFilter(text=text), Page(100))
    assert {*map(tuple, map(words, found.entries))} <= {*map(tuple, (words(entry) for entry, _ in shelf.made))}


def test_an_invoice_is_found_by_the_beginning_of_its_id(shelf: Shelf) -> None:
    entry, _ = shelf.made[5]
    for text in (entry.id, entry.id[:-3]):
        assert shelf.database.read(invoice_lists.page_of, InvoiceFilter(text=text), Page(5)).entries == [entry]


def test_invoices_made_before_lists_were_kept_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.db"
    with monkeypatch.context() as patch:
        before = databases._migrations()[:21]
        patch.setattr(databases, "_migrations", lambda: before)
        databases.create(path)
        old = databases.open(path)
        store_id = old.write(stores.add, "main", 0, START).id
        new = record(1, random.Random(1), [store_id], START)
        entry = MethodRecord(new.id, 0, "sim_usdt", "sim", 1)
        old.write(lambda tx: tx.run(INVOICE.insert("invoices"), INVOICE.encode(new)))
        old.write(lambda tx: tx.run(METHOD.insert("invoice_methods"), METHOD.encode(entry)))
        old.close()
    database = databases.open(path)
    wanted = InvoiceFilter(methods=["sim_usdt"], text=(new.name or "")[:3] or None)
    assert database.read(invoice_lists.page_of, wanted, Page(5)).entries == [new]
    assert database.read(invoice_lists.count, InvoiceFilter()) == (1, True)
    assert database.read(lambda tx: tx.rows("pragma foreign_key_check")) == []
    database.close()
