"""What we refuse to do, as a tree.

    Rejected                 the caller asked for something we will not do
    ├── Invalid              a field of the request cannot be accepted (422); names its fields at once
    ├── NotFound             no such thing, or not the caller's (404): the two look alike on purpose
    ├── Conflict             the thing is in a state that does not allow it (409)
    ├── TooOften             it was asked often enough for now (429): later again
    └── RateUnavailable      no price that is fit to use (503): try again later, or price in crypto

A class exists only where the caller does something different; what exactly went wrong is the `code`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

PROBLEMS_MAX = 50  # that one rejection names: a short request is not to make a long answer


class Rejected(Exception):
    """The caller asked for something we will not do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field that cannot be accepted."""

    pointer: str  # JSON pointer into the request body (RFC 6901), or the name of a query parameter
    code: str
    detail: str
    resource: str | None = None  # the id of what is in the way


class Invalid(Rejected):
    """One or more fields of the request cannot be accepted."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        named = tuple(problems[:PROBLEMS_MAX])
        super().__init__("validation_failed", "; ".join(f"{p.pointer}: {p.detail}" for p in named))
        self.problems = named

    @classmethod
    def field(cls, pointer: str, code: str, detail: str) -> "Invalid":
        """A rejection of a single field."""
        return cls([FieldProblem(pointer, code, detail)])


class NotFound(Rejected):
    """No such thing, or it belongs to somebody else."""

    def __init__(self, resource: str) -> None:
        super().__init__("not_found", f"No such {resource}.")
        self.resource = resource


class Conflict(Rejected):
    """The thing exists, but its state does not allow what was asked; or another one stands in the way of a field."""

    def __init__(self, code: str, detail: str, *problems: FieldProblem) -> None:
        super().__init__(code, detail)
        self.problems = problems


class TooOften(Rejected):
    """What costs us calls was asked as often as it may be for now."""

    def __init__(self, detail: str, wait_seconds: int) -> None:
        super().__init__("too_many_requests", detail)
        self.wait_seconds = wait_seconds


class RateUnavailable(Rejected):
    """There is no rate for this pair that is fit to price with."""

    def __init__(self, base: str, quote: str, reason: str) -> None:
        super().__init__("rate_unavailable", f"No usable rate for {base}/{quote}: {reason}.")
        self.base = base
        self.quote = quote
