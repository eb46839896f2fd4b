"""The one gate that every request passes: who calls, may they, how often; then the handler, in one transaction."""

import hashlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import trio
from quart import Response, g, request
from quart_trio import QuartTrio

from paynode.api.body import Form, read_form, read_posted
from paynode.api.clients import client_address
from paynode.api.conditional import conditional, etag_of
from paynode.api.node import ApiNode
from paynode.api.origins import EVERYBODY, ORIGIN_ALLOWED, allowed, preflight
from paynode.api.pages.layout import POLICY
from paynode.api.query import read_query
from paynode.api.refusals import (
    Refusal,
    forbidden,
    foreign_form,
    foreign_page,
    malformed,
    not_from_there,
    too_many,
    unauthorized,
)
from paynode.api.routes import Call, Exporter, Opener, Piece, Route, Routes, Shelf, Writer
from paynode.api.streams import Places, flow
from paynode.api.throttle import Throttle, client_name
from paynode.operations import once
from paynode.operations.api_keys import find_key, is_allowed_from
from paynode.operations.once import Answer
from paynode.store import api_keys, bells, idempotency
from paynode.store.api_keys import ApiKeyRecord
from paynode.store.database import Tx
from paynode.store.readers import Readers
from paynode.store.together import Together

KEY_LENGTH_MAX = 255  # of an Idempotency-Key
USE_NOTED_EVERY = timedelta(minutes=1)  # a write per request would cost more than most requests
FAILURES_BURST, FAILURE_INTERVAL_SECONDS = 20, 3.0  # of authentication, per client
PUBLIC_BURST, PUBLIC_INTERVAL_SECONDS = 500, 0.02  # requests without a key, per client: many payers share one
KEY_BURST, KEY_INTERVAL_SECONDS = 2000, 0.001  # requests with a key: more than the node can do, for a loop gone mad
STREAMS_PER_KEY, STREAMS_WITH_KEYS = 8, 64  # with the public ones, half of the server's connections
PUBLIC_STREAMS_PER_CLIENT, PUBLIC_STREAMS = 24, 192
PUBLIC_STREAM_SECONDS = 3600.0  # then a page that is still open asks for another
FULL_SECONDS = 30
PART_BYTES = 64 * 1024  # of an export, sent at once: the server gives each part its time
LINKS = ("/i/", "/checkout/", "/docs")  # the paths that people get as links
NODE_OWNER = "node"  # who owns the idempotency keys of the node's own API keys

View = Callable[..., Awaitable[Response]]


class Gate:
    """Admits requests to routes, and runs them."""

    def __init__(self, node: ApiNode) -> None:
        self._node = node
        self._writes = Together(node.database)
        self._readers = Readers(node.database)
        self._failures = Throttle("failures", FAILURES_BURST, FAILURE_INTERVAL_SECONDS)
        self._public = Throttle("address", PUBLIC_BURST, PUBLIC_INTERVAL_SECONDS)
        self._keyed = Throttle("key", KEY_BURST, KEY_INTERVAL_SECONDS)
        self._places = Places(STREAMS_PER_KEY, STREAMS_WITH_KEYS)
        self._public_places = Places(PUBLIC_STREAMS_PER_CLIENT, PUBLIC_STREAMS)
        self._simulating = trio.Lock()
        self._salt = secrets.token_bytes(32)  # so that what limits remember of clients names nobody
        self._routes: list[Route] = []
        self._documents: dict[str, bytes] = {}  # by path, once they were asked for

    def mount(self, app: QuartTrio, tables: Iterable[Routes]) -> None:
        """Make `app` serve the routes of these tables, and no path in another spelling."""
        app.url_map.merge_slashes = False
        self._routes = [route for table in tables for route in table.all]
        for route in self._routes:
            own_options = False if is_for_payers(route) else None  # None: Quart answers OPTIONS by itself
            add = partial(app.add_url_rule, route.path, strict_slashes=True, provide_automatic_options=own_options)
            add(route.name, self._view_of(route), methods=[route.method])
            if is_for_payers(route):
                add(f"OPTIONS {route.path}", self._preflight_view(route), methods=["OPTIONS"])

    def _preflight_view(self, route: Route) -> View:
        """What browsers ask before a web page of another host may post."""

        async def view(**path: str) -> Response:
            self._admitted(route, self._node.clock())
            origin = request.headers.get("Origin", "")
            return Response(b"", 204, dict(preflight(self._node, path["invoice_id"], origin)))

        return view

    def _view_of(self, route: Route) -> View:
        if route.writer is not None:
            return self._document_view(route, route.writer)
        if route.exporter is not None:
            return self._export_view(route, route.exporter)
        return self._view(route) if route.opener is None else self._stream_view(route, route.opener)

    def _document_view(self, route: Route, writer: Writer) -> View:
        async def view(**path: str) -> Response:
            self._admitted(route, self._node.clock())
            _query(route)
            written = self._documents.get(request.path)
            if written is None:
                written = writer(Shelf(self._node, self._routes, path))
                self._documents[request.path] = written
            response = Response(written, content_type=route.media)
            response.headers["Content-Security-Policy"] = POLICY
            return conditional(response, etag_of(written))

        return view

    def _export_view(self, route: Route, exporter: Exporter[Any]) -> View:
        file = route.path.rpartition("/")[2]

        async def view(**path: str) -> Response:
            now = self._node.clock()
            key = self._admitted(route, now)
            name = self._client() if key is None else key.id
            if not self._places.has_room(name):
                raise too_many("Too many exports and streams are open: wait until one ends.", FULL_SECONDS)
            call = self._call(route, key, path, b"", now)
            pieces = self._pieces(exporter, call, name, self._listener(route))
            first = await anext(pieces)  # takes the place; what refuses this one refuses all of it
            if request.method == "HEAD":
                await pieces.aclose()
            response = Response(_joined(first, pieces), content_type=f"{route.media}; charset=utf-8")
            response.timeout = None  # the server ends what its client does not take
            response.headers["Content-Disposition"] = f'attachment; filename="{now:%Y-%m-%d}-{file}"'
            return response

        return view

    async def _pieces(
        self, exporter: Exporter[Any], call: Call[Any], name: str, may_go_on: Callable[[], bool]
    ) -> AsyncGenerator[bytes, None]:
        """The pieces of an export, which holds its place from the first on.

        Raises:
            Refusal: the caller's key is no longer in force; a connection that breaks off tells that it is not whole.
        """
        with self._places.taken(name):
            piece: Piece | None = None
            while piece is None or piece.cursor is not None:
                cursor = None if piece is None else piece.cursor
                piece = await self._readers.read(partial(_next_piece, exporter, call, cursor))
                for start in range(0, len(piece.data), PART_BYTES):
                    yield piece.data[start : start + PART_BYTES]
                if piece.cursor is not None and not may_go_on():
                    raise unauthorized()

    def _stream_view(self, route: Route, opener: Opener[Any]) -> View:
        node, places = self._node, self._public_places if route.scope is None else self._places

        async def view(**path: str) -> Response:
            now = node.clock()
            key = self._admitted(route, now)
            name = self._client() if key is None else key.id
            if not places.has_room(name):
                raise too_many("Too many streams are open: close one, or ask every few seconds instead.", FULL_SECONDS)
            call = self._call(route, key, path, b"", now)
            look = node.database.read(partial(opener, call), request.headers.get("Last-Event-ID") or None)
            if look is None or request.method == "HEAD":
                response = Response(b"", 204 if look is None else 200, content_type=route.media)
            else:
                ends_by = () if key is None else (bells.about(key.id),)
                body = flow(node, look, places, name, may_go_on=self._listener(route), ends_by=ends_by)
                response = Response(body, content_type=route.media)
                response.timeout = None
                response.headers["X-Accel-Buffering"] = "no"  # nginx would keep messages until it has a few
            if route.scope is None:
                response.headers.update(EVERYBODY)
            return response

        return view

    def _listener(self, route: Route) -> Callable[[], bool]:
        """Whether a long answer may go on: as long as the key is in force; without one, an hour."""
        if route.scope is None:
            ends_at = trio.current_time() + PUBLIC_STREAM_SECONDS
            return lambda: trio.current_time() < ends_at
        text = _key_text()

        def is_in_force() -> bool:
            key = self._node.database.read(find_key, self._node.catalogue, text, self._node.clock())
            return key is not None and route.scope in key.scopes.split()

        return is_in_force

    def _view(self, route: Route) -> View:
        is_open = route.scope is None and route.method == "GET" and not route.is_page

        async def view(**path: str) -> Response:
            g.is_page = route.is_page
            now = self._node.clock()
            key = self._admitted(route, now)
            if route.is_page and request.headers.get("Sec-Fetch-Site") == "cross-site" and route.has_body:
                raise foreign_form()  # other people's pages are not to have their visitors issue addresses
            if is_for_payers(route) and (origin := request.headers.get("Origin")) is not None:
                told = allowed(self._node, path["invoice_id"], origin)
                g.headers = {**g.headers, **told}
                if ORIGIN_ALLOWED not in told and request.headers.get("Sec-Fetch-Site") != "same-origin":
                    raise foreign_page()  # a browser asks nobody before it sends what forms can send
            raw = await _body() if route.has_body else b""
            answer = await self._run(route, key, path, raw, now)
            response = Response(answer.body, answer.status, dict(answer.headers), content_type=route.media)
            if answer.is_replayed:
                response.headers["Idempotent-Replayed"] = "true"
            return conditional(response, etag_of(answer.body)) if is_open else response

        return view

    def _admitted(self, route: Route, now: datetime) -> ApiKeyRecord | None:
        """The key that opens the route; None if it is public.

        A good key is served however many bad ones came from its address: behind a proxy that the config does not
        name, everybody shares one.
        """
        if route.scope is None:
            self._count(self._public, self._client(), "Too many requests from this address.")
            return None
        text = _key_text()
        key = self._node.database.read(find_key, self._node.catalogue, text, now) if text else None
        if key is None:
            self._count(self._failures, self._client(), "Too many requests without a valid API key.")
            raise unauthorized()
        if not is_allowed_from(key, self._address()):
            raise not_from_there()
        self._count(self._keyed, key.id, "Too many requests with this API key.")
        if key.last_used_at is None or now - key.last_used_at >= USE_NOTED_EVERY:
            self._node.database.write(api_keys.note_use, key.id, now)
        if route.scope not in key.scopes.split():
            raise forbidden(route.scope)
        return key

    def _count(self, throttle: Throttle, name: str, refusal: str) -> None:
        """Count the request; whatever comes of it tells how its caller stands."""
        standing = throttle.take(name)
        g.headers = throttle.headers(standing)
        if standing.wait_seconds:
            raise too_many(refusal, standing.wait_seconds)

    def _call(
        self, route: Route, key: ApiKeyRecord | None, path: dict[str, str], raw: bytes, now: datetime
    ) -> Call[Any]:
        query = _query(route)
        is_reading = route.method == "GET"
        read = read_posted if route.is_page else read_form
        return Call(
            node=self._node,
            now=now,
            store_id=None if key is None else key.store_id,
            key=key,
            client=hashlib.blake2b(self._client().encode(), key=self._salt, digest_size=16).hexdigest(),
            path=path,
            form=query if is_reading else read(route.form, request.headers.get("Content-Type", ""), raw),
        )

    async def _run(
        self, route: Route, key: ApiKeyRecord | None, path: dict[str, str], raw: bytes, now: datetime
    ) -> Answer:
        database = self._node.database
        call = self._call(route, key, path, raw, now)
        if route.handler is not None and route.method == "GET":
            read = partial(route.handler, call)
            return await self._readers.read(read) if route.is_long else database.read(read)
        named = None if key is None or route.method != "POST" else _named(key, raw)
        if named is None and route.needs_name:
            detail = "This moves money: name it with an Idempotency-Key, so that sending it twice does it once."
            raise Refusal(400, "idempotency_key_required", detail)
        if route.handler is not None:
            return await self._writes.write(
                partial(once.once, request=named, now=now, act=partial(route.handler, call))
            )
        assert route.action is not None, "a route has a handler or an action"
        async with self._simulating:
            is_new = named is None or database.read(idempotency.find, named.owner, named.key) is None
            done = await route.action(call) if is_new else None
            return database.write(once.once, named, now, partial(_already, done))

    def _client(self) -> str:
        """Who is counted as one."""
        return client_name(self._address())

    def _address(self) -> str:
        client = request.scope.get("client")
        forwarded = ",".join(request.headers.getlist("X-Forwarded-For"))
        peer = str(client[0]) if client else ""
        return client_address(peer, forwarded, self._node.catalogue.config.node.trusted_proxies)


def _next_piece(exporter: Exporter[Any], call: Call[Any], cursor: str | None, tx: Tx) -> Piece:
    return exporter(call, tx, cursor)


async def _joined(first: bytes, others: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(others):
        yield first
        async for each in others:
            yield each


def is_for_payers(route: Route) -> bool:
    """Whether a shop's own page may do it for whoever has an invoice's id."""
    return route.scope is None and route.method == "POST" and not route.is_page


def _query(route: Route) -> Form:
    """What the query says. Mailers and shops add parameters to the links that they send."""
    return read_query(route.query, request.args, only_known=not route.path.startswith(LINKS))


def _already(done: Answer | None, _tx: Tx) -> Answer:
    assert done is not None, "a request that was answered before is not done again"
    return done


def _key_text() -> str:
    """The API key as sent, '' if none was."""
    authorization: str = request.headers.get("Authorization", "")
    scheme, _, text = authorization.partition(" ")
    return text.strip() if scheme.lower() == "bearer" else request.headers.get("X-Api-Key", "").strip()


async def _body() -> bytes:
    """The request's body. Longer than allowed, or slower, raises what the app turns into 413 and 408."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal(415, "unsupported_media_type", "Send the body uncompressed, without Content-Encoding.")
    raw: bytes = await request.get_data(cache=False, as_text=False, parse_form_data=False)
    return raw


def _named(key: ApiKeyRecord, raw: bytes) -> once.Request | None:
    """The caller's name for this request, if it gave one."""
    name: str | None = request.headers.get("Idempotency-Key")
    if name is None:
        return None
    if not 0 < len(name) <= KEY_LENGTH_MAX or not name.isascii() or not name.isprintable():
        raise malformed(f"An Idempotency-Key is 1 to {KEY_LENGTH_MAX} printable ASCII characters.")
    digest = hashlib.sha256(b"\0".join([request.method.encode(), request.path.encode(), raw])).digest()
    return once.Request(key.store_id or NODE_OWNER, name, digest)
