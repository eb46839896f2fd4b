"""What one tick sees: a head, the balances at it, and which blocks are its ancestors. I/O."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from paynode.chains.evm.explain import Balances
from paynode.chains.evm.look import Header
from paynode.chains.evm.reads import Reads
from paynode.chains.evm.watchlist import Watchlist
from paynode.domain.chain import BlockRef, Books, Row


@dataclass(slots=True)
class Sight:
    """One provider's view, pinned to one head; it remembers what it has asked."""

    reads: Reads
    books: Books
    watchlist: Watchlist
    head: BlockRef
    header: Header
    balances: Balances = field(default_factory=dict)
    treasuries: Balances = field(default_factory=dict)  # their balances in tokens, if they were looked at
    hashes: dict[int, str] = field(default_factory=dict)
    blocks: dict[str, BlockRef] = field(default_factory=dict)  # by hash

    async def learn_hashes(self, heights: Iterable[int]) -> None:
        """Make the hashes of the head's ancestors at `heights` known."""
        missing = {height for height in heights if height not in self.hashes and height <= self.head.number}
        if missing:
            self.hashes |= await self.reads.hashes(self.header, missing)

    async def ancestors(self, blocks: Iterable[tuple[int, str]]) -> dict[str, BlockRef]:
        """Those of the (number, hash) that are ancestors of the head, or itself, by hash."""
        wanted = set(blocks)
        await self.learn_hashes(number for number, _ in wanted)
        canonical = [hash_ for number, hash_ in wanted if self.hashes.get(number) == hash_]
        unknown = [hash_ for hash_ in canonical if hash_ not in self.blocks]
        self.blocks |= {hash_: block.ref for hash_, block in (await self.reads.blocks_by_hash(unknown)).items()}
        return {hash_: self.blocks[hash_] for hash_ in canonical}

    def remember(self, rows: Iterable[Row]) -> None:
        self.blocks |= {row.block.hash: row.block for row in rows}
