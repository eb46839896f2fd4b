"""Every word of the three hosted APIs, asked natively and observed; and the page for merchants who come from them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import pytest
from tests.hosted_apis import first, second, third
from tests.hosted_apis.node import WholeNode
from tests.hosted_apis.rows import NotYet, Row, check

from paynode.domain.scopes import NODE_SCOPES, STORE_SCOPES

Rows = Sequence[Row | NotYet]

PAGE = (files("paynode") / "docs" / "coming-from-hosted-apis.md").read_text()
VOCABULARIES = {"first": first.TABLES, "second": second.TABLES, "third": third.TABLES}
TABLES: Mapping[tuple[str, str], Rows] = {
    (name, heading): rows for name, tables in VOCABULARIES.items() for heading, rows in tables.items()
}
ROWS = [(f"{name}, {heading}: {row.word}", row) for (name, heading), rows in TABLES.items() for row in rows]
SERVED = [pytest.param(row, id=name) for name, row in ROWS if isinstance(row, Row)]
WAITING = [pytest.param(row, id=name) for name, row in ROWS if isinstance(row, NotYet)]


@pytest.fixture
async def node(tmp_path: Path) -> WholeNode:
    node = WholeNode(tmp_path)
    await node.begin()
    return node


@pytest.mark.parametrize("row", SERVED)
async def test_a_word_of_theirs_is_said_and_answered_here(node: WholeNode, row: Row) -> None:
    check(row, await row.ask(node))


@pytest.mark.parametrize("row", WAITING)
async def test_what_is_not_yet_said_here_is_not_served(node: WholeNode, row: NotYet) -> None:
    answer = await row.ask(node)
    assert (answer["http"], answer["detail"]) == (
        404,
        "There is nothing at this path; /docs/reference lists those that exist.",
    )


def test_what_waits_waits_for_scopes_that_no_key_can_have() -> None:
    waits_for = {row.waits_for for _, row in ROWS if isinstance(row, NotYet)}
    assert waits_for == {"payouts"}
    assert [scope for scope in STORE_SCOPES | NODE_SCOPES if scope.partition(":")[0] in waits_for] == []


def page_tables() -> Iterator[tuple[tuple[str, str], list[tuple[list[str], str]]]]:
    """The rows of the page's tables: their words, and what stands beside them."""
    for vocabulary in re.split(r"^## The ", PAGE, flags=re.MULTILINE)[1:]:
        for section in re.split(r"^### ", vocabulary, flags=re.MULTILINE)[1:]:
            heading, _, text = section.partition("\n")
            cells = re.findall(r"^\| (.+?) \| (.+) \|$", text, re.MULTILINE)[1:]
            yield (vocabulary.partition(":")[0], heading), [(words_of(theirs), ours) for theirs, ours in cells]


def words_of(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell) or [cell]


def plain(row: Row | NotYet) -> str:
    """Its word without the case."""
    return row.word.partition(": ")[0]


def test_the_page_has_the_tables_of_the_tests_and_every_word_once() -> None:
    shown = {table: sorted(word for words, _ in rows for word in words) for table, rows in page_tables()}
    assert shown == {table: sorted({plain(row) for row in rows}) for table, rows in TABLES.items()}


@pytest.mark.parametrize(
    ("table", "words", "ours"), [(table, words, ours) for table, rows in page_tables() for words, ours in rows]
)
def test_what_the_page_says_is_what_the_tests_say(table: tuple[str, str], words: list[str], ours: str) -> None:
    """Each name that it gives is sent or seen by the rows of these words, and what waits is said to."""
    rows = [row for row in TABLES[table] if plain(row) in words]
    waiting = {row.waits_for for row in rows if isinstance(row, NotYet)}
    assert re.findall(r"Not yet: (\w+)", ours) == sorted(waiting)
    evidence = " ".join(row.evidence for row in rows if isinstance(row, Row))
    named = {name for code in re.findall(r"`([^`]+)`", ours) for name in re.findall(r"[\w.]+", code)}
    assert [name for name in sorted(named) if name not in evidence] == []
