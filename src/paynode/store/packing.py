"""Bodies of events as they are kept: without what nearly all of them say.

An event shows its whole invoice, and an invoice has five of them in its life: they are half of the database even when
each takes a sixth of its bytes. They are deflated (RFC 1950) with a preset dictionary, whose number is the first byte.
What begins as JSON does was kept as it is, before there were dictionaries.

A dictionary never changes, or what it packed can no longer be read: a better one gets the next number.
"""

import zlib
from functools import cache
from importlib import resources

NEWEST = 1
JSON_BEGINS = b"{"


def packed(body: bytes) -> bytes:
    deflate = zlib.compressobj(zdict=_dictionary(NEWEST))
    return bytes([NEWEST]) + deflate.compress(body) + deflate.flush()


def unpacked(kept: bytes) -> bytes:
    """Raises:
    zlib.error: it is damaged, or was packed with another dictionary.
    """
    if kept.startswith(JSON_BEGINS):
        return kept
    inflate = zlib.decompressobj(zdict=_dictionary(kept[0]))
    return inflate.decompress(kept[1:]) + inflate.flush()


@cache
def _dictionary(number: int) -> bytes:
    return (resources.files("paynode.store") / "dictionaries" / f"events_{number}.txt").read_bytes()
