"""What providers were asked: kept over a restart, and written rarely."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from paynode.domain.budget import Usage
from paynode.store import database as databases
from paynode.store import provider_usage
from paynode.store.database import Database
from paynode.store.provider_usage import CALLS_UNNOTED_MAX, NOTED_EVERY

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ONE = Usage(date(2026, 5, 1), calls=70, looks=30, errors=2, lies=1, calls_saved=5, seconds_waited=9)
NONE = Usage(date(2026, 5, 1))


@pytest.fixture
def database() -> Database:
    return databases.in_memory()


def test_what_is_noted_is_read_back_by_network_and_others_are_forgotten(database: Database) -> None:
    database.write(provider_usage.note, "eth", {"one": ONE, "two": NONE}, NOW)
    database.write(provider_usage.note, "base", {"one": NONE}, NOW)
    assert database.read(provider_usage.counted, "eth") == {"one": ONE, "two": NONE}
    database.write(provider_usage.note, "eth", {"two": ONE}, NOW)
    assert database.read(provider_usage.counted, "eth") == {"two": ONE}
    assert database.read(provider_usage.counted, "base") == {"one": NONE}


def test_it_is_noted_at_once_first_and_then_once_a_minute_or_after_many_calls(database: Database) -> None:
    def is_due(usage: Usage, now: datetime = NOW) -> bool:
        return database.read(provider_usage.is_due, "eth", {"one": usage}, now)

    assert not is_due(NONE)
    assert is_due(ONE)
    database.write(provider_usage.note, "eth", {"one": ONE}, NOW)
    assert not is_due(ONE, NOW + 2 * NOTED_EVERY)
    more = replace(ONE, calls=ONE.calls + 1)
    assert not is_due(more)
    assert not is_due(more, NOW + NOTED_EVERY - timedelta(seconds=1))
    assert is_due(more, NOW + NOTED_EVERY)
    assert is_due(more, NOW - timedelta(days=1))  # the clock was put back
    assert is_due(replace(ONE, calls=ONE.calls + CALLS_UNNOTED_MAX))
    assert is_due(Usage(date(2026, 5, 2), calls=CALLS_UNNOTED_MAX * 2))
