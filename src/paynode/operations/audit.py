"""The audit of the books: every balance reckoned anew, and the ledger held against the rows it rests on (I17)."""

from dataclasses import dataclass

from paynode.domain.ledger import ON_CHAIN
from paynode.operations.catalogue import Catalogue
from paynode.store import chain_rows, deposit_totals, deposits, ledger
from paynode.store.database import Tx


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Two reckonings that should agree and do not."""

    method: str  # or the invoice
    what: str
    expected_units: int
    found_units: int

    def __str__(self) -> str:
        return f"{self.method}: {self.what}: expected {self.expected_units}, found {self.found_units}"


def audit(tx: Tx, catalogue: Catalogue) -> list[Mismatch]:
    """Every disagreement in the books; empty when they balance."""
    found: list[Mismatch] = []
    running = {(b.store_id, b.account, b.method): b.units for b in ledger.balances(tx)}
    reckoned = ledger.summed_entries(tx)
    for key in running.keys() | reckoned.keys():
        if running.get(key, 0) != reckoned.get(key, 0):
            what = f"balance of {key[1]} in {key[0]}"
            found.append(Mismatch(key[2], what, reckoned.get(key, 0), running.get(key, 0)))
    for method in sorted({method for _, _, method in running}):
        total = sum(units for (_, _, m), units in running.items() if m == method)
        if total != 0:
            found.append(Mismatch(method, "sum of all accounts", 0, total))
    for method, asset in catalogue.assets.items():
        booked = sum(units for (_, account, m), units in running.items() if m == method and account in ON_CHAIN)
        final = chain_rows.final_units(tx, asset.network, method)
        if booked != final:
            found.append(Mismatch(method, "on our addresses by final rows", final, booked))
    for deposit_id, method, units, taken in deposits.taken(tx):
        if taken > units:
            found.append(Mismatch(method, f"collected or gone of deposit {deposit_id}, at most", units, taken))
    found += _wrong_totals(tx)
    return found


def _wrong_totals(tx: Tx) -> list[Mismatch]:
    """The first invoice whose deposits are not what it is judged by."""
    difference = deposit_totals.first_difference(tx)
    if difference is None:
        return []
    given, kept = difference
    first = min((each for each in difference if each is not None), key=lambda each: each.invoice_id)
    counts = [0 if each is None else each.count for each in (given, kept)]
    if counts[0] != counts[1]:
        return [Mismatch(first.invoice_id, f"count of its {first.stage} deposits", *counts)]
    units = [0 if each is None else each.numerator for each in (given, kept)]
    return [Mismatch(first.invoice_id, f"worth of its {first.stage} deposits, in parts", *units)]
