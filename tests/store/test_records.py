"""Records are rows and come back as they were."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynode.store.ids import id_after, is_id, new_id
from paynode.store.records import Columns, Units
from paynode.store.times import from_ms, to_ms

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Thing:
    name: str
    count: int
    units: Units
    price: Decimal
    share: Fraction
    at: datetime
    is_new: bool
    colour: Colour
    raw: bytes
    maybe_units: Units | None
    maybe_at: datetime | None
    maybe_colour: Colour | None
    maybe_share: Fraction | None


COLUMNS = Columns(Thing)
moments = st.integers(0, 2**45).map(from_ms)
units = st.integers(-(2**300), 2**300).map(Units)
things = st.builds(
    Thing,
    name=st.text(),
    count=st.integers(-(2**63), 2**63 - 1),
    units=units,
    price=st.decimals(allow_nan=False, allow_infinity=False),
    share=st.fractions(),
    at=moments,
    is_new=st.booleans(),
    colour=st.sampled_from(Colour),
    raw=st.binary(),
    maybe_units=st.none() | units,
    maybe_at=st.none() | moments,
    maybe_colour=st.none() | st.sampled_from(Colour),
    maybe_share=st.none() | st.fractions(),
)


@given(things)
def test_a_record_comes_back_as_it_was(thing: Thing) -> None:
    stored = COLUMNS.encode(thing)
    assert COLUMNS.decode(tuple(stored[name] for name in COLUMNS.names)) == thing


@given(things)
def test_nothing_is_stored_as_a_float_and_units_are_text(thing: Thing) -> None:
    stored = COLUMNS.encode(thing)
    assert not any(isinstance(value, float) for value in stored.values())
    assert stored["units"] == str(thing.units)
    assert "e" not in str(stored["price"]).lower()


def test_statements_name_every_column() -> None:
    assert COLUMNS.insert("things").startswith("insert into things (name, count, units, price, share, at, is_new, ")
    assert COLUMNS.update("things", "name").startswith("update things set count = :count, ")
    assert COLUMNS.update("things", "name").endswith(" where name = :name")
    assert COLUMNS.of("t").startswith("t.name, t.count")


@pytest.mark.parametrize("row", [(), ("too", "short")])
def test_a_row_of_another_shape_is_a_bug(row: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        COLUMNS.decode(row)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(3000, 1, 1), timezones=st.just(UTC)))
def test_a_moment_keeps_its_milliseconds(moment: datetime) -> None:
    kept = from_ms(to_ms(moment))
    assert timedelta(0) <= moment - kept < timedelta(milliseconds=1)


@given(st.integers(0, 2**41), st.integers(1, 2**20))
def test_ids_sort_by_time_and_are_ids(ms: int, later: int) -> None:
    first, second = new_id("inv", from_ms(ms)), new_id("inv", from_ms(ms + later))
    assert first < second
    assert is_id(first, "inv")
    assert not is_id(first, "evt")


@given(st.integers(0, 2**41))
def test_an_id_after_another_sorts_after_it(ms: int) -> None:
    earlier = new_id("evt", from_ms(ms))
    later = id_after(earlier)
    assert earlier < later
    assert is_id(later, "evt")


@pytest.mark.parametrize(
    "text", ["", "inv_", "inv_01", "inv_" + "I" * 26, "inv_" + "8" + "0" * 25, "inv_" + "\u0660" * 26]
)
def test_what_is_no_id_is_none(text: str) -> None:
    assert not is_id(text, "inv")


def test_two_ids_of_one_moment_differ() -> None:
    assert len({new_id("inv", NOW) for _ in range(1000)}) == 1000
