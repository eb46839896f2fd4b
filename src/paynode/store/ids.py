"""Identifiers: a prefix that says what it is, and a ULID (https://github.com/ulid/spec).

48 bits of milliseconds and 80 random bits in Crockford's base 32: they sort by time and cannot be guessed.
"""

import re
import secrets
from datetime import datetime

from paynode.store.times import to_ms

STEP_BITS = 60  # leaves room for a million steps within the 80 random bits of one millisecond
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_PATTERN = re.compile(f"[a-z]{{3}}_{_ULID}", re.ASCII)


def new_id(prefix: str, now: datetime) -> str:
    """A fresh identifier such as `inv_01J...`."""
    return _written(prefix, to_ms(now) << 80 | secrets.randbits(80))


def next_id(prefix: str, now: datetime, newest: str | None) -> str:
    """A fresh identifier that sorts after `newest`, whatever the clock says: for what must list in order."""
    candidate = new_id(prefix, now)
    return candidate if newest is None or candidate > newest else id_after(newest)


def id_after(earlier: str) -> str:
    """An identifier of the same kind that sorts after `earlier`, and is still not to be guessed."""
    prefix, _, _ = earlier.partition("_")
    return _written(prefix, _value(earlier) + 1 + secrets.randbits(STEP_BITS))


def first_id(prefix: str, moment: datetime) -> str:
    """The lowest identifier that can have been made at `moment`."""
    return _written(prefix, max(0, to_ms(moment)) << 80)


def last_id(prefix: str, moment: datetime) -> str:
    """The highest identifier that can have been made at `moment`."""
    return _written(prefix, (max(0, to_ms(moment)) + 1 << 80) - 1)


def numbered_id(prefix: str, number: int, moment: datetime) -> str:
    """The identifier of what has a number of its own."""
    return _written(prefix, to_ms(moment) << 80 | number)


def number_of(identifier: str) -> int:
    """The number that `numbered_id` was given; of an id that somebody made up, none that SQLite could not hold."""
    return min(_value(identifier) & (1 << 80) - 1, (1 << 63) - 1)


def created_ms(identifier: str) -> int:
    """The millisecond that an identifier says it was made in."""
    return _value(identifier) >> 80


def _value(identifier: str) -> int:
    value = 0
    for digit in identifier.partition("_")[2]:
        value = value << 5 | _ALPHABET.index(digit)
    return value


def _written(prefix: str, value: int) -> str:
    digits = [_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(digits)}"


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` could be an identifier of that kind."""
    return text.startswith(f"{prefix}_") and _PATTERN.fullmatch(text) is not None


def pattern_of(prefix: str) -> str:
    """A regular expression of the identifiers of that kind, as JSON schemas write it."""
    return f"^{prefix}_{_ULID}$"
