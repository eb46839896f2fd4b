"""The kinds of query parameters: how each is read from text, and the JSON schema that says so.

A field of a query form has one of these types, `| None` or not:

    str                       one text                  Annotated[str, IdOf("inv")]   an id
    SomeStrEnum, Literal      one of a few words        datetime                      a moment
    bool                      true or false             Decimal                       a plain decimal number
    int                       within its Meta's bounds  tuple[kind, ...]              several, by commas or repeated
    dict[str, str]            texts by name, sent as `field[name]=text`; default: msgspec.field(default_factory=dict)

A `Meta` bounds it further (`max_length`, `ge`, `le`) and may describe it.
"""

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from types import NoneType
from typing import Any

from msgspec import Meta

from paynode.api.body import shown
from paynode.domain.money import NotAnAmount, parse_decimal
from paynode.store.ids import is_id, pattern_of

TEXT_MAX = 200  # characters, unless its Meta says otherwise
VALUES_MAX = 50  # of one parameter
DECIMALS_MAX = 36  # more than any coin has
INTEGER_DIGITS_MAX = 18

Read = Callable[[str], Any]
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class IdOf:
    """Marks a text as an id of this prefix."""

    prefix: str


OWN_ID = IdOf("")  # of what the list lists


class Unreadable(Exception):
    """The text is no value of its kind: a code, and a sentence for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a query form."""

    name: str
    schema: Schema
    read: Read  # of one text; raises Unreadable
    is_several: bool = False
    is_map: bool = False
    description: str | None = None

    def value(self, texts: Sequence[str]) -> Any:
        """What the given texts say, in the order they were sent.

        Raises:
            Unreadable: they say nothing that the field takes.
        """
        if not self.is_several:
            if len(texts) > 1:
                raise Unreadable("repeated", "Give this parameter once.")
            return self.read(texts[0])
        written = dict.fromkeys(value for text in texts for value in text.split(",", VALUES_MAX))
        if len(written) > VALUES_MAX:
            raise Unreadable("too_many", f"Give at most {VALUES_MAX} values.")
        return tuple(self.read(value) for value in written)


def parameter(name: str, kind: Any, own_prefix: str = "") -> Parameter:
    """The parameter that a field of this name and type declares; `own_prefix` is that of the list's ids."""
    kind, metas = _unwrapped(kind)
    description = next((meta.description for meta in metas if isinstance(meta, Meta) and meta.description), None)
    if typing.get_origin(kind) is tuple:
        read, schema = _single(*_unwrapped(typing.get_args(kind)[0]), own_prefix)
        several = {"type": "array", "items": schema, "maxItems": VALUES_MAX}
        return Parameter(name, several, read, is_several=True, description=description)
    if typing.get_origin(kind) is dict:
        read, schema = _single(*_unwrapped(typing.get_args(kind)[1]), own_prefix)
        mapped = {"type": "object", "additionalProperties": schema}
        return Parameter(name, mapped, read, is_map=True, description=description)
    read, schema = _single(kind, metas, own_prefix)
    return Parameter(name, schema, read, description=description)


def _unwrapped(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type inside of `Annotated` and `| None`, and what it was annotated with."""
    metas: tuple[Any, ...] = ()
    while True:
        if hasattr(kind, "__metadata__"):
            kind, metas = kind.__origin__, (*metas, *kind.__metadata__)
        elif NoneType in (members := typing.get_args(kind)):
            (kind,) = [member for member in members if member is not NoneType]
        else:
            return kind, metas


def _single(kind: Any, metas: Sequence[Any], own_prefix: str) -> tuple[Read, Schema]:
    bounds = [meta for meta in metas if isinstance(meta, Meta)]
    if typing.get_origin(kind) is typing.Literal:
        return _choice({word: word for word in typing.get_args(kind)})
    if kind is str:
        prefixes = [meta.prefix or own_prefix for meta in metas if isinstance(meta, IdOf)]
        if prefixes:
            return _identifier(prefixes[0])
        return _text(next((meta.max_length for meta in bounds if meta.max_length), TEXT_MAX))
    if kind is bool:
        return _choice({"true": True, "false": False}, {"type": "boolean"})
    if kind is int:
        (meta,) = bounds
        assert isinstance(meta.ge, int), "an integer parameter has a lower bound"
        assert isinstance(meta.le, int), "an integer parameter has an upper bound"
        return _integer(meta.ge, meta.le)
    if kind is datetime:
        return _moment, {"type": "string", "format": "date-time"}
    if kind is Decimal:
        return _decimal, {"type": "string", "pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _choice({str(member): member for member in kind})
    raise AssertionError(f"{kind} is no kind of query parameter")


def _choice(by_word: Mapping[str, Any], schema: Schema | None = None) -> tuple[Read, Schema]:
    def read(text: str) -> Any:
        if text not in by_word:
            raise Unreadable("unknown_value", f"{shown(text)} is none of {', '.join(sorted(by_word))}.")
        return by_word[text]

    return read, schema or {"type": "string", "enum": list(by_word)}


def _text(length_max: int) -> tuple[Read, Schema]:
    def read(text: str) -> str:
        if len(text) > length_max:
            raise Unreadable("too_long", f"This parameter has at most {length_max} characters.")
        return text

    return read, {"type": "string", "maxLength": length_max}


def _identifier(prefix: str) -> tuple[Read, Schema]:
    assert prefix, "a list in pages says whose ids its cursors are"

    def read(text: str) -> str:
        if not is_id(text, prefix):
            raise Unreadable("not_an_id", f"Give an id such as {prefix}_...")
        return text

    return read, {"type": "string", "pattern": pattern_of(prefix)}


def _integer(low: int, high: int) -> tuple[Read, Schema]:
    def read(text: str) -> int:
        is_number = text.isascii() and text.isdigit() and len(text) <= INTEGER_DIGITS_MAX
        if not is_number or not low <= int(text) <= high:
            raise Unreadable("out_of_range", f"Give a number from {low} to {high}.")
        return int(text)

    return read, {"type": "integer", "minimum": low, "maximum": high}


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped "+" arrives as a blank
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Unreadable("not_a_moment", "Give a moment with its offset, such as 2026-01-31T12:00:00Z.")


def _decimal(text: str) -> Decimal:
    try:
        return parse_decimal(text, decimals_max=DECIMALS_MAX)
    except NotAnAmount as error:
        raise Unreadable("not_an_amount", f"The number {error}.") from error
