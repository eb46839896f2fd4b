"""What people asked us to look at once more, and what came of it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from paynode.domain.chain import Claim, ClaimAnswer
from paynode.domain.rescue import Asker
from paynode.store.database import Tx
from paynode.store.pages import Conditions, Found, Page, walk_page
from paynode.store.records import Columns
from paynode.store.times import from_ms, optional_ms, to_ms

CLAIMS_PER_TICK_MAX = 8  # each costs two calls, or four where the first provider does not know it


@dataclass(frozen=True, slots=True)
class ClaimRecord:
    id: str
    invoice_id: str
    tx_hash: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ClaimNetworkRecord:
    claim_id: str
    network: str
    address: str
    asked_at: datetime
    answer: ClaimAnswer | None = None  # None: not asked yet
    next_at: datetime | None = None  # None: not asked any more


CLAIM = Columns(ClaimRecord)
CLAIM_NETWORK = Columns(ClaimNetworkRecord)


# Checks.


def ask_looks(tx: Tx, name: str, addresses: Iterable[str], *, is_deep: bool) -> None:
    tx.run_many(
        "insert into checks (network, address, is_deep) values (?, ?, ?) "
        "on conflict do update set is_deep = max(is_deep, excluded.is_deep)",
        [(name, address, int(is_deep)) for address in addresses],
    )


def deep_checks(tx: Tx, name: str) -> frozenset[str]:
    """The addresses whose logs are to be read down to the floor."""
    found = tx.rows("select address from checks where network = ? and is_deep = 1", (name,))
    return frozenset(address for (address,) in found)


def looked(tx: Tx, name: str, addresses: Collection[str], deep: Collection[str]) -> None:
    """A tick has looked at these addresses, and read the logs of those in `deep`: what was asked of them is done."""
    asked = tx.rows("select address, is_deep from checks where network = ?", (name,))
    done = [address for address, is_deep in asked if address in (deep if is_deep else addresses)]
    tx.run_many("delete from checks where network = ? and address = ?", [(name, address) for address in done])


def next_look_at(tx: Tx, name: str) -> datetime | None:
    """From when on somebody waits for a look at the network, or for its answer to a claim; None: nobody does."""
    row = tx.row(
        "select min(at) from (select 0 as at from checks where network = :network "
        "union all select iif(answer is null, 0, next_at) from claim_networks "
        "where network = :network and next_at is not null)",
        {"network": name},
    )
    return None if row is None or row[0] is None else from_ms(row[0])


# Claims.


def claim_of(tx: Tx, invoice_id: str, tx_hash: str) -> ClaimRecord | None:
    row = tx.row(f"select {CLAIM.sql} from claims where invoice_id = ? and tx_hash = ?", (invoice_id, tx_hash))
    return None if row is None else CLAIM.decode(row)


def claims_of(tx: Tx, invoice_id: str, page: Page) -> Found[ClaimRecord]:
    """One page of the invoice's claims."""
    found = Conditions()
    found.seek("c.invoice_id = :invoice_id", invoice_id=invoice_id)
    return walk_page(tx, CLAIM.of("c"), "claims c", found, page, key="c.id").map(CLAIM.decode)


def add_claim(tx: Tx, record: ClaimRecord) -> None:
    tx.run(CLAIM.insert("claims"), CLAIM.encode(record))


def networks_of(tx: Tx, claim_id: str) -> list[ClaimNetworkRecord]:
    found = tx.rows(f"select {CLAIM_NETWORK.sql} from claim_networks where claim_id = ? order by network", (claim_id,))
    return [CLAIM_NETWORK.decode(row) for row in found]


def ask_network(tx: Tx, record: ClaimNetworkRecord) -> None:
    """Ask a network about a claim, or once more if it had nothing to say."""
    tx.run(
        f"{CLAIM_NETWORK.insert('claim_networks')} on conflict do update "
        "set asked_at = excluded.asked_at, answer = excluded.answer, next_at = excluded.next_at "
        "where answer not in ('booked', 'included')",
        CLAIM_NETWORK.encode(record),
    )


def due_claims(tx: Tx, name: str) -> list[Claim]:
    """The claims for the next look at the network, new ones first.

    Time is that of the last look: what became due since then waits for one more, and what is new does not.
    """
    found = tx.rows(
        "select n.address, c.tx_hash from claim_networks n join claims c on c.id = n.claim_id "
        "left join networks s on s.network = n.network "
        "where n.network = ? and n.next_at is not null and (n.answer is null or n.next_at <= s.looked_at) "
        "order by n.answer is not null, n.next_at limit ?",
        (name, CLAIMS_PER_TICK_MAX),
    )
    return [Claim(address, tx_hash) for address, tx_hash in found]


def asked_at(tx: Tx, name: str, claim: Claim) -> list[tuple[str, datetime]]:
    """The (id, moment) of each claim of that transaction on that address which is still open."""
    found = tx.rows(
        "select n.claim_id, n.asked_at from claim_networks n join claims c on c.id = n.claim_id "
        "where n.network = ? and n.address = ? and c.tx_hash = ? and n.next_at is not null",
        (name, claim.address, claim.tx_hash),
    )
    return [(claim_id, from_ms(at)) for claim_id, at in found]


def set_answers(tx: Tx, name: str, answers: Mapping[str, tuple[ClaimAnswer, datetime | None]]) -> None:
    """By claim id: what the network says, and when to ask again."""
    tx.run_many(
        "update claim_networks set answer = ?, next_at = ? where claim_id = ? and network = ?",
        [(answer, optional_ms(again), claim_id, name) for claim_id, (answer, again) in answers.items()],
    )


# Limits.


def requests_since(tx: Tx, invoice_id: str, kind: str, asker: Asker, since: datetime) -> list[datetime]:
    """When it was asked of the invoice, oldest first."""
    found = tx.rows(
        "select at from rescue_requests where invoice_id = ? and kind = ? and asker = ? and at > ? order by at",
        (invoice_id, kind, asker, to_ms(since)),
    )
    return [from_ms(at) for (at,) in found]


def note_request(tx: Tx, invoice_id: str, kind: str, asker: Asker, now: datetime, forget_before: datetime) -> None:
    tx.run("delete from rescue_requests where invoice_id = ? and at <= ?", (invoice_id, to_ms(forget_before)))
    tx.run(
        "insert into rescue_requests (invoice_id, kind, asker, at) values (?, ?, ?, ?)",
        (invoice_id, kind, asker, to_ms(now)),
    )
