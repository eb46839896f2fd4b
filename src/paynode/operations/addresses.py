"""Issuing deposit addresses: the watch is committed before anybody sees the address."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from paynode.config import Family, Network
from paynode.domain.errors import Conflict
from paynode.domain.events import EventType
from paynode.operations.announcing import announce
from paynode.operations.carousel import Fit, fit_address, rests_until
from paynode.operations.catalogue import Catalogue, Derive
from paynode.operations.loading import LoadedInvoice
from paynode.operations.payer_addresses import admit
from paynode.operations.views.address import ReusedAddressView
from paynode.operations.views.shapes import moment
from paynode.store import bells, chain, holdings, invoices, refused_methods, stores, sweeps, watches
from paynode.store.database import Tx
from paynode.store.holdings import AddressRecord, HoldingRecord
from paynode.store.invoices import MethodRecord
from paynode.store.watches import WatchRecord

CLOCK_DOUBT = timedelta(days=1)  # how wrong our clock may have been against the chain's; costs blocks, never money


def issue_address(
    tx: Tx,
    catalogue: Catalogue,
    loaded: LoadedInvoice,
    entry: MethodRecord,
    derive: Derive,
    now: datetime,
    client: str | None = None,
) -> HoldingRecord:
    """Give the invoice its address for `entry`'s method, one per chain family, watched on every network of it.

    So money sent on a wrong network of the same family is seen as well. `client` is who asks for it without a key.

    Raises:
        Conflict: the method's network was never looked at, so its money could be missed, or its token is not what the
            config says.
        TooOften: the client, or payers of the store, left too many unpaid.
    """
    if entry.network not in catalogue.networks:
        raise Conflict("method_disabled", f"{entry.method} is not offered any more.")
    if chain.cursor(tx, entry.network) is None:
        raise Conflict("network_not_ready", f"{entry.network} has not been reached yet; see its state in /v1/networks.")
    if (reason := refused_methods.reasons(tx).get(entry.method)) is not None:
        raise Conflict("method_refused", f"{entry.method} is not offered: {reason}.")
    family = catalogue.family(entry.network)
    for network in catalogue.networks_of(family):
        if not watches.is_awaiting(tx, network.name):
            tx.ring(bells.WATCHES)  # its scanner rests; otherwise it looks soon, and need not for each address
    issued = holdings.of_invoice(tx, loaded.record.id).get(family)
    if issued is None:
        if client is not None:
            admit(tx, catalogue, loaded, family, client, now)
        issued = _issued(tx, catalogue, loaded, family, derive, now)
    else:  # perhaps a network was enabled since
        _watch_everywhere(tx, catalogue, loaded, issued)
    invoices.mark_provisioned(tx, loaded.record.id, entry.method, now)
    return issued


def _issued(
    tx: Tx, catalogue: Catalogue, loaded: LoadedInvoice, family: Family, derive: Derive, now: datetime
) -> HoldingRecord:
    account = stores.account_number(tx, loaded.record.store_id)
    fit = None
    if loaded.record.rest_seconds is not None:
        fit = fit_address(tx, catalogue, loaded, family, account, now)
    if fit is not None:
        return _pass_on(tx, catalogue, loaded, fit, now)
    return _derived(tx, catalogue, loaded, family, account, derive, now)


def watch_again(tx: Tx, catalogue: Catalogue, loaded: LoadedInvoice, until: datetime) -> list[WatchRecord]:
    """Watch the invoice's addresses until then on every network of their family, also on those enabled since.

    There the floor is below whatever the address can have been paid, since nobody knew it before it was issued.

    Raises:
        Conflict: the invoice has no address, or none on a network that is enabled.
    """
    if not loaded.addresses:
        raise Conflict("no_address", "This invoice has no address yet: nobody can have paid it.")
    watched: list[WatchRecord] = []
    for issued in loaded.addresses.values():
        for network in catalogue.networks_of(Family(issued.family)):
            floor = _floor_since(tx, network, issued.issued_at)
            record = _watch(loaded, network, issued.address, floor=floor, until=until)
            present = holdings.present(tx, issued.family, issued.address)
            record = replace(record, invoice_id=present.invoice_id, unseen_since=issued.issued_at)
            watches.reopen(tx, record)
            watched.append(watches.watch(tx, network.name, issued.address) or record)
    if not watched:
        raise Conflict("method_disabled", "No network on which this invoice has an address is enabled any more.")
    tx.ring(bells.WATCHES)
    return watched


def _depth_needed(methods: Iterable[MethodRecord], network: Network) -> int:
    """The most confirmations that any method of the invoice on this network asks for, picked by the payer or not."""
    asked = (entry.confirmations for entry in methods if entry.network == network.name)
    return max(asked, default=network.confirmations)


def _derived(
    tx: Tx, catalogue: Catalogue, loaded: LoadedInvoice, family: Family, account: int, derive: Derive, now: datetime
) -> HoldingRecord:
    """A fresh address. The floor of its watch is each network's cursor: nobody can have paid it before it was shown."""
    treasuries = sweeps.treasury_addresses(tx)
    while True:
        index = stores.take_index(tx, family, account)
        address = derive(family, account, index)
        if address not in treasuries:  # a treasury of the same seed, as wallets number them: never to be swept from
            break
    holdings.add_address(tx, AddressRecord(address, family, account, index, rests_until(loaded)))
    issued = HoldingRecord(family, address, 0, loaded.record.id, now)
    holdings.hold(tx, issued, {})
    for network in catalogue.networks_of(family):
        cursor = chain.cursor(tx, network.name)
        floor = 0 if cursor is None else cursor.number
        watches.add_watch(tx, _watch(loaded, network, address, floor=floor, until=loaded.record.monitor_until))
    return issued


def _pass_on(tx: Tx, catalogue: Catalogue, loaded: LoadedInvoice, fit: Fit, now: datetime) -> HoldingRecord:
    """An address of the carousel. Its watch goes on, as deep as all who may still be paid on it asked for."""
    last, record = fit.last, loaded.record
    issued = HoldingRecord(last.family, last.address, last.turn + 1, record.id, now)
    holdings.hold(tx, issued, fit.starts)
    holdings.set_free_from(tx, last.family, last.address, rests_until(loaded))
    for network in catalogue.networks_of(Family(last.family)):
        depth = max(_depth_needed(each.methods, network) for each in (loaded, *fit.waiting))
        floor = _floor_since(tx, network, last.issued_at)
        watch = _watch(loaded, network, last.address, floor=floor, until=record.monitor_until)
        watches.pass_on(tx, replace(watch, depth=depth))
    view = ReusedAddressView(
        family=last.family,
        address=last.address,
        invoice=record.id,
        previous_invoice=last.invoice_id,
        issued_at=moment(now),
    )
    subject = f"address:{last.family}:{last.address}"
    announce(tx, catalogue, EventType.ADDRESS_REUSED, subject=subject, store_id=record.store_id, view=view, now=now)
    return issued


def _watch_everywhere(tx: Tx, catalogue: Catalogue, loaded: LoadedInvoice, issued: HoldingRecord) -> None:
    for network in catalogue.networks_of(Family(issued.family)):
        floor = _floor_since(tx, network, issued.issued_at)
        watches.add_watch(tx, _watch(loaded, network, issued.address, floor=floor, until=loaded.record.monitor_until))


def _watch(loaded: LoadedInvoice, network: Network, address: str, *, floor: int, until: datetime | None) -> WatchRecord:
    return WatchRecord(
        network=network.name,
        address=address,
        store_id=loaded.record.store_id,
        invoice_id=loaded.record.id,
        depth=_depth_needed(loaded.methods, network),
        floor=floor,
        watch_until=until,
    )


def _floor_since(tx: Tx, network: Network, issued_at: datetime) -> int:
    """A height below whatever an address can have been paid on a network that nobody knew before that moment."""
    lowest = chain.checkpoint_at(tx, network.name, issued_at - CLOCK_DOUBT)
    return 0 if lowest is None else lowest.number
