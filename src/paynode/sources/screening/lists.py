"""Files of addresses that money is not taken from: text, CSV or JSON.

    text   one address a line, the rest of the line and what follows `#` is a comment
    CSV    a header with a column `address`, whatever else there is      (.csv)
    JSON   ["0x...", ...] or [{"address": "0x..."}, ...]                 (.json)

Published lists name addresses of many chains together; which of them concern us is not judged here. A file that is
cut off, empty or something else altogether (a web page that says "not found") is refused whole.
"""

import csv
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

BYTES_MAX = 64 * 2**20
ADDRESS_MAX = 128  # characters; the shortest address of any chain on such lists has 25
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ADDRESS = re.compile(rf"[0-9A-Za-z][0-9A-Za-z:_-]{{23,{ADDRESS_MAX - 1}}}")
_HEXADECIMAL = re.compile(r"0[xX](?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64})")


class Broken(Exception):
    """The file cannot be used; the message says why, for people."""


@dataclass(frozen=True, slots=True)
class ListFile:
    hash: bytes  # SHA-256
    as_of: datetime  # the file's own time
    addresses: frozenset[str]  # as written


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file is another than before."""

    modified_at: datetime
    size: int


def stamp(path: Path) -> Stamp:
    """The file's time and size.

    Raises:
        Broken: it cannot be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise Broken(f"cannot be read: {error.strerror}") from None
    return Stamp(_EPOCH + timedelta(milliseconds=status.st_mtime_ns // 1_000_000), status.st_size)


def read(path: Path) -> ListFile:
    """The addresses in the file.

    Raises:
        Broken: it cannot be read, or is not whole.
    """
    as_of = stamp(path).modified_at
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise Broken(f"cannot be read: {error.strerror}") from None
    if len(content) > BYTES_MAX:
        raise Broken(f"is longer than {BYTES_MAX} bytes")
    addresses = parsed(content, path.suffix.lower())
    return ListFile(hashlib.sha256(content).digest(), as_of, addresses)


def parsed(content: bytes, suffix: str) -> frozenset[str]:
    """The addresses in a file's content, by the ending of its name.

    Raises:
        Broken: it is not whole, or of another format.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Broken("is not UTF-8 text") from None
    match suffix:
        case ".json":
            found = _of_json(content)
        case ".csv":
            found = _of_csv(text)
        case _:
            found = [word for line in text.splitlines() for word in line.partition("#")[0].split()[:1]]
    for position, word in enumerate(found, start=1):
        if not _ADDRESS.fullmatch(word) or (word[:2] in {"0x", "0X"} and not _HEXADECIMAL.fullmatch(word)):
            raise Broken(f"its entry {position} is no address: it may be a part of a file")
    if not found:
        raise Broken("has no address in it")
    return frozenset(found)


class _Entry(msgspec.Struct):
    address: str


def _of_json(content: bytes) -> list[str]:
    try:
        entries: list[str | _Entry] = msgspec.json.decode(content, type=list[str | _Entry])
    except (msgspec.DecodeError, RecursionError):
        raise Broken("is not a JSON list of addresses") from None
    return [entry if isinstance(entry, str) else entry.address for entry in entries]


def _of_csv(text: str) -> list[str]:
    try:
        header, *rows = [row for row in csv.reader(text.splitlines(), strict=True) if row]
    except (csv.Error, ValueError):
        raise Broken("is not CSV") from None
    names = [name.strip().lower() for name in header]
    if "address" not in names:
        raise Broken("has no column called address")
    if any(len(row) != len(names) for row in rows):
        raise Broken("has rows of another length than its header: it may be a part of a file")
    return [row[names.index("address")].strip() for row in rows]
