"""The rates service with sources that answer, fail, lie and hang, on a clock that jumps while all wait."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import trio
from tests.lab.shop import NOW, Shop, open_shop, sim_config

from paynode.domain.quote import Rate
from paynode.operations import rates as operations
from paynode.services import rates as service
from paynode.sources.http import SourceFailed
from paynode.sources.rates import Pair
from paynode.store import rates

URLS = '[rates]\nurls = { a = "http://127.0.0.1/{base}/{quote}" }\n'  # so that the config has a source; nobody opens it
SIM, USDT = ("sim", "USD"), ("usdt", "USD")


@dataclass
class FakeSource:
    """Says what it is told to say."""

    name: str
    prices: Mapping[Pair, str]
    clock: Callable[[], datetime]
    hangs: bool = False
    failure: SourceFailed | None = None
    asked_at: list[float] = field(default_factory=list)

    async def fetch(self, pairs: Sequence[Pair]) -> list[Rate]:
        self.asked_at.append(trio.current_time())
        if self.hangs:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        if self.failure is not None:
            raise self.failure
        # One in tether is told for every pair in dollars, as exchanges without dollars do.
        said = [*pairs, *((base, "USDT") for base, quote in pairs if quote == "USD")]
        return [
            Rate(*pair, Decimal(self.prices[pair]), self.clock(), self.name) for pair in said if pair in self.prices
        ]

    async def aclose(self) -> None:
        """There is nothing to close."""


@dataclass
class Desk:
    shop: Shop
    sources: list[FakeSource]
    beats: list[float] = field(default_factory=list)

    def clock(self) -> datetime:
        return NOW + timedelta(seconds=trio.current_time() - self.began)

    began: float = 0.0

    def add(self, name: str, prices: Mapping[Pair, str]) -> FakeSource:
        source = FakeSource(name, prices, self.clock)
        self.sources.append(source)
        return source

    def latest(self, pair: Pair) -> Rate | None:
        return self.shop.database.read(rates.latest, *pair, self.clock())

    def price(self, pair: Pair) -> Decimal | None:
        rate = self.latest(pair)
        return None if rate is None else rate.value

    def refusal(self, pair: Pair) -> str | None:
        return self.shop.database.read(rates.refusal, *pair)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.began = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def start(task_status: trio.TaskStatus[None]) -> None:
                await service.run(
                    self.shop.database,
                    self.shop.catalogue,
                    self.sources,
                    clock=self.clock,
                    beat=lambda: self.beats.append(trio.current_time()),
                    task_status=task_status,
                )

            await nursery.start(start)
            yield
            nursery.cancel_scope.cancel()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    shop = open_shop(sim_config(tmp_path, URLS))
    yield Desk(shop, [])
    shop.database.close()


async def test_sources_that_agree_give_prices_at_once_and_keep_them_fresh(
    desk: Desk, autojump_clock: trio.testing.MockClock
) -> None:
    for name, price in (("a", "2000"), ("b", "2010"), ("c", "2005")):
        desk.add(name, {SIM: price, USDT: "1"})
    async with desk.running():
        await trio.sleep(3)
        assert (desk.price(SIM), desk.price(USDT)) == (2005, 1)
        for _ in range(60):
            await trio.sleep(60)
            latest = desk.latest(SIM)
            assert latest is not None
            assert desk.clock() - latest.at < timedelta(seconds=65)
    assert all(len(source.asked_at) == 61 for source in desk.sources)
    gaps = [after - before for before, after in zip(desk.beats, desk.beats[1:], strict=False)]
    assert max(gaps) < 20


async def test_a_source_that_hangs_delays_nobody(desk: Desk, autojump_clock: trio.testing.MockClock) -> None:
    for name in ("a", "b"):
        desk.add(name, {SIM: "2000", USDT: "1"})
    desk.add("c", {}).hangs = True
    async with desk.running():
        await trio.sleep(2.5)
        assert desk.price(SIM) == 2000
        await trio.sleep(600)
        latest = desk.latest(SIM)
        assert latest is not None
        assert desk.clock() - latest.at < timedelta(seconds=65)
        assert latest.source == "a+b"


async def test_a_price_in_tether_counts_in_dollars_once_it_is_known_what_tether_costs(
    desk: Desk, autojump_clock: trio.testing.MockClock
) -> None:
    desk.add("a", {SIM: "1900", USDT: "0.95"})
    desk.add("b", {SIM: "1901", USDT: "0.95"})
    desk.add("c", {("sim", "USDT"): "2000"})
    async with desk.running():
        await trio.sleep(3)
        assert desk.latest(SIM) == Rate("sim", "USD", Decimal(1900), desk.clock() - timedelta(seconds=3), "a+b+c")


async def test_a_mad_source_is_left_out_and_without_agreement_there_is_a_reason_and_no_price(
    desk: Desk, autojump_clock: trio.testing.MockClock
) -> None:
    sane, mad = desk.add("a", {SIM: "2000"}), desk.add("b", {SIM: "2000000"})
    async with desk.running():
        await trio.sleep(3)
        assert desk.price(SIM) is None
        assert desk.refusal(SIM) == "the sources disagree: a says 2000, b says 2000000"
        mad.prices = {SIM: "2001"}
        await trio.sleep(60)
        assert (desk.price(SIM), desk.refusal(SIM)) == (Decimal("2000.5"), None)
        mad.prices = {SIM: "2001000"}
        await trio.sleep(60)
        assert desk.price(SIM) == 2000
        sane.failure = SourceFailed("HTTP 503")
        await trio.sleep(3600)
        assert desk.price(SIM) == 2000
        assert "far from the last good price" in (desk.refusal(SIM) or "")
        assert "a: HTTP 503" in (desk.refusal(SIM) or "")


async def test_a_lone_source_is_believed_when_it_says_the_same_again_soon(
    desk: Desk, autojump_clock: trio.testing.MockClock
) -> None:
    desk.add("a", {SIM: "2000"})
    async with desk.running():
        await trio.sleep(3)
        assert desk.price(SIM) is None
        assert "believed if it holds" in (desk.refusal(SIM) or "")
        await trio.sleep(30)
        assert desk.price(SIM) == 2000


async def test_a_source_that_fails_is_asked_ever_more_rarely_and_again_when_it_works(
    desk: Desk, autojump_clock: trio.testing.MockClock
) -> None:
    desk.add("a", {SIM: "2000"})
    failing = desk.add("b", {SIM: "2000"})
    failing.failure = SourceFailed("HTTP 500")
    async with desk.running():
        await trio.sleep(500)
        assert [round(at - desk.began) for at in failing.asked_at] == [0, 15, 45, 105, 225, 345, 465]
        failing.failure = SourceFailed("HTTP 429", retry_after_seconds=1000)
        await trio.sleep(1000)
        assert [round(at - desk.began) for at in failing.asked_at][7:] == [585]
        failing.failure = None
        await trio.sleep(200)
        latest = desk.latest(SIM)
        assert latest is not None
        assert latest.source == "a+b"


async def test_a_currency_that_is_asked_for_first_has_prices_in_seconds(
    desk: Desk, autojump_clock: trio.testing.MockClock
) -> None:
    kes = ("sim", "KES")
    for name in ("a", "b"):
        desk.add(name, {SIM: "2000", kes: "258000"})
    async with desk.running():
        await trio.sleep(30)
        assert desk.price(kes) is None
        assert desk.shop.database.write(operations.want, desk.shop.catalogue, "KES", desk.clock())
        assert not desk.shop.database.write(operations.want, desk.shop.catalogue, "KES", desk.clock())
        await trio.sleep(3)
        assert desk.price(kes) == 258000


async def test_a_currency_that_is_asked_for_while_a_question_is_under_way_is_asked_next(
    desk: Desk, autojump_clock: trio.testing.MockClock
) -> None:
    kes = ("sim", "KES")
    source = desk.add("a", {SIM: "2000", kes: "258000"})
    slow = desk.add("b", {SIM: "2000", kes: "258000"})
    fetch = slow.fetch

    async def slowly(pairs: Sequence[Pair]) -> list[Rate]:
        await trio.sleep(10)
        return await fetch(pairs)

    slow.fetch = slowly  # type: ignore[method-assign]
    async with desk.running():
        await trio.sleep(5)
        desk.shop.database.write(operations.want, desk.shop.catalogue, "KES", desk.clock())
        await trio.sleep(20)
        latest = desk.latest(kes)
        assert latest is not None
        assert latest.source == "a+b"
    assert len(source.asked_at) >= 2


async def test_a_source_that_never_comes_to_an_end_has_failed(
    desk: Desk, autojump_clock: trio.testing.MockClock
) -> None:
    desk.add("a", {}).hangs = True
    async with desk.running():
        await trio.sleep(40)
        assert "a: not done in 30 s" in (desk.refusal(SIM) or "")
