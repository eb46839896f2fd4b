"""Moments at the SQL edge: UTC milliseconds inside the file, aware datetimes outside."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def from_ms(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def optional_ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)


def optional_from_ms(ms: int | None) -> datetime | None:
    return None if ms is None else from_ms(ms)
