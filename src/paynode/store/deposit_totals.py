"""The deposits of each invoice by kind: how many there are, and what they are worth together.

An invoice may be paid thousands of times, and its status depends on each; what is the same of two deposits in every
respect that it is judged by need not be looked at twice. Worths are added as integers where their denominators are the
same, so the sums are exact and stay short.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import zip_longest
from typing import Any

from paynode.domain.deposit import Stage
from paynode.domain.screening import Verdict
from paynode.domain.sweep import DepositSweep
from paynode.store.database import Tx
from paynode.store.records import Columns, Units


@dataclass(frozen=True, slots=True)
class Kind:
    """What an invoice is judged by of one of its deposits, and the denominator of its worth; 0: not known yet."""

    invoice_id: str
    stage: Stage
    is_late: bool
    is_held: bool
    is_too_small: bool
    screening: Verdict
    sweep_state: DepositSweep
    denominator: Units


@dataclass(frozen=True, slots=True)
class Total(Kind):
    """The deposits of one kind."""

    count: int
    numerator: Units

    @property
    def worth(self) -> Fraction | None:
        """What all of them are worth."""
        return Fraction(self.numerator, self.denominator) if self.denominator else None


KIND = Columns(Kind)
TOTAL = Columns(Total)
_OF_KIND = " and ".join(f"{name} = :{name}" for name in KIND.names)
_KIND_NAMES = [name for name in KIND.names if name != "denominator"]
_GIVEN = (
    f"select {', '.join(_KIND_NAMES)}, coalesce(substr(worth, instr(worth, '/') + 1), '0') as denominator, "
    "count(*) as count, sum_exactly(substr(worth, 1, instr(worth, '/') - 1)) as numerator "
    f"from deposits where invoice_id is not null group by {KIND.sql} order by {KIND.sql}"
)


def of_invoice(tx: Tx, invoice_id: str) -> list[Total]:
    found = tx.rows(f"select {TOTAL.sql} from deposit_totals where invoice_id = ?", (invoice_id,))
    return [TOTAL.decode(row) for row in found]


def move(tx: Tx, before: Total | None, after: Total | None) -> None:
    """Count one deposit as what it is now, and no more as what it was; None: it was not there, or of no invoice."""
    if before == after:
        return
    if before is not None:
        _add(tx, replace(before, count=-1, numerator=Units(-before.numerator)))
    if after is not None:
        _add(tx, after)


def _add(tx: Tx, change: Total) -> None:
    values = TOTAL.encode(change)
    row = tx.row(f"select count, numerator from deposit_totals where {_OF_KIND}", KIND.encode(change))
    count, numerator = (0, 0) if row is None else (row[0], int(row[1]))
    values |= {"count": count + change.count, "numerator": str(numerator + change.numerator)}
    if count + change.count:
        tx.run(f"insert or replace into deposit_totals ({TOTAL.sql}) values ({TOTAL.placeholders})", values)
    else:
        tx.run(f"delete from deposit_totals where {_OF_KIND}", KIND.encode(change))


def first_difference(tx: Tx) -> tuple[Total | None, Total | None] | None:
    """The first total that is not what the deposits give: as they give it, and as it is kept; None where there is none.

    Both sides are read in the same order, side by side, since there may be more of them than memory holds.
    """
    kept = tx.each(f"select {TOTAL.sql} from deposit_totals order by {KIND.sql}")
    for given, found in zip_longest(tx.each(_GIVEN), kept):
        if given != found:
            return _decoded(given), _decoded(found)
    return None


def _decoded(row: tuple[Any, ...] | None) -> Total | None:
    return None if row is None else TOTAL.decode(row)
