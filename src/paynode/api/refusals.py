"""Requests refused before an operation sees them: malformed, without a valid key, too large, too many."""

from collections.abc import Mapping


class Refusal(Exception):
    """The request cannot be served. Unlike `Rejected`, it says nothing about our objects."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}


def malformed(detail: str) -> Refusal:
    """The bytes are not what they claim to be."""
    return Refusal(400, "malformed_request", detail)


def unauthorized() -> Refusal:
    """No key, an unknown, an expired or a revoked one: all look alike."""
    return Refusal(401, "unauthorized", "Send a valid API key: Authorization: Bearer pn_...", _CHALLENGE)


def forbidden(scope: str) -> Refusal:
    return Refusal(403, "forbidden", f"This API key lacks the scope {scope}.")


def not_from_there() -> Refusal:
    detail = "This API key may not be used from this address; its allowed_ips say from where."
    return Refusal(403, "address_not_allowed", detail)


def foreign_form() -> Refusal:
    return Refusal(403, "foreign_form", "Send this form from the page that has it.")


def foreign_page() -> Refusal:
    return Refusal(
        403, "foreign_form", "Web pages may post here from the allowed_origins of the invoice's store alone."
    )


def too_many(detail: str, wait_seconds: int) -> Refusal:
    return Refusal(429, "too_many_requests", detail, {"Retry-After": str(wait_seconds)})


_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="paynode"'}
