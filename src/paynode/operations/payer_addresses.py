"""How many addresses payers, whom nobody knows, may make us issue (D10).

Each costs looks at the chain, and a wallet that is restored from the mnemonic stops searching after a gap of unused
ones. What is paid does not count, so that no business is too good; nor does what merchants issue themselves.
"""

from datetime import datetime, timedelta
from math import ceil

from paynode.config import Family
from paynode.domain.errors import TooOften
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import LoadedInvoice
from paynode.store import payer_addresses
from paynode.store.database import Tx
from paynode.store.payer_addresses import PayerAddressRecord

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def admit(tx: Tx, catalogue: Catalogue, loaded: LoadedInvoice, family: Family, client: str, now: datetime) -> None:
    """Count an address that is issued on a payer's word.

    Raises:
        TooOften: this client, or all payers of the store, left so many unpaid that they wait.
    """
    store_id = loaded.record.store_id
    caps = catalogue.terms(store_id).payer_addresses
    oldest = payer_addresses.unpaid_of_client(tx, client, now - HOUR, caps.per_client_hour)
    if oldest is not None:
        detail = f"From one place, payers may pick {caps.per_client_hour} methods an hour that they do not pay."
        raise TooOften(f"{detail} Pay what is open, or try again later.", _wait(oldest + HOUR, now))
    oldest = payer_addresses.unpaid_of_store(tx, store_id, now - DAY, caps.per_store_day)
    if oldest is not None:
        detail = "Too many people began to pay this shop today and did not. Ask the shop: it can issue an address."
        raise TooOften(detail, _wait(oldest + DAY, now))
    record = PayerAddressRecord(loaded.record.id, family, store_id, client, now)
    payer_addresses.add(tx, record, forget_before=now - DAY)


def _wait(until: datetime, now: datetime) -> int:
    return max(ceil((until - now).total_seconds()), 1)
