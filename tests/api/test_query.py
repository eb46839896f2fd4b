"""Query parameters: each route declares its own, and what is wrong in a query is named whole."""

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec
import pytest
from msgspec import Meta
from tests.api.conftest import Api
from werkzeug.datastructures import MultiDict

from paynode.api.parameters import VALUES_MAX, IdOf
from paynode.api.query import PageQuery, QueryForm, parameters, read_query
from paynode.domain.errors import Invalid
from paynode.store.pages import Page

SHEEP, GOAT = "shp_0000000000000000000000000A", "gt0_0000000000000000000000000A"


class Colour(StrEnum):
    BLACK = "black"
    WHITE = "white"


class SheepQuery(PageQuery, frozen=True):
    prefix: ClassVar[str] = "shp"
    colour: tuple[Colour, ...] = ()
    breed: tuple[str, ...] = ()
    shepherd: Annotated[str, IdOf("shp")] | None = None
    born_after: datetime | None = None
    weight_min: Decimal | None = None
    legs: Annotated[int, Meta(ge=0, le=4)] = 4
    lost: bool | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    q: Annotated[str | None, Meta(max_length=5, description="Free text.")] = None


class NamedQuery(QueryForm, frozen=True):
    name: str


def asked(*pairs: tuple[str, str]) -> SheepQuery:
    return read_query(SheepQuery, MultiDict(pairs))


def problems(*pairs: tuple[str, str]) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        asked(*pairs)
    return {problem.pointer: problem.code for problem in refused.value.problems}


def test_what_is_not_asked_for_has_its_default() -> None:
    assert asked() == SheepQuery()
    assert asked().page == Page(20, None, None, ascending=False)


def test_every_kind_of_parameter_is_read() -> None:
    assert asked(
        ("colour", "black,white"),
        ("breed", "merino"),
        ("breed", "suffolk,merino"),
        ("shepherd", SHEEP),
        ("born_after", "2026-01-31T12:00:00+02:00"),
        ("weight_min", "12.50"),
        ("legs", "3"),
        ("lost", "false"),
        ("metadata[farm]", "north"),
        ("metadata[a[b]]", ""),
        ("q", "b\u00e4h"),
        ("limit", "100"),
        ("starting_after", SHEEP),
        ("sort", "created_at"),
    ) == SheepQuery(
        colour=(Colour.BLACK, Colour.WHITE),
        breed=("merino", "suffolk"),
        shepherd=SHEEP,
        born_after=datetime(2026, 1, 31, 10, tzinfo=UTC),
        weight_min=Decimal("12.50"),
        legs=3,
        lost=False,
        metadata={"farm": "north", "a[b]": ""},
        q="b\u00e4h",
        limit=100,
        starting_after=SHEEP,
        sort="created_at",
    )


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("colour", "black,red", "unknown_value"),
        ("colour", "", "unknown_value"),
        ("breed", ",".join(map(str, range(VALUES_MAX + 1))), "too_many"),
        ("shepherd", GOAT, "not_an_id"),
        ("born_after", "2026-01-31T12:00:00", "not_a_moment"),
        ("born_after", "0001-01-01T00:00:00+10:00", "not_a_moment"),
        ("weight_min", "1e3", "not_an_amount"),
        ("weight_min", "\uff11", "not_an_amount"),
        ("legs", "5", "out_of_range"),
        ("legs", "-1", "out_of_range"),
        ("legs", "\u0663", "out_of_range"),
        ("legs", "9" * 5000, "out_of_range"),
        ("lost", "yes", "unknown_value"),
        ("metadata", "north", "unknown_parameter"),
        ("metadata[]", "north", "unknown_parameter"),
        ("metadata[a]", "x" * 201, "too_long"),
        ("q", "123456", "too_long"),
        ("q[a]", "1", "unknown_parameter"),
        ("limit", "0", "out_of_range"),
        ("limit", "101", "out_of_range"),
        ("sort", "name", "unknown_value"),
        ("ending_before", "shp_1", "not_an_id"),
        ("nonsense", "1", "unknown_parameter"),
    ],
)
def test_what_is_no_value_of_its_kind_is_refused(name: str, text: str, code: str) -> None:
    assert problems((name, text)) == {name: code}


def test_all_problems_are_named_at_once() -> None:
    assert problems(
        ("limit", "0"), ("q", "a"), ("q", "b"), ("x", "1"), ("starting_after", SHEEP), ("ending_before", SHEEP)
    ) == {"limit": "out_of_range", "q": "repeated", "x": "unknown_parameter", "ending_before": "conflicting"}


def test_a_map_takes_only_so_many_keys() -> None:
    assert problems(*((f"metadata[{n}]", "") for n in range(VALUES_MAX + 1))) == {"metadata": "too_many"}


def test_a_parameter_without_a_default_is_required() -> None:
    assert read_query(NamedQuery, MultiDict([("name", "x")])) == NamedQuery(name="x")
    with pytest.raises(Invalid) as refused:
        read_query(NamedQuery, MultiDict())
    assert [problem.code for problem in refused.value.problems] == ["required"]


def test_on_links_what_is_unknown_is_ignored_and_what_is_wrong_is_not() -> None:
    assert read_query(SheepQuery, MultiDict([("utm", "1"), ("limit", "2")]), only_known=False) == SheepQuery(limit=2)
    with pytest.raises(Invalid):
        read_query(SheepQuery, MultiDict([("utm", "1"), ("limit", "x")]), only_known=False)


def test_the_declaration_says_its_schema_too() -> None:
    declared = parameters(SheepQuery)
    assert declared["colour"].schema == {
        "type": "array",
        "items": {"type": "string", "enum": ["black", "white"]},
        "maxItems": VALUES_MAX,
    }
    assert declared["limit"].schema == {"type": "integer", "minimum": 1, "maximum": 100}
    assert declared["ending_before"].schema == {"type": "string", "pattern": "^shp_[0-7][0-9A-HJKMNP-TV-Z]{25}$"}
    assert declared["lost"].schema == {"type": "boolean"}
    assert (declared["q"].schema, declared["q"].description) == ({"type": "string", "maxLength": 5}, "Free text.")


async def test_a_wrong_query_answers_422_and_names_its_parameters(api: Api) -> None:
    reply = await api.get("/v1/invoices", status="open,shut", limit="1000", colour="red")
    assert reply.status == 422
    assert reply.problems == {"status": "unknown_value", "limit": "out_of_range", "colour": "unknown_parameter"}
