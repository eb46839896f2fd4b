"""What a request's query may say. Each parameter is taken one by one, and what nobody took is refused."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from werkzeug.datastructures import MultiDict

from paynode.api.body import shown
from paynode.domain.errors import FieldProblem, Invalid
from paynode.store.ids import is_id
from paynode.store.pages import Page

LIMIT_MAX, LIMIT_DEFAULT = 100, 20
VALUES_MAX = 50  # of one filter
TEXT_MAX = 200


class Query:
    """The parameters of one request; `done`, which the gate calls, refuses those that are wrong or that nobody took."""

    def __init__(self, parameters: MultiDict[str, str]) -> None:
        self._parameters = parameters
        self._known: set[str] = set()
        self._problems: list[FieldProblem] = []

    def text(self, name: str) -> str | None:
        """One value, '' as any other; None if it is not given."""
        self._known.add(name)
        values = self._parameters.getlist(name)
        if len(values) > 1:
            self._note(name, "repeated", "Give this parameter once.")
        elif values and len(values[0]) > TEXT_MAX:
            self._note(name, "too_long", f"This parameter has at most {TEXT_MAX} characters.")
        elif values:
            return values[0]
        return None

    def several(self, name: str, allowed: Collection[str]) -> Sequence[str]:
        """Any of `allowed`, comma-separated or repeated."""
        self._known.add(name)
        written = [value for text in self._parameters.getlist(name) for value in text.split(",")[: VALUES_MAX + 1]]
        values = list(dict.fromkeys(written[: VALUES_MAX + 1]))
        unknown = [value for value in values if value not in allowed]
        if unknown:
            self._note(name, "unknown_value", f"{shown(unknown[0])} is none of {', '.join(sorted(allowed))}.")
        return [] if unknown else values

    def moment(self, name: str) -> datetime | None:
        """An RFC 3339 moment."""
        text = self.text(name)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped "+" arrives as a blank
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        self._note(name, "not_a_moment", "Give a moment with its offset, such as 2026-01-31T12:00:00Z.")
        return None

    def identifier(self, name: str, prefix: str) -> str | None:
        text = self.text(name)
        if text is not None and not is_id(text, prefix):
            self._note(name, "not_an_id", f"Give an id such as {prefix}_...")
            return None
        return text

    def flag(self, name: str) -> bool:
        return list(self.several(name, {"true", "false"})) == ["true"]

    def page(self, prefix: str) -> Page:
        """Which part of the list; `prefix` is that of its objects' ids."""
        limit, sort = self.text("limit"), self.text("sort")
        size = LIMIT_DEFAULT
        if limit is not None:
            if limit.isascii() and limit.isdigit() and 1 <= int(limit[:4]) <= LIMIT_MAX and len(limit) <= 3:
                size = int(limit)
            else:
                self._note("limit", "out_of_range", f"A page has 1 to {LIMIT_MAX} entries.")
        if sort not in {None, "created_at", "-created_at"}:
            self._note("sort", "unknown_value", "Sort by created_at or -created_at.")
        after, before = self.identifier("starting_after", prefix), self.identifier("ending_before", prefix)
        if after is not None and before is not None:
            self._note("ending_before", "conflicting", "Give starting_after or ending_before, not both.")
        return Page(size, after, before, ascending=sort == "created_at")

    def done(self) -> None:
        """Raises:
        Invalid: parameters that are unknown or cannot be accepted; names all of them.
        """
        for name in self._parameters:
            if name not in self._known:
                self._note(name[:TEXT_MAX], "unknown_parameter", f"There is no parameter {shown(name)} here.")
        if self._problems:
            raise Invalid(self._problems)

    def _note(self, name: str, code: str, detail: str) -> None:
        self._problems.append(FieldProblem(name, code, detail))
