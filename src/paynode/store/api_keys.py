"""API keys: only a hash of the secret is stored."""

from dataclasses import dataclass
from datetime import datetime

from paynode.store.database import Tx
from paynode.store.pages import Conditions, Found, Page, walk_page
from paynode.store.records import Columns
from paynode.store.times import to_ms


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    id: str
    store_id: str | None  # None: the node's owner
    name: str
    secret_hash: bytes
    scopes: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    allowed_ips: str = ""  # addresses and ranges, space separated; '': anywhere
    replaced_by: str | None = None


API_KEY = Columns(ApiKeyRecord)


def add(tx: Tx, record: ApiKeyRecord) -> None:
    tx.run(API_KEY.insert("api_keys"), API_KEY.encode(record))


def by_id(tx: Tx, key_id: str) -> ApiKeyRecord | None:
    row = tx.row(f"select {API_KEY.sql} from api_keys where id = ?", (key_id,))
    return None if row is None else API_KEY.decode(row)


def all_keys(tx: Tx) -> list[ApiKeyRecord]:
    return [API_KEY.decode(row) for row in tx.rows(f"select {API_KEY.sql} from api_keys order by id")]


def save(tx: Tx, record: ApiKeyRecord) -> None:
    tx.run(API_KEY.update("api_keys", "id"), API_KEY.encode(record))


def listed(tx: Tx, store_id: str | None, page: Page) -> Found[ApiKeyRecord]:
    """One page of the keys of a store, or of all (None)."""
    found = Conditions()
    if store_id is not None:
        found.check("k.store_id = :store_id", store_id=store_id)
    return walk_page(tx, API_KEY.of("k"), "api_keys k", found, page, key="k.id").map(API_KEY.decode)


def note_use(tx: Tx, key_id: str, now: datetime) -> None:
    tx.run("update api_keys set last_used_at = ? where id = ?", (to_ms(now), key_id))
