"""Named JSON schemas of the shapes that requests and answers have: the components of the OpenAPI document.

A shape's name is its class's: `InvoiceView` is Invoice, `ListView[InvoiceView]` is InvoiceList, a form keeps its name,
and a word that several machines use takes its module's: `invoice.Status` is InvoiceStatus.
"""

import typing
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

import msgspec
from msgspec import inspect

from paynode.api.body import Form, Number, WebUrl

Schema = dict[str, Any]

PREFIX = "#/components/schemas/"
DECIMAL_PATTERN = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
TEXT_PATTERN = r"^[^\u0000]*$"  # of what callers send: a body with NUL is malformed
_SHARED_WORDS = frozenset({"Account", "Status", "State", "Stage", "Wait"})


def reference(kind: Any) -> Schema:
    return {"$ref": f"{PREFIX}{name_of(kind)}"}


def components(kinds: Iterable[Any]) -> Mapping[str, Schema]:
    """The schemas of these shapes and of all that they contain, by name.

    Each is written alone, since msgspec names a class by its bare name only where no other has the same.
    """
    found: dict[str, Any] = {}
    for kind in _shapes(inspect.multi_type_info(list(kinds))):
        if found.setdefault(name_of(kind), kind) != kind:
            raise AssertionError(f"two shapes are called {name_of(kind)}")
    return {name: _schema(name, kind) for name, kind in sorted(found.items())}


def name_of(kind: Any) -> str:
    if members := typing.get_args(kind):
        return f"{name_of(members[0])}List"
    name: str = kind.__name__
    if name in _SHARED_WORDS:
        return f"{kind.__module__.rpartition('.')[2].title().replace('_', '')}{name}"
    return name.removesuffix("View") if not issubclass(kind, Enum) else name


def _schema(name: str, kind: Any) -> Schema:
    _, written = msgspec.json.schema_components([kind], schema_hook=_ours, ref_template=f"{PREFIX}{{name}}")
    inner = {_bare(shape): name_of(shape) for shape in _shapes([inspect.type_info(kind)])}
    if len(written) != len(inner):
        raise AssertionError(f"two shapes within {name} are called the same")
    schema: Schema = _renamed(written[_bare(kind)], inner)
    if "properties" in schema:
        schema["properties"] = {field: _without_default(each) for field, each in schema["properties"].items()}
    if isinstance(kind, type) and issubclass(kind, Form):
        schema = _without_nul(schema)
    return {**schema, "title": name}


def _without_nul(value: Any) -> Any:
    """The schema with its free texts, those of keys too, as bodies take them."""
    match value:
        case {"type": "string"} if not value.keys() & {"pattern", "format", "enum"}:
            return {**value, "pattern": TEXT_PATTERN}
        case {"propertyNames": names}:
            rest = {key: _without_nul(item) for key, item in value.items()}
            return {**rest, "propertyNames": {**names, "pattern": TEXT_PATTERN}}
        case dict():
            return {key: _without_nul(item) for key, item in value.items()}
        case list():
            return [_without_nul(item) for item in value]
    return value


def _without_default(field: Schema) -> Schema:
    """The field with its default in words: generators take one that has a `default` for one that must be there."""
    default = field.get("default")
    found = {key: value for key, value in field.items() if key != "default"}
    if default is None or default in ([], {}, ()):
        return found
    said = f"By default `{msgspec.json.encode(default).decode()}`."
    return {**found, "description": f"{found['description']} {said}" if "description" in found else said}


def _bare(kind: Any) -> str:
    """As msgspec calls it."""
    if members := typing.get_args(kind):
        return f"{kind.__origin__.__name__}_{'_'.join(_bare(member) for member in members)}_"
    return str(kind.__name__)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    match value:
        case {"$ref": str(target)}:
            return {**value, "$ref": PREFIX + names[target.removeprefix(PREFIX)]}
        case dict():
            return {key: _renamed(item, names) for key, item in value.items()}
        case list():
            return [_renamed(item, names) for item in value]
    return value


def _shapes(infos: Iterable[inspect.Type]) -> Iterator[Any]:
    """The classes that become components, each once."""
    seen: set[Any] = set()
    todo = list(infos)
    while todo:
        info = todo.pop()
        if isinstance(info, inspect.StructType | inspect.EnumType):
            if info.cls in seen:
                continue
            seen.add(info.cls)
            yield info.cls
        todo += _inside(info)


def _inside(info: inspect.Type) -> list[inspect.Type]:
    match info:
        case inspect.StructType():
            return [field.type for field in info.fields]
        case inspect.UnionType():
            return list(info.types)
        case inspect.Metadata():
            return [info.type]
        case inspect.DictType():
            return [info.key_type, info.value_type]
        case inspect.ListType() | inspect.VarTupleType():
            return [info.item_type]
    return []


def _ours(kind: type) -> Schema:
    if kind is Number:
        return {
            "anyOf": [{"type": "string", "pattern": DECIMAL_PATTERN}, {"type": "number"}],
            "description": "A decimal number, best as a string.",
        }
    assert kind is WebUrl, "forms hold no other type of ours"
    return {"type": "string", "format": "uri", "pattern": "^https?://", "maxLength": 2048}
