"""Which blocks tell our network from another of the same chain id.

The one rule: a pin lies deeper than any reorganisation that we follow, and it
is our oldest. Were it as new as can be, a split of the network would, after a
while, look like another network: one side would be refused, where both must
be doubted.
"""

from collections.abc import Sequence

from paynode.chains.base import Unavailable
from paynode.chains.evm.reads import Reads
from paynode.chains.identity import Pin
from paynode.chains.jsonrpc import ProviderFailed
from paynode.domain.chain import BlockRef


def pins_of(checkpoints: Sequence[BlockRef], horizon: int) -> tuple[Pin, ...]:
    """The oldest checkpoint, and for providers that keep no old blocks the newest of those below the horizon.

    `checkpoints` are those of the books, newest first.
    """
    old = [Pin(each.number, each.hash) for each in checkpoints if each.number <= checkpoints[0].number - horizon]
    return (old[-1], old[0]) if old else ()


async def agreed_pin(asked: Sequence[Reads], horizon: int) -> Pin:
    """A block of `asked`'s network, learned at first sight: what most of those that answer say.

    Raises:
        Unavailable: none answers, or as many say one thing as another.
    """
    failures: list[ProviderFailed] = []
    heads: dict[str, int] = {}
    for reads in asked:
        try:
            heads[reads.name] = (await reads.head()).ref.number
        except ProviderFailed as failure:
            failures.append(failure)
    number = max(0, min(heads.values(), default=0) - horizon)
    names_by_hash: dict[str, list[str]] = {}
    for reads in (each for each in asked if each.name in heads):
        try:
            (block,) = await reads.blocks_by_number([number])
        except ProviderFailed as failure:
            failures.append(failure)
        else:
            if block is not None:
                names_by_hash.setdefault(block.header.hash, []).append(reads.name)
    if not names_by_hash:
        raise Unavailable("; ".join(map(str, failures)) or f"nobody knows block {number}")
    first, *others = sorted(names_by_hash, key=lambda hash_: -len(names_by_hash[hash_]))
    if others and len(names_by_hash[others[0]]) == len(names_by_hash[first]):
        told = "; ".join(f"{', '.join(names)}: {hash_[:10]}..." for hash_, names in names_by_hash.items())
        raise Unavailable(f"the providers serve different networks, by block {number} ({told})")
    return Pin(number, first)
