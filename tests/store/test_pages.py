"""Pages by key: forwards and backwards, without a gap, a repeat or an offset."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynode.store import database as databases
from paynode.store import stores
from paynode.store.database import Database
from paynode.store.pages import Page, select_page

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
    rows, has_more = database.read(select_page, "select id from stores", ["account >= :least"], {"least": 0}, wanted)
    return [row[0] for row in rows], has_more


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
