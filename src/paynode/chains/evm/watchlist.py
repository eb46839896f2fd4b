"""What we watch, indexed the way a chain speaks of it: addresses and contracts in lower case. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paynode.chains.evm.look import Look
from paynode.domain.chain import Books, Pair, Watch
from paynode.domain.money import Asset


@dataclass(frozen=True, slots=True)
class Watchlist:
    """The pairs of one tick."""

    pairs: frozenset[Pair]
    watch_by_address: Mapping[str, Watch]  # by canonical address
    address_by_lower: Mapping[str, str]
    method_by_contract: Mapping[str, str]  # by contract in lower case; tokens only
    contract_by_method: Mapping[str, str]  # in lower case; tokens only
    native: str | None  # the native coin's method
    own_addresses: frozenset[str]

    @classmethod
    def of(cls, books: Books, assets: Sequence[Asset]) -> "Watchlist":
        contract_by_method = {asset.method: asset.contract.lower() for asset in assets if asset.contract is not None}
        native = next((asset.method for asset in assets if asset.contract is None), None)
        known = {*contract_by_method, native}
        return cls(
            pairs=frozenset(Pair(w.address, method) for w in books.watches for method in w.methods if method in known),
            watch_by_address={watch.address: watch for watch in books.watches},
            address_by_lower={watch.address.lower(): watch.address for watch in books.watches},
            method_by_contract={contract: method for method, contract in contract_by_method.items()},
            contract_by_method=contract_by_method,
            native=native,
            own_addresses=books.own_addresses,
        )

    @property
    def addresses(self) -> list[str]:
        return list(self.watch_by_address)

    def pair(self, address_lower: str, method: str | None) -> Pair | None:
        """The watched pair of an address (lower case) and a method, or None if it is not watched."""
        address = self.address_by_lower.get(address_lower)
        if address is None or method is None:
            return None
        pair = Pair(address, method)
        return pair if pair in self.pairs else None

    def units(self, look: Look, pair: Pair) -> int | None:
        """The balance of `pair` in a look; None: its contract would not say."""
        if self.is_native(pair):
            return look.native_by_address[pair.address]
        return look.units_by_holding[pair.address, self.contract_by_method[pair.method]]

    def is_native(self, pair: Pair) -> bool:
        return pair.method == self.native
