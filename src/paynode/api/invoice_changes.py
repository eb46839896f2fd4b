"""What a merchant may change of an invoice that is made: labels, deadline, whether it is in sight, whether it is."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from paynode.api.body import Form, Nothing, WebUrl
from paynode.api.conflicts import NOT_OPEN
from paynode.api.invoice_form import (
    EXPIRES_MAX,
    EXPIRES_MIN,
    LanguageTag,
    LongText,
    MetadataText,
    ShortText,
    read_language,
)
from paynode.api.numbers import Problems, read_span
from paynode.api.routes import NO_CONTENT, Call, Routes, answer
from paynode.domain.errors import FieldProblem, Invalid
from paynode.operations import changing
from paynode.operations.changing import METADATA_KEYS_MAX, ChangeInvoice
from paynode.operations.loading import LoadedInvoice
from paynode.operations.once import Answer
from paynode.operations.views.invoice import InvoiceView
from paynode.operations.views.invoice import invoice as invoice_view
from paynode.store.database import Tx

routes = Routes()

_AS_WRITTEN = ("name", "description", "order_id", "customer")
_URLS = ("success_url", "fail_url")


Labels = Annotated[dict[MetadataText, MetadataText | None], Meta(max_length=METADATA_KEYS_MAX)]


class InvoiceChange(Form, frozen=True):
    """What is not named stays; null clears it."""

    name: ShortText | UnsetType | None = UNSET
    description: LongText | UnsetType | None = UNSET
    order_id: ShortText | UnsetType | None = UNSET
    customer: ShortText | UnsetType | None = UNSET
    metadata: Labels | UnsetType | None = UNSET
    language: LanguageTag | UnsetType | None = UNSET
    success_url: WebUrl | UnsetType | None = UNSET
    fail_url: WebUrl | UnsetType | None = UNSET
    expires_in: int | str | None = None
    valid_for: int | str | None = None


@routes.patch(
    "/v1/invoices/<invoice_id>",
    InvoiceChange,
    scope="invoices:write",
    shows=InvoiceView,
    refuses=("order_id_taken", *NOT_OPEN),
)
def change(call: Call[InvoiceChange], tx: Tx) -> Answer:
    """Change an invoice's labels, or while it is open its deadline.

    What is not named stays, null clears. Metadata is merged key by key; null or an empty text removes its key.
    """
    command = _read(call.form)
    return _answer(
        call,
        changing.change(tx, call.node.catalogue, call.path["invoice_id"], command, call.now, store_id=call.store_id),
    )


@routes.delete("/v1/invoices/<invoice_id>", scope="invoices:write", refuses=("invoice_in_use",))
def delete(call: Call[Nothing], tx: Tx) -> Answer:
    """Remove an invoice that never had an address or a deposit."""
    changing.delete(tx, call.node.catalogue, call.path["invoice_id"], call.now, store_id=call.store_id)
    return NO_CONTENT


@routes.post("/v1/invoices/<invoice_id>/archive", Nothing, scope="invoices:write", shows=InvoiceView)
def archive(call: Call[Nothing], tx: Tx) -> Answer:
    """Put an invoice out of sight; all else goes on as before."""
    return _answer(
        call, changing.archive(tx, call.node.catalogue, call.path["invoice_id"], call.now, store_id=call.store_id)
    )


@routes.post("/v1/invoices/<invoice_id>/unarchive", Nothing, scope="invoices:write", shows=InvoiceView)
def unarchive(call: Call[Nothing], tx: Tx) -> Answer:
    """Put an invoice back in sight."""
    return _answer(
        call, changing.unarchive(tx, call.node.catalogue, call.path["invoice_id"], call.now, store_id=call.store_id)
    )


def _read(form: InvoiceChange) -> ChangeInvoice:
    problems: Problems = []
    labels: dict[str, str | UnsetType | None] = {name: getattr(form, name) for name in _AS_WRITTEN}
    urls = {name: getattr(form, name) for name in _URLS}
    labels |= {name: url.text if isinstance(url, WebUrl) else url for name, url in urls.items()}
    labels["language"] = read_language(form.language, problems) if isinstance(form.language, str) else form.language
    if form.expires_in is not None and form.valid_for is not None:
        problems.append(FieldProblem("/valid_for", "conflicting", "Give expires_in or valid_for, not both."))
    field, value = ("expires_in", form.expires_in) if form.valid_for is None else ("valid_for", form.valid_for)
    span = None if value is None else read_span(value, field, EXPIRES_MIN, EXPIRES_MAX, problems)
    if problems:
        raise Invalid(problems)
    merged = {} if form.metadata is UNSET else form.metadata
    return ChangeInvoice(
        labels={name: value for name, value in labels.items() if value is not UNSET},
        metadata=None if merged is None else {name: text or "" for name, text in merged.items()},
        expires_in=span,
    )


def _answer(call: Call[InvoiceChange] | Call[Nothing], loaded: LoadedInvoice) -> Answer:
    return answer(invoice_view(call.node.catalogue, loaded, call.now))
