"""An invoice held against each of its deposits, though the node judges and shows it by their totals."""

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from functools import partial

from paynode.domain.deposit import Stage
from paynode.domain.invoice import Payment, counting, final_worth, is_too_small, judge, payment_state, seen_worth
from paynode.domain.screening import Verdict, invoice_screening
from paynode.domain.sweep import invoice_sweep
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import DEPOSITS_SHOWN, LoadedInvoice
from paynode.operations.views.invoice import invoice as invoice_view
from paynode.operations.views.shapes import amount_of
from paynode.store.deposits import DepositRecord


def check_judged(catalogue: Catalogue, loaded: LoadedInvoice, deposits: Sequence[DepositRecord], now: datetime) -> None:
    """The invoice is, and shows, what all its deposits say one by one."""
    record, price = loaded.record, loaded.record.amount
    payments = [_payment(loaded, each) for each in deposits if each.worth is not None]
    standing = [each for each in deposits if each.stage is not Stage.ORPHANED]
    seen, final = seen_worth(counting(payments)), final_worth(counting(payments))
    assert judge(loaded.machine, payments) is record.status
    assert payment_state(loaded.machine, seen) is record.payment_state
    assert invoice_sweep(each.sweep_state for each in standing) is record.sweep_state
    assert invoice_screening(each.screening for each in standing) is record.screening
    assert any(each.is_late and each.worth is not None for each in standing) is record.is_late
    view = invoice_view(catalogue, loaded, now)
    shown = partial(amount_of, catalogue, record.currency)
    assert (view.amount_paid, view.amount_confirmed) == (shown(seen), shown(final))
    if price is not None:
        assert view.amount_due == shown(max(Fraction(price) - seen, Fraction(0)), round_up=True)
    assert view.deposit_count == len(deposits)
    assert [each.id for each in view.deposits] == [each.id for each in deposits[-DEPOSITS_SHOWN:]]


def _payment(loaded: LoadedInvoice, deposit: DepositRecord) -> Payment:
    assert deposit.worth is not None, "no rate of its moment is known"
    is_flagged = deposit.is_held and deposit.screening is Verdict.FLAGGED
    is_small = is_too_small(loaded.machine, deposit.worth)
    assert is_small is deposit.is_too_small
    return Payment(deposit.worth, deposit.stage, deposit.is_late, is_held=is_flagged, is_too_small=is_small)
