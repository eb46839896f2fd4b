"""Screening: what is known of the senders of a deposit, and whether it is kept back for that.

    pending -> passed | flagged | not_screened        not_screened -> passed | flagged
                                                      passed -> flagged, while it is not collected
                                                      whatever is kept back -> released, by a person

Sources are asked about the addresses that sent it; whatever they do not say for certain is not "passed". What is
flagged stays so until a person releases it, even if its source thinks better of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Verdict(StrEnum):
    PENDING = "pending"  # nobody was asked yet
    PASSED = "passed"  # everybody was asked, and nobody knows anything against its senders
    FLAGGED = "flagged"  # somebody does
    NOT_SCREENED = "not_screened"  # somebody could not tell, or nobody is to be asked
    RELEASED = "released"  # a person let it go


class OnFlagged(StrEnum):
    """What becomes of a deposit that is flagged."""

    HOLD = "hold"  # it is shown, and neither counts nor is collected, until a person releases it
    RECORD = "record"  # it is marked, and nothing else


class InvoiceScreening(StrEnum):
    """What is known of all senders of an invoice's deposits."""

    PASSED = "passed"  # each passed, or was released
    FLAGGED = "flagged"  # one is, and was not released
    NOT_SCREENED = "not_screened"  # one could not be screened, or there is none


class Known(StrEnum):
    """What lists are narrowed to."""

    PENDING = Verdict.PENDING
    PASSED = Verdict.PASSED
    FLAGGED = Verdict.FLAGGED
    NOT_SCREENED = Verdict.NOT_SCREENED
    RELEASED = Verdict.RELEASED
    CLEAR = "clear"  # passed or released


CLEAR = frozenset({Verdict.PASSED, Verdict.RELEASED})
STANDING = frozenset({Verdict.FLAGGED, Verdict.RELEASED})  # what no answer changes any more


@dataclass(frozen=True, slots=True)
class Policy:
    """What a store does about verdicts."""

    is_required: bool = False  # what could not be screened is kept back, too
    on_flagged: OnFlagged = OnFlagged.HOLD


@dataclass(frozen=True, slots=True)
class Finding:
    """What one source says of a deposit's senders."""

    verdict: Verdict
    source: str
    reason: str | None = None  # for people
    is_lasting: bool = False  # of what it could not tell: asking again leads nowhere


NOBODY = Finding(Verdict.NOT_SCREENED, "", "nobody is asked about senders on this network", is_lasting=True)


def conclude(findings: Iterable[Finding]) -> Finding:
    """What several sources say together: one that flags is enough, and all must pass it."""
    found = list(findings)
    for verdict in (Verdict.FLAGGED, Verdict.NOT_SCREENED):
        of_it = [each for each in found if each.verdict is verdict]
        if of_it:  # one that may be known later is worth asking again, whatever the others say
            return min(of_it, key=lambda each: each.is_lasting)
    if not found:
        return NOBODY
    return Finding(Verdict.PASSED, ", ".join(sorted({each.source for each in found})))


def holds(verdict: Verdict, policy: Policy, *, is_settled: bool) -> bool:
    """Whether a deposit is kept back. One that counts already is so only if something is known against it."""
    match verdict:
        case Verdict.PENDING:
            return not is_settled
        case Verdict.FLAGGED:
            return policy.on_flagged is OnFlagged.HOLD
        case Verdict.NOT_SCREENED:
            return policy.is_required and not is_settled
        case Verdict.PASSED | Verdict.RELEASED:
            return False


def invoice_screening(deposits: Iterable[Verdict]) -> InvoiceScreening:
    """An invoice's screening, from its canonical deposits: the worst of theirs."""
    verdicts = set(deposits)
    if Verdict.FLAGGED in verdicts:
        return InvoiceScreening.FLAGGED
    return InvoiceScreening.PASSED if verdicts and verdicts <= CLEAR else InvoiceScreening.NOT_SCREENED


def verdicts(wanted: Iterable[Known]) -> tuple[Verdict, ...]:
    """The verdicts that a list is narrowed to; none: it is not."""
    found = [CLEAR if each is Known.CLEAR else {Verdict(each.value)} for each in wanted]
    return tuple(sorted({verdict for some in found for verdict in some}))


ASK_AGAIN_MIN = timedelta(seconds=30)
ASK_AGAIN_MAX = timedelta(hours=1)


def ask_again_after(failed_count: int) -> timedelta:
    """How long to wait after so many questions in a row that were not answered."""
    return min(ASK_AGAIN_MIN * (1 << min(failed_count - 1, 16)), ASK_AGAIN_MAX)
