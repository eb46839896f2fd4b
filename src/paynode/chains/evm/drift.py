"""Rule 8, its end: a fall that nothing explains, once it is old and two providers agree on it. I/O around `explain`.

What transfers that are not confirmed brought less than they say is taken from
their credit; what is missing beyond that is gone, and becomes an adjustment.
A rise is never adjusted away: it may be money whose evidence is late.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from paynode.chains.evm.explain import Inconsistent, capped_credits, expected_units, is_open_transfer
from paynode.chains.evm.reads import Pruned, Reads
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.tokens import LogMemory
from paynode.chains.evm.views import Views
from paynode.domain.chain import Pair, Row, RowKind, RowSource


@dataclass(slots=True)
class Drift:
    """What settles falls: adjustments, and by row id what transfers really brought."""

    rows: list[Row] = field(default_factory=list)
    credits: dict[int, int] = field(default_factory=dict)


def ripe_at(sight: Sight, views: Views, pair: Pair) -> int | None:
    """The height at which a pair's dispute is old enough to be settled: alone, it takes twice as long."""
    dispute = sight.books.disputes.get(pair)
    if dispute is None:
        return None
    depth = sight.watchlist.watch_by_address[pair.address].depth
    return dispute.since.number + depth * (2 if views.second is None else 1) - 1


def is_ripe(sight: Sight, views: Views, pair: Pair) -> bool:
    """Whether a pair's dispute is old enough to be settled."""
    height = ripe_at(sight, views, pair)
    return height is not None and sight.head.number >= height


def is_ripe_fall(sight: Sight, views: Views, pair: Pair, rows: Sequence[Row], logs: LogMemory) -> bool:
    """Whether the balance is below the books for long, and all logs were read since without finding out why."""
    height, units = ripe_at(sight, views, pair), sight.balances[pair]
    if height is None or not is_ripe(sight, views, pair) or units is None or units >= expected_units(rows, pair):
        return False
    return sight.watchlist.is_native(pair) or all(
        logs.has_read(each.name, pair, units, height) for each in views.sources
    )


async def settle_falls(sight: Sight, second: Reads | None, pairs: Collection[Pair], rows: Sequence[Row]) -> Drift:
    """What settles those of `pairs` whose balance `second` sees as low; without it, whose balance was so before."""
    found = Drift()
    for pair in sorted(await _agreed(sight, second, pairs)):
        units = sight.balances[pair]
        assert units is not None, "an unknown balance is no fall"
        fall = expected_units(rows, pair) - units
        try:
            credits = await _credits(sight, second, pair, fall, rows)
        except Inconsistent:
            continue
        taken = {row.id: row.credited_units for row in rows if row.id in credits}
        rest = fall - sum(taken.values()) + sum(credits.values())
        found.credits |= credits
        if rest:
            found.rows.append(Row(RowKind.ADJUSTMENT, RowSource.DRIFT, pair.address, pair.method, -rest, sight.head))
    return found


async def _agreed(sight: Sight, second: Reads | None, pairs: Collection[Pair]) -> list[Pair]:
    if second is None:
        return [pair for pair in pairs if sight.books.disputes[pair].observed_units == sight.balances[pair]]
    contracts = sorted(sight.watchlist.method_by_contract)
    look = await second.look(sight.header, sorted({pair.address for pair in pairs}), contracts, ())
    return [pair for pair in pairs if sight.balances[pair] == sight.watchlist.units(look, pair)]


async def _credits(sight: Sight, second: Reads | None, pair: Pair, fall: int, rows: Sequence[Row]) -> dict[int, int]:
    """What the token's transfers brought, by the steps of the balance in their blocks; both providers must agree."""
    if sight.watchlist.is_native(pair):
        return {}  # coins take no fee of their recipient
    heights = sorted({row.block.number for row in rows if row.pair == pair and is_open_transfer(row)})
    steps = await _steps(sight, sight.reads, pair, heights)
    others = steps if second is None else await _steps(sight, second, pair, heights)
    if any(None not in (steps[height], others[height]) and steps[height] != others[height] for height in heights):
        raise Inconsistent(f"{sight.reads.name} and another provider tell different balances of the past")
    known = {height: others[height] if steps[height] is None else steps[height] for height in heights}
    return capped_credits(pair, fall, known, rows)


async def _steps(sight: Sight, source: Reads, pair: Pair, heights: Sequence[int]) -> dict[int, int | None]:
    """How much the balance changed in each block; None where the state is gone."""
    contract = sight.watchlist.contract_by_method[pair.method]
    asks = [(contract, pair.address, height - before) for height in heights for before in (1, 0)]
    try:
        units = await source.token_balances(asks)
    except Pruned:
        return dict.fromkeys(heights)
    return {height: after - before for height, before, after in zip(heights, units[::2], units[1::2], strict=True)}
