"""The API's reference as a page: what the OpenAPI document says, for people."""

from collections.abc import Iterable, Mapping
from html import escape
from itertools import groupby
from typing import Any

from paynode.api.pages.markdown import html_of
from paynode.api.schemas import PREFIX, Schema


def reference_html(contract: Schema) -> str:
    """The whole reference: operations by resource, webhooks, and the shapes that they name."""
    told = [(method, path, about) for path, item in contract["paths"].items() for method, about in item.items()]
    told.sort(key=lambda operation: operation[2]["tags"])
    parts = [f"<h1>API reference</h1>{html_of(contract['info']['description'])}"]
    parts.append(
        '<p>The same as an OpenAPI document: <a href="/v1/openapi.json"><code>/v1/openapi.json</code></a>.</p>'
    )
    for tag, group in groupby(told, key=lambda operation: operation[2]["tags"][0]):
        parts.append(f'<h2 id="{escape(tag)}">{escape(tag)}</h2>')
        parts += [_operation(method, path, about) for method, path, about in group]
    parts.append('<h2 id="webhook-events">Webhook events</h2>')
    rows = [
        (f"<code>{escape(kind)}</code>", _event_object(item["post"])) for kind, item in contract["webhooks"].items()
    ]
    parts.append(_table(("Event", "Its object"), rows))
    parts.append('<h2 id="shapes">Shapes</h2>')
    parts += [_shape(name, schema) for name, schema in contract["components"]["schemas"].items()]
    return "\n".join(parts)


def _operation(method: str, path: str, about: Schema) -> str:
    scopes = sorted({scope for scheme in about["security"] for names in scheme.values() for scope in names})
    needs = f"Scope <code>{escape(scopes[0])}</code>" if scopes else "Public"
    parts = [
        f'<h3 id="{escape(about["operationId"])}">{escape(about["summary"])}</h3>',
        f'<p><span class="method">{method.upper()}</span> <code>{escape(path)}</code><br>'
        f'<span class="quiet">{needs}</span></p>',
        html_of(about.get("description", "")),
    ]
    if sent := about.get("parameters"):
        rows = [
            (
                f"<code>{escape(each['name'])}</code>",
                each["in"],
                _kind(each["schema"]),
                html_of(each.get("description", "")),
            )
            for each in sent
        ]
        parts.append(_table(("Parameter", "In", "Type", ""), rows))
    if body := about.get("requestBody"):
        parts.append(f"<p>Body: {_kind(_schema_of(body))}</p>")
    for status, answer in about["responses"].items():
        if status.startswith("2"):
            shown = _kind(_schema_of(answer)) if "content" in answer else "nothing"
            parts.append(f"<p>Answers {status} with {shown}.</p>")
    return "\n".join(parts)


def _schema_of(part: Schema) -> Schema:
    (content,) = part["content"].values()
    schema: Schema = content["schema"]
    return schema


def _event_object(about: Schema) -> str:
    told = _schema_of(about["requestBody"])["allOf"][1]
    return _kind(told["properties"]["data"]["properties"]["object"])


def _shape(name: str, schema: Schema) -> str:
    parts = [f'<h3 id="{escape(name)}">{escape(name)}</h3>', html_of(schema.get("description", ""))]
    if "enum" in schema:
        parts.append(f"<p>{_words(schema['enum'])}</p>")
    needed = set(schema.get("required", ()))
    rows = [
        (_code(field), _kind(each), _about(each, is_needed=field in needed))
        for field, each in schema.get("properties", {}).items()
    ]
    if rows:
        parts.append(_table(("Field", "Type", ""), rows))
    return "\n".join(parts)


def _about(field: Schema, *, is_needed: bool) -> str:
    said = [] if is_needed else ["May be left out."]
    return html_of(" ".join([*said, field.get("description", "")]))


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].removeprefix(PREFIX))
        return f'<a href="#{name}">{name}</a>'
    if "enum" in schema:
        return _words(schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    kind = escape(str(schema.get("format", schema.get("type", "anything"))))
    bounds = [f"at most {schema[key]} {unit}" for key, unit in _BOUNDS.items() if key in schema]
    if "minimum" in schema and "maximum" in schema:
        bounds.append(f"{schema['minimum']} to {schema['maximum']}")
    return f"{kind}, {', '.join(bounds)}" if bounds else kind


_BOUNDS = {"maxLength": "characters", "maxItems": "entries", "maxProperties": "keys"}


def _words(values: Iterable[str]) -> str:
    return ", ".join(_code(str(value)) for value in values)


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    top = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>"
