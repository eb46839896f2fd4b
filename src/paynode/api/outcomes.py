"""What can come of a request to a route: every problem that it may be answered with."""

from collections.abc import Sequence

from paynode.api.problem_types import ProblemType, problem_types
from paynode.api.routes import Route

_ALWAYS = ("validation_failed", "too_many_requests", "internal_error", "storage_unavailable")
_WITH_A_SCOPE = ("unauthorized", "address_not_allowed", "forbidden")
_WITH_A_NAME = ("not_found",)  # of something, in the path
_WITH_A_BODY = ("malformed_request", "request_timeout", "request_too_large", "unsupported_media_type")
_FROM_A_BROWSER = ("foreign_form",)

SHARED = frozenset({*_ALWAYS, *_WITH_A_SCOPE, *_WITH_A_NAME, *_WITH_A_BODY})


def problems_of(route: Route) -> Sequence[ProblemType]:
    """By status, and of one status by code."""
    codes = {*_ALWAYS, *route.refuses}
    if route.scope is not None:
        codes.update(_WITH_A_SCOPE)
    if "<" in route.path:
        codes.update(_WITH_A_NAME)
    if route.has_body:
        codes.update(_WITH_A_BODY)
    if route.has_body and route.scope is None:
        codes.update(_FROM_A_BROWSER)
    return sorted((problem_types()[code] for code in codes), key=lambda problem: (problem.status, problem.code))
