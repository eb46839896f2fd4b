"""The API as one ASGI app: routes behind the gate, and the one place where errors become status codes."""

import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import apsw
import structlog
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from quart import Response, g, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from paynode.api import (
    api_keys,
    balances,
    body,
    checkout,
    checkout_stream,
    contract,
    deliveries,
    deposits,
    events,
    exports,
    invoice_changes,
    invoices,
    networks,
    node_state,
    payment_methods,
    qr,
    rates,
    receipts,
    rescues,
    simulation,
    stores,
    sweeps,
    webhook_endpoints,
)
from paynode.api.gate import Gate
from paynode.api.node import ApiNode
from paynode.api.pages import checkout as checkout_page
from paynode.api.pages import docs
from paynode.api.pages.layout import HTML
from paynode.api.problems import CONTENT_TYPE, INTERNAL_DETAIL, problem
from paynode.api.refusals import Refusal
from paynode.api.routes import Routes
from paynode.domain.errors import Conflict, FieldProblem, Invalid, NotFound, RateUnavailable, Rejected, TooOften
from paynode.operations.rates import want
from paynode.store.database import CANNOT_WRITE
from paynode.store.ids import new_id

TABLES: tuple[Routes, ...] = (
    invoices.routes,
    invoice_changes.routes,
    checkout.routes,
    checkout_stream.routes,
    checkout_page.routes,
    qr.routes,
    receipts.routes,
    rescues.routes,
    deposits.routes,
    events.routes,
    balances.routes,
    exports.routes,
    sweeps.routes,
    webhook_endpoints.routes,
    deliveries.routes,
    payment_methods.routes,
    rates.routes,
    stores.routes,
    networks.routes,
    node_state.routes,
    contract.routes,
    docs.routes,
    api_keys.routes,
)
BODY_SECONDS = 10  # for all of a body: 64 KiB in that time is slower than any phone
RATE_RETRY_SECONDS = 30
NEW_RATE_RETRY_SECONDS = 5  # of a currency that nobody asked for before: the sources are being asked now
STORAGE_RETRY_SECONDS = 30
STORAGE_DETAIL = "The node's disk takes nothing at the moment. The request changed nothing; try again later."
NOWHERE = "/*"  # a path that no route has
SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

Asgi = Callable[[Scope, ASGIReceiveCallable, ASGISendCallable], Coroutine[Any, Any, None]]

log = structlog.get_logger()


def create_app(node: ApiNode) -> QuartTrio:
    """The app that serves `node`."""
    app = QuartTrio("paynode", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = body.BYTES_MAX
    app.config["BODY_TIMEOUT"] = BODY_SECONDS

    def request_id() -> str:
        if "request_id" not in g:
            g.request_id = new_id("req", node.clock())
        return str(g.request_id)

    def refused(
        status: int,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        fields: Sequence[FieldProblem] = (),
    ) -> Response:
        if g.get("is_page", False):
            body = checkout_page.refusal(status, code, detail, request_id(), fields, request.view_args or {})
            return Response(body, status, {**(headers or {}), **checkout_page.HEADERS}, content_type=HTML)
        path = request.scope["raw_path"].decode("ascii", "replace")
        content = problem(status, code, detail, instance=path, request_id=request_id(), fields=fields)
        return Response(content, status, dict(headers or {}), content_type=CONTENT_TYPE)

    @app.errorhandler(Rejected)
    async def rejected(error: Rejected) -> Response:
        match error:
            case Invalid():
                return refused(422, error.code, error.detail, fields=error.problems)
            case NotFound():
                return refused(404, error.code, error.detail)
            case Conflict():
                return refused(409, error.code, error.detail, fields=error.problems)
            case TooOften():
                return refused(429, error.code, error.detail, {"Retry-After": str(error.wait_seconds)})
            case RateUnavailable():
                is_new = node.database.write(want, node.catalogue, error.quote, node.clock())
                seconds = NEW_RATE_RETRY_SECONDS if is_new else RATE_RETRY_SECONDS
                return refused(503, error.code, error.detail, {"Retry-After": str(seconds)})
            case _:
                raise AssertionError(f"{type(error).__name__} has no status")

    @app.errorhandler(Refusal)
    async def not_admitted(error: Refusal) -> Response:
        return refused(error.status, error.code, error.detail, error.headers)

    @app.errorhandler(HTTPException)
    async def not_http(error: HTTPException) -> Response:
        status = error.code or 500
        kept = {name: value for name, value in error.get_headers() if name == "Allow"}
        code, detail = HTTP_PROBLEMS.get(status, ("malformed_request", "The request cannot be understood."))
        return refused(status, code, detail, kept)

    @app.errorhandler(apsw.Error)
    async def not_stored(error: apsw.Error) -> Response:
        if not isinstance(error, CANNOT_WRITE):
            return await broken(error)
        log.error("store_cannot_write", request_id=request_id(), reason=str(error))
        return refused(503, "storage_unavailable", STORAGE_DETAIL, {"Retry-After": str(STORAGE_RETRY_SECONDS)})

    @app.errorhandler(Exception)
    async def broken(error: Exception) -> Response:
        log.error(
            "request_failed",
            request_id=request_id(),
            method=request.method,
            route=None if request.url_rule is None else request.url_rule.rule,
            traceback="".join(traceback.format_exception(error)),
        )
        return refused(500, "internal_error", INTERNAL_DETAIL)

    @app.after_request
    async def finished(response: Response) -> Response:
        for name, value in {**SECURITY_HEADERS, **g.get("headers", {})}.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = request_id()
        return response

    Gate(node).mount(app, TABLES if node.simulation is None else (*TABLES, simulation.routes))
    # mypy cannot see that Flask's and Quart's way to wrap an app is to assign this method.
    app.asgi_app = _only_paths(app.asgi_app)  # type: ignore[assignment]
    return app


HTTP_PROBLEMS: Mapping[int, tuple[str, str]] = {
    404: ("not_found", "There is nothing at this path; /docs/reference lists those that exist."),
    405: ("method_not_allowed", "This path does not take this method; see the Allow header."),
    408: ("request_timeout", f"The body did not arrive within {BODY_SECONDS} seconds."),
    413: ("request_too_large", f"A body has at most {body.BYTES_MAX // 1024} KiB."),
}


def _only_paths(app: Asgi) -> Asgi:
    """`app`, spared targets that are no plain paths: Quart stumbles on `*` and URLs, and takes `//a` for `/a`."""

    async def served(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "http" and (not scope["path"].startswith("/") or scope["path"].startswith("//")):
            scope["path"] = NOWHERE
        await app(scope, receive, send)

    return served
