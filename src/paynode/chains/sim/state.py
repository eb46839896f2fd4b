"""Who has what at the head of a simulated network.

The one rule: whatever is carried out can be taken back exactly, newest block first. That is all a reorganisation needs.
"""

from collections.abc import Iterable

import msgspec

from paynode.chains.sim.shapes import Mined, Tx


class State(msgspec.Struct):
    native: str  # the method in which fees are paid
    units_by_method: dict[str, dict[str, int]] = {}  # by address, then by method
    nonces: dict[str, int] = {}  # of keyed accounts: how many of their transactions were mined

    def units(self, address: str, method: str) -> int:
        return self.units_by_method.get(address, {}).get(method, 0)

    def nonce(self, address: str) -> int:
        return self.nonces.get(address, 0)

    def native_cost(self, tx: Tx) -> int:
        """What `tx` takes from its sender in native coins at most."""
        return tx.fee_units + sum(move.units for move in tx.moves if move.method == self.native)

    def is_mineable(self, tx: Tx) -> bool:
        """Whether a block may contain `tx` next: a keyed sender's nonce is up, and fee and value are there."""
        if not tx.is_keyed:
            return True
        return tx.nonce == self.nonce(tx.sender) and self.native_cost(tx) <= self.units(tx.sender, self.native)

    def carry_out(self, tx: Tx) -> Mined:
        """Make `tx` happen. Without the tokens it moves it fails, and costs its fee."""
        assert self.is_mineable(tx), "the block's maker has asked"
        mined = Mined(tx, succeeded=not tx.reverts and self._has_tokens(tx))
        self._move(mined, 1)
        return mined

    def take_back(self, block: Iterable[Mined]) -> None:
        """Undo the newest block's transactions; their order does not matter to sums."""
        for mined in block:
            self._move(mined, -1)

    def _has_tokens(self, tx: Tx) -> bool:
        if not tx.is_keyed:
            return True
        needed: dict[str, int] = {}
        for move in tx.moves:
            if move.method != self.native:
                needed[move.method] = needed.get(move.method, 0) + move.units
        return all(units <= self.units(tx.sender, method) for method, units in needed.items())

    def _move(self, mined: Mined, sign: int) -> None:
        tx = mined.tx
        if tx.is_keyed:
            self.nonces[tx.sender] = self.nonce(tx.sender) + sign
            self._add(tx.sender, self.native, -sign * tx.fee_units)
        for move in tx.moves if mined.succeeded else ():
            if tx.is_keyed:
                self._add(tx.sender, move.method, -sign * move.units)
            self._add(move.recipient, move.method, sign * move.units)

    def _add(self, address: str, method: str, units: int) -> None:
        held = self.units_by_method.setdefault(address, {})
        held[method] = held.get(method, 0) + units
