"""API keys: only a hash of the secret is stored."""

from dataclasses import dataclass
from datetime import datetime

from paynode.store.database import Tx
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


API_KEY = Columns(ApiKeyRecord)


def add(tx: Tx, record: ApiKeyRecord) -> None:
    tx.run(API_KEY.insert("api_keys"), API_KEY.encode(record))


def by_id(tx: Tx, key_id: str) -> ApiKeyRecord | None:
    row = tx.row(f"select {API_KEY.sql} from api_keys where id = ?", (key_id,))
    return None if row is None else API_KEY.decode(row)


def all_keys(tx: Tx) -> list[ApiKeyRecord]:
    return [API_KEY.decode(row) for row in tx.rows(f"select {API_KEY.sql} from api_keys order by id")]


def revoke(tx: Tx, key_id: str, now: datetime) -> bool:
    """Revoke a key; tells whether it was in force."""
    return tx.run("update api_keys set revoked_at = ? where id = ? and revoked_at is null", (to_ms(now), key_id)) == 1


def note_use(tx: Tx, key_id: str, now: datetime) -> None:
    tx.run("update api_keys set last_used_at = ? where id = ?", (to_ms(now), key_id))
