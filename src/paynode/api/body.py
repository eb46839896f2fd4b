"""Request bodies: strict JSON, or what a page's form posts, read exactly and checked against a form field by field.

What other parsers shrug at is refused, since two readers that disagree about a body are a hole: duplicate keys, NUL,
lone surrogates, NaN, deep nesting. Numbers are never binary floats.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum, EnumType
from functools import cache
from typing import Any, Literal, NoReturn, TypeVar, cast, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec

from paynode.api.refusals import Refusal, malformed
from paynode.domain.errors import FieldProblem, Invalid
from paynode.outbound import Refused, Target

BYTES_MAX = 64 * 1024
DEPTH_MAX = 32
POSTED_MAX = 20  # fields of a page's form
INTEGER_DIGITS_MAX = 18  # fits 64 bits; a longer one is a `Number`, as written

# Strings, whole even if unterminated, and brackets outside of them. Possessive, so that no input is read twice.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_OPENING, _CLOSING = frozenset({b"[", b"{"}), frozenset({b"]", b"}"})


class Written:
    """A value as the caller wrote it; its kind says what of it is certain."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Number(Written):
    """A JSON number, or a string that should be one. Not judged yet."""


class WebUrl(Written):
    """An http(s) URL without user name, blanks or control characters: safe to show as a link."""


class Form(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a request's body may say; fields with a default may be left out."""


class Nothing(Form, frozen=True):
    """A body without fields."""


F = TypeVar("F", bound=Form)


def read_form(form: type[F], content_type: str, raw: bytes) -> F:
    """The request body as `form`; an empty one counts as `{}`.

    Raises:
        Refusal: it is not JSON as we take it.
        Invalid: fields are missing, unknown or not of their type; names all of them.
    """
    value = _parse(content_type, raw) if raw else {}
    if not isinstance(value, dict):
        raise Invalid.field("", "not_an_object", "The body is to be a JSON object.")
    return _read(form, value)


def read_posted(form: type[F], content_type: str, raw: bytes) -> F:
    """What a browser posts from a page's form, as `form`, whose fields are texts.

    Raises:
        Refusal: no such form was posted.
        Invalid: fields are missing, unknown or too long.
    """
    if raw and content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Refusal(415, "unsupported_media_type", "Send this form from the page that has it.")
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=POSTED_MAX)
    except ValueError as error:
        raise malformed("The form cannot be read.") from error
    value = _object(pairs)
    _check_texts(value)
    return _read(form, value)


def _read(form: type[F], value: Mapping[str, object], *within: str) -> F:
    """`value` as `form`, which stands at `within` of the body."""
    problems: list[FieldProblem] = []
    read: dict[str, Any] = {}
    fields = _fields(form)
    for name in value:
        if name not in fields:
            where = pointer(*within, name)
            problems.append(FieldProblem(where, "unknown_field", f"There is no field {shown(name)} here."))
    for name, (field, inner) in fields.items():
        if name not in value:
            if field.required:
                problems.append(FieldProblem(pointer(*within, name), "required", "This field is required."))
            continue
        given = value[name]
        try:
            if inner is not None and isinstance(given, dict):
                read[field.name] = _read(inner, given, *within, name)
            else:
                read[field.name] = msgspec.convert(given, field.type, dec_hook=_convert_ours)
        except msgspec.ValidationError as error:
            problems += _amiss(field.type, given, error, *within, name)
        except Invalid as invalid:
            problems += invalid.problems
    if problems:
        raise Invalid(problems)
    return form(**read)


@cache
def _fields(form: type[Form]) -> Mapping[str, tuple[msgspec.structs.FieldInfo, type[Form] | None]]:
    """The form's fields by name, each with the form within it; reckoned once, since that costs more than all else."""
    return {field.encode_name: (field, _form_of(field.type)) for field in msgspec.structs.fields(form)}


def _form_of(kind: object) -> type[Form] | None:
    """The form that a field holds, if it holds one."""
    kinds = get_args(kind) or (kind,)
    return next((each for each in kinds if isinstance(each, type) and issubclass(each, Form)), None)


def _amiss(kind: object, given: object, error: msgspec.ValidationError, *at: str | int) -> Iterator[FieldProblem]:
    """What of a field is not of its kind: the field, or each of its items that is not."""
    what, within, where = str(error).partition(" - at `")
    if not within:
        yield _problem(kind, given, what, *at)
        return
    if where.startswith("key"):
        yield _problem(kind, given, f"{what}, as each key", *at)
        return
    items = given.items() if isinstance(given, dict) else enumerate(cast(Sequence[object], given))
    for step, item in items:
        try:
            msgspec.convert({step: item} if isinstance(given, dict) else [item], kind, dec_hook=_convert_ours)
        except msgspec.ValidationError as cause:
            yield _problem(kind, item, str(cause).partition(" - at `")[0], *at, step)


def _problem(kind: object, given: object, what: str, *at: str | int) -> FieldProblem:
    if what.startswith("Invalid enum value"):
        detail = f"{shown(str(given))} is none of {', '.join(sorted(_words(kind)))}."
        return FieldProblem(pointer(*at), "unknown_value", detail)
    return FieldProblem(pointer(*at), "invalid_value", f"{what}.")


def _words(kind: object) -> Iterator[str]:
    """The words that may be given where one is."""
    if isinstance(kind, EnumType):
        yield from (str(member.value) for member in cast(Iterable[Enum], kind))
    elif get_origin(kind) is Literal:
        yield from map(str, get_args(kind))
    else:
        for each in get_args(kind):
            yield from _words(each)


def pointer(*steps: str | int) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def shown(name: str) -> str:
    """A caller's own text, fit to be shown back: quoted, short, without control characters."""
    text = "".join(character if character.isprintable() else "?" for character in name[:60])
    return f'"{text}"' if len(name) <= 60 else f'"{text}..."'


def _convert_ours(kind: type, value: object) -> object:
    if isinstance(value, kind):
        return value
    if kind is Number:
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return Number(str(value))
        raise ValueError("Expected a decimal number, best as a string")
    assert kind is WebUrl, "forms hold no other type of ours"
    if not isinstance(value, str):
        raise ValueError("Expected a URL")
    try:
        Target.parse(value)
    except Refused as refused:
        raise ValueError(f"Not a URL that we take: {refused.reason}") from refused
    return WebUrl(value)


def _parse(content_type: str, raw: bytes) -> object:
    if content_type.replace(" ", "").lower() not in {"application/json", "application/json;charset=utf-8"}:
        raise Refusal(415, "unsupported_media_type", "Send JSON, with Content-Type: application/json.")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise malformed("The body is not UTF-8.") from error
    _check_depth(raw)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise malformed(f"The body is not JSON: {error.msg} at character {error.pos}.") from error
    _check_texts(value)
    return value


def _check_depth(raw: bytes) -> None:
    if raw.count(b"[") + raw.count(b"{") <= DEPTH_MAX:
        return
    depth = 0
    for token in _STRING_OR_BRACKET.findall(raw):
        depth += (token in _OPENING) - (token in _CLOSING)
        if depth > DEPTH_MAX:
            raise malformed(f"The body is nested deeper than {DEPTH_MAX}.")


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise malformed(f"An object of the body has the key {shown(twice)} twice.")
    return found


def _integer(text: str) -> int | Number:
    return int(text) if len(text) <= INTEGER_DIGITS_MAX else Number(text)


def _refuse_constant(name: str) -> NoReturn:
    raise malformed(f"{name} is not JSON.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Number, parse_int=_integer, parse_constant=_refuse_constant
)


def _check_texts(value: object) -> None:
    match value:
        case str():
            if "\0" in value:
                raise malformed("A text of the body contains NUL.")
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise malformed("A text of the body contains half of a surrogate pair.") from error
        case dict():
            for name, item in value.items():
                _check_texts(name)
                _check_texts(item)
        case list():
            for item in value:
                _check_texts(item)
