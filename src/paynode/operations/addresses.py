"""Issuing deposit addresses: the watch is committed before anybody sees the address."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from paynode.config import Family, Network
from paynode.domain.errors import Conflict
from paynode.operations.catalogue import Catalogue, Derive
from paynode.operations.loading import LoadedInvoice
from paynode.store import bells, chain, invoices, refused_methods, stores, sweeps, watches
from paynode.store.database import Tx
from paynode.store.invoices import AddressRecord, InvoiceRecord, MethodRecord
from paynode.store.watches import WatchRecord

CLOCK_DOUBT = timedelta(days=1)  # how wrong our clock may have been against the chain's; costs blocks, never money


def issue_address(
    tx: Tx, catalogue: Catalogue, record: InvoiceRecord, entry: MethodRecord, derive: Derive, now: datetime
) -> AddressRecord:
    """Give the invoice its address for `entry`'s method, one per chain family, watched on every network of it.

    So money sent on a wrong network of the same family is seen as well. The watch's floor is the network's cursor:
    nothing can have been paid to an address before it was shown.

    Raises:
        Conflict: the method's network was never looked at, so its money could be missed, or its token is not what the
            config says.
    """
    if entry.network not in catalogue.networks:
        raise Conflict("method_disabled", f"{entry.method} is not offered any more.")
    if chain.cursor(tx, entry.network) is None:
        raise Conflict("network_not_ready", f"{entry.network} has not been reached yet; see its state in /v1/networks.")
    if (reason := refused_methods.reasons(tx).get(entry.method)) is not None:
        raise Conflict("method_refused", f"{entry.method} is not offered: {reason}.")
    family = catalogue.family(entry.network)
    issued = invoices.addresses(tx, record.id).get(family) or _derived(tx, catalogue, record, family, derive, now)
    methods = invoices.methods(tx, record.id)
    for network in catalogue.networks_of(family):
        if not watches.is_awaiting(tx, network.name):
            tx.ring(bells.WATCHES)  # its scanner rests; otherwise it looks soon, and need not for each address
        cursor = chain.cursor(tx, network.name)
        watches.add_watch(
            tx,
            WatchRecord(
                network=network.name,
                address=issued.address,
                store_id=record.store_id,
                invoice_id=record.id,
                depth=_depth_needed(methods, network),
                floor=0 if cursor is None else cursor.number,
                watch_until=record.monitor_until,
            ),
        )
    invoices.mark_provisioned(tx, record.id, entry.method, now)
    return issued


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
            lowest = chain.checkpoint_at(tx, network.name, issued.issued_at - CLOCK_DOUBT)
            record = WatchRecord(
                network=network.name,
                address=issued.address,
                store_id=loaded.record.store_id,
                invoice_id=loaded.record.id,
                depth=_depth_needed(loaded.methods, network),
                floor=0 if lowest is None else lowest.number,
                watch_until=until,
                unseen_since=issued.issued_at,
            )
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
    tx: Tx, catalogue: Catalogue, record: InvoiceRecord, family: Family, derive: Derive, now: datetime
) -> AddressRecord:
    account = stores.account_number(tx, record.store_id)
    treasuries = sweeps.treasury_addresses(tx)
    while True:
        index = stores.take_index(tx, family, account)
        address = derive(family, account, index)
        if address not in treasuries:  # a treasury of the same seed, as wallets number them: never to be swept from
            break
    issued = AddressRecord(address, family, account, index, record.id, now)
    invoices.add_address(tx, issued)
    return issued
