"""The table `[rates]`: who is asked what coins cost, and prices that are fixed."""

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType

from paynode.config.mistakes import Wrong
from paynode.config.secrets import Credentials, Secret
from paynode.config.shapes import Mode, Rates, RateSource
from paynode.config.table import Table
from paynode.config.values import decimal, duration, list_of, text

EXCHANGES = ("kraken", "coinbase", "binance")
AGE_MAX = timedelta(minutes=5)

_PAIR = re.compile(r"([A-Za-z0-9]{1,16})/([A-Za-z]{3})")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def read_rates(
    top: Table, mode: Mode | None, credentials: Credentials
) -> tuple[Rates, Mapping[tuple[str, str], Decimal]]:
    """Where live rates come from, and the fixed ones, by symbol in lower and currency in upper case.

    By default a live node asks every exchange we know and every URL that is named here; a test or simulated one, whose
    coins are worth nothing, asks only the URLs.
    """
    with top.table("rates") as table:
        written = table.table("urls")
        urls = _urls(written, credentials)
        default = (*(EXCHANGES if mode is Mode.LIVE else ()), *urls)
        names = table.optional("sources", list_of(text, length_max=16), default)
        for name in names:
            if name not in EXCHANGES and name not in urls:
                known = ", ".join((*EXCHANGES, *urls))
                table.note("sources", "names a source that is not known", f"Known: {known}; name others in rates.urls")
        if len(set(names)) < len(names):
            table.note("sources", "names a source twice: it would agree with itself", "Remove one of the two")
        for name in urls:
            if name not in names:
                written.note(name, "is not asked: rates.sources does not name it", "Add it there")
        age_max = table.optional("max_age", duration(timedelta(minutes=2), timedelta(hours=1)), AGE_MAX)
        static = _static(table.table("static"))
    sources = tuple(RateSource(name, urls.get(name)) for name in names)
    return Rates(sources, age_max), MappingProxyType(static)


def _urls(table: Table, credentials: Credentials) -> Mapping[str, Secret]:
    urls: dict[str, Secret] = {}
    for name, value in table.named_values():
        if not _NAME.fullmatch(name) or name in EXCHANGES:
            table.note(name, "is not a name for a source of your own", "Write up to 32 of a-z, 0-9, - and _")
        try:
            urls[name] = credentials.rates_url(value)
        except Wrong as wrong:
            table.note(name, wrong.problem, wrong.remedy)
    return urls


def _static(table: Table) -> Mapping[tuple[str, str], Decimal]:
    rates: dict[tuple[str, str], Decimal] = {}
    parse = decimal(Decimal(0), Decimal(10**18))
    for written, value in table.named_values():
        match = _PAIR.fullmatch(written)
        if match is None:
            table.note(written, "is not a pair", 'Write coin and currency: "usdt/USD" = "1"')
            continue
        pair = (match[1].lower(), match[2].upper())
        if pair in rates:
            table.note(written, "is there twice, in other capitals", "Remove one of the two")
        try:
            rates[pair] = parse(value)
        except Wrong as wrong:
            table.note(written, wrong.problem, wrong.remedy)
            continue
        if not rates[pair]:
            table.note(written, "is zero: everything would be free", "Write the price of one whole coin")
    return rates
