"""The API's contract, an OpenAPI 3.1 document, written from the very table of routes that the gate serves."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec

from paynode.api import csv
from paynode.api.event_shapes import EVENT_SHAPES
from paynode.api.operations import operation, operation_id, path_of, shared_headers, shared_responses, tag_of
from paynode.api.problems import Problem
from paynode.api.routes import JSON, SVG, Route, Routes, Shelf
from paynode.api.schemas import Schema, components, reference
from paynode.api.streams import EVENT_STREAM
from paynode.operations.views.webhooks import Told

routes = Routes()

ABOUT = """\
Crypto invoices of this node: make them, see them paid, hear of it by webhook, collect the money.

Amounts are decimal strings, moments are RFC 3339 in UTC, lists come in pages, and refusals are problem details
(RFC 9457) whose `type` leads to a page with the remedy. The guide is at `/docs`."""

SECURITY: Mapping[str, Schema] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "pn_live_, pn_test_ or pn_sim_, an id and a secret",
        "description": "An API key. Each operation names the scope that it needs.",
    },
    "api_key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Api-Key",
        "description": "The same key, for clients that cannot send Authorization.",
    },
}

_WEBHOOK_HEADERS: Mapping[str, str] = {
    "webhook-id": "The event's id: the same each time it is sent.",
    "webhook-timestamp": "When this attempt was made, in seconds since 1970.",
    "webhook-signature": "`v1,` and the HMAC-SHA256, in base 64, of id, timestamp and body with points between.",
}


@routes.document("/v1/openapi.json", media="application/json", shows=dict[str, Any])
def show(shelf: Shelf) -> bytes:
    """Show this document."""
    return msgspec.json.encode(document(shelf.routes, version=shelf.node.version, url=shelf.node.catalogue.public_url))


def document(served: Iterable[Route], *, version: str, url: str) -> Schema:
    """The contract of these routes; pages for people are no part of it."""
    told = [route for route in served if route.media in {JSON, SVG, csv.MEDIA, EVENT_STREAM}]
    if len({operation_id(route) for route in told}) != len(told):
        raise AssertionError("two operations have the same id")
    by_path = {path: list(group) for path, group in groupby(sorted(told, key=path_of), key=path_of)}
    tags = dict.fromkeys(tag_of(route) for route in told)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "paynode",
            "version": version,
            "summary": "A merchant's own payment node",
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": url}],
        "tags": [{"name": tag} for tag in tags],
        "paths": {
            path: {route.method.lower(): operation(route, told) for route in group} for path, group in by_path.items()
        },
        "webhooks": {kind.value: {"post": _webhook(kind.value, shape)} for kind, shape in EVENT_SHAPES.items()},
        "components": {
            "schemas": components(_shapes(told)),
            "responses": shared_responses(),
            "headers": shared_headers(),
            "securitySchemes": SECURITY,
        },
    }


def _shapes(told: Sequence[Route]) -> list[Any]:
    shown = [route.shows for route in told if route.writer is None and route.shows not in {None, str}]
    return [*shown, *(route.form for route in told if route.has_body), *EVENT_SHAPES.values(), Told, Problem]


def _webhook(kind: str, shape: Any) -> Schema:
    """One event as an endpoint gets it."""
    body = {
        "allOf": [
            reference(Told),
            {
                "type": "object",
                "properties": {
                    "type": {"const": kind},
                    "data": {"type": "object", "properties": {"object": reference(shape)}, "required": ["object"]},
                },
            },
        ]
    }
    return {
        "operationId": f"on_{kind.replace('.', '_')}",
        "summary": f"`{kind}` happened",
        "tags": ["webhooks"],
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": about, "schema": {"type": "string"}}
            for name, about in _WEBHOOK_HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "2XX": {"description": "Taken; it is not sent again."},
            "410": {"description": "The endpoint is gone: it is disabled."},
            "default": {"description": "Not taken; it is sent again later."},
        },
    }
