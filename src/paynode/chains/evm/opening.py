"""Where the books of an address begin: what it had sent, and what lay there, before we knew it. I/O.

The one rule: an address that did something before is no riddle. A seed that was
used before brings a gas account with a past, and deposit addresses too; their
past is taken as it is, once, and everything after it is explained as ever.

A gas account begins at the head that first shows it. A deposit address begins
where its watch does, since money that came later may be a payment; it is asked
only when it looks as if it had a past.
"""

from contextlib import suppress
from dataclasses import dataclass, field

from paynode.chains.evm.reads import Pruned, Reads
from paynode.chains.evm.sight import Sight
from paynode.chains.jsonrpc import ProviderFailed
from paynode.domain.chain import BlockRef, Pair, Row, RowKind, RowSource


@dataclass(slots=True)
class Openings:
    """The rows that books begin with, and by address how many transactions came before them."""

    rows: list[Row] = field(default_factory=list)
    nonces: dict[str, int] = field(default_factory=dict)
    floors: dict[Pair, int] = field(default_factory=dict)

    def begin(self, address: str, nonce: int, units_by_pair: dict[Pair, int], block: BlockRef) -> None:
        self.nonces[address] = nonce
        self.floors |= dict.fromkeys(units_by_pair, block.number)
        self.rows += [
            Row(RowKind.ADJUSTMENT, RowSource.DRIFT, pair.address, pair.method, units, block)
            for pair, units in units_by_pair.items()
            if units
        ]


async def find_openings(sight: Sight, second: Reads | None, in_flight: set[str], asked: set[str]) -> Openings:
    """The openings of gas accounts seen for the first time, and of those `in_flight` whose past explains that.

    Those are in flight no longer. `asked` remembers of which addresses the past was read.
    """
    found = Openings()
    gas = sorted(sight.books.unopened & sight.watchlist.watch_by_address.keys())
    if gas and await _agree(sight, second, gas):
        for address, nonce in zip(gas, await sight.reads.nonces(gas, sight.header), strict=True):
            units = {pair: sight.balances[pair] for pair in sight.watchlist.pairs if pair.address == address}
            found.begin(address, nonce, {p: u for p, u in units.items() if u is not None}, sight.head)
    suspects = {address for address in in_flight if address not in sight.books.own_nonces} | _with_surplus(sight)
    for address in sorted(suspects - sight.books.unopened - asked):
        with suppress(Pruned):
            await _open_at_floor(sight, second, address, found)
        asked.add(address)
    in_flight -= found.nonces.keys()
    return found


def _with_surplus(sight: Sight) -> set[str]:
    """Addresses that never sent anything of ours and hold more than is explained, for as long as a row takes."""
    return {
        pair.address
        for pair, dispute in sight.books.disputes.items()
        if pair in sight.watchlist.pairs
        and pair.address not in sight.books.own_nonces
        and dispute.observed_units is not None
        and dispute.observed_units > dispute.expected_units
        and sight.head.number - dispute.since.number >= sight.watchlist.watch_by_address[pair.address].depth
    }


async def _agree(sight: Sight, second: Reads | None, addresses: list[str]) -> bool:
    """Whether the other provider, where there is one, tells the same of these addresses."""
    if second is None:
        return True
    contracts = sorted(sight.watchlist.method_by_contract)
    try:
        look = await second.look(sight.header, addresses, contracts, ())
        nonces = await second.nonces(addresses, sight.header)
    except ProviderFailed:
        return False
    told = {pair: sight.watchlist.units(look, pair) for pair in sight.watchlist.pairs if pair.address in addresses}
    is_same = all(sight.balances[pair] == units for pair, units in told.items())
    return is_same and nonces == await sight.reads.nonces(addresses, sight.header)


async def _past(
    sight: Sight, source: Reads, address: str, pairs: list[Pair], height: int
) -> tuple[int, dict[Pair, int]]:
    """What `source` says that the address had sent, and held, at a height; a token that does not tell is left out."""
    nonce = await source.nonce_at(address, height)
    units: dict[Pair, int] = {}
    for pair in pairs if nonce else ():
        if sight.watchlist.is_native(pair):
            (units[pair],) = await source.balances([(address, height)], sight.head.number)
        else:
            contract = sight.watchlist.contract_by_method[pair.method]
            with suppress(Pruned):  # the state is there, since the nonce is
                (units[pair],) = await source.token_balances([(contract, address, height)])
    return nonce, units


async def _open_at_floor(sight: Sight, second: Reads | None, address: str, found: Openings) -> None:
    """Begin the books of a deposit address at its floor, if it had a past there; later rows stay as they are."""
    pairs = sorted(pair for pair in sight.watchlist.pairs if pair.address == address)
    watch = sight.watchlist.watch_by_address[address]
    height = min(sight.books.floor(watch, pair.method) for pair in pairs)
    if not 0 < height <= sight.head.number or any(
        row.address == address and row.block.number <= height for row in sight.books.rows
    ):
        return
    nonce, units = await _past(sight, sight.reads, address, pairs, height)
    if not nonce:
        return  # whose key never sent has no past that explains anything
    try:
        if second is not None and await _past(sight, second, address, pairs, height) != (nonce, units):
            return
    except ProviderFailed as failure:
        if failure.provider == sight.reads.name:
            raise
        return
    await sight.learn_hashes([height])
    hash_ = sight.hashes[height]
    found.begin(address, nonce, units, (await sight.ancestors([(height, hash_)]))[hash_])
