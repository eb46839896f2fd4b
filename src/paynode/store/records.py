"""Records: frozen dataclasses whose fields are columns, and the one place where the two are converted.

A field's type says how its column is written: `Units` and `Decimal` as text, `Fraction` as "n/d", moments as UTC
milliseconds, booleans as 0 or 1, enums as their text, a `Body` packed. `X | None` is a nullable column.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from types import NoneType, UnionType
from typing import Any, Generic, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

from paynode.store.packing import packed, unpacked
from paynode.store.times import from_ms, to_ms

Units = NewType("Units", int)  # base units: outgrow 64 bits, so text in SQL
Body = NewType("Body", bytes)  # JSON of some size
Stored = str | int | bytes | None
T = TypeVar("T")


def _same(value: Any) -> Any:
    return value


_DECODERS: Mapping[Any, Callable[[Any], Any]] = {
    str: _same,
    int: _same,
    bytes: _same,
    Body: unpacked,
    bool: bool,
    Units: int,
    Decimal: Decimal,
    Fraction: Fraction,
    datetime: from_ms,
}
_ENCODERS: Mapping[Any, Callable[[Any], Stored]] = {
    str: str,
    int: _same,
    bytes: _same,
    Body: packed,
    bool: int,
    Units: str,
    Decimal: lambda value: format(value, "f"),
    Fraction: lambda value: f"{value.numerator}/{value.denominator}",
    datetime: to_ms,
}


class Columns(Generic[T]):
    """How records of one class are read from and written to rows."""

    def __init__(self, record: type[T]) -> None:
        hints = get_type_hints(record)
        self._record = record
        self.names: tuple[str, ...] = tuple(field.name for field in fields(record))  # type: ignore[arg-type]
        decoders = [_nullable(hints[name], _DECODERS) for name in self.names]
        self._decoders = [(at, decode) for at, decode in enumerate(decoders) if decode is not _same]
        self._encoders = [(name, _nullable(hints[name], _ENCODERS)) for name in self.names]
        self.sql = ", ".join(self.names)
        self.placeholders = ", ".join(f":{name}" for name in self.names)

    def of(self, alias: str) -> str:
        """The select list, each column named with its table's alias."""
        return ", ".join(f"{alias}.{name}" for name in self.names)

    def decode(self, row: tuple[Any, ...]) -> T:
        values = list(row)
        if len(values) != len(self.names):
            raise ValueError(f"{len(values)} columns for the {len(self.names)} of {self._record.__name__}")
        for at, decode in self._decoders:
            values[at] = decode(values[at])
        return self._record(*values)

    def encode(self, record: T) -> dict[str, Stored]:
        return {name: encode(getattr(record, name)) for name, encode in self._encoders}

    def insert(self, table: str) -> str:
        return f"insert into {table} ({self.sql}) values ({self.placeholders})"

    def update(self, table: str, key: str) -> str:
        changes = ", ".join(f"{name} = :{name}" for name in self.names if name != key)
        return f"update {table} set {changes} where {key} = :{key}"


def _nullable(hint: Any, codecs: Mapping[Any, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    if get_origin(hint) in {UnionType, Union}:  # `NewType | None` is of the older kind
        (inner,) = [arg for arg in get_args(hint) if arg is not NoneType]
        codec = _codec(inner, codecs)
        return codec if codec is _same else lambda value: None if value is None else codec(value)
    return _codec(hint, codecs)


def _codec(hint: Any, codecs: Mapping[Any, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {each.value: each for each in hint}.__getitem__ if codecs is _DECODERS else str
    return codecs[hint]
