"""Rates with their time: what a coin cost when, for quotes and for the worth of late money."""

from datetime import datetime
from decimal import Decimal

from paynode.domain.quote import Rate
from paynode.store.database import Tx
from paynode.store.times import from_ms, to_ms


def add(tx: Tx, rate: Rate) -> None:
    tx.run(
        "insert or replace into rates (base, quote, at, value, source) values (?, ?, ?, ?, ?)",
        (rate.base, rate.quote, to_ms(rate.at), format(rate.value, "f"), rate.source),
    )


def at(tx: Tx, base: str, quote: str, moment: datetime) -> Rate | None:
    """The newest rate not after `moment`; of a moment before all rates, the oldest."""
    row = tx.row(
        "select at, value, source from rates where base = ? and quote = ? and at <= ? order by at desc limit 1",
        (base, quote, to_ms(moment)),
    ) or tx.row(
        "select at, value, source from rates where base = ? and quote = ? order by at limit 1",
        (base, quote),
    )
    if row is None:
        return None
    return Rate(base, quote, Decimal(row[1]), from_ms(row[0]), row[2])
