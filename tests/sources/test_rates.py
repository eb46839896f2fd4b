"""The sources of rates against local servers that speak each exchange's documented format, and against mad ones."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.lab.shop import NOW, Clock
from tests.sources.exchange import Exchange, Query, Reply, Script, exchange, said, silence

from paynode.config import RateSource as Configured
from paynode.config import Secret
from paynode.domain.quote import Rate
from paynode.sources.http import BODY_BYTES_MAX, HttpClient, SourceFailed
from paynode.sources.rates import BASE_URLS, RateSource, opened
from paynode.sources.rates.binance import Binance
from paynode.sources.rates.coinbase import Coinbase
from paynode.sources.rates.custom import Custom
from paynode.sources.rates.kraken import Kraken

MS = int(NOW.timestamp() * 1000)
KRAKEN = {
    "XETHZUSD": ("2999.00", "3001.00"),
    "USDTZUSD": ("0.99990", "0.99992"),
    "SOLUSD": ("150.10", "150.20"),
    "XXBTZEUR": ("80000.1", "80000.2"),
    "XDGUSD": ("0.2", "0.2"),
}
BINANCE = {
    "ETHUSDT": ("2998.50", "2999.50"),
    "ETHEUR": ("2700.00", "2702.00"),
    "EURUSDT": ("1.2499", "1.2501"),
    "HALTUSDT": ("1.0", "1.0"),
}
COINBASE = {"ETH": {"USD": "3000.123456789012345678", "EUR": "2701.5", "KES": "387000.25", "XAU": "nonsense"}}


def kraken(path: str, query: Query) -> Reply:
    assert path == "/0/public/Ticker"
    names = query["pair"].split(",") if "pair" in query else list(KRAKEN)
    if set(names) - set(KRAKEN):
        return said({"error": ["EQuery:Unknown asset pair"]})
    result = {
        name: {"a": [ask, "5", "5.000"], "b": [bid, "1", "1.000"], "c": ["1", "0.1"], "o": "2990.1"}
        for name, (bid, ask) in KRAKEN.items()
        if name in names
    }
    return said({"error": [], "result": result})


def binance(path: str, query: Query) -> Reply:
    if path == "/api/v3/ticker/price":
        return said([{"symbol": name, "price": bid} for name, (bid, _) in BINANCE.items()])
    assert path == "/api/v3/ticker/24hr"
    names = json.loads(query["symbols"])
    if set(names) - set(BINANCE):
        return said({"code": -1121, "msg": "Invalid symbol."}, status=400)
    return said([binance_ticker(name, *BINANCE[name]) for name in names])


def binance_ticker(name: str, bid: str, ask: str, closed_ms: int = MS) -> dict[str, Any]:
    return {"symbol": name, "bidPrice": bid, "askPrice": ask, "lastPrice": bid, "closeTime": closed_ms, "count": 7}


def coinbase(path: str, query: Query) -> Reply:
    assert path == "/v2/exchange-rates"
    currency = query["currency"]
    if currency not in COINBASE:
        return said({"errors": [{"id": "invalid_request", "message": f"Invalid currency ({currency})"}]}, status=400)
    return said({"data": {"currency": currency, "rates": COINBASE[currency]}})


def custom(path: str, query: Query) -> Reply:
    prices = {"/v1/eth/USD": 3000.12, "/v1/eth/EUR": "2700.000000000000000001", "/v1/usdt/USD": {"price": 1}}
    return said(prices[path]) if path in prices else said({"error": "unknown"}, status=404)


SCRIPTS: dict[str, Script] = {"kraken": kraken, "binance": binance, "coinbase": coinbase, "custom": custom}


@asynccontextmanager
async def source(
    name: str, script: Script, clock: Callable[[], datetime] = lambda: NOW, *, deadline_seconds: float = 5
) -> AsyncIterator[tuple[RateSource, Exchange]]:
    async with exchange(script) as server:
        client = HttpClient(server.url, deadline_seconds=deadline_seconds)
        match name:
            case "kraken":
                made: RateSource = Kraken(client, clock)
            case "binance":
                made = Binance(client, clock)
            case "coinbase":
                made = Coinbase(client, clock)
            case _:
                made = Custom("mine", client, server.url + "/v1/{base}/{quote}", clock)
        try:
            yield made, server
        finally:
            await made.aclose()


def prices(rates: list[Rate]) -> dict[tuple[str, str], Decimal]:
    return {(rate.base, rate.quote): rate.value for rate in rates}


async def test_kraken_tells_the_middle_of_its_offers_by_its_own_names_for_markets() -> None:
    wanted = [("eth", "USD"), ("usdt", "USD"), ("sol", "USD"), ("btc", "EUR"), ("doge", "USD"), ("nosuch", "USD")]
    async with source("kraken", kraken) as (made, server):
        assert prices(await made.fetch(wanted)) == {
            ("eth", "USD"): Decimal("3000.00"),
            ("usdt", "USD"): Decimal("0.99991"),
            ("sol", "USD"): Decimal("150.15"),
            ("btc", "EUR"): Decimal("80000.15"),
            ("doge", "USD"): Decimal("0.2"),
        }
        await made.fetch(wanted)
        assert [query for _, query in server.asked] == [{}, *[{"pair": ",".join(KRAKEN_ORDER)}] * 2]


KRAKEN_ORDER = ["XETHZUSD", "USDTZUSD", "SOLUSD", "XXBTZEUR", "XDGUSD"]


async def test_binance_tells_dollars_in_tether_and_euros_either_way_round() -> None:
    async with source("binance", binance) as (made, _):
        rates = await made.fetch([("eth", "USD"), ("eth", "EUR"), ("usdt", "EUR"), ("usdt", "USD"), ("eth", "KES")])
        assert prices(rates) == {
            ("eth", "USDT"): Decimal(2999),
            ("eth", "EUR"): Decimal(2701),
            ("usdt", "EUR"): Decimal("0.8"),
        }
        assert {rate.at for rate in rates} == {NOW}


async def test_coinbase_tells_every_digit_it_sent_and_leaves_out_what_it_does_not_know() -> None:
    async with source("coinbase", coinbase) as (made, server):
        rates = await made.fetch([("eth", "USD"), ("eth", "KES"), ("eth", "GBP"), ("nosuch", "USD")])
        assert prices(rates) == {
            ("eth", "USD"): Decimal("3000.123456789012345678"),
            ("eth", "KES"): Decimal("387000.25"),
        }
        assert len(server.asked) == 2  # one question per coin


async def test_a_url_of_ones_own_may_answer_with_a_number_a_text_or_an_object() -> None:
    async with source("custom", custom) as (made, _):
        rates = await made.fetch([("eth", "USD"), ("eth", "EUR"), ("usdt", "USD"), ("nosuch", "USD")])
        assert prices(rates) == {
            ("eth", "USD"): Decimal("3000.12"),
            ("eth", "EUR"): Decimal("2700.000000000000000001"),
            ("usdt", "USD"): Decimal(1),
        }
        assert {(rate.source, rate.at) for rate in rates} == {("mine", NOW)}


async def test_a_url_of_ones_own_that_fails_at_one_pair_tells_the_others() -> None:
    def limping(path: str, query: Query) -> Reply:
        return Reply(status=500) if path == "/v1/eth/EUR" else custom(path, query)

    async with source("custom", limping) as (made, _):
        assert prices(await made.fetch([("eth", "EUR"), ("eth", "USD")])) == {("eth", "USD"): Decimal("3000.12")}
        assert await made.fetch([("nosuch", "USD"), ("nosuch", "EUR")]) == []
        with pytest.raises(SourceFailed, match="HTTP 500"):
            await made.fetch([("eth", "EUR"), ("nosuch", "EUR")])


async def test_a_price_is_as_old_as_the_source_says_or_as_a_cache_kept_it() -> None:
    hour = timedelta(hours=1)

    def old(path: str, query: Query) -> Reply:
        if path.startswith("/v1/"):
            return said({"price": "3000", "at": (NOW - hour).isoformat()})
        if path == "/api/v3/ticker/24hr":
            return said([binance_ticker("ETHUSDT", "1", "1", MS - 3_600_000)])
        answered = SCRIPTS[{"/0": "kraken", "/a": "binance", "/v": "coinbase"}[path[:2]]](path, query)
        assert isinstance(answered, Reply)
        return Reply(answered.body, headers={"age": "3600"})

    for name in SCRIPTS:
        async with source(name, old) as (made, _):
            assert {rate.at for rate in await made.fetch([("eth", "USD")])} == {NOW - hour}, name


async def test_names_of_markets_are_learned_again_for_a_new_pair_and_when_they_are_old() -> None:
    clock = Clock()
    async with source("kraken", kraken, clock) as (made, server):

        async def learned(*pairs: tuple[str, str]) -> bool:
            before = len(server.asked)
            await made.fetch(pairs)
            return {} in [query for _, query in server.asked[before:]]

        assert await learned(("eth", "USD"))
        assert not await learned(("eth", "USD"))
        assert await learned(("eth", "USD"), ("nosuch", "USD"))
        assert not await learned(("eth", "USD"), ("nosuch", "USD"))
        clock.advance(timedelta(days=1))
        assert await learned(("eth", "USD"))


@pytest.mark.parametrize(("name", "markets"), [("kraken", KRAKEN), ("binance", BINANCE)])
async def test_a_market_that_closed_is_left_out_after_one_failure(
    name: str, markets: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    coin = "sol" if name == "kraken" else "halt"
    market = "SOLUSD" if name == "kraken" else "HALTUSDT"
    async with source(name, SCRIPTS[name]) as (made, _):
        assert len(await made.fetch([("eth", "USD"), (coin, "USD")])) == 2
        monkeypatch.delitem(markets, market)
        with pytest.raises(SourceFailed):
            await made.fetch([("eth", "USD"), (coin, "USD")])
        assert [rate.base for rate in await made.fetch([("eth", "USD"), (coin, "USD")])] == ["eth"]


@pytest.mark.parametrize(
    ("bid", "ask"),
    [("0", "0"), ("0", "3000"), ("-1", "3000"), ("3000", "2000"), ("1", "3000"), ("NaN", "NaN"), ("3000", "Infinity")],
)
async def test_a_market_without_two_offers_that_are_near_has_no_price(
    bid: str, ask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KRAKEN, "XETHZUSD", (bid, ask))
    monkeypatch.setitem(BINANCE, "ETHUSDT", (bid, ask))
    for name in ("kraken", "binance"):
        async with source(name, SCRIPTS[name]) as (made, _):
            assert await made.fetch([("eth", "USD")]) == []


GARBAGE = {
    "HTML": Reply(b"<!doctype html><title>Just a moment...</title>"),
    "nothing": Reply(b""),
    "null": Reply(b"null"),
    "a number where an object is": Reply(b"{}"),
    "deep": Reply(b"[" * 100_000),
    "not UTF-8": Reply(b'{"price": "\xff"}'),
    "a bare NaN": Reply(b"NaN"),
    "a number in words": Reply(b'{"price": "three thousand"}'),
    "half of it": Reply(b'{"price": "30', claimed=1000),
    "a short text of 20 MB": Reply(b" " * 20 * 2**20),
    "20 MB, it claims": Reply(b'{"price": "3000"}', claimed=20 * 2**20),
    "packed": Reply(b"\x1f\x8b", headers={"content-encoding": "gzip"}),
    "a redirect": Reply(status=302, headers={"location": "http://127.0.0.1:1/"}),
    "a failure": Reply(b"{}", status=503),
}


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_is_a_failure_with_a_reason_and_nothing_else(name: str, garbage: Reply) -> None:
    async with source(name, lambda path, query: garbage) as (made, _):
        with pytest.raises(SourceFailed) as failed:
            await made.fetch([("eth", "USD")])
        assert 0 < len(failed.value.reason) < 100
        assert "127.0.0.1" not in failed.value.reason


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_source_that_hangs_has_failed_at_its_deadline(name: str) -> None:
    async with source(name, silence, deadline_seconds=0.05) as (made, _):
        with pytest.raises(SourceFailed, match="no answer within"):
            await made.fetch([("eth", "USD")])


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_source_that_says_slow_down_is_told_of_with_its_wait(name: str) -> None:
    async with source(name, lambda path, query: Reply(b"", status=429, headers={"retry-after": "17"})) as (made, _):
        with pytest.raises(SourceFailed, match="HTTP 429") as failed:
            await made.fetch([("eth", "USD")])
        assert failed.value.retry_after_seconds == 17


async def test_an_answer_about_another_coin_is_refused() -> None:
    async with source("coinbase", lambda path, query: said({"data": {"currency": "BTC", "rates": {}}})) as (made, _):
        with pytest.raises(SourceFailed, match="another coin"):
            await made.fetch([("eth", "USD")])


async def test_a_time_that_no_calendar_has_is_refused() -> None:
    def timeless(path: str, query: Query) -> Reply:
        mad = [binance_ticker("ETHUSDT", "1", "1", 10**18)]
        return binance(path, query) if path == "/api/v3/ticker/price" else said(mad)

    async with source("binance", timeless) as (made, _):
        with pytest.raises(SourceFailed, match="time"):
            await made.fetch([("eth", "USD")])


async def test_nobody_listening_is_a_failure_that_names_no_url() -> None:
    made = Custom("mine", HttpClient(), "http://127.0.0.1:1/key-of-mine/{base}/{quote}", Clock())
    with pytest.raises(SourceFailed) as failed:
        await made.fetch([("eth", "USD")])
    await made.aclose()
    assert failed.value.reason == "ConnectError"


async def test_the_configs_sources_are_opened_by_name() -> None:
    configured = [
        *(Configured(name, None) for name in BASE_URLS),
        Configured("mine", Secret("https://rates.example/{base}/{quote}")),
    ]
    made = opened(configured, lambda: datetime.now(UTC))
    assert [each.name for each in made] == [*BASE_URLS, "mine"]
    for each in made:
        await each.aclose()


def test_an_answer_has_at_most_a_mebibyte() -> None:
    assert BODY_BYTES_MAX == 2**20
