"""Looking again where somebody says that money is: how often one may ask, how long we go on asking, what we answer."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from paynode.domain.chain import ClaimAnswer

WINDOW = timedelta(hours=1)  # of the limits
ASK_AGAIN_MIN = timedelta(seconds=15)
ASK_FOR = timedelta(hours=1)  # providers lag by minutes; what is mined later is seen on its address


class Asker(StrEnum):
    MERCHANT = "merchant"
    PAYER = "payer"  # anybody with the invoice's link


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one kind of asker may make us do for one invoice."""

    checks_per_hour: int
    claims_per_hour: int
    watch_for: timedelta  # how long the address is watched again
    is_deep: bool  # also reads logs, which costs tens of calls where ranges are narrow


ALLOWANCES = {
    Asker.MERCHANT: Allowance(20, 20, timedelta(days=1), is_deep=True),
    Asker.PAYER: Allowance(4, 6, timedelta(hours=1), is_deep=False),
}


class ClaimState(StrEnum):
    PENDING = "pending"  # some network is still asked
    FOUND = "found"  # the money is in the books
    NOT_FOUND = "not_found"  # no network has it, or it is no payment to this invoice


def ask_again_at(asked_at: datetime, now: datetime) -> datetime | None:
    """When to ask about a claim of `asked_at` again that is not answered `now`: after as long again, for an hour."""
    again_at = now + max(now - asked_at, ASK_AGAIN_MIN)
    return again_at if again_at - asked_at <= ASK_FOR else None


def claim_state(*, is_booked: bool, answers: Collection[ClaimAnswer | None], is_open: bool) -> ClaimState:
    """The state of a claim by what its networks answered (None: not asked yet), and whether one is asked again."""
    if is_booked or ClaimAnswer.INCLUDED in answers:
        return ClaimState.FOUND
    return ClaimState.PENDING if is_open else ClaimState.NOT_FOUND


REASONS = {  # the most telling one first
    ClaimAnswer.INCLUDED: "it is part of money that was booked there without the transactions' names",
    ClaimAnswer.BOOKED: "the chain took its block back",  # where no deposit of it stands
    ClaimAnswer.FAILED: "the transaction failed and moved nothing",
    ClaimAnswer.ELSEWHERE: "the transaction brings no coin that is taken here to the invoice's address",
    ClaimAnswer.UNSETTLED: "what it brought does not fit what lies on the address",
    ClaimAnswer.UNKNOWN: "no block has this transaction, as far as the network's providers tell",
}
