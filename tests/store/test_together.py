"""Writes that share a commit, on a real file: each is whole or nothing by itself, and nobody is told too early."""

from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
import trio
import trio.testing

from paynode.store import database as databases
from paynode.store.database import Database, Tx
from paynode.store.together import Together


class Refused(Exception):
    pass


class Books:
    """A database with one table of texts, which counts its commits."""

    def __init__(self, path: Path) -> None:
        databases.create(path)
        self.commits = 0
        self.before: Callable[[], None] = lambda: None
        self.database: Database = databases.open(path, before_commit=self._before, after_commit=self._after)
        self.database.write(lambda tx: tx.run("create table texts (text text not null unique) strict"))
        self.together = Together(self.database)
        self.commits = 0

    def _before(self) -> None:
        self.before()

    def _after(self) -> None:
        self.commits += 1

    @property
    def texts(self) -> list[str]:
        return [text for (text,) in self.database.read(lambda tx: tx.rows("select text from texts order by text"))]

    async def add(self, text: str, *, fails: bool = False) -> str:
        return await self.together.write(lambda tx: _add(tx, text, fails=fails))


def _add(tx: Tx, text: str, *, fails: bool) -> str:
    tx.run("insert into texts (text) values (?)", (text,))
    tx.ring(text)
    if fails:
        raise Refused(text)
    return text.upper()


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path / "paynode.db")


async def test_writes_of_one_moment_share_a_commit_and_each_gets_its_own_answer(books: Books) -> None:
    answers: list[tuple[str, str]] = []

    async def one(text: str) -> None:
        answers.append((text, await books.add(text)))
        assert books.commits == 1, "nobody is told before the commit"

    async with trio.open_nursery() as nursery:
        for text in "abcde":
            nursery.start_soon(one, text)
    assert sorted(answers) == [(text, text.upper()) for text in "abcde"]
    assert books.texts == list("abcde")
    assert books.commits == 1


async def test_a_write_alone_is_a_commit_of_its_own(books: Books) -> None:
    assert await books.add("a") == "A"
    assert await books.add("b") == "B"
    assert (books.texts, books.commits) == (["a", "b"], 2)


async def test_one_that_fails_undoes_itself_and_no_other_and_rings_nothing(books: Books) -> None:
    refused: list[str] = []
    rung: list[str] = []

    async def listen(name: str) -> None:
        if await books.database.bells.wait(name, seconds=5):
            rung.append(name)

    async def fail(text: str) -> None:
        with pytest.raises(Refused):
            await books.add(text, fails=True)
        refused.append(text)

    async with trio.open_nursery() as nursery:
        for name in "abc":
            nursery.start_soon(listen, name)
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as writers:
            writers.start_soon(books.add, "a")
            writers.start_soon(fail, "b")
            writers.start_soon(books.add, "c")
        await trio.testing.wait_all_tasks_blocked()
        assert (sorted(rung), refused) == (["a", "c"], ["b"])
        nursery.cancel_scope.cancel()
    assert (books.texts, books.commits) == (["a", "c"], 1)


async def test_the_later_of_two_sees_what_the_earlier_did(books: Books) -> None:
    outcomes: list[str] = []

    async def add() -> None:
        try:
            outcomes.append(await books.add("same"))
        except apsw.ConstraintError:
            outcomes.append("was there")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(add)
        nursery.start_soon(add)
    assert sorted(outcomes) == ["SAME", "was there"]
    assert books.texts == ["same"]


async def test_if_the_shared_commit_fails_each_is_written_alone(books: Books) -> None:
    failures = [apsw.FullError("the disk is full")]

    def fail_once() -> None:
        if failures:
            raise failures.pop()

    books.before = fail_once
    async with trio.open_nursery() as nursery:
        for text in "abc":
            nursery.start_soon(books.add, text)
    assert (books.texts, books.commits) == (["a", "b", "c"], 3)


async def test_if_sqlite_undoes_the_whole_transaction_the_others_are_written_all_the_same(books: Books) -> None:
    """`insert or rollback` ends the transaction as a full disk does."""
    failed: list[str] = []

    async def spoil() -> None:
        with pytest.raises(apsw.ConstraintError):
            await books.together.write(lambda tx: tx.run("insert or rollback into texts (text) values (null)"))
        failed.append("spoiler")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(books.add, "a")
        nursery.start_soon(spoil)
        nursery.start_soon(books.add, "b")
    assert (books.texts, failed) == (["a", "b"], ["spoiler"])


async def test_who_is_cancelled_while_waiting_leaves_the_others_their_writes(books: Books) -> None:
    answers: list[str] = []

    async def one(text: str) -> None:
        answers.append(await books.add(text))

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as cancelled:
                cancelled.start_soon(one, "a")
                nursery.start_soon(one, "b")
                await trio.lowlevel.cancel_shielded_checkpoint()
                scope.cancel()
    assert books.texts == ["a", "b"]
    assert "B" in answers
