"""Rule 5: what reached the treasury without us. I/O.

Once an address of ours has code, a stranger may call it and so move its tokens to the treasury, between two looks,
deposit and all. The treasury's balance tells of it: whoever of ours paid it is touched, and all of its logs are read.
Without such an address nobody but us can, and the treasury is not looked at: it is the merchant's to spend from.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from paynode.chains.evm.codec import Transfer, decode_transfer
from paynode.chains.evm.explain import Balances
from paynode.chains.evm.reads import Reads
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.wire import Log
from paynode.domain.chain import Pair

LOG_CALLS_MAX = 20  # per tick


@dataclass(frozen=True, slots=True)
class Mark:
    """A treasury's balance in one token that logs have explained, and the height it was seen at."""

    units: int
    number: int


async def touched_by_strangers(
    sight: Sight, source: Reads, balances: Balances, marks: dict[Pair, Mark], coded: frozenset[str]
) -> frozenset[Pair]:
    """The pairs that paid a treasury since its mark, or may have; moves the marks to where logs explain them.

    `balances` are those of the treasuries. What logs do not explain stays open, and touches every pair of that token
    whose address has code (`coded`).
    """
    touched: set[Pair] = set()
    source.log_calls = 0
    for pair, units in sorted(balances.items()):
        mark = marks.get(pair)
        if units is None:
            continue
        if mark is None or mark.number > sight.head.number:
            marks[pair] = Mark(units, sight.head.number)
            touched |= _of_method(sight, pair.method, coded)
        elif mark.units != units:
            logs = await _logs(sight, source, pair, mark.number)
            transfers = [transfer for log in logs if (transfer := decode_transfer(log)) is not None]
            senders = (sight.watchlist.pair(transfer.sender, pair.method) for transfer in transfers)
            touched |= {sender for sender in senders if sender is not None}
            if mark.units + _moved(transfers, pair.address.lower()) == units:
                marks[pair] = Mark(units, sight.head.number)
            else:
                touched |= _of_method(sight, pair.method, coded)
    return frozenset(touched)


async def _logs(sight: Sight, source: Reads, pair: Pair, low: int) -> list[Log]:
    """The token's canonical logs of a treasury above `low`, newest first, as far as a tick may ask."""
    contract = sight.watchlist.contract_by_method[pair.method]
    logs: list[Log] = []
    high = sight.head.number
    while high > low and source.log_calls < LOG_CALLS_MAX:
        some, high = await source.newest_logs([contract], [pair.address], low, high)
        logs += some
    blocks = await sight.ancestors((int(log.block_number, 16), log.block_hash.lower()) for log in logs)
    canonical = {
        (log.block_hash.lower(), int(log.log_index, 16)): log for log in logs if log.block_hash.lower() in blocks
    }
    return list(canonical.values())


def _moved(transfers: Iterable[Transfer], treasury: str) -> int:
    """What the transfers brought to the treasury (in lower case), less what they took."""
    return sum(each.units * ((each.recipient == treasury) - (each.sender == treasury)) for each in transfers)


def _of_method(sight: Sight, method: str, addresses: frozenset[str]) -> set[Pair]:
    return {pair for pair in sight.watchlist.pairs if pair.method == method and pair.address in addresses}
