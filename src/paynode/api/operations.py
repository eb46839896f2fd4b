"""One route as an operation of the OpenAPI document."""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby

import msgspec

from paynode.api.body import Nothing
from paynode.api.examples import REQUESTS
from paynode.api.outcomes import SHARED, problems_of
from paynode.api.parameters import Parameter
from paynode.api.problem_types import ProblemType, problem_types
from paynode.api.problems import CONTENT_TYPE, Problem
from paynode.api.query import parameters, required
from paynode.api.routes import Route
from paynode.api.schemas import Schema, name_of, reference

KEY_LENGTH_MAX = 255  # of an Idempotency-Key

_VARIABLE = re.compile(r"<([a-z_]+)>")
_HEADER_TEXT: Mapping[str, str] = {
    "X-Request-Id": "Names this request, in the node's log too.",
    "RateLimit": "How many requests are left, `r`, and in how many seconds all are allowed again, `t`.",
    "RateLimit-Policy": "How many requests, `q`, are allowed in how many seconds, `w`.",
    "Retry-After": "In how many seconds to try again.",
    "Idempotent-Replayed": "`true` if this is the answer that the same request got before.",
    "ETag": "Send it as If-None-Match to be spared what has not changed.",
}


def path_of(route: Route) -> str:
    return _VARIABLE.sub(r"{\1}", route.path)


def tag_of(route: Route) -> str:
    """The resource: the first word of the path behind the version."""
    first, *rest = route.path.strip("/").split("/")
    return re.sub(r"\W.*", "", rest[0] if first == "v1" and rest else first)


def operation_id(route: Route) -> str:
    """The resource and what is done: the handler's name, which generated clients depend on."""
    act = route.handler or route.action or route.writer or route.opener or route.exporter
    assert act is not None, "a route has one of the five"
    tag = tag_of(route)
    return f"{tag}_{act.__name__.removesuffix('_all').removesuffix(f'_{tag}')}"


def operation(route: Route, told: Sequence[Route]) -> Schema:
    """The route as the document tells it; `told` are all routes, for the links to what it made."""
    summary, _, description = route.description.partition("\n")
    found: Schema = {
        "operationId": operation_id(route),
        "summary": summary.rstrip("."),
        "tags": [tag_of(route)],
        "security": [] if route.scope is None else [{"bearer": [route.scope]}, {"api_key": [route.scope]}],
        "responses": {str(route.status): _answer(route, told), **_refusals(route)},
    }
    if description.strip():
        found["description"] = description.strip()
    if sent := _parameters(route):
        found["parameters"] = sent
    if route.has_body:
        is_needed = any(field.required for field in msgspec.structs.fields(route.form))
        content: Schema = {"schema": reference(route.form)}
        if shown := REQUESTS.get(route.name):
            content["examples"] = {name: {"value": value} for name, value in shown.items()}
        found["requestBody"] = {"required": is_needed, "content": {"application/json": content}}
    return found


def _parameters(route: Route) -> list[Schema]:
    found: list[Schema] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _VARIABLE.findall(route.path)
    ]
    found += [
        _query_parameter(parameter, is_required=name in required(route.query))
        for name, parameter in parameters(route.query).items()
    ]
    if route.method == "POST" and route.scope is not None:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": route.needs_name,
                "description": "Your name for this request: sent again, it is not done again, but answered the same.",
                "schema": {"type": "string", "pattern": "^[ -~]+$", "maxLength": KEY_LENGTH_MAX},
            }
        )
    return found


def _query_parameter(parameter: Parameter, *, is_required: bool) -> Schema:
    found: Schema = {"name": parameter.name, "in": "query", "required": is_required, "schema": parameter.schema}
    if parameter.description is not None:
        found["description"] = parameter.description
    if parameter.is_several:
        found |= {"style": "form", "explode": False}
    if parameter.is_map:
        found |= {"style": "deepObject", "explode": True}
    return found


def _shown(route: Route) -> Schema:
    if route.exporter is not None or route.shows is str:
        return {"type": "string"}
    if route.opener is not None:  # each message of the stream, as the sequential media types of OpenAPI 3.2 tell it
        data = {"type": "string", "contentMediaType": "application/json", "contentSchema": reference(route.shows)}
        texts = {name: {"type": "string"} for name in ("id", "event")}
        return {"type": "object", "properties": {**texts, "data": data}}
    return {"type": "object"} if route.writer is not None else reference(route.shows)


def _answer(route: Route, told: Sequence[Route]) -> Schema:
    names = ["X-Request-Id", "RateLimit", "RateLimit-Policy"]
    if route.scope is None and route.method == "GET" and route.opener is None:
        names.append("ETag")
    if route.method == "POST" and route.scope is not None:
        names.append("Idempotent-Replayed")
    said = "Done." if route.shows is None else "As asked."
    if route.opener is not None:
        said = "Server-sent events without an end; each has this as its data."
    found: Schema = {"description": said, "headers": _headers(names)}
    if route.shows is not None:
        found["content"] = {route.media: {"schema": _shown(route)}}
    if links := _links(route, told):
        found["links"] = links
    return found


def _refusals(route: Route) -> Mapping[str, Schema]:
    """By status; what many routes have in common is written once."""
    found = {}
    for status, group in groupby(problems_of(route), key=lambda problem: problem.status):
        problems = list(group)
        name = problems[0].code
        is_shared = len(problems) == 1 and name in SHARED
        found[str(status)] = {"$ref": f"#/components/responses/{name}"} if is_shared else _refusal(problems)
    return found


def shared_responses() -> Mapping[str, Schema]:
    """The problems that every route may have, as components."""
    return {code: _refusal([problem_types()[code]]) for code in sorted(SHARED)}


def _refusal(problems: Sequence[ProblemType]) -> Schema:
    codes = [problem.code for problem in problems]
    names = ["X-Request-Id"]
    if problems[0].status in {429, 503}:
        names.append("Retry-After")
    schema = {"allOf": [reference(Problem), {"type": "object", "properties": {"code": {"enum": codes}}}]}
    lines = [f"- [`{problem.code}`](/docs/errors/{problem.code}): {problem.title}" for problem in problems]
    return {
        "description": "\n".join(lines),
        "headers": _headers(names),
        "content": {CONTENT_TYPE: {"schema": schema}},
    }


def _headers(names: Sequence[str]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def shared_headers() -> Mapping[str, Schema]:
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADER_TEXT.items()}


def _links(route: Route, told: Sequence[Route]) -> Schema:
    """What can be done next with what was made: every operation on an object of its kind."""
    if route.status != 201 or route.form is Nothing:
        return {}
    variable = f"<{name_of(route.shows).lower()}_id>"
    return {
        operation_id(other): {
            "operationId": operation_id(other),
            "parameters": {variable.strip("<>"): "$response.body#/id"},
        }
        for other in told
        if _VARIABLE.findall(other.path) == [variable.strip("<>")]
    }
