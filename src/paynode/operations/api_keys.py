"""API keys: `pn_<mode>_<id>_<secret>`, of which only a hash of the secret stays with us.

A key never makes one that can do more than itself, that works from more places, or for longer.
"""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from paynode.domain.errors import Conflict, FieldProblem, Invalid, NotFound
from paynode.domain.scopes import NODE_SCOPES, STORE_SCOPES
from paynode.operations.catalogue import Catalogue
from paynode.store import api_keys, bells
from paynode.store.api_keys import ApiKeyRecord
from paynode.store.database import Tx
from paynode.store.ids import new_id

SECRET_BYTES = 24  # 192 bits
ALLOWED_IPS_MAX = 50
OVERLAP_DEFAULT, OVERLAP_MAX = timedelta(hours=24), timedelta(days=30)

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Terms:
    """What a new key may do, from where, and until when."""

    scopes: Collection[str]
    allowed_ips: Sequence[str] = ()  # addresses and ranges; none: from anywhere
    expires_at: datetime | None = None  # None: never


def create_key(
    tx: Tx,
    catalogue: Catalogue,
    *,
    store_id: str | None,
    name: str,
    terms: Terms,
    now: datetime,
    maker: ApiKeyRecord | None = None,
) -> tuple[ApiKeyRecord, str]:
    """Make a key of a store, or of the node (None); returns it with its text, which is shown once.

    `maker` is the key that asks for it; None: the owner of the machine does.

    Raises:
        Invalid: a scope that does not exist or that this kind of key cannot hold, a malformed range, a moment that is
            over; or more than the maker may do itself.
    """
    problems = [*_scope_problems(store_id, terms.scopes), *_ip_problems(terms.allowed_ips)]
    if terms.expires_at is not None and terms.expires_at <= now:
        problems.append(FieldProblem("/expires_in", "out_of_range", "Such a key is over at once."))
    if maker is not None and not problems:
        problems = [*_excess(maker, terms)]
    if problems:
        raise Invalid(problems)
    return _add(tx, catalogue, store_id, name, terms, now)


def rotate_key(
    tx: Tx,
    catalogue: Catalogue,
    key_id: str,
    overlap: timedelta,
    now: datetime,
    *,
    store_id: str | None = None,
    maker: ApiKeyRecord | None = None,
) -> tuple[ApiKeyRecord, str]:
    """Make a key that can do what this one can; both work until the overlap is over. Returns the new one as above.

    Raises:
        NotFound: no such key, or not of the given store.
        Conflict: it is not in force, it was rotated before, or it can do more than the one that asks for it.
    """
    old = _load(tx, key_id, store_id)
    if not is_in_force(old, now):
        raise Conflict("key_not_in_force", "This key is revoked or expired; make a new one.")
    if old.replaced_by is not None:
        detail = f"This key was rotated already; {old.replaced_by} came after it."
        raise Conflict("key_rotated", detail, FieldProblem("", "taken", detail, old.replaced_by))
    terms = Terms(old.scopes.split(), old.allowed_ips.split(), old.expires_at)
    is_more = maker is not None and maker.id != old.id and (old.store_id != maker.store_id or _excess(maker, terms))
    if is_more:
        raise Conflict("key_can_more", "This key can do more than the one that asks; rotate it with itself.")
    new, text = _add(tx, catalogue, old.store_id, old.name, terms, now)
    ends = now + overlap
    api_keys.save(
        tx,
        replace(
            old,
            replaced_by=new.id,
            expires_at=ends if old.expires_at is None else min(ends, old.expires_at),
            revoked_at=now if not overlap else None,
        ),
    )
    tx.ring(bells.about(old.id))  # without an overlap, its streams end
    return new, text


def revoke_key(tx: Tx, key_id: str, now: datetime, *, store_id: str | None = None) -> ApiKeyRecord:
    """Revoke a key, at once and for good; doing it again changes nothing.

    Raises:
        NotFound: no such key, or not of the given store.
    """
    record = _load(tx, key_id, store_id)
    if record.revoked_at is None:
        record = replace(record, revoked_at=now)
        api_keys.save(tx, record)
        tx.ring(bells.about(key_id))  # a stream that it opened ends
    return record


def find_key(tx: Tx, catalogue: Catalogue, text: str, now: datetime) -> ApiKeyRecord | None:
    """The key that `text` proves, if it is in force. Unknown and wrong keys take the same time and path."""
    parts = text.split("_")
    if len(parts) != 4 or parts[0] != "pn" or parts[1] != catalogue.mode or not text.isascii():
        return None
    record = api_keys.by_id(tx, f"key_{parts[2]}")
    expected = _hashed("") if record is None else record.secret_hash
    is_right = hmac.compare_digest(expected, _hashed(parts[3]))
    return record if record is not None and is_right and is_in_force(record, now) else None


def is_in_force(record: ApiKeyRecord, now: datetime) -> bool:
    return record.revoked_at is None and (record.expires_at is None or record.expires_at > now)


def is_allowed_from(record: ApiKeyRecord, client: str) -> bool:
    """Whether the key may be used from this address."""
    if not record.allowed_ips:
        return True
    try:
        address = ipaddress.ip_address(client)
    except ValueError:  # a peer without an address, such as a Unix socket's
        return False
    return any(address in ipaddress.ip_network(allowed) for allowed in record.allowed_ips.split())


def _load(tx: Tx, key_id: str, store_id: str | None) -> ApiKeyRecord:
    record = api_keys.by_id(tx, key_id)
    if record is None or store_id not in {None, record.store_id}:
        raise NotFound("API key")
    return record


def _add(
    tx: Tx, catalogue: Catalogue, store_id: str | None, name: str, terms: Terms, now: datetime
) -> tuple[ApiKeyRecord, str]:
    secret = secrets.token_hex(SECRET_BYTES)
    record = ApiKeyRecord(
        id=new_id("key", now),
        store_id=store_id,
        name=name,
        secret_hash=_hashed(secret),
        scopes=" ".join(sorted(set(terms.scopes))),
        created_at=now,
        expires_at=terms.expires_at,
        allowed_ips=" ".join(dict.fromkeys(str(ipaddress.ip_network(text)) for text in terms.allowed_ips)),
    )
    api_keys.add(tx, record)
    return record, f"pn_{catalogue.mode}_{record.id.removeprefix('key_')}_{secret}"


def _scope_problems(store_id: str | None, scopes: Iterable[str]) -> Iterable[FieldProblem]:
    allowed = STORE_SCOPES if store_id is not None else STORE_SCOPES | NODE_SCOPES
    for scope in sorted(set(scopes) - allowed):
        yield FieldProblem("/scopes", "unknown_scope", f'No scope "{scope}" for this kind of key.')


def _ip_problems(allowed_ips: Sequence[str]) -> Iterable[FieldProblem]:
    for position, text in enumerate(allowed_ips):
        if not _is_range(text):
            detail = "Give an IP address, or a range such as 203.0.113.0/24 that begins where it says."
            yield FieldProblem(f"/allowed_ips/{position}", "not_a_range", detail)


def _is_range(text: str) -> bool:
    """Whether it is an address or a range, without the name of an interface (RFC 4007), which may be any text."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return "%" not in text


def _excess(maker: ApiKeyRecord, terms: Terms) -> list[FieldProblem]:
    """What of `terms` is more than the maker has itself."""
    problems = [
        FieldProblem("/scopes", "not_held", f"The key that asks for it does not hold {scope} itself.")
        for scope in sorted(set(terms.scopes) - set(maker.scopes.split()))
    ]
    own = [ipaddress.ip_network(text) for text in maker.allowed_ips.split()]
    wanted = [ipaddress.ip_network(text) for text in terms.allowed_ips]
    if own and not (wanted and all(any(_is_within(part, whole) for whole in own) for part in wanted)):
        detail = f"The key that asks for it works from {', '.join(map(str, own))} alone: give a part of that."
        problems.append(FieldProblem("/allowed_ips", "not_held", detail))
    if maker.expires_at is not None and (terms.expires_at is None or terms.expires_at > maker.expires_at):
        detail = f"The key that asks for it expires at {maker.expires_at.isoformat()}: give no later moment."
        problems.append(FieldProblem("/expires_in", "not_held", detail))
    return problems


def _is_within(part: IPNetwork, whole: IPNetwork) -> bool:
    return part.version == whole.version and part.subnet_of(whole)  # type: ignore[arg-type]  # of the same version


def _hashed(secret: str) -> bytes:
    """SHA-256 suffices: the secret has 192 random bits, so there is nothing to guess."""
    return hashlib.sha256(secret.encode()).digest()
