"""Pages by key: forwards and backwards, without a gap, a repeat or an offset."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynode.store import database as databases
from paynode.store import pages, stores
from paynode.store.database import Database
from paynode.store.pages import Conditions, Gathered, Page, count_rows, gather, walk_page

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def shelf() -> tuple[Database, list[str]]:
    """A table of ten ids, and the ids."""
    database = databases.in_memory()
    made = [
        database.write(stores.add, f"store{number}", number, NOW + timedelta(seconds=number)).id for number in range(10)
    ]
    return database, made


def page(database: Database, wanted: Page) -> tuple[list[str], bool]:
    conditions = Conditions()
    conditions.check("account >= :least", least=0)
    found = database.read(walk_page, "s.id", "stores s", conditions, wanted, "s.id")
    entries = [row[0] for row in found.entries]
    assert found.cursor == (None if not found.has_more else entries[0] if wanted.before else entries[-1])
    return entries, found.has_more


@pytest.mark.parametrize("ascending", [False, True])
@given(limit=st.integers(1, 11))
def test_walking_forwards_shows_everything_once(shelf: tuple[Database, list[str]], ascending: bool, limit: int) -> None:
    database, made = shelf
    seen: list[str] = []
    after, has_more = None, True
    while has_more:
        found, has_more = page(database, Page(limit, after=after, ascending=ascending))
        seen += found
        after = found[-1]
    assert seen == (made if ascending else made[::-1])


@pytest.mark.parametrize("ascending", [False, True])
@given(limit=st.integers(1, 11), start=st.integers(0, 9))
def test_a_page_before_an_id_ends_right_before_it(
    shelf: tuple[Database, list[str]], ascending: bool, limit: int, start: int
) -> None:
    database, made = shelf
    order = made if ascending else made[::-1]
    found, has_more = page(database, Page(limit, before=order[start], ascending=ascending))
    assert found == order[max(0, start - limit) : start]
    assert has_more == (start > limit)


def test_an_empty_list_has_no_more(shelf: tuple[Database, list[str]]) -> None:
    database, made = shelf
    assert page(database, Page(5, after=made[0])) == ([], False)


def test_a_walk_that_finds_little_ends_and_says_where_to_go_on() -> None:
    asked = Page(limit=2)
    assert gather([(key, False) for key in range(9)], asked, 5) == Gathered([], has_more=True, last=4)
    assert gather([(5, False), (6, True), (7, False)], asked, 5) == Gathered([6], has_more=False, last=None)
    assert gather([(5, True), (6, True), (7, False), (8, True)], asked, 5) == Gathered([5, 6], has_more=True, last=6)
    assert gather([(5, True), (6, True), (7, False)], asked, 2) == Gathered([5, 6], has_more=True, last=6)


def test_a_count_knows_whether_it_is_whole(shelf: tuple[Database, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    database, _ = shelf
    conditions = Conditions()
    conditions.check("account % 2 = 0")
    assert database.read(count_rows, "stores", conditions) == (5, True)
    monkeypatch.setattr(pages, "COUNTED_MAX", 4)
    assert database.read(count_rows, "stores", conditions) == (2, False)
