"""What a payer is told of an invoice, in words: how it stands, and whether anything is left to do or to wait for."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from paynode.domain.deposit import Stage
from paynode.domain.invoice import PaymentState, Status, Type
from paynode.operations.views.checkout import CheckoutDepositView, CheckoutView

UNDER_WAY = frozenset({Stage.DETECTED, Stage.CONFIRMING})


class Tone(StrEnum):
    """How it looks, beside what it says."""

    WAITING = "waiting"  # the payer's turn
    PROGRESS = "progress"  # the network's turn
    DONE = "done"
    WARNING = "warning"  # somebody should talk to somebody
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Standing:
    tone: Tone
    title: str
    detail: str
    takes_money: bool = False  # an address may be shown
    is_awaited: bool = False  # something may still come


def standing(view: CheckoutView) -> Standing:
    match view.status:
        case Status.OPEN:
            return _open(view)
        case Status.CONFIRMING:
            return Standing(
                Tone.PROGRESS, "Payment received", f"{_depth(view.deposits)} Nothing is left to do.", is_awaited=True
            )
        case Status.PAID:
            return _paid(view)
        case Status.EXPIRED:
            return _expired(view)
        case Status.CANCELLED:
            return _cancelled(view)
        case Status.REVERSED:
            return Standing(
                Tone.WARNING,
                "The network took the payment back",
                f"Its block is no part of the chain any more. It may come back by itself; else ask {view.store_name}.",
                is_awaited=True,
            )


def _open(view: CheckoutView) -> Standing:
    if view.expires_in == 0:
        detail = "Do not send anything any more. The network is being asked whether a payment came in time."
        return Standing(Tone.OVER, "The time to pay is over", detail, is_awaited=True)
    seen = [each for each in view.deposits if each.state is not Stage.ORPHANED]
    if not seen:
        detail = "As soon as the network has your payment, it is shown here."
        return Standing(Tone.WAITING, "Waiting for your payment", detail, takes_money=True, is_awaited=True)
    if view.amount_due is not None and Decimal(view.amount_due) == 0:
        # Screening keeps some of it back, which is the merchant's affair: the payer is not told, nor asked for more.
        return Standing(Tone.PROGRESS, "Payment received", "Nothing is left to do.", is_awaited=True)
    depth = _depth(seen)
    if view.amount_due is not None and Decimal(view.amount_paid) > 0:
        title = f"Received {view.amount_paid} {view.currency}, send {view.amount_due} more"
        if view.type is Type.POOL:
            title = f"{view.amount_paid} of {view.amount} {view.currency} have come"
        return Standing(Tone.WAITING, title, depth, takes_money=True, is_awaited=True)
    return Standing(Tone.WAITING, "A payment has come", depth, takes_money=True, is_awaited=True)


def _paid(view: CheckoutView) -> Standing:
    if view.payment_state is PaymentState.OVER and view.type is Type.ONE_TIME:
        detail = (
            f"That is {view.amount_overpaid} {view.currency} more than was asked for: ask {view.store_name} for it."
        )
        return Standing(Tone.DONE, "Paid", detail)
    return Standing(Tone.DONE, "Paid", f"Thank you. {view.store_name} has been told.")


def _expired(view: CheckoutView) -> Standing:
    if any(each.state in UNDER_WAY for each in view.deposits):
        detail = f"{_depth(view.deposits)} It came after the time was over, so {view.store_name} decides about it."
        if not view.late:
            detail = f"{_depth(view.deposits)} Nothing is left to do."
        return Standing(Tone.PROGRESS, "Payment seen, waiting", detail, is_awaited=True)
    if Decimal(view.amount_paid) > 0:
        title = f"Received {view.amount_paid} {view.currency}, after the time was over"
        if view.payment_state is PaymentState.PARTIAL and view.amount is not None:
            title = f"Received {view.amount_paid} of {view.amount} {view.currency}"
        return Standing(Tone.WARNING, title, f"Do not send more. {view.store_name} has been told and decides about it.")
    return Standing(Tone.OVER, "The time to pay is over", "Do not send anything any more.")


def _cancelled(view: CheckoutView) -> Standing:
    if any(each.state is not Stage.ORPHANED for each in view.deposits):
        detail = f"A payment came all the same; {view.store_name} has been told. Do not send more."
        is_awaited = any(each.state in UNDER_WAY for each in view.deposits)
        return Standing(Tone.WARNING, "Cancelled", detail, is_awaited=is_awaited)
    return Standing(Tone.OVER, "Cancelled", "Do not send anything any more.")


def _depth(deposits: Sequence[CheckoutDepositView]) -> str:
    """How far the youngest payment has come."""
    growing = [each for each in deposits if each.state in UNDER_WAY]
    if not growing:
        return "The payments so far are final."
    return f"{depth_words(min(growing, key=lambda each: each.confirmations))}."


def depth_words(deposit: CheckoutDepositView) -> str:
    """How deep one payment lies, as a payer may understand it."""
    match deposit.state:
        case Stage.ORPHANED:
            return "taken back by the network"
        case Stage.SETTLED:
            return "final"
        case Stage.CONFIRMED:
            return "received"
    needed = deposit.confirmations_required
    of_all = "" if needed is None else f" of {needed}"
    return f"{min(deposit.confirmations, needed or deposit.confirmations)}{of_all} confirmations"
