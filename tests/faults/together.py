"""Many cases on one node at once, each a test of its own: a chain and a daemon cost more than all their payments.

A case is an async function that gets the place. The first test of a file to be run opens the place and runs all cases
side by side, then those `in_the_end` one after the other; every test tells how its own case went.

    cases = Together(opened)

    @cases.case
    async def test_a_payment_is_credited(town: Town) -> None: ...
"""

from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import pytest
import trio
from outcome import Error, Outcome, acapture, capture

T = TypeVar("T")


class Together(Generic[T]):
    """The cases of one file, and how they went."""

    def __init__(self, opened: Callable[[Path], AbstractAsyncContextManager[T]]) -> None:
        self._opened = opened
        self._side_by_side: dict[str, Callable[[T], Awaitable[None]]] = {}
        self._last: dict[str, Callable[[T], Awaitable[None]]] = {}
        self._outcomes: dict[str, Outcome[None]] = {}
        self._run: Outcome[None] | None = None  # of the place itself

    def case(self, body: Callable[[T], Awaitable[None]]) -> Callable[..., None]:
        """The test that `body` is, among the others."""
        self._side_by_side[body.__name__] = body
        return self._as_test(body)

    def in_the_end(self, body: Callable[[T], Awaitable[None]]) -> Callable[..., None]:
        """The test that `body` is, once all others are over."""
        self._last[body.__name__] = body
        return self._as_test(body)

    def _as_test(self, body: Callable[[T], Awaitable[None]]) -> Callable[..., None]:
        def test(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
            if self._run is None:
                chosen = {item.name for item in request.session.items if item.path == request.path}
                self._run = capture(trio.run, partial(self._run_all, tmp_path_factory.mktemp("place"), chosen))
            for ended in (self._outcomes.get(body.__name__, self._run), self._run):
                if isinstance(ended, Error):
                    raise ended.error

        test.__name__, test.__doc__, test.__module__ = body.__name__, body.__doc__, body.__module__
        return test

    async def _run_all(self, folder: Path, chosen: Collection[str]) -> None:
        async with self._opened(folder) as place:
            async with trio.open_nursery() as nursery:
                for name, body in self._side_by_side.items():
                    if name in chosen:
                        nursery.start_soon(self._run_one, name, body, place)
            for name, body in self._last.items():
                if name in chosen:
                    await self._run_one(name, body, place)

    async def _run_one(self, name: str, body: Callable[[T], Awaitable[None]], place: T) -> None:
        self._outcomes[name] = await acapture(body, place)
