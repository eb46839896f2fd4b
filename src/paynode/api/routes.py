"""The table of routes: each is public by name, or names the scope that a key needs for it. There is no third way.

A handler decides nothing about access and opens no transaction: the gate has done both when it runs.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar, overload

import msgspec

from paynode.api import csv
from paynode.api.body import Form, Nothing
from paynode.api.node import ApiNode
from paynode.api.pages.layout import HTML
from paynode.api.problem_types import problem_types
from paynode.api.query import QueryForm, parameters
from paynode.api.streams import EVENT_STREAM, Look
from paynode.domain.errors import Invalid
from paynode.domain.scopes import NODE_SCOPES, STORE_SCOPES
from paynode.operations.once import Answer
from paynode.store.api_keys import ApiKeyRecord
from paynode.store.database import Tx

PUBLIC = frozenset(
    {
        "GET /v1/status",
        "GET /v1/openapi.json",
        "GET /docs",
        "GET /docs/<name>",
        "GET /docs/reference",
        "GET /docs/errors/<code>",
        "GET /docs/style.css",
        "GET /i/style.css",
        "GET /i/icon.svg",
        "GET /i/<invoice_id>",
        "GET /i/<invoice_id>/<method>",
        "GET /i/<invoice_id>/color.css",
        "POST /i/<invoice_id>/<method>",
        "GET /i/<invoice_id>/claim",
        "POST /i/<invoice_id>/claim",
        "POST /i/<invoice_id>/cancel",
        "GET /checkout/<invoice_id>",
        "GET /checkout/<invoice_id>/addresses",
        "GET /checkout/<invoice_id>/events",
        "GET /checkout/<invoice_id>/receipt",
        "GET /checkout/<invoice_id>/methods/<method>/qr.svg",
        "POST /checkout/<invoice_id>/methods/<method>",
        "POST /checkout/<invoice_id>/cancel",
        "POST /checkout/<invoice_id>/check",
        "POST /checkout/<invoice_id>/claim",
        "GET /checkout/<invoice_id>/claims",
    }
)

JSON = "application/json"
SVG = "image/svg+xml"

F = TypeVar("F", bound=Form)
Q = TypeVar("Q", bound=QueryForm)


@dataclass(frozen=True, slots=True)
class Call(Generic[F]):
    """One admitted request, as a handler sees it."""

    node: ApiNode
    now: datetime
    store_id: str | None  # whose objects the caller may see; None: everybody's
    path: Mapping[str, str]
    key: ApiKeyRecord | None  # that it was sent with; None: the route is public
    client: str  # tells one sender from others, and not who it is
    form: F  # what the request says: its body, or of a route that reads its query

    def owner(self, wanted: str | None) -> str:
        """The store that a new object belongs to: the key's own; for a key of the node, the one it names.

        Raises:
            Invalid: it names none of several, or one that is not the caller's.
        """
        known = self.node.catalogue.store_keys
        allowed = list(known) if self.store_id is None else [self.store_id]
        if wanted is None and len(allowed) > 1:
            raise Invalid.field("/store", "required", "This key is the node's: name the store.")
        store_id = allowed[0] if wanted is None else wanted
        if store_id not in allowed or store_id not in known:
            raise Invalid.field("/store", "unknown_store", "There is no such store for this key.")
        return store_id


Handler = Callable[[Call[F], Tx], Answer]  # runs inside one transaction
Action = Callable[[Call[F]], Awaitable[Answer]]  # of the simulation, which lives outside of the database
# Begins an answer that goes on, perhaps behind the message that the caller saw last; None: nothing more will come.
Opener = Callable[[Call[F], Tx, str | None], Look | None]


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a document may be written from: all of it stays the same while the node runs."""

    node: ApiNode
    routes: Sequence["Route"]  # all that are served
    path: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer that is too long to be made at once."""

    data: bytes
    cursor: str | None  # what to ask for the next part with; None: this is the last


Exporter = Callable[[Call[F], Tx, str | None], Piece]  # runs in a transaction of its own for each piece
Writer = Callable[[Shelf], bytes]  # writes a document; NotFound: there is none at this path


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table: what the gate needs to serve it, and what the contract tells of it."""

    method: str
    path: str
    scope: str | None  # None: public
    form: type[Form]  # of its body; of a GET, of its query
    shows: Any  # the type of its answer; None: an answer without a body
    status: int
    refuses: tuple[str, ...]  # the problems that only its own operation knows, beside those of every route
    handler: Handler[Any] | None
    action: Action[Any] | None = None
    writer: Writer | None = None
    media: str = JSON
    needs_name: bool = False  # it moves money: only with an Idempotency-Key
    is_long: bool = False  # it reads so much that nobody else should wait for it
    opener: Opener[Any] | None = None
    exporter: Exporter[Any] | None = None

    def __post_init__(self) -> None:
        is_public = self.name in PUBLIC
        if is_public == (self.scope is not None) or self.scope not in {None, *STORE_SCOPES, *NODE_SCOPES}:
            raise AssertionError(f"{self.name} is to be on the public list, or to name one scope that exists")
        if not problem_types().keys() >= set(self.refuses):
            raise AssertionError(f"{self.name} is to refuse with codes that docs/errors.md explains")
        if not self.description:
            raise AssertionError(f"{self.name} is to say what it does, in its handler's docstring")
        parameters(self.query)  # a form that cannot be read is found now

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_page(self) -> bool:
        """Whether people see it in their browsers, as it is at that moment; then a form of theirs is its body."""
        return self.media == HTML and self.writer is None

    @property
    def has_body(self) -> bool:
        return self.method in {"POST", "PATCH"}

    @property
    def query(self) -> type[Form]:
        """What its query may say; that of a route that writes says nothing."""
        return self.form if self.method == "GET" else Nothing

    @property
    def description(self) -> str:
        """What it does; the first line is its summary."""
        return inspect.getdoc(self.handler or self.action or self.writer or self.opener or self.exporter) or ""


class Routes:
    """The routes of one resource, in the order they were declared.

    Each says what it `shows`: the type that its answer has, on which its `status` is the usual one; and what it
    `refuses`: the codes of problems beside those that every route may have.
    """

    def __init__(self) -> None:
        self.all: list[Route] = []

    @overload
    def get(
        self,
        path: str,
        *,
        scope: str | None = None,
        shows: Any,
        refuses: Sequence[str] = (),
        is_long: bool = False,
        media: str = ...,
    ) -> Callable[[Handler[Nothing]], Handler[Nothing]]: ...
    @overload
    def get(
        self,
        path: str,
        query: type[Q],
        *,
        scope: str | None = None,
        shows: Any,
        refuses: Sequence[str] = (),
        is_long: bool = False,
        media: str = ...,
    ) -> Callable[[Handler[Q]], Handler[Q]]: ...
    def get(
        self,
        path: str,
        query: type[Any] = Nothing,
        *,
        scope: str | None = None,
        shows: Any,
        refuses: Sequence[str] = (),
        is_long: bool = False,
        media: str = JSON,
    ) -> Any:
        """Declare a route that reads, and the form of its query, if it takes any parameter.

        What `is_long` runs in a thread, on a connection of its own.
        """
        return self._declare("GET", path, scope, query, shows, 200, refuses, is_long=is_long, media=media)

    def page(self, path: str, query: type[Q]) -> Callable[[Handler[Q]], Handler[Q]]:
        """Declare a public page that is written anew for each request."""
        return self._declare("GET", path, None, query, None, 200, (), media=HTML)

    def submit(self, path: str, form: type[F], *, refuses: Sequence[str] = ()) -> Callable[[Handler[F]], Handler[F]]:
        """Declare where a form of such a page goes; it answers with where to go on."""
        return self._declare("POST", path, None, form, None, 303, refuses, media=HTML)

    @overload
    def stream(
        self, path: str, *, scope: str | None = None, shows: Any
    ) -> Callable[[Opener[Nothing]], Opener[Nothing]]: ...
    @overload
    def stream(
        self, path: str, query: type[Q], *, scope: str | None = None, shows: Any
    ) -> Callable[[Opener[Q]], Opener[Q]]: ...
    def stream(self, path: str, query: type[Any] = Nothing, *, scope: str | None = None, shows: Any) -> Any:
        """Declare a route whose answer goes on, as server-sent events; each message's data is what it `shows`."""

        def declare(opener: Opener[Any]) -> Opener[Any]:
            route = Route("GET", path, scope, query, shows, 200, (), None, media=EVENT_STREAM, opener=opener)
            self.all.append(route)
            return opener

        return declare

    def post(
        self,
        path: str,
        form: type[F],
        *,
        scope: str | None = None,
        shows: Any,
        status: int = 200,
        refuses: Sequence[str] = (),
        needs_name: bool = False,
    ) -> Callable[[Handler[F]], Handler[F]]:
        """Declare a route that writes, once per Idempotency-Key; what `needs_name` takes nothing without one."""
        return self._declare("POST", path, scope, form, shows, status, refuses, needs_name=needs_name)

    def patch(
        self, path: str, form: type[F], *, scope: str, shows: Any, refuses: Sequence[str] = ()
    ) -> Callable[[Handler[F]], Handler[F]]:
        return self._declare("PATCH", path, scope, form, shows, 200, refuses)

    def delete(
        self, path: str, *, scope: str, shows: Any = None, status: int = 204, refuses: Sequence[str] = ()
    ) -> Callable[[Handler[Nothing]], Handler[Nothing]]:
        return self._declare("DELETE", path, scope, Nothing, shows, status, refuses)

    def act(
        self, path: str, form: type[F], *, scope: str, shows: Any, status: int = 200, refuses: Sequence[str] = ()
    ) -> Callable[[Action[F]], Action[F]]:
        """Declare a POST that drives the simulation."""

        def declare(action: Action[F]) -> Action[F]:
            self.all.append(Route("POST", path, scope, form, shows, status, tuple(refuses), None, action))
            return action

        return declare

    def export(self, path: str, query: type[Q], *, scope: str) -> Callable[[Exporter[Q]], Exporter[Q]]:
        """Declare a route that answers with a file of any length, piece by piece."""

        def declare(exporter: Exporter[Q]) -> Exporter[Q]:
            route = Route("GET", path, scope, query, str, 200, (), None, media=csv.MEDIA, exporter=exporter)
            self.all.append(route)
            return exporter

        return declare

    def document(self, path: str, *, media: str, shows: Any = None) -> Callable[[Writer], Writer]:
        """Declare a public route that gives the same to everybody for as long as the node runs."""

        def declare(writer: Writer) -> Writer:
            self.all.append(Route("GET", path, None, Nothing, shows, 200, (), None, None, writer, media))
            return writer

        return declare

    def _declare(
        self,
        method: str,
        path: str,
        scope: str | None,
        form: type[F],
        shows: Any,
        status: int,
        refuses: Sequence[str],
        *,
        is_long: bool = False,
        needs_name: bool = False,
        media: str = JSON,
    ) -> Callable[[Handler[F]], Handler[F]]:
        def declare(handler: Handler[F]) -> Handler[F]:
            row = Route(method, path, scope, form, shows, status, tuple(refuses), handler)
            self.all.append(replace(row, is_long=is_long, needs_name=needs_name, media=media))
            return handler

        return declare


def answer(view: Any, status: int = 200) -> Answer:
    """An answer that shows `view`, encoded once."""
    return Answer(status, msgspec.json.encode(view))


NO_CONTENT = Answer(204, b"")
