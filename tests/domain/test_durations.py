"""Durations: what is understood means what it says, everything else means nothing."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynode.domain.durations import LONGEST, format_duration, parse_duration

SECONDS = st.integers(0, int(LONGEST.total_seconds()))


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (900, timedelta(minutes=15)),
        (0, timedelta(0)),
        ("300s", timedelta(seconds=300)),
        ("2h45m", timedelta(hours=2, minutes=45)),
        ("7d", timedelta(days=7)),
        ("1d2h3m4s", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("PT15M", timedelta(minutes=15)),
        ("P7D", timedelta(days=7)),
        ("P2W", timedelta(weeks=2)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
    ],
)
def test_each_form_is_understood(text: int | str, meaning: timedelta) -> None:
    assert parse_duration(text) == meaning


@pytest.mark.parametrize(
    "text",
    [
        *("", "900", "P", "PT", "P1DT", "1h1h", "45m2h", "1.5h", "-5m", "+5m", " 5m", "5m ", "5M", "5 m", "1h\n"),
        *("\N{ARABIC-INDIC DIGIT FIVE}m", "P1Y", "P1M", "PT1.5H", "p1d", "9999999999s", "999999999d", "3651d"),
        *(-1, True, 10**30),
    ],
)
def test_anything_else_means_nothing(text: int | str) -> None:
    assert parse_duration(text) is None


@given(SECONDS)
def test_what_is_printed_is_understood_as_the_same(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(format_duration(duration)) == parse_duration(seconds) == duration


@given(st.text(alphabet="PTWDHMSdhms0123456789.-+\N{ARABIC-INDIC DIGIT THREE} ", max_size=40) | st.integers())
def test_no_text_or_number_breaks_the_parser_or_leaves_its_bounds(value: str | int) -> None:
    duration = parse_duration(value)
    assert duration is None or timedelta(0) <= duration <= LONGEST
