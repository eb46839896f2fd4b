"""Rates with their time: what a coin cost when, for quotes and for the worth of late money.

The one rule of the history: the older, the coarser, so that it has an end. A day whole, then one rate in ten minutes
for a week, one an hour for two months, one a day for two years. A fixed rate holds until the next, so it is kept.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from paynode.domain.quote import Rate
from paynode.store.database import Tx
from paynode.store.times import from_ms, to_ms

STATIC = "static"  # the source of rates that the config names
CURRENCIES_MAX = 32  # kept fresh at once, those asked for last
ASKED_EVERY = timedelta(hours=1)  # noted at most so often: an invoice more costs no write more

# Up to which age one rate is kept per step, the earliest; none is older than the last.
_KEPT = (
    (timedelta(days=1), timedelta(0)),
    (timedelta(days=8), timedelta(minutes=10)),
    (timedelta(days=60), timedelta(hours=1)),
    (timedelta(days=800), timedelta(days=1)),
)
_COLUMNS = "at, value, source"


def add(tx: Tx, rate: Rate) -> None:
    tx.run(
        "insert or replace into rates (base, quote, at, value, source) values (?, ?, ?, ?, ?)",
        (rate.base, rate.quote, to_ms(rate.at), format(rate.value, "f"), rate.source),
    )


def latest(tx: Tx, base: str, quote: str, now: datetime) -> Rate | None:
    """The newest rate not after `now`."""
    row = tx.row(
        f"select {_COLUMNS} from rates where base = ? and quote = ? and at <= ? order by at desc limit 1",
        (base, quote, to_ms(now)),
    )
    return None if row is None else _rate(base, quote, row)


def nearest(tx: Tx, base: str, quote: str, moment: datetime) -> Rate | None:
    """The rate of `moment`: the fixed one that held then, or else the live one that is nearest in time."""
    before = latest(tx, base, quote, moment)
    if before is not None and before.source == STATIC:
        return before
    row = tx.row(
        f"select {_COLUMNS} from rates where base = ? and quote = ? and at > ? order by at limit 1",
        (base, quote, to_ms(moment)),
    )
    after = None if row is None else _rate(base, quote, row)
    if before is None or after is None:
        return before or after
    return before if moment - before.at <= after.at - moment else after


def thin(tx: Tx, base: str, quote: str, now: datetime) -> None:
    """Forget of one pair's history what is older than it is fine."""
    for (newer_than, _), (older_than, step) in pairwise(_KEPT):
        tx.run(
            "delete from rates where base = :base and quote = :quote and at between :from and :to and source <> :static"
            " and exists (select 1 from rates as kept where kept.base = :base and kept.quote = :quote"
            " and kept.at >= rates.at - rates.at % :step and kept.at < rates.at)",
            {
                "base": base,
                "quote": quote,
                "from": to_ms(now - older_than),
                "to": to_ms(now - newer_than),
                "step": int(step.total_seconds() * 1000),
                "static": STATIC,
            },
        )
    tx.run(
        "delete from rates where base = ? and quote = ? and at < ? and source <> ?",
        (base, quote, to_ms(now - _KEPT[-1][0]), STATIC),
    )


def note_currency(tx: Tx, currency: str, now: datetime) -> bool:
    """Remember that prices in `currency` are asked for; tells whether that is new."""
    row = tx.row("select asked_at from rate_currencies where currency = ?", (currency,))
    if row is None or row[0] <= to_ms(now - ASKED_EVERY):
        tx.run(
            "insert into rate_currencies (currency, asked_at) values (?, ?)"
            " on conflict (currency) do update set asked_at = excluded.asked_at",
            (currency, to_ms(now)),
        )
    return row is None


def currencies(tx: Tx) -> Sequence[str]:
    """The currencies that prices were asked for in, as many as are kept fresh, the last first."""
    rows = tx.rows("select currency from rate_currencies order by asked_at desc, currency limit ?", (CURRENCIES_MAX,))
    return [row[0] for row in rows]


def refuse(tx: Tx, base: str, quote: str, reason: str, now: datetime) -> None:
    """Keep why there is no price to believe; the first moment of a reason stays."""
    tx.run(
        "insert into rate_refusals (base, quote, at, reason) values (?, ?, ?, ?) on conflict (base, quote)"
        " do update set at = excluded.at, reason = excluded.reason where reason <> excluded.reason",
        (base, quote, to_ms(now), reason),
    )


def believe(tx: Tx, base: str, quote: str) -> None:
    """Forget a refusal, if there is one."""
    tx.run("delete from rate_refusals where base = ? and quote = ?", (base, quote))


def refusals(tx: Tx) -> Mapping[tuple[str, str], str]:
    """The reasons, by pair."""
    return {(row[0], row[1]): row[2] for row in tx.rows("select base, quote, reason from rate_refusals")}


def refusal(tx: Tx, base: str, quote: str) -> str | None:
    row = tx.row("select reason from rate_refusals where base = ? and quote = ?", (base, quote))
    return None if row is None else str(row[0])


def _rate(base: str, quote: str, row: tuple[object, ...]) -> Rate:
    at, value, source = row
    assert isinstance(at, int)
    return Rate(base, quote, Decimal(str(value)), from_ms(at), str(source))
