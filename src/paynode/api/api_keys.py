"""API keys of a store: make, see, rotate and revoke them. Those of the node are made on its machine alone."""

from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, UnsetType

from paynode.api.body import Form, Nothing
from paynode.api.lists import ListView, page_answer
from paynode.api.query import PageQuery
from paynode.api.routes import Call, Routes, answer
from paynode.domain.durations import parse_duration
from paynode.domain.errors import Invalid
from paynode.domain.scopes import PRESETS
from paynode.operations.api_keys import (
    ALLOWED_IPS_MAX,
    OVERLAP_DEFAULT,
    OVERLAP_MAX,
    Terms,
    create_key,
    is_in_force,
    revoke_key,
    rotate_key,
)
from paynode.operations.once import Answer
from paynode.operations.views.shapes import Moment, View, moment, moment_or_none
from paynode.store import api_keys as rows
from paynode.store.api_keys import ApiKeyRecord
from paynode.store.database import Tx

routes = Routes()


class ApiKeyView(View, frozen=True, tag_field="object", tag="api_key"):
    """A key without its secret; `key`, its text, is told once, by the answer that made it."""

    id: str
    store: str | None
    name: str
    state: Literal["active", "expired", "revoked"]
    scopes: list[str]
    allowed_ips: list[str]
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    last_used_at: Moment | None
    replaced_by: str | None
    key: str | UnsetType = UNSET


Ranges = Annotated[list[Annotated[str, Meta(max_length=50)]], Meta(max_length=ALLOWED_IPS_MAX)]


class ApiKeyForm(Form, frozen=True):
    """What a new key may do: `scopes`, or those of a `preset`; without either, those of the preset `shop`."""

    name: Annotated[str, Meta(max_length=200)] = ""
    scopes: Annotated[list[Annotated[str, Meta(max_length=50)]], Meta(min_length=1, max_length=50)] | None = None
    preset: Literal["shop", "till", "read_only", "full"] | None = None
    allowed_ips: Ranges = []  # noqa: RUF012  # msgspec copies it
    expires_in: int | str | None = None
    store: Annotated[str, Meta(max_length=30)] | None = None


class RotateForm(Form, frozen=True):
    """`overlap`: how long the old key works beside the new one; a day by default, 0 for not at all."""

    overlap: int | str | None = None


class ApiKeyListQuery(PageQuery, frozen=True):
    prefix: ClassVar[str] = "key"


@routes.post("/v1/api_keys", ApiKeyForm, scope="api_keys:write", shows=ApiKeyView, status=201)
def create(call: Call[ApiKeyForm], tx: Tx) -> Answer:
    """Make an API key of a store.

    It can do no more than the key that asks for it. The answer shows the key; a replay of it does not.
    """
    form = call.form
    if form.scopes is not None and form.preset is not None:
        raise Invalid.field("/preset", "conflicting", "Give scopes or a preset, not both.")
    terms = Terms(
        PRESETS[form.preset or "shop"] if form.scopes is None else form.scopes,
        form.allowed_ips,
        None if form.expires_in is None else call.now + _span(form.expires_in, "/expires_in"),
    )
    record, text = create_key(
        tx,
        call.node.catalogue,
        store_id=call.owner(form.store),
        name=form.name,
        terms=terms,
        now=call.now,
        maker=call.key,
    )
    return _with_text(record, text, call.now, 201)


@routes.get("/v1/api_keys", ApiKeyListQuery, scope="api_keys:write", shows=ListView[ApiKeyView])
def list_all(call: Call[ApiKeyListQuery], tx: Tx) -> Answer:
    """List the keys of the store, those that are revoked or expired too."""
    return page_answer(rows.listed(tx, call.store_id, call.form.page).map(lambda record: _view(record, call.now)))


@routes.get("/v1/api_keys/current", scope="store:read", shows=ApiKeyView)
def current(call: Call[Nothing], tx: Tx) -> Answer:
    """Show the key that this very request was sent with."""
    assert call.key is not None, "the route names a scope"
    return answer(_view(call.key, call.now))


@routes.post(
    "/v1/api_keys/<key_id>/rotate",
    RotateForm,
    scope="api_keys:write",
    shows=ApiKeyView,
    status=201,
    refuses=["key_not_in_force", "key_rotated", "key_can_more"],
)
def rotate(call: Call[RotateForm], tx: Tx) -> Answer:
    """Make a key that takes another's place.

    Both work until the overlap is over. The answer shows the new key; a replay of it does not.
    """
    overlap = OVERLAP_DEFAULT if call.form.overlap is None else _span(call.form.overlap, "/overlap", OVERLAP_MAX)
    record, text = rotate_key(
        tx,
        call.node.catalogue,
        call.path["key_id"],
        overlap,
        call.now,
        store_id=call.store_id,
        maker=call.key,
    )
    return _with_text(record, text, call.now, 201)


@routes.delete("/v1/api_keys/<key_id>", scope="api_keys:write", shows=ApiKeyView, status=200)
def revoke(call: Call[Nothing], tx: Tx) -> Answer:
    """Revoke a key, at once and for good."""
    return answer(_view(revoke_key(tx, call.path["key_id"], call.now, store_id=call.store_id), call.now))


def _span(written: int | str, field: str, longest: timedelta | None = None) -> timedelta:
    span = parse_duration(written)
    if span is None:
        raise Invalid.field(field, "not_a_duration", 'Give seconds, or a text such as "24h" or "P30D".')
    if longest is not None and span > longest:
        raise Invalid.field(field, "out_of_range", f"Give at most {longest.days} days.")
    return span


def _with_text(record: ApiKeyRecord, text: str, now: datetime, status: int) -> Answer:
    told, kept = answer(_view(record, now, text), status), answer(_view(record, now))
    return Answer(told.status, told.body, kept_body=kept.body)


def _view(record: ApiKeyRecord, now: datetime, text: str | UnsetType = UNSET) -> ApiKeyView:
    return ApiKeyView(
        id=record.id,
        store=record.store_id,
        name=record.name,
        state="active" if is_in_force(record, now) else "expired" if record.revoked_at is None else "revoked",
        scopes=record.scopes.split(),
        allowed_ips=record.allowed_ips.split(),
        created_at=moment(record.created_at),
        expires_at=moment_or_none(record.expires_at),
        revoked_at=moment_or_none(record.revoked_at),
        last_used_at=moment_or_none(record.last_used_at),
        replaced_by=record.replaced_by,
        key=text,
    )
