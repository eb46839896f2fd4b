"""Webhook endpoints: where a store wants to hear of events, and of which."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from paynode.domain.errors import Conflict, FieldProblem, Invalid, NotFound
from paynode.domain.events import EventType
from paynode.domain.signing import SignatureFormat
from paynode.operations import webhook_secrets
from paynode.operations.announcing import announce
from paynode.operations.catalogue import Catalogue
from paynode.operations.views import webhooks as views
from paynode.outbound import Refused
from paynode.store import outbox
from paynode.store.database import Tx
from paynode.store.ids import new_id
from paynode.store.outbox import EndpointRecord

ENDPOINTS_MAX = 20  # of a store: every event is written and sent once for each that wants it

Check = Callable[[str], object]  # `Outbound.check`: raises `Refused` for an address that we would not post to

FAMILIES = frozenset(f"{family}.*" for family, dot, _ in (kind.partition(".") for kind in EventType) if dot)
PATTERNS = frozenset({"*"}) | FAMILIES | frozenset(EventType)


def load(tx: Tx, endpoint_id: str, store_id: str | None = None) -> EndpointRecord:
    """The endpoint.

    Raises:
        NotFound: there is none, it was deleted, or it is not of the given store.
    """
    endpoint = outbox.endpoint(tx, endpoint_id)
    if endpoint is None or store_id not in {None, endpoint.store_id}:
        raise NotFound("webhook endpoint")
    return endpoint


def create_endpoint(
    tx: Tx,
    store_id: str,
    *,
    url: str,
    events: Sequence[str],
    secret: str | None,
    signature_format: SignatureFormat = SignatureFormat.STANDARD,
    now: datetime,
    check: Check,
) -> EndpointRecord:
    """Make an endpoint; without a secret of its owner's it gets a random one.

    Raises:
        Invalid: a URL that is refused, a pattern that matches no event, or a malformed secret.
        Conflict: the store has as many as it may have.
    """
    problems = [
        *url_problems(url, check),
        *_events_problems(events),
        *webhook_secrets.problems(secret, signature_format),
    ]
    if problems:
        raise Invalid(problems)
    if len(outbox.endpoints_of(tx, store_id)) >= ENDPOINTS_MAX:
        raise Conflict("too_many_endpoints", f"A store has at most {ENDPOINTS_MAX} webhook endpoints.")
    endpoint = EndpointRecord(
        id=new_id("whe", now),
        store_id=store_id,
        url=url,
        events=_joined(events),
        secret=webhook_secrets.chosen_or_random(secret),
        state="enabled",
        reason=None,
        created_at=now,
        signature_format=signature_format,
    )
    outbox.add_endpoint(tx, endpoint)
    return endpoint


def update_endpoint(
    tx: Tx,
    catalogue: Catalogue,
    endpoint_id: str,
    store_id: str | None,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    state: str | None = None,
    signature_format: SignatureFormat | None = None,
    now: datetime,
    check: Check,
) -> EndpointRecord:
    """Change what is given; None leaves a field as it is. Deliveries under way already go to the old URL.

    Raises:
        NotFound: no such endpoint of this store.
        Invalid: as for a new one, or a state that is neither `enabled` nor `disabled`.
    """
    before = load(tx, endpoint_id, store_id)
    problems = [
        *([] if url is None else url_problems(url, check)),
        *([] if events is None else _events_problems(events)),
        *([] if state is None else _state_problems(state)),
    ]
    if problems:
        raise Invalid(problems)
    changed = replace(
        before,
        url=before.url if url is None else url,
        events=before.events if events is None else _joined(events),
        signature_format=signature_format or before.signature_format,
    )
    if state == "enabled":
        changed = replace(changed, state=state, reason=None)
    outbox.save_endpoint(tx, changed)
    if state == "disabled" and before.state != state:
        return disable(tx, catalogue, changed, "It was disabled on request.", now)
    return changed


def rotate_secret(
    tx: Tx, endpoint_id: str, store_id: str | None, *, secret: str | None, now: datetime
) -> EndpointRecord:
    """Give an endpoint a new secret, its owner's or a random one; the one before it signs as well for a day.

    Raises:
        NotFound: no such endpoint of this store.
        Invalid: a malformed secret, or the one that it has.
    """
    before = load(tx, endpoint_id, store_id)
    if problems := webhook_secrets.problems(secret, before.signature_format):
        raise Invalid(problems)
    new = webhook_secrets.rotated(before.secret, secret, now)
    changed = replace(
        before, secret=new.secret, old_secret=new.old_secret, old_secret_expires_at=new.old_secret_expires_at
    )
    outbox.save_endpoint(tx, changed)
    return changed


def enable(tx: Tx, endpoint_id: str, store_id: str | None) -> EndpointRecord:
    """Send to an endpoint again what happens from now on. What it missed is replayed on request.

    Raises:
        NotFound: no such endpoint of this store.
    """
    enabled = replace(load(tx, endpoint_id, store_id), state="enabled", reason=None)
    outbox.save_endpoint(tx, enabled)
    return enabled


def disable(tx: Tx, catalogue: Catalogue, endpoint: EndpointRecord, reason: str, now: datetime) -> EndpointRecord:
    """Stop sending to an endpoint, abandon what is due to it, and tell the store's other endpoints."""
    disabled = replace(endpoint, state="disabled", reason=reason)
    outbox.save_endpoint(tx, disabled)
    outbox.abandon_deliveries(tx, endpoint.id)
    previous: Mapping[str, object] = {"state": endpoint.state, "reason": endpoint.reason}
    announce(
        tx,
        catalogue,
        EventType.WEBHOOK_ENDPOINT_DISABLED,
        subject=endpoint.id,
        store_id=endpoint.store_id,
        view=views.endpoint(disabled),
        previous=previous,
        now=now,
    )
    return disabled


def delete_endpoint(tx: Tx, endpoint_id: str, store_id: str | None, now: datetime) -> None:
    """Remove an endpoint for good and abandon what is due to it. Its row stays, for the deliveries that name it.

    Raises:
        NotFound: no such endpoint of this store.
    """
    endpoint = load(tx, endpoint_id, store_id)
    outbox.save_endpoint(tx, replace(endpoint, deleted_at=now))
    outbox.abandon_deliveries(tx, endpoint.id)


def ping(tx: Tx, catalogue: Catalogue, endpoint_id: str, store_id: str | None, now: datetime) -> str:
    """Announce a `ping` to this endpoint alone, whatever it subscribed to; returns the event's id.

    Raises:
        NotFound: no such endpoint of this store.
        Conflict: it is disabled.
    """
    endpoint = load(tx, endpoint_id, store_id)
    require_enabled(endpoint)
    return announce(
        tx,
        catalogue,
        EventType.PING,
        subject=endpoint.id,
        store_id=endpoint.store_id,
        view=views.endpoint(endpoint),
        now=now,
        only_endpoint=endpoint,
    )


def require_enabled(endpoint: EndpointRecord) -> None:
    if endpoint.state != "enabled":
        raise Conflict("endpoint_disabled", "This webhook endpoint is disabled; enable it first.")


def _joined(events: Sequence[str]) -> str:
    return " ".join(dict.fromkeys(events))


def url_problems(url: str, check: Check, pointer: str = "/url") -> list[FieldProblem]:
    try:
        check(url)
    except Refused as refused:
        return [FieldProblem(pointer, "url_refused", f"{refused.reason[:1].upper()}{refused.reason[1:]}.")]
    return []


def _events_problems(events: Sequence[str]) -> list[FieldProblem]:
    if not events:
        return [FieldProblem("/events", "required", 'Name at least one event, or "*" for all.')]
    if len(events) > len(PATTERNS):
        return [FieldProblem("/events", "too_many", "There are fewer events than that.")]
    return [
        FieldProblem(f"/events/{position}", "unknown_event", 'Name an event, a family such as "invoice.*", or "*".')
        for position, pattern in enumerate(events)
        if pattern not in PATTERNS
    ]


def _state_problems(state: str) -> list[FieldProblem]:
    if state in {"enabled", "disabled"}:
        return []
    return [FieldProblem("/state", "unknown_state", 'Write "enabled" or "disabled".')]
