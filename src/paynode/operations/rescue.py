"""Money that was sent and is not seen: looking again where it should be, and where somebody says it is.

Late, on another network of the family, in a coin nobody asked for: what is found becomes rows and deposits by the same
evidence as everything else. Asking costs calls, so each invoice may be asked about so many times an hour.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from math import ceil

from paynode.domain.chain import UNANSWERED, Claim, ClaimAnswer
from paynode.domain.deposit import Stage
from paynode.domain.errors import Invalid, TooOften
from paynode.domain.rescue import ALLOWANCES, REASONS, WINDOW, Asker, ClaimState, ask_again_at, claim_state
from paynode.operations import loading
from paynode.operations.addresses import watch_again
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import LoadedInvoice
from paynode.operations.views.rescue import CheckView, ClaimNetworkView, ClaimView, LookView
from paynode.operations.views.shapes import moment, moment_or_none
from paynode.store import chain, deposits, rescues
from paynode.store.database import Tx
from paynode.store.deposits import DepositRecord
from paynode.store.ids import new_id
from paynode.store.rescues import ClaimNetworkRecord, ClaimRecord
from paynode.store.watches import WatchRecord

ParseTxHash = Callable[[str, str], str]  # family, text -> canonical hash; ValueError with a sentence for people


def check(
    tx: Tx, catalogue: Catalogue, invoice_id: str, asker: Asker, now: datetime, store_id: str | None = None
) -> CheckView:
    """Look at the invoice's addresses at once, on every network of their family, and watch them again for a while.

    Raises:
        NotFound: no such invoice.
        TooOften: it was checked often enough for this hour.
        Conflict: it has no address.
    """
    loaded, allowance = loading.load(tx, invoice_id, store_id), ALLOWANCES[asker]
    _count(tx, loaded, "check", asker, allowance.checks_per_hour, now)
    watched = watch_again(tx, catalogue, loaded, now + allowance.watch_for)
    for watch in watched:
        rescues.ask_looks(tx, watch.network, [watch.address], is_deep=allowance.is_deep)
    return CheckView(invoice=invoice_id, networks=[_look_view(tx, watch) for watch in watched], created_at=moment(now))


def claim(
    tx: Tx,
    catalogue: Catalogue,
    invoice_id: str,
    tx_hash: str,
    asker: Asker,
    parse: ParseTxHash,
    now: datetime,
    *,
    network: str | None = None,
    store_id: str | None = None,
) -> ClaimView:
    """Ask the networks whether this transaction paid the invoice. Claimed again, those are asked that had no answer.

    Raises:
        NotFound: no such invoice.
        TooOften: enough was claimed of it for this hour.
        Conflict: it has no address.
        Invalid: it is no transaction hash, or the network is none on which the invoice has an address.
    """
    loaded, allowance = loading.load(tx, invoice_id, store_id), ALLOWANCES[asker]
    _count(tx, loaded, "claim", asker, allowance.claims_per_hour, now)
    watched = watch_again(tx, catalogue, loaded, now + allowance.watch_for)
    if network is not None and network not in {watch.network for watch in watched}:
        raise Invalid.field("/network", "unknown_network", "This invoice has no address on a network of that name.")
    family, canonical = _parsed(loaded.addresses, tx_hash, parse)
    record = rescues.claim_of(tx, invoice_id, canonical)
    if record is None:
        record = ClaimRecord(new_id("clm", now), invoice_id, canonical, now)
        rescues.add_claim(tx, record)
    for watch in watched:
        if catalogue.family(watch.network) == family and network in {None, watch.network}:
            asked = ClaimNetworkRecord(record.id, watch.network, watch.address, asked_at=now, next_at=now)
            rescues.ask_network(tx, asked)
    return claim_view(tx, record)


def answered(tx: Tx, network: str, answers: Mapping[Claim, ClaimAnswer], now: datetime) -> None:
    """Note what a network said to claims, and when to ask again where it does not know yet."""
    for claimed, answer in answers.items():
        rescues.set_answers(
            tx,
            network,
            {
                claim_id: (answer, ask_again_at(asked_at, now) if answer in UNANSWERED else None)
                for claim_id, asked_at in rescues.asked_at(tx, network, claimed)
            },
        )


ANOTHERS = "it counts for another invoice"


def claim_view(tx: Tx, record: ClaimRecord) -> ClaimView:
    """A claim with what came of it: the deposits that stand, and why there are none.

    What counts for another invoice, which had the address then or was given the money, is not shown here.
    """
    networks = rescues.networks_of(tx, record.id)
    standing = [deposit for each in networks for deposit in _deposits(tx, each, record.tx_hash)]
    found = [deposit for deposit in standing if deposit.invoice_id in {None, record.invoice_id}]
    state = claim_state(
        is_booked=bool(found),
        answers=[each.answer for each in networks],
        is_open=any(each.next_at is not None for each in networks),
    )
    return ClaimView(
        id=record.id,
        invoice=record.invoice_id,
        tx_hash=record.tx_hash,
        state=state,
        reason=ANOTHERS if standing and not found else _reason(state, found, networks),
        deposits=[deposit.id for deposit in found],
        networks=[
            ClaimNetworkView(
                network=each.network,
                answer=each.answer,
                reason=None if each.answer in {None, ClaimAnswer.BOOKED} else REASONS[each.answer],
            )
            for each in networks
        ],
        created_at=moment(record.created_at),
    )


def _deposits(tx: Tx, asked: ClaimNetworkRecord, tx_hash: str) -> list[DepositRecord]:
    found = deposits.of_tx(tx, asked.network, asked.address, tx_hash)
    return [deposit for deposit in found if deposit.stage is not Stage.ORPHANED]


def _reason(state: ClaimState, found: list[DepositRecord], networks: list[ClaimNetworkRecord]) -> str | None:
    """The most telling thing to say about a claim to people; None: its deposits say all."""
    if found:
        is_stray = any(deposit.invoice_id is None for deposit in found)
        return "this invoice does not ask for money in that coin: the shop must assign it" if is_stray else None
    answers = {each.answer for each in networks}
    if state is ClaimState.PENDING:
        return "it is being looked for"
    return next((reason for answer, reason in REASONS.items() if answer in answers), None)


def _parsed(families: Iterable[str], text: str, parse: ParseTxHash) -> tuple[str, str]:
    """The first of the families that takes `text` for a transaction hash, and the hash as it writes it."""
    problem = "not a transaction hash"
    for family in families:
        try:
            return family, parse(family, text.strip())
        except ValueError as error:
            problem = str(error)
    raise Invalid.field("/tx_hash", "not_a_hash", f"{problem[0].upper()}{problem[1:]}.")


def _count(tx: Tx, loaded: LoadedInvoice, kind: str, asker: Asker, limit: int, now: datetime) -> None:
    """Count a request towards the limit of its hour."""
    invoice_id = loaded.record.id
    before = rescues.requests_since(tx, invoice_id, kind, asker, now - WINDOW)
    if len(before) >= limit:
        wait = ceil((before[-limit] + WINDOW - now).total_seconds())
        raise TooOften(f"An invoice takes {limit} requests of this kind an hour.", max(wait, 1))
    rescues.note_request(tx, invoice_id, kind, asker, now, forget_before=now - WINDOW)


def _look_view(tx: Tx, watch: WatchRecord) -> LookView:
    return LookView(
        network=watch.network,
        address=watch.address,
        since_block=watch.floor,
        head=chain.network(tx, watch.network).head_number,
        watched_until=moment_or_none(watch.watch_until),
    )
