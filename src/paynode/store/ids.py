"""Identifiers: a prefix that says what it is, and a ULID (https://github.com/ulid/spec).

48 bits of milliseconds and 80 random bits in Crockford's base 32: they sort by time and cannot be guessed.
"""

import re
import secrets
from datetime import datetime

from paynode.store.times import to_ms

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PATTERN = re.compile(r"[a-z]{3}_[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)


def new_id(prefix: str, now: datetime) -> str:
    """A fresh identifier such as `inv_01J...`."""
    value = to_ms(now) << 80 | secrets.randbits(80)
    digits = [_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(digits)}"


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` could be an identifier of that kind."""
    return text.startswith(f"{prefix}_") and _PATTERN.fullmatch(text) is not None
