"""What a request's query may say: a form, like a body's, that each route that reads declares.

    class SweepListQuery(PageQuery, frozen=True):
        prefix: ClassVar[str] = "swp"
        state: tuple[State, ...] = ()

What a form does not declare is refused, and all that is wrong is named at once.
"""

import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from msgspec import Meta
from werkzeug.datastructures import MultiDict

from paynode.api.body import Form, shown
from paynode.api.parameters import OWN_ID, TEXT_MAX, VALUES_MAX, Parameter, Unreadable, parameter
from paynode.domain.errors import FieldProblem, Invalid
from paynode.store.pages import Page

LIMIT_MAX, LIMIT_DEFAULT = 100, 20


class QueryForm(Form, frozen=True):
    """The parameters of one route; api/parameters.py says of which types they may be."""

    prefix: ClassVar[str] = ""  # of the ids that a list's cursors are

    def conflicts(self) -> Iterator[FieldProblem]:
        """What the parameters say against each other."""
        yield from ()


class PageQuery(QueryForm, frozen=True):
    """Of a list that comes in pages."""

    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="How many entries to give.")] = LIMIT_DEFAULT
    starting_after: Annotated[
        str | None, OWN_ID, Meta(description="Go on behind this id: the `next_cursor` of the page before.")
    ] = None
    ending_before: Annotated[str | None, OWN_ID, Meta(description="Go back from this id.")] = None
    sort: Literal["created_at", "-created_at"] = "-created_at"

    def conflicts(self) -> Iterator[FieldProblem]:
        if self.starting_after is not None and self.ending_before is not None:
            yield FieldProblem("ending_before", "conflicting", "Give starting_after or ending_before, not both.")

    @property
    def page(self) -> Page:
        """The part of the list that is asked for."""
        return Page(self.limit, self.starting_after, self.ending_before, ascending=not self.sort.startswith("-"))


class CountedPageQuery(PageQuery, frozen=True):
    """Of a list that can say how long it is."""

    include: Annotated[
        tuple[Literal["total"], ...], Meta(description="`total`: how many entries the whole list has.")
    ] = ()


Q = TypeVar("Q", bound=Form)


def read_query(form: type[Q], sent: MultiDict[str, str], *, only_known: bool = True) -> Q:
    """The request's query as `form`; without `only_known`, more than it declares may be sent and is ignored.

    Raises:
        Invalid: parameters that are unknown or cannot be accepted; names all of them.
    """
    problems: list[FieldProblem] = []
    known = parameters(form)
    texts: dict[str, dict[str, list[str]]] = {}  # by field, by key of a map
    for name in sent:
        field, key = _field_of(name, known)
        if field is not None:
            texts.setdefault(field, {})[key] = sent.getlist(name)
        elif only_known:
            detail = f"There is no parameter {shown(name)} here."
            problems.append(FieldProblem(name[:TEXT_MAX], "unknown_parameter", detail))
    read: dict[str, Any] = {}
    for field, by_key in texts.items():
        if len(by_key) > VALUES_MAX:
            problems.append(FieldProblem(field, "too_many", f"Give at most {VALUES_MAX} values."))
            continue
        values = {}
        for key, written in by_key.items():
            try:
                values[key] = known[field].value(written)
            except Unreadable as error:
                problems.append(FieldProblem(f"{field}[{key}]" if key else field, error.code, error.detail))
        if values:
            read[field] = values if known[field].is_map else values[""]
    for field in required(form) - texts.keys():
        problems.append(FieldProblem(field, "required", "This parameter is required."))
    found = form(**read) if required(form) <= read.keys() else None
    if isinstance(found, QueryForm):
        problems += found.conflicts()
    if problems or found is None:
        raise Invalid(problems)
    return found


@cache
def parameters(form: type[Form]) -> Mapping[str, Parameter]:
    """The form's parameters by name."""
    prefix = form.prefix if issubclass(form, QueryForm) else ""
    hints = typing.get_type_hints(form, include_extras=True)
    return {field.name: parameter(field.name, hints[field.name], prefix) for field in msgspec.structs.fields(form)}


@cache
def required(form: type[Form]) -> frozenset[str]:
    return frozenset(field.name for field in msgspec.structs.fields(form) if field.required)


def _field_of(name: str, known: Mapping[str, Parameter]) -> tuple[str | None, str]:
    """Which field a parameter's name means, and of a map which key: `metadata[colour]`."""
    if name in known and not known[name].is_map:
        return name, ""
    field, bracket, key = name.partition("[")
    is_of_map = field in known and known[field].is_map and bool(bracket) and key.endswith("]") and len(key) > 1
    return (field, key[:-1]) if is_of_map else (None, "")
