"""What the body of `POST /v1/invoices` says about the invoice's callback."""

from typing import Annotated, Protocol

from msgspec import Meta

from paynode.domain.delivery import RETRIES_MAX
from paynode.domain.errors import FieldProblem
from paynode.domain.signing import MalformedSecret, Secret
from paynode.operations.callbacks import CreateCallback
from paynode.operations.endpoints import Check, url_problems

CallbackUrl = Annotated[str, Meta(max_length=2048)]
CallbackSecret = Annotated[str, Meta(min_length=1, max_length=200)]


class SaysCallback(Protocol):
    """A form with these fields."""

    @property
    def callback_url(self) -> str | None: ...
    @property
    def callback_secret(self) -> str | None: ...
    @property
    def callback_retries(self) -> int | None: ...
    @property
    def callback_echo_secret(self) -> bool: ...


def read_callback(form: SaysCallback, check: Check, problems: list[FieldProblem]) -> CreateCallback | None:
    """The callback that the form asks for; notes in `problems` what cannot be."""
    secret, retries = form.callback_secret, form.callback_retries
    if form.callback_url is None:
        if secret is not None or retries is not None or form.callback_echo_secret:
            problems.append(FieldProblem("/callback_url", "required", "Give the URL that this is for."))
        return None
    problems += url_problems(form.callback_url, check, "/callback_url")
    if retries is not None and not 0 <= retries <= RETRIES_MAX:
        detail = f"Ask for 0 to {RETRIES_MAX} retries; without the field we try for three days."
        problems.append(FieldProblem("/callback_retries", "out_of_range", detail))
    if secret is not None:
        try:
            Secret.of_any(secret)
        except MalformedSecret as problem:
            problems.append(FieldProblem("/callback_secret", "malformed_secret", f"{str(problem).capitalize()}."))
    elif form.callback_echo_secret:
        problems.append(FieldProblem("/callback_secret", "required", "There is no secret to echo."))
    return CreateCallback(form.callback_url, secret, retries, form.callback_echo_secret)
