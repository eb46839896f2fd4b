"""Durations as people and programs write them.

    900                whole seconds
    "2h45m", "300s"    Go's form, with days: each unit at most once, from the longest to the shortest
    "PT15M", "P7D"     ISO 8601, without years and months, which have no fixed length

Whole numbers and ASCII digits only. A second is the finest and ten years the longest: past that it is a slip of
the keyboard, and a date so far away overflows elsewhere.
"""

import re
from datetime import timedelta

LONGEST = timedelta(days=3650)

_DIGITS = r"([0-9]{1,9})"  # nine hold ten years of seconds; unbounded digits would be work for nothing
_GO = re.compile(rf"(?:{_DIGITS}d)?(?:{_DIGITS}h)?(?:{_DIGITS}m)?(?:{_DIGITS}s)?")
_ISO = re.compile(rf"P(?:{_DIGITS}D)?(?:T(?:{_DIGITS}H)?(?:{_DIGITS}M)?(?:{_DIGITS}S)?)?")
_ISO_WEEKS = re.compile(rf"P{_DIGITS}W")
_SECONDS = (86_400, 3_600, 60, 1)


def parse_duration(value: int | str) -> timedelta | None:
    """The duration that `value` means, from 0 to `LONGEST`; None if it means none."""
    seconds = value if isinstance(value, int) else _seconds(value)
    if isinstance(value, bool) or seconds is None:  # JSON's and TOML's `true` is an int to Python
        return None
    return timedelta(seconds=seconds) if 0 <= seconds <= LONGEST.total_seconds() else None


def _seconds(text: str) -> int | None:
    if weeks := _ISO_WEEKS.fullmatch(text):
        return int(weeks[1]) * 7 * _SECONDS[0]
    match = _ISO.fullmatch(text) or _GO.fullmatch(text)
    if match is None or not any(match.groups()) or text.endswith("T"):
        return None
    return sum(int(count) * seconds for count, seconds in zip(match.groups(), _SECONDS, strict=True) if count)


def format_duration(duration: timedelta) -> str:
    """`duration` in Go's form, rounded down to whole seconds: "7d", "2h45m", "0s"."""
    rest, parts = int(duration.total_seconds()), []
    for seconds, unit in zip(_SECONDS, "dhms", strict=True):
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
