"""What a provider was asked today."""

from datetime import UTC, datetime, timedelta

from paynode.chains.meter import Meter


def test_calls_are_counted_until_midnight_utc() -> None:
    now = datetime(2026, 5, 1, 23, 59, 59, tzinfo=UTC)
    meter = Meter(lambda: now)
    meter.count(1)
    meter.count(50)
    assert meter.calls_today == 51
    now += timedelta(seconds=1)
    assert meter.calls_today == 0
    meter.count(2)
    assert meter.calls_today == 2
