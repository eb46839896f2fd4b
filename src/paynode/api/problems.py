"""Problem details (RFC 9457): how a refused request is told why, in a form that programs can read."""

from collections.abc import Sequence

import msgspec

from paynode.api.problem_types import problem_types
from paynode.domain.errors import FieldProblem

CONTENT_TYPE = "application/problem+json"
INTERNAL_DETAIL = "This is our fault; the request changed nothing. Tell us its request_id."


class FieldError(msgspec.Struct, frozen=True):
    pointer: str  # RFC 6901, into the body; or the name of a header or query parameter
    code: str
    detail: str
    resource: str | None  # the id of what is in the way


class Problem(msgspec.Struct, frozen=True):
    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[FieldError]


def problem(
    status: int, code: str, detail: str, *, instance: str, request_id: str, fields: Sequence[FieldProblem] = ()
) -> bytes:
    """The body of a problem response; `code` is one that docs/errors.md explains."""
    return msgspec.json.encode(
        Problem(
            type=f"/docs/errors/{code}",
            title=problem_types()[code].title,
            status=status,
            detail=detail,
            instance=instance,
            code=code,
            request_id=request_id,
            errors=[FieldError(field.pointer, field.code, field.detail, field.resource) for field in fields],
        )
    )
