"""Rates in the store and in prices: what may lock one, what late money is worth, and how the history thins out."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.lab.shop import NOW, Clock, Shop, open_shop, sim_config

from paynode.domain.errors import RateUnavailable
from paynode.domain.quote import Rate
from paynode.operations import pricing
from paynode.operations import rates as operations
from paynode.store import rates
from paynode.store.database import Tx

SOURCE = '[rates]\nurls = { a = "http://127.0.0.1/{base}/{quote}" }\nstatic = { "usdt/USD" = "1" }\n'
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = open_shop(sim_config(tmp_path, SOURCE))
    yield shop
    shop.database.close()


def said(value: str, age: timedelta = timedelta(0), quote: str = "USD", source: str = "a") -> Rate:
    return Rate("sim", quote, Decimal(value), NOW - age, source)


def lock(shop: Shop, symbol: str, currency: str = "USD", clock: Clock | None = None) -> Decimal:
    now = NOW if clock is None else clock()
    asset = shop.catalogue.assets[f"sim_{symbol}"]
    return shop.database.read(pricing.rate_to_lock, shop.catalogue, currency, asset, now)


def refusal(shop: Shop, clock: Clock | None = None) -> str:
    with pytest.raises(RateUnavailable) as refused:
        lock(shop, "sim", clock=clock)
    return refused.value.detail


def test_a_live_rate_locks_prices_until_it_is_too_old(shop: Shop) -> None:
    clock = Clock()
    shop.database.write(rates.add, said("2000"))
    clock.advance(5 * MINUTE)
    assert lock(shop, "sim", clock=clock) == 2000
    clock.advance(timedelta(milliseconds=1))
    assert "older than 5m" in refusal(shop, clock)


def test_a_rate_from_the_future_locks_nothing(shop: Shop) -> None:
    shop.database.write(rates.add, said("2000", -MINUTE))
    assert "not been heard" in refusal(shop)


def test_a_fixed_rate_wins_however_fresh_a_live_one_is(shop: Shop) -> None:
    shop.database.write(rates.add, Rate("usdt", "USD", Decimal(2), NOW, "a"))
    assert lock(shop, "usdt", clock=Clock(NOW + 1000 * DAY)) == 1


def test_a_fixed_rate_that_left_the_config_locks_nothing(shop: Shop) -> None:
    shop.database.write(rates.add, said("2000", source=rates.STATIC))
    assert "not been heard" in refusal(shop)


def test_a_price_in_the_coin_itself_needs_no_rate(shop: Shop) -> None:
    assert lock(shop, "sim", "SIM") == 1


def test_a_refusal_says_what_the_sources_said(shop: Shop) -> None:
    shop.database.write(operations.keep, [], {("sim", "USD"): "a: HTTP 503"}, NOW)
    assert refusal(shop) == "No usable rate for sim/USD: a: HTTP 503."
    shop.database.write(operations.keep, [said("2000")], {}, NOW)
    assert lock(shop, "sim") == 2000
    assert shop.database.read(rates.refusal, "sim", "USD") is None


def test_without_sources_a_refusal_says_so(tmp_path: Path) -> None:
    shop = open_shop(sim_config(tmp_path))
    assert "rates.static" in refusal(shop)
    assert "rates.sources" in refusal(shop)
    shop.database.close()


def test_late_money_is_worth_the_nearest_live_rate_or_the_fixed_one_that_held(shop: Shop) -> None:
    asset = shop.catalogue.assets["sim_sim"]

    def worth(age: timedelta) -> Decimal:
        return shop.database.read(pricing.rate_for, "USD", asset, NOW - age)

    with pytest.raises(RateUnavailable, match="ever known"):
        worth(HOUR)
    for rate in (said("3", 9 * HOUR, source=rates.STATIC), said("1", 5 * HOUR), said("2", HOUR)):
        shop.database.write(rates.add, rate)
    assert [worth(age * HOUR) for age in (10, 9, 6, 5, 4, 2, 0)] == [3, 3, 3, 1, 1, 2, 2]


def test_the_pairs_that_matter_are_coins_on_offer_in_currencies_in_use(tmp_path: Path) -> None:
    toml = '[networks.sim]\nfamily = "sim"\nsweep = { min_value = "20 CHF" }\n' + SOURCE
    shop = open_shop(sim_config(tmp_path, toml))

    def pairs() -> set[tuple[str, str]]:
        return set(shop.database.read(operations.pairs, shop.catalogue))

    assert pairs() == {("sim", "USD"), ("sim", "CHF"), ("usdt", "CHF")}
    shop.database.write(operations.want, shop.catalogue, "USDT", NOW)
    assert pairs() == {("sim", "USD"), ("sim", "CHF"), ("usdt", "CHF"), ("sim", "USDT")}
    shop.database.close()


def test_of_many_currencies_those_asked_for_last_are_kept_fresh(shop: Shop) -> None:
    for place in range(100):
        shop.database.write(operations.want, shop.catalogue, f"A{place:02}", NOW + place * HOUR)
    assert shop.database.read(rates.currencies)[:2] == ["A99", "A98"]
    assert len(shop.database.read(operations.pairs, shop.catalogue)) == 1 + 2 * rates.CURRENCIES_MAX


def test_what_is_older_is_kept_coarser_and_the_history_has_an_end(shop: Shop) -> None:
    def fill(tx: Tx) -> None:
        for age in range(0, 3 * 24 * 60, 1):
            rates.add(tx, said("1", age * MINUTE))
        for age in range(3 * 24, 1000 * 24):
            rates.add(tx, said("1", age * HOUR))
        rates.add(tx, said("7", 999 * DAY, source=rates.STATIC))

    def count(newer: timedelta, older: timedelta) -> int:
        sql = "select count(*) from rates where base = 'sim' and at > ? and at <= ?"
        values = (rates.to_ms(NOW - older), rates.to_ms(NOW - newer))
        return int(shop.database.read(lambda tx: tx.rows(sql, values))[0][0])

    shop.database.write(fill)
    for _ in range(2):  # doing it again changes nothing
        shop.database.write(rates.thin, "sim", "USD", NOW)
        assert count(timedelta(0), DAY) == 24 * 60
        assert count(DAY, 3 * DAY) == 2 * 24 * 6
        assert count(3 * DAY, 60 * DAY) == 57 * 24
        assert abs(count(60 * DAY, 800 * DAY) - 740) <= 1
        assert count(800 * DAY, 2000 * DAY) <= 2
        assert shop.database.read(rates.nearest, "sim", "USD", NOW - 999 * DAY) == said("7", 999 * DAY, source="static")


def test_a_pairs_history_is_thinned_once_an_hour(shop: Shop) -> None:
    def history() -> int:
        return int(shop.database.read(lambda tx: tx.rows("select count(*) from rates where base = 'sim'"))[0][0])

    old = [said("1", 2 * DAY + place * MINUTE) for place in range(1, 60)]
    for rate in old:
        shop.database.write(rates.add, rate)
    thinned = []
    for minute in range(60):
        before = history()
        shop.database.write(operations.keep, [said("1", -minute * MINUTE)], {}, NOW + minute * MINUTE)
        if history() <= before:
            thinned.append(minute)
    assert len(thinned) == 1
