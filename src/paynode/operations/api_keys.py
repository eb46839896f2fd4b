"""API keys: `pn_<mode>_<id>_<secret>`, of which only a hash of the secret stays with us."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime

from paynode.domain.errors import FieldProblem, Invalid
from paynode.domain.scopes import NODE_SCOPES, STORE_SCOPES
from paynode.operations.catalogue import Catalogue
from paynode.store import api_keys
from paynode.store.api_keys import ApiKeyRecord
from paynode.store.database import Tx
from paynode.store.ids import new_id

SECRET_BYTES = 24  # 192 bits


def create_key(
    tx: Tx, catalogue: Catalogue, *, store_id: str | None, name: str, scopes: Iterable[str], now: datetime
) -> tuple[ApiKeyRecord, str]:
    """Make a key of a store, or of the node (None); returns it with its text, which is shown once.

    Raises:
        Invalid: a scope that does not exist, or that this kind of key cannot hold.
    """
    allowed = STORE_SCOPES if store_id is not None else STORE_SCOPES | NODE_SCOPES
    wanted = sorted(set(scopes))
    problems = [
        FieldProblem("/scopes", "unknown_scope", f'No scope "{scope}" for this kind of key.')
        for scope in wanted
        if scope not in allowed
    ]
    if problems:
        raise Invalid(problems)
    secret = secrets.token_hex(SECRET_BYTES)
    record = ApiKeyRecord(
        id=new_id("key", now),
        store_id=store_id,
        name=name,
        secret_hash=_hashed(secret),
        scopes=" ".join(wanted),
        created_at=now,
    )
    api_keys.add(tx, record)
    return record, f"pn_{catalogue.mode}_{record.id.removeprefix('key_')}_{secret}"


def find_key(tx: Tx, catalogue: Catalogue, text: str, now: datetime) -> ApiKeyRecord | None:
    """The key that `text` proves, if it is in force. Unknown and wrong keys take the same time and path."""
    parts = text.split("_")
    if len(parts) != 4 or parts[0] != "pn" or parts[1] != catalogue.mode or not text.isascii():
        return None
    record = api_keys.by_id(tx, f"key_{parts[2]}")
    expected = _hashed("") if record is None else record.secret_hash
    is_right = hmac.compare_digest(expected, _hashed(parts[3]))
    if record is None or not is_right or record.revoked_at is not None:
        return None
    if record.expires_at is not None and record.expires_at <= now:
        return None
    return record


def _hashed(secret: str) -> bytes:
    """SHA-256 suffices: the secret has 192 random bits, so there is nothing to guess."""
    return hashlib.sha256(secret.encode()).digest()
